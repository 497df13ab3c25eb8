"""What the released code does otherwise when a trained model simulates, measured on the model of a row."""

import time

import numpy as np
from anndata import AnnData

from scgen_book.experiments.cvae.cases import Case
from scgen_book.experiments.cvae.trained import Trained
from scgen_book.experiments.protocol import Metric
from scgen_lib.metrics import conditional, realism
from scgen_lib.metrics.arrays import Matrix

#: Distributions of z that are held against each other, the last one that of training cells.
OF_Z = ("N(0, 1)", "N(1, 2²)", "N(1, 4²)", "posterior z")
#: Ways from means to counts, the released one first.
OF_COUNTS = ("", "rounded", "drawn")
TIMES = ("ms a cell one by one", "ms a cell in one go")


def named(quantity: str, kind: str = "") -> str:
    """Return the name of a metric of cells of some kind."""
    return f"{quantity}, {kind}" if kind else quantity


_LABELS = {"library": "median library size of all types", "zeros": "median share of zeros of all types"}
METRICS = {
    named(quantity, kind): Metric(named(words, kind), "lower", judged=False)
    for quantity, words in _LABELS.items()
    for kind in dict.fromkeys((*OF_COUNTS, *OF_Z))
} | {
    name: Metric(words, "lower", judged=False)
    for name, words in {
        "spread": "spread within types, all of them",
        "spread, drawn": "spread within types, counts drawn",
        "distinct cells": "share of distinct cells, all types",
        "distinct cells, drawn": "share of distinct cells, counts drawn",
        "sum": "sum of all simulated counts",
        "sum, factor 260": "sum of all simulated counts with the factor 260",
        "changed after saving": "counts that differ between a model and its saved copy",
        **{name: name for name in TIMES},
    }.items()
}  # fmt: skip


def measure(case: Case, answer: Trained) -> dict[str, float]:
    """Simulate with a variant as its code does and otherwise.

    Returns
    -------
    dict of float
        Values of `METRICS`; those of rounding, of the factor 260 and of time are of the faithful variant alone.
    """
    kinds = ["", *OF_Z, *(OF_COUNTS[1:] if answer.method == "faithful" else [])]
    found: dict[str, float] = {}
    for kind in kinds:
        found |= {named(name, kind): value for name, value in typical(answer.simulated(case, kind)).items()}
    own, copy = answer.simulated(case).layers["counts"], answer.again(case).layers["counts"]
    found["changed after saving"] = (copy != own).nnz
    if answer.method == "faithful":
        for kind in ("", "drawn"):
            made = answer.simulated(case, kind)
            found[named("spread", kind)] = spread(case, made)
            found[named("distinct cells", kind)] = conditional.distinct(made.layers["counts"])
        # the stored maximum is the factor, unless another one is a parameter
        maximum = answer.model.simulate(case.target, seed=case.seed, count_scale=answer.model.maximum)
        found["sum"] = maximum.layers["counts"].sum()
        found["sum, factor 260"] = answer.simulated(case, "factor 260").layers["counts"].sum()
        found |= dict(zip(TIMES, times(answer), strict=True))
    return found


def typical(cells: AnnData | Matrix) -> dict[str, float]:
    """Return median library size and share of zeros of cells, or of their counts."""
    table = realism.cell_table(cells.layers["counts"] if isinstance(cells, AnnData) else cells).median()
    return {"library": table["library"], "zeros": table["zeros"]}


def spread(case: Case, cells: AnnData) -> float:
    """Return the spread within types relative to that of the test cells."""
    held_out, made = case.test_cells, cells
    logs = [realism.log(x, allow_empty=True) for x in (case.counts[~case.in_train], made.layers["counts"])]
    types = [x.obs["cell_type"].astype(str) for x in (held_out, made)]
    return conditional.diversity(logs[0], types[0], logs[1], types[1])["sd_ratio"]


def times(answer: Trained, calls: int = 20) -> tuple[float, float]:
    """Return how long a cell takes in a call of the decoder of its own, and among a hundred of each type, in ms."""
    model = answer.model
    one = [np.zeros((1, model.latent_dim)), np.eye(len(model.labels))[:1]]
    model.net.decoder.predict(one, verbose=0)
    clock = time.perf_counter()
    for _ in range(calls):
        model.net.decoder.predict(one, verbose=0)
    single = (time.perf_counter() - clock) / calls
    clock = time.perf_counter()
    many = model.simulate(100).n_obs
    return single * 1000, (time.perf_counter() - clock) / many * 1000
