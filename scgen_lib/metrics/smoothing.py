"""Denoisers that need no network: what a trained one has to beat, beside `molecular.gene_mean`."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from scgen_lib.metrics.arrays import Matrix, dense, log_normalise


def low_rank(counts: Matrix, k: int = 10, seed: int = 0) -> np.ndarray:
    """Reconstruct cells from k principal components of ln(1 + x) of cells scaled to 10,000, or fewer.

    Raw counts, cells × genes → values of 0 or more that sum to the total of the cell, float64.
    """
    counts, pca, points = _reduced(counts, k, seed)
    return _at_depth(np.expm1(np.maximum(pca.inverse_transform(points), 0)), counts)


def neighbour_mean(counts: Matrix, k: int = 15, components: int = 10, seed: int = 0) -> np.ndarray:
    """Replace every cell by the pooled counts of its k nearest cells, itself among them.

    Neighbours are those in principal components of ln(1 + x) of cells scaled to 10,000. They enter the pool by their
    shares of genes, so that a deep one counts no more than another.

    Raw counts, cells × genes → values of 0 or more that sum to the total of the cell, float64.
    """
    counts, _, points = _reduced(counts, components, seed)
    n_neighbors = min(k, len(points))
    nearest = NearestNeighbors(n_neighbors=n_neighbors).fit(points).kneighbors(points, return_distance=False)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(totals > 0, totals, 1)
    pooled = np.zeros(shares.shape)
    for column in nearest.T:
        pooled += shares[column]
    return _at_depth(pooled, counts)


def _reduced(counts: Matrix, k: int, seed: int) -> tuple[np.ndarray, PCA, np.ndarray]:
    counts = dense("counts", counts).astype(np.float64)
    x = log_normalise(counts, 1e4, allow_empty=True)
    pca = PCA(min(k, *x.shape), random_state=seed).fit(x)
    return counts, pca, pca.transform(x)


def _at_depth(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return values * (counts.sum(axis=1, keepdims=True) / np.maximum(values.sum(axis=1, keepdims=True), 1e-12))
