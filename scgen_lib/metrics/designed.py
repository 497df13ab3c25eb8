"""Truths that an experiment was designed to have: mixtures in known proportions, spiked-in molecules, bulk samples."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_score

from scgen_lib.errors import DataError
from scgen_lib.metrics.arrays import Matrix, dense, log_normalise

MIXED = ("H2228_prop", "H1975_prop", "HCC827_prop")


def mixture_truth(counts: Matrix, proportions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mix the pooled profiles of the pure samples in the proportions of the design.

    Parameters
    ----------
    counts
        Raw counts, cells × genes.
    proportions
        Share of each component in each cell, cells × components; a row sums to about 1, and each has a pure cell.

    Returns
    -------
    tuple of ndarray
        Expected shares of the genes, cells × genes, each row of sum 1; and which cells are mixed (bool), those whose
        own counts the truth does not contain.
    """
    counts = dense("counts", counts).astype(np.float64)
    proportions = proportions / proportions.sum(axis=1, keepdims=True)
    pure = proportions == 1
    if not pure.any(axis=0).all():
        raise DataError(f"expected a pure cell of each of {pure.shape[1]} components, got none of some: keep those")
    profiles = np.stack([counts[own].sum(axis=0) for own in pure.T])
    return proportions @ (profiles / profiles.sum(axis=1, keepdims=True)), ~pure.any(axis=1)


def proportions_r2(points: np.ndarray, proportions: np.ndarray, seed: int = 0) -> float:
    """Predict the proportions of mixtures from an embedding by a linear fit, in five-fold cross-validation.

    Parameters
    ----------
    points
        Coordinates, cells × dimensions.
    proportions
        Share of each component in each cell, cells × components.
    seed
        Seed of the folds.

    Returns
    -------
    float
        R² on cells that the fit has not seen, the mean over components and folds; 1 is best.
    """
    points = dense("points", points)
    folds = KFold(5, shuffle=True, random_state=seed)
    return float(cross_val_score(LinearRegression(), points, dense("proportions", proportions), cv=folds).mean())


def spike_scores(estimate: Matrix, molecules: Sequence[float]) -> dict[str, float]:
    """Compare denoised spike-ins with the molecules that every cell was given.

    Parameters
    ----------
    estimate
        Observed or denoised values of the spike-ins alone, cells × spike-ins. Cells without any are left out.
    molecules
        Molecules of each spike-in that were added to a cell, the same for every cell.

    Returns
    -------
    dict of float
        spike_mse, the mean squared error of ln(1 + x) after scaling the spike-ins of a cell to 10,000, which contains
        what a spike-in is captured better or worse than others; spike_sd, the standard deviation (ddof 1) of the same
        over cells, the mean over spike-ins: what differs between cells that were given the same.
    """
    estimate, molecules = dense("estimate", estimate), np.asarray(molecules, dtype=np.float64)
    if estimate.shape[1] != len(molecules):
        raise DataError(
            f"expected a number of molecules for each of {estimate.shape[1]} spike-ins, got {len(molecules)}: give one "
            "each"
        )
    x = log_normalise(estimate[estimate.sum(axis=1) > 0], 1e4)
    expected = log_normalise(molecules[None], 1e4)
    return {"spike_mse": float(np.square(x - expected).mean()), "spike_sd": float(x.std(axis=0, ddof=1).mean())}


def bulk_scores(estimate: Matrix, genes: Sequence[str], bulk: pd.DataFrame) -> dict[str, float]:
    """Compare denoised cells with bulk samples of the same tissue, over the genes that both have, ten at least.

    Parameters
    ----------
    estimate
        Observed or denoised values, cells × genes.
    genes
        Names of the genes, as in the index of `bulk`.
    bulk
        Expression by gene (index) and replicate (columns), not logarithms.

    Returns
    -------
    dict of float
        bulk_mean, the rank correlation over genes of the mean over cells with the mean over replicates, and bulk_cell,
        the median over cells of that of a cell. The latter rewards making all cells alike.
    """
    place = pd.Index(bulk.index).get_indexer(pd.Index(genes))
    known = place >= 0
    if known.sum() < 10:
        raise DataError(
            f"expected ten genes or more with a bulk value, got {known.sum()} of {len(known)}: give both the same "
            "names of genes"
        )
    x = log_normalise(dense("estimate", estimate), 1e4, allow_empty=True)[:, known]
    reference = np.log1p(bulk.to_numpy(float)[place[known]].mean(axis=1))
    cells = [spearmanr(cell, reference).statistic for cell in x if np.ptp(cell) > 0]
    return {
        "bulk_mean": float(spearmanr(x.mean(axis=0), reference).statistic),
        "bulk_cell": float(np.median(cells)) if cells else float("nan"),
    }
