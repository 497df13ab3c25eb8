"""How far two clouds of cells mix: maximum mean discrepancy, neighbours of the other cloud, nearest training cells."""

import numpy as np
from sklearn.metrics import euclidean_distances
from sklearn.neighbors import NearestNeighbors

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics.arrays import dense

SCALES = (0.5, 1.0, 2.0)  # of the kernels, in bandwidths
ROWS_AT_ONCE = 1000
COPY = 0.01  # of the usual distance to a training cell, below which a cell is a copy of it


def bandwidth(points: np.ndarray, neighbours: int = 25, seed: int = 0, max_cells: int = 5000) -> float:
    """Compute the median over cells of the mean distance to the nearest other cells: the m of the kernels of `mmd2`.

    Parameters
    ----------
    points
        Training cells × dimensions.
    neighbours
        Neighbours of a cell, fewer where there are fewer cells.
    seed, max_cells
        Above so many cells those of a seeded sample are looked up; their neighbours are sought among all cells.
    """
    points = dense("points", points).astype(np.float64)
    rows = np.random.default_rng(seed).permutation(len(points))[:max_cells]
    k = min(neighbours, len(points) - 1)
    # the nearest of all is the cell itself
    distances, _ = NearestNeighbors(n_neighbors=k + 1).fit(points).kneighbors(points[rows])
    return float(np.median(distances[:, 1:].mean(axis=1)))


