"""Cells to compare a simulation with: real, resampled, permuted and drawn from simple distributions."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp

from scgen_lib.data import checks
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics.arrays import Matrix, finite, labelled

GENES_AT_ONCE = 500  # columns that are dense at the same time while they are permuted


class Cells(NamedTuple):
    """Cells × genes at any depth, raw counts or a model's output, and one label a cell where there are labels."""

    counts: Matrix
    labels: Sequence | None = None

    def take(self, rows: np.ndarray) -> "Cells":
        """Return the cells in these rows."""
        return Cells(self.counts[rows], None if self.labels is None else np.asarray(self.labels)[rows])

    def sample(self, n: int, seed: int) -> "Cells":
        """Return at most n of the cells, drawn without replacement, in their order."""
        return self.take(np.sort(np.random.default_rng(seed).permutation(self.counts.shape[0])[:n]))

    def of(self, label: object) -> "Cells":
        """Return the cells of a label."""
        return self.take(np.flatnonzero(np.asarray(self.labels).astype(str) == str(label)))


def controls(train: Cells, n: int, seed: int = 0) -> tuple[dict[str, Cells], np.ndarray]:
    """Make the four controls that frame every score of a simulation, all of the same size.

    Parameters
    ----------
    train
        Raw counts of the training cells; without labels they count as one cluster.
    n
        Cells of each control, fewer than there are training cells.
    seed
        Seed of all draws.

    Returns
    -------
    tuple of dict and ndarray of int
        The cells of real (a random sample: what a perfect simulator scores), bootstrap (rows with replacement: what a
        memorising one scores: repeated rows help a classifier, and cells that fixed the principal components lie apart
        from new ones), permuted (`permute`: marginals without correlations) and poisson (cluster mean × median
        library size); and the rows of `train` outside real, on which principal components and bandwidth are fixed.
    """
    counts, labels = checks.check_counts(train.counts, allow_empty=True), _labels(train)
    if not 0 < n < counts.shape[0]:
        raise DataError(
            f"expected fewer than the {counts.shape[0]} training cells in a control, got {n}: sample fewer cells"
        )
    train = Cells(counts, None if train.labels is None else labels)
    rng = np.random.default_rng(seed)
    order = rng.permutation(counts.shape[0])
    cells = {
        "real": train.take(order[:n]),
        "bootstrap": train.take(rng.integers(counts.shape[0], size=n)),
        "permuted": Cells(permute(counts, labels, seed), train.labels).take(rng.permutation(counts.shape[0])[:n]),
    }
    drawn = labels[rng.permutation(counts.shape[0])[:n]]
    poisson = parametric(train, drawn, distribution="poisson", depth="median", seed=seed)
    return cells | {"poisson": Cells(poisson, None if train.labels is None else drawn)}, np.sort(order[n:])


def permute(counts: Matrix, labels: Sequence | None = None, seed: int = 0) -> Matrix:
    """Permute every gene of cells × genes by itself among the cells of a label, or among all without labels.

    Every gene keeps its mean, variance and zeros in every label, and no correlation within it; CSR stays CSR.
    """
    counts = finite("counts", counts)
    groups = [np.flatnonzero(codes) for codes in _indicators(_labels(Cells(counts, labels)))]
    rng = np.random.default_rng(seed)
    sparse, blocks = sp.issparse(counts), []
    counts = sp.csc_matrix(counts) if sparse else counts
    for start in range(0, counts.shape[1], GENES_AT_ONCE):
        block = counts[:, start : start + GENES_AT_ONCE]
        block = block.toarray() if sparse else block.copy()
        for rows in groups:
            block[rows] = rng.permuted(block[rows], axis=0)
        blocks.append(sp.csr_matrix(block) if sparse else block)
    return sp.hstack(blocks, format="csr") if sparse else np.hstack(blocks)


