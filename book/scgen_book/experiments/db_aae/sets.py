"""The data sets of the chapter: which there are, and what is in each of them.

The released loop walks through whole batches in file order, so that some cells are never trained on (D6).
"""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anndata
import numpy as np
import pandas as pd

from scgen_book.experiments.db_aae import cells
from scgen_book.experiments.protocol import Experiment, Method, Metric, Task
from scgen_lib.data import checks, splatter
from scgen_lib.errors import DataError
from scgen_lib.models.db_aae import DBAAE

DEFAULT = "splat_g6"
SIMULATIONS = tuple(f"splat_g{k}{end}" for end in ("", "_nodrop") for k in (2, 6, 8))
REAL = ("goolam", "baron_mouse", "treutlein", "rnamix_celseq2")
BATCHES = (32, 64)


@dataclass(frozen=True)
class Sets:
    """What a run looks at: names of data sets by what they are for, and the seeds.

    Attributes
    ----------
    dataset
        The data set of the chapter.
    simulations, ordered, real
        Further data with known truth, with known order, and real ones that are judged by held-out molecules.
    markers
        The data set of the figures of markers.
    truth
        Those whose truth is known: the simulations, and the data set of the chapter if it is one.
    all
        Each of them once.
    seeds, masks
        Seeds of the trainings, that of the figures first, and of the held-out molecules.
    """

    dataset: str
    simulations: list[str]
    ordered: list[str]
    real: list[str]
    markers: str
    truth: list[str]
    seeds: list[int]
    masks: list[int]

    @property
    def all(self) -> list[str]:
        """Each data set once, in the order of the page."""
        return _once(self.dataset, *self.simulations, *self.ordered, *self.real, self.markers)


def chosen(values: Mapping[str, Any]) -> Sets:
    """Return the data sets and seeds that the parameters of the chapter ask for."""
    dataset = values["dataset"]
    beside = dataset == DEFAULT

    def named(key: str, otherwise: tuple[str, ...]) -> list[str]:
        return list(values[key]) if values[key] is not None else list(otherwise if beside else ())

    simulations, ordered, real = named("simulations", SIMULATIONS), order_of(values), named("real_sets", REAL)
    known = {name: values[name] for name in (*cells.DATA, "seed")}
    truth, ranked = _about(dataset, json.dumps(known))
    return Sets(
        dataset, simulations, _once(*([dataset] if ranked and dataset not in ordered else []), *ordered),
        _once(*([] if truth or dataset in real else [dataset]), *real), markers_of(values),
        _once(*([dataset] if truth else []), *simulations), _once(values["seed"], *values["seeds"]),
        _once(*values["masks"]),
    )  # fmt: skip


def order_of(values: Mapping[str, Any]) -> list[str]:
    """Return the data that are taken to be in a known order, beside a data set whose labels say so themselves."""
    if values["ordered"] is not None:
        return list(values["ordered"])
    return ["splat_path", "goolam"] if values["dataset"] == DEFAULT else []


def markers_of(values: Mapping[str, Any]) -> str:
    """Return the data set of the figures of markers."""
    return values["markers"] or ("baron_mouse" if values["dataset"] == DEFAULT else values["dataset"])


def ranked(adata: anndata.AnnData) -> bool:
    """Say whether all cells have labels that score and are ordered categories."""
    return "cell_type" in adata.obs and bool(cells.typed(adata)[0].all() and adata.obs["cell_type"].cat.ordered)


@functools.lru_cache(maxsize=4)
def _about(dataset: str, known: str) -> tuple[bool, bool]:
    """Say whether the truth of a data set and the order of its cells are known."""
    if dataset in splatter.PRESETS:
        return True, False
    values = json.loads(known)
    try:
        adata = cells.load(dataset, values["seed"], values)
    except DataError:
        return False, False  # the rows of these data say why there are none
    return "true_counts" in adata.layers, ranked(adata)


def _once(*names: Any) -> list:
    return list(dict.fromkeys(names))


def prepare(dataset: str, seed: int, settings: Mapping) -> anndata.AnnData:
    """Load the cells."""
    return cells.load(dataset, seed, settings)


def _looked_at(adata: anndata.AnnData, seed: int, settings: Mapping) -> anndata.AnnData:
    return adata


def score(adata: anndata.AnnData, answer: Any, seed: int, settings: Mapping) -> dict[str, float]:
    """Return sizes, the share of zeros, and of cells that the released loop never sees, with the class losing most."""
    found = {
        "cells": adata.n_obs, "genes": adata.n_vars,
        "model_genes": len(cells.normaliser(adata, settings).genes),
        "zeros": 1 - np.count_nonzero(cells.dense(checks.get_counts(adata))) / (adata.n_obs * adata.n_vars),
    }  # fmt: skip
    has_types = cells.typed(adata)[1] is None
    if has_types:
        found["classes"] = adata.obs["cell_type"].nunique()
    for size in BATCHES:
        unseen = DBAAE.faithful().unseen(adata.n_obs, size)
        found[f"unseen_{size}"] = unseen.mean()
        if has_types and unseen.any():
            found[f"unseen_{size}_most"] = _by_class(adata, unseen).max()
    return found


def _by_class(adata: anndata.AnnData, unseen: np.ndarray) -> pd.Series:
    return pd.Series(unseen, adata.obs_names).groupby(adata.obs["cell_type"], observed=True).mean()


def keep(adata: anndata.AnnData, answer: Any, seed: int, settings: Mapping) -> dict[str, list[str]]:
    """Return the title, why there are no classes, and by batch size the class that loses most."""
    reason = cells.typed(adata)[1]
    found = {"title": [adata.uns["dataset"].get("title", "own file")], "reason": [reason or ""]}
    for size in BATCHES if reason is None else ():
        unseen = DBAAE.faithful().unseen(adata.n_obs, size)
        found[f"most_{size}"] = [str(_by_class(adata, unseen).idxmax())]
    return found


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every data set once."""
    return [(name, "the data", values["seed"]) for name in chosen(values).all]


EXPERIMENT = Experiment(
    name="db_aae.sets",
    methods={"the data": Method(_looked_at)},
    metrics={
        "cells": Metric("cells", "higher", judged=False),
        "genes": Metric("genes", "higher", judged=False),
        "model_genes": Metric("genes of the model", "higher", judged=False),
        "zeros": Metric("zeros", "lower", judged=False),
        "classes": Metric("classes", "higher", judged=False),
        **{f"unseen_{size}": Metric(f"unseen, B = {size}", "lower", judged=False) for size in BATCHES},
        **{f"unseen_{size}_most": Metric(f"unseen of the class that loses most, B = {size}", "lower", judged=False)
           for size in BATCHES},
    },
    prepare=prepare,
    score=score,
    settings=(*cells.DATA, "min_cells", "target_sum", "n_hvg"),
    asked=asked,
    keep=keep,
)  # fmt: skip