def mmd2(x: np.ndarray, y: np.ndarray, bandwidth: float, *, permutations: int = 500, seed: int = 0) -> dict[str, float]:
    """Estimate the squared maximum mean discrepancy under a mixture of three Gaussian kernels.

    k(x, y) = ⅓ Σ exp(-‖x - y‖² / s²) with s of half, one and two bandwidths (Shaham et al. 2017,
    doi:10.1093/bioinformatics/btx196). Memory grows with the number of cells, not with its square.

    Parameters
    ----------
    x, y
        Real and generated cells × dimensions, two at least of each.
    bandwidth
        Bandwidth m > 0, fixed on training cells.
    permutations
        Relabellings of the pooled cells for the p-value; 0 for none.
    seed
        Seed of the relabellings.

    Returns
    -------
    dict of float
        mmd2, the unbiased estimate, which is 0 on average for equal distributions and may be negative; mmd2_p, the
        share of relabellings with an estimate as high, the labels as given included (NaN without permutations); and
        mmd2_legacy, the biased estimate with the sum of the kernels, as in published codes. That of GRouNdGAN is
        three times mmd2_legacy, and that of Shaham et al. its square root.
    """
    x, y = _pair(x, y)
    if not bandwidth > 0:
        raise ParameterError(f"expected a bandwidth above 0, got {bandwidth!r}: give one")
    pooled = np.vstack([x, y])
    n, m = len(x), len(y)
    chosen = np.zeros((n + m, permutations + 1))
    chosen[:n, 0] = 1
    rng = np.random.default_rng(seed)
    for column in chosen.T[1:]:
        column[rng.permutation(n + m)[:n]] = 1
    # with z = 1 for the cells of one side, all sums over pairs follow from zᵀK z, zᵀK 1 and 1ᵀK 1
    inner, row_sums = np.zeros(permutations + 1), np.zeros(n + m)
    for start in range(0, n + m, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        squared = euclidean_distances(pooled[rows], pooled, squared=True)
        squared[np.arange(len(squared)), start + np.arange(len(squared))] = 0
        kernel = sum(np.exp(-squared / (scale * bandwidth) ** 2) for scale in SCALES) / len(SCALES)
        row_sums[rows] = kernel.sum(axis=1)
        inner += (chosen[rows] * (kernel @ chosen)).sum(axis=0)
    one_side = row_sums @ chosen
    between = one_side - inner
    other = row_sums.sum() - 2 * one_side + inner
    unbiased = (inner - n) / (n * (n - 1)) + (other - m) / (m * (m - 1)) - 2 * between / (n * m)
    biased = inner[0] / n**2 + other[0] / m**2 - 2 * between[0] / (n * m)
    return {
        "mmd2": float(unbiased[0]),
        # sums in another order differ by rounding, which must not decide between equals
        "mmd2_p": float(np.mean(unbiased >= unbiased[0] - 1e-12)) if permutations else float("nan"),
        "mmd2_legacy": float(len(SCALES) * biased),
    }


def knn_mix(x: np.ndarray, y: np.ndarray, k: int = 30) -> float:
    """Compute the mean share of the other side among the k nearest neighbours of a cell, real x and generated y (n, D).

    n / (2n - 1) where the n cells of each side mix, 0 where they are apart.
    """
    _, other = _neighbours(x, y, k)
    return float(other.mean())


def lisi(x: np.ndarray, y: np.ndarray, perplexity: float = 30) -> dict[str, float]:
    """Compute the local inverse Simpson's index of real and generated cells (Korsunsky et al. 2019).

    The neighbours of a cell, three times the perplexity and without the cell itself, get weights exp(-β d) whose
    entropy is ln(perplexity); the index is 1 / Σ p² over the shares p of the two sides.

    Parameters
    ----------
    x, y
        Real and generated cells × dimensions, as many of each.
    perplexity
        Effective number of neighbours, smaller where there are fewer cells.

    Returns
    -------
    dict of float
        lisi_mean and lisi_median over all cells: 2 where the sides mix, 1 where they are apart. Neither rescaled to
        [0, 1] nor taken on a t-SNE, as other codes do.
    """
    perplexity = min(perplexity, (2 * len(x) - 1) / 3)
    distances, other = _neighbours(x, y, int(3 * perplexity))
    share = (_weights(distances, perplexity) * other).sum(axis=1)
    index = 1 / (share**2 + (1 - share) ** 2)
    return {"lisi_mean": float(index.mean()), "lisi_median": float(np.median(index))}


def nn_train(train: np.ndarray, x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Compare how near generated (y) and held-out cells (x) lie to their nearest training cell, all (N, D).

    Returns
    -------
    dict of float
        nn_train and nn_train_5, median and 5th percentile over generated cells of the distance to the nearest training
        cell, in medians of the same over real cells: about 1 for new cells, far below 1 for memorised ones; and copies,
        the share of generated cells within 1 % of that median.
    """
    train, x, y = (dense(name, points) for name, points in (("train", train), ("x", x), ("y", y)))
    finder = NearestNeighbors(n_neighbors=1).fit(train)
    usual, ratio = (finder.kneighbors(points)[0][:, 0] for points in (x, y))
    ratio = ratio / np.median(usual) if np.median(usual) > 0 else np.full(len(y), np.nan)
    return {
        "nn_train": float(np.median(ratio)),
        "nn_train_5": float(np.quantile(ratio, 0.05)),
        "copies": float(np.mean(ratio < COPY)),
    }


def _pair(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = dense("x", x).astype(np.float64), dense("y", y).astype(np.float64)
    if x.shape[1] != y.shape[1] or min(len(x), len(y)) < 2:
        raise DataError(
            f"expected two cells or more a side in the same dimensions, got the shapes {x.shape} and {y.shape}: "
            "project both sides alike"
        )
    return x, y


def _neighbours(x: np.ndarray, y: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the neighbours of each pooled cell, and whether they are of the other side."""
    x, y = _pair(x, y)
    if len(x) != len(y):
        raise DataError(f"expected sides of one size, got {len(x)} and {len(y)} cells: sample the larger one")
    side = np.repeat([False, True], len(x))
    finder = NearestNeighbors(n_neighbors=min(k, len(side) - 1)).fit(np.vstack([x, y]))
    distances, indices = finder.kneighbors()
    return distances, side[indices] != side[:, None]


def _weights(distances: np.ndarray, perplexity: float) -> np.ndarray:
    """Weights exp(-β d) of each row, with the β at which their entropy is ln(perplexity), by bisection."""
    centred = distances - distances.min(axis=1, keepdims=True)
    centred /= np.maximum(centred.mean(axis=1, keepdims=True), np.finfo(float).tiny)
    low, high, beta = np.zeros(len(centred)), np.full(len(centred), np.inf), np.ones(len(centred))
    for _ in range(60):
        weights = np.exp(-beta[:, None] * centred)
        total = weights.sum(axis=1)
        entropy = np.log(total) + beta * (weights * centred).sum(axis=1) / total
        flat = entropy > np.log(perplexity)
        low, high = np.where(flat, beta, low), np.where(flat, high, beta)
        beta = np.where(np.isinf(high), 2 * beta, (low + high) / 2)
    return weights / total[:, None]
