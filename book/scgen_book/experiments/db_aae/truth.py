"""Is the output nearer to the truth: scores and arrays where the counts before dropout are known."""

import anndata
import numpy as np
import pandas as pd

from scgen_book.experiments.db_aae import cells as own
from scgen_book.experiments.protocol import Metric
from scgen_lib.metrics import denoising
from scgen_lib.metrics.arrays import log_normalise

METRICS = {
    "mse": Metric("MSE", "lower"),
    "mse_dropped": Metric("MSE, dropped", "lower"),
    "r_dropped": Metric("r, dropped", "higher"),
    "pearson": Metric("r, all entries", "higher"),
    "pearson_cell": Metric("r, per cell", "higher"),
    "pearson_gene": Metric("r, per gene", "higher"),
    "cosine": Metric("cosine", "higher"),
    "found": Metric("dropouts found (AP)", "higher"),
    "mse_means": Metric("MSE to the means", "lower"),
}
#: Entries and cells that figures show at most.
ENTRIES, CELLS = 100_000, 300


def scores(cells: anndata.AnnData, genes: np.ndarray, counts: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Compare denoised counts with the counts before dropout, and with the means that those were drawn from.

    Parameters
    ----------
    cells
        With the layer "true_counts", and "base_cell_means" where they are known.
    genes
        Which genes of the cells the matrices have.
    counts, y
        Observed and denoised counts, cells × genes.

    Returns
    -------
    dict of float
        `METRICS`; without a dropped entry those of these are left out.
    """
    truth = own.dense(cells.layers["true_counts"])[:, genes]
    dropped = denoising.dropout_mask(counts, truth)
    log_y, log_truth = log_normalise(y, 1e4), log_normalise(truth, 1e4)
    found = denoising.truth_scores(y, truth, counts)
    found = {name: value for name, value in found.items() if name in METRICS and (dropped.any() or "drop" not in name)}
    if dropped.any() and log_y[dropped].std() > 0:
        found["r_dropped"] = np.corrcoef(log_y[dropped], log_truth[dropped])[0, 1]
    found["found"] = denoising.detection_curve(log_y, counts, truth)["average_precision"]
    if "base_cell_means" in cells.layers:
        means = log_normalise(cells.layers["base_cell_means"][:, genes], 1e4)
        found["mse_means"] = float(((log_y - means) ** 2).mean())
    return found


def kept(cells: anndata.AnnData, genes: np.ndarray, counts: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Return the denoised counts at the dropped entries, and of some cells the logarithms of genes that differ."""
    truth = own.dense(cells.layers["true_counts"])[:, genes]
    at = np.flatnonzero(denoising.dropout_mask(counts, truth))
    if len(at) > ENTRIES:
        at = np.sort(np.random.default_rng(0).choice(at, ENTRIES, replace=False))
    found = {"dropped": y.ravel()[at].astype("float32")}
    factors = cells.var.filter(regex="^de_fac_group")
    if own.typed(cells)[1] is None and factors.shape[1]:
        changed = (factors != 1).any(axis=1).to_numpy()[genes]
        rows = _some_of_each(cells.obs["cell_type"])
        found["heat"] = log_normalise(y, 1e4)[rows][:, changed].astype("float32")
        found["heat_groups"] = cells.obs["cell_type"].to_numpy(str)[rows]
    return found


def _some_of_each(types: pd.Series) -> np.ndarray:
    """Draw `CELLS` cells at random, in equal shares of the types."""
    codes = np.asarray(types.cat.codes)
    drawn = np.random.default_rng(0).permutation(len(codes))
    rank = pd.Series(codes[drawn]).groupby(codes[drawn]).cumcount()
    return np.sort(drawn[np.argsort(np.asarray(rank), kind="stable")[:CELLS]])
