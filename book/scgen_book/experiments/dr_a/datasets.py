"""Is DR-A above PCA on other data, too: the settings are those of the chapter, nothing is chosen for these data."""

from collections.abc import Mapping
from typing import Any

from sklearn.decomposition import PCA

from scgen_book.experiments.dr_a import cases, codes, training
from scgen_book.experiments.dr_a.cases import Case
from scgen_book.experiments.protocol import BASELINE, Experiment, Method, Metric, NotApplicable, Task


def _method(name: str, k: int) -> Method:
    def principal(case: Case, seed: int, settings: Mapping) -> dict[str, Any]:
        logs = case.logs
        return {"code": PCA(k, random_state=seed).fit(logs[case.train]).transform(logs[case.test])}

    def trained(case: Case, seed: int, settings: Mapping) -> dict[str, Any]:
        return training.train(case, name, k, seed, settings)

    return Method(principal, BASELINE) if name == "PCA" else Method(trained, variant=name)


def score(case: Case, answer: Mapping[str, Any], seed: int, settings: Mapping) -> dict[str, float]:
    """Return the agreement with the first set of labels, and how many cells and classes there are."""
    of = next(iter(case.labels.values()))
    size = {"cells": case.cells.n_obs, "classes": of.nunique()}
    if "ended" in answer:
        return dict.fromkeys(list(METRICS)[:3], float("nan")) | size
    code = answer["code"] if "code" in answer else answer["codes"][settings["latent"] or answer["latent"]][case.test]
    found = codes.agreement(code, of, seed, settings)
    return {codes.SCORES[name]: found[name] for name in list(codes.SCORES)[:3]} | size


def keep(case: Case, answer: Mapping[str, Any], seed: int, settings: Mapping) -> dict[str, Any]:
    """Return whether the cells are simulated, and of a training that ended the reason."""
    ended = {"ended": [answer["ended"]]} if "ended" in answer else {}
    return {"simulated": [int(bool(case.about.get("simulated")))]} | ended


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the first variant and PCA at the length z_dim, on every further data set and at every seed."""
    if not values["more_datasets"]:
        raise NotApplicable("no further data sets were asked for (parameter more_datasets)")
    if not (values["train"] and values["variants"]):
        raise NotApplicable("nothing is trained on further data in this run (parameters train and variants)")
    names = [training.named(name, values["z_dim"]) for name in (values["variants"][0], "PCA")]
    return [
        (cases.stands_for(dataset), name, s)
        for dataset in values["more_datasets"]
        for s in values["seeds"]
        for name in names
    ]


METRICS = {codes.SCORES[name]: Metric(codes.SCORES[name], "higher") for name in ("geometric", "arithmetic", "ARI")} | {
    "cells": Metric("cells", "higher", judged=False),
    "classes": Metric("classes among the test cells", "higher", judged=False),
}
EXPERIMENT = Experiment(
    name="dr_a.datasets",
    methods=training.ByLength(_method, ["faithful", "repaired", "PCA"]),
    metrics=METRICS,
    prepare=cases.prepare_further,
    score=score,
    settings=(*codes.SETTINGS, "dataset"),
    asked=asked,
    keep=keep,
)
