"""Mean expression of simulated cells against that which the simulator of the data gave each type."""

import numpy as np
import pandas as pd

from scgen_book.experiments.cvae.cases import Case
from scgen_lib import training
from scgen_lib.metrics.arrays import Matrix
from scgen_lib.metrics.controls import Cells

LAYER = "base_cell_means"


def profiles(counts: Matrix, types: np.ndarray) -> pd.DataFrame:
    """Return the mean share of each gene by type: a row a type, sorted."""
    dense = training.dense(counts)
    shares = dense / np.maximum(dense.sum(1, keepdims=True), 1)
    return pd.DataFrame(shares).groupby(np.asarray(types)).mean().sort_index()


def agreement(case: Case, cells: Cells) -> dict[str, float]:
    """Say whether the means of cells are right; empty where the truth is not known, or one type is scored.

    Returns
    -------
    dict of float
        "profile, r", the mean over types of the correlation of log means with the true ones, and "differences between
        types, r", that of the logarithms of the ratio to the mean of all types.
    """
    if LAYER not in case.cells.layers or len(case.kept) < 2:
        return {}
    kept = np.isin(case.types, case.kept)
    true = profiles(case.cells.layers[LAYER][kept], case.types[kept])
    logs = [np.log(x + 1e-5) for x in (true, profiles(cells.counts, cells.labels))]
    changes = [(x - x.mean()).to_numpy().ravel() for x in logs]
    each = [np.corrcoef(a, b)[0, 1] for a, b in zip(*(x.to_numpy() for x in logs), strict=True)]
    return {"profile, r": float(np.mean(each)), "differences between types, r": float(np.corrcoef(*changes)[0, 1])}