def parametric(
    train: Cells,
    labels: Sequence | None = None,
    *,
    distribution: Literal["nb", "poisson"] = "nb",
    depth: Literal["resampled", "median"] = "resampled",
    seed: int = 0,
) -> sp.csr_matrix:
    """Draw cells whose genes are independent, from moments of the training cells of each label.

    Gene g of a cell with library size l has the mean μ = l p, where p is the gene's mean share of a cell of the label,
    and under nb the variance μ + μ² / θ, where 1/θ = max(0, Σ (x - μ)² - Σ μ) / Σ μ² over those cells.

    Parameters
    ----------
    train
        Raw counts of the training cells; without labels they count as one.
    labels
        Label of each cell to draw; None draws the labels of the training cells.
    distribution
        Negative binomial or Poisson.
    depth
        Library sizes: resampled from the training cells of the label, or the median of all training cells.
    seed
        Seed of all draws.

    Returns
    -------
    csr_matrix, int64
        Counts, one row a label.
    """
    if distribution not in ("nb", "poisson"):
        raise ParameterError(f"expected the distribution nb or poisson, got {distribution!r}: choose one")
    if depth not in ("resampled", "median"):
        raise ParameterError(f"expected the depth resampled or median, got {depth!r}: choose one")
    counts, known = sp.csr_matrix(checks.check_counts(train.counts, allow_empty=True), dtype=np.float64), _labels(train)
    wanted = known if labels is None else np.asarray(labels)
    if absent := sorted(set(wanted) - set(known), key=str):
        raise DataError(f"expected labels of training cells, got '{absent[0]}': draw labels they have")
    rng, median = np.random.default_rng(seed), np.median(checks.totals(counts, 1))
    rows, blocks = [], []
    for label in pd.unique(known):
        chosen = np.flatnonzero(wanted == label)
        cells = counts[known == label]
        totals = checks.totals(cells, 1)
        share = checks.totals(sp.diags(1 / np.where(totals > 0, totals, 1)) @ cells, 0) / max((totals > 0).sum(), 1)
        depths = rng.choice(totals, len(chosen)) if depth == "resampled" else np.full(len(chosen), median)
        mean = depths[:, None] * share
        if distribution == "nb":
            inverse = _inverse_dispersion(cells, totals, share)
            spread = inverse > 0
            mean[:, spread] *= rng.gamma(1 / inverse[spread], inverse[spread], (len(chosen), spread.sum()))
        rows.append(chosen)
        blocks.append(sp.csr_matrix(rng.poisson(mean)))
    return sp.vstack(blocks, format="csr")[np.argsort(np.concatenate(rows))]


def as_counts(values: Matrix, totals: Sequence[float], seed: int = 0) -> Matrix:
    """Turn generated cells of equal depth into counts: round(y d / Σ y), with a depth d drawn for every cell.

    Nothing is drawn from the values themselves, since a simulator that has learnt the noise of the counts would get it
    a second time.

    Parameters
    ----------
    values
        Non-negative values, cells × genes; CSR stays CSR. Cells without any value stay empty.
    totals
        Library sizes of the training cells.
    seed
        Seed of the depths.

    Returns
    -------
    ndarray or csr_matrix, int64
        Counts.
    """
    values = finite("values", values)
    if (values.data if sp.issparse(values) else values).min(initial=0) < 0:
        raise DataError("expected values of 0 or more, got negative ones: clip them first")
    own = checks.totals(values, 1)
    depths = np.random.default_rng(seed).choice(np.asarray(totals, dtype=np.float64), len(own))
    scale = depths / np.where(own > 0, own, 1)
    scaled = sp.csr_matrix(sp.diags(scale) @ values) if sp.issparse(values) else values * scale[:, None]
    counts = np.rint(scaled).astype(np.int64)
    if sp.issparse(counts):
        counts.eliminate_zeros()
    return counts


def _inverse_dispersion(cells: sp.csr_matrix, totals: np.ndarray, share: np.ndarray) -> np.ndarray:
    # Σ (x - l p)² without a dense residual; the fitted mean costs one degree of freedom
    square = checks.totals(cells.multiply(cells), 0) - 2 * share * (cells.T @ totals) + share**2 * (totals @ totals)
    n = len(totals)
    excess = square * n / max(n - 1, 1) - share * totals.sum()
    return np.maximum(excess, 0) / np.maximum(share**2 * (totals @ totals), np.finfo(float).tiny)


def _labels(cells: Cells) -> np.ndarray:
    n = cells.counts.shape[0]
    return np.zeros(n, dtype=int) if cells.labels is None else labelled(cells.labels, n)


def _indicators(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == label for label in pd.unique(labels)]
