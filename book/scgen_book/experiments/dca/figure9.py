"""Figure 9 of the paper: two regulators of blood that repress each other, before and after denoising.

Gata1 drives cells towards red blood cells, Pu.1 (gene Sfpi1) towards granulocytes and monocytes. Where both are not
detected in a cell, what the figure shows of it is the network's alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anndata
import numpy as np

from scgen_book import experiments
from scgen_book.experiments.dca import networks
from scgen_book.experiments.protocol import METHOD, NEGATIVE, Experiment, Method, Metric, NotApplicable, Task
from scgen_lib import training
from scgen_lib.data import checks

GENES = ("Gata1", "Sfpi1")
ALL, NEITHER = "r, all cells", "r, cells with neither"
_CLAIMED = {ALL: "", NEITHER: ".zero_cells"}


@dataclass(frozen=True)
class Case:
    """Cells, and the counts of both genes in them, (N, 2)."""

    cells: anndata.AnnData
    counts: np.ndarray

    @property
    def neither(self) -> np.ndarray:
        """Cells in which none of both was detected, (N,), bool."""
        return (self.counts == 0).all(axis=1)


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Load the cells.

    Raises
    ------
    NotApplicable
        If one of the genes is not among theirs.
    """
    cells = checks.drop_empty(experiments.load(dataset, settings))
    if missing := [gene for gene in GENES if gene not in cells.var_names]:
        raise NotApplicable(f"these cells have no gene {' and '.join(missing)}")
    return Case(cells, training.dense(checks.get_counts(cells[:, list(GENES)].copy(), allow_empty=True)))


def _denoised(ae_type: str) -> Method:
    def run(case: Case, seed: int, settings: Mapping) -> dict[str, Any]:
        model = networks.fit(case.cells, "faithful", seed, settings, ae_type=ae_type)
        places = [case.cells.var_names.get_loc(gene) for gene in GENES]
        return {"genes": model.denoise(case.cells)[:, places], "epochs": len(model.history["loss"])}

    return Method(run, METHOD, variant="faithful")


def score(case: Case, answer: Mapping[str, Any], seed: int, settings: Mapping) -> dict[str, float]:
    """Return Pearson's r of ln(1 + x) of both genes, over all cells and over those that have neither."""
    x = np.log1p(answer["genes"])
    found = {ALL: np.corrcoef(x.T)[0, 1], "cells": len(x), "cells with neither": case.neither.sum()}
    if x[case.neither].std(axis=0).all():
        found[NEITHER] = np.corrcoef(x[case.neither].T)[0, 1]
    return found | ({"epochs": answer["epochs"]} if "epochs" in answer else {})


def keep(case: Case, answer: Mapping[str, Any], seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return ln(1 + x) of both genes, (N, 2), and which cells have neither."""
    return {"genes": np.log1p(answer["genes"]).astype("float32"), "neither": case.neither}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return both networks and the observed counts at every seed."""
    if (dataset := values["fig9_dataset"]) is None:
        raise NotApplicable("its cells were not asked for in this run (parameter fig9_dataset)")
    return [(dataset, method, seed) for seed in values["fig9_seeds"] for method in EXPERIMENT.methods]


def claims(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims on both correlations."""
    name = row["method"].replace("-", "_")
    of = (
        {ALL: "dca.fig9.observed"}
        if name == "observed"
        else {k: f"dca.fig9.{name}{end}" for k, end in _CLAIMED.items()}
    )
    return {metric: claim for metric, claim in of.items() if metric in row["scores"]}


EXPERIMENT = Experiment(
    name="dca.figure9",
    methods={
        "observed": Method(lambda case, seed, settings: {"genes": case.counts}, NEGATIVE),
        "nb": _denoised("nb"),
        "nb-conddisp": _denoised("nb-conddisp"),
    },
    metrics={
        ALL: Metric("r of Gata1 and Pu.1, all cells", "lower", judged=False),
        NEITHER: Metric("r of Gata1 and Pu.1, cells with neither observed", "lower", judged=False),
        "cells": Metric("cells", "higher", judged=False),
        "cells with neither": Metric("cells with neither observed", "higher", judged=False),
        "epochs": Metric("epochs", "lower", judged=False),
    },
    prepare=prepare,
    score=score,
    settings=(*networks.SETTINGS, "labels", "transpose"),
    asked=asked,
    claims=claims,
    keep=keep,
    drawn=lambda dataset, method: ("genes", "neither"),
)
