"""Do cells come into their order: pseudotime in two ways, on the same components and from the same root."""

import anndata
import numpy as np

from scgen_book.experiments.protocol import Metric
from scgen_lib.metrics import trajectory
from scgen_lib.metrics.arrays import log_normalise

WAYS = {"curve": "principal curve", "dpt": "diffusion"}
SCORES = {"r2": "R²", "spearman": "rank correlation", "kendall": "Kendall's τ"}
METRICS = {
    f"{key}_{way}": Metric(f"{score}, {words}", "higher")
    for way, words in WAYS.items()
    for key, score in SCORES.items()
} | {f"left_out_{way}": Metric(f"cells left out, {words}", "lower", judged=False) for way, words in WAYS.items()}


def stages(cells: anndata.AnnData) -> tuple[np.ndarray, list]:
    """Return the known stage of each cell, and the stages in their order."""
    if "step" in cells.obs:
        return cells.obs["step"].to_numpy(), sorted(cells.obs["step"].unique())
    return cells.obs["cell_type"].astype(str).to_numpy(), list(cells.obs["cell_type"].cat.categories)


def components(y: np.ndarray, seed: int) -> np.ndarray:
    """Return 20 principal components of the 500 most variable genes, as the original took them."""
    return trajectory.components(log_normalise(y, 1e4, allow_empty=True), n_pcs=20, n_genes=500, seed=seed)


def root(cells: anndata.AnnData, counts: np.ndarray, seed: int) -> int:
    """Return the medoid of the first stage, among the observed cells."""
    known, order = stages(cells)
    return trajectory.medoid(components(counts, seed), known, order[0])


def times(y: np.ndarray, root: int, seed: int) -> dict[str, np.ndarray]:
    """Return the pseudotime of each cell by way, of observed or denoised counts."""
    points = components(y, seed)
    return {way: trajectory.pseudotime(points, root, method=way, seed=seed) for way in WAYS}


def scores(cells: anndata.AnnData, found: dict[str, np.ndarray]) -> dict[str, float]:
    """Return `METRICS` of the pseudotimes by way."""
    known, order = stages(cells)
    told = {}
    for way, time in found.items():
        score = trajectory.ordering_scores(time, known, order)
        told |= {f"{key}_{way}": score[key] for key in SCORES} | {f"left_out_{way}": score["n_excluded"]}
    return told
