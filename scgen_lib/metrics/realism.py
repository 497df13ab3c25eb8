"""How much generated cells look like held-out real ones: genes, cells, correlations, and whether a forest can tell.

Spaces: counts; log, which is ln(1 + x) of cells scaled to 10,000; and pc50, the first 50 principal components of log,
fixed on training cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import ks_2samp, pearsonr, spearmanr, wasserstein_distance
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import RepeatedStratifiedKFold
from sklearn.utils.sparsefuncs import mean_variance_axis

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics.arrays import Matrix, by_label, finite, log_normalise
from scgen_lib.metrics.mixing import bandwidth


def log(counts: Matrix, *, allow_empty: bool = False) -> Matrix:
    """Scale every cell to 10,000 and take ln(1 + x), whatever depth it has: `arrays.log_normalise`."""
    return log_normalise(counts, 1e4, allow_empty=allow_empty)


@dataclass(frozen=True)
class Space:
    """Principal components and bandwidth, fixed on training cells and then applied to all others.

    Components fitted on the cells that are compared would inflate their distance.
    """

    pca: PCA
    bandwidth: float

    @classmethod
    def fit(cls, train: Matrix, n: int = 50, seed: int = 0) -> "Space":
        """Fix the space.

        Parameters
        ----------
        train
            Training cells × genes in logarithms, dense or CSR.
        n
            Components, fewer where the matrix has fewer.
        seed
            Seed of the solver and of the bandwidth's sample of cells.

        Returns
        -------
        Space
            To be called on cells × genes in logarithms; it returns cells × n.
        """
        pca = _pca(train := finite("train", train), n, seed)
        return cls(pca, bandwidth(pca.transform(train), seed=seed))

    def __call__(self, x: Matrix) -> np.ndarray:
        """Project cells × genes in logarithms."""
        return self.pca.transform(finite("x", x))


def rf_auc(
    x: Matrix, y: Matrix, *, trees: int = 1000, folds: int = 5, repeats: int = 2, components: int = 50, seed: int = 0
) -> dict[str, float]:
    """Cross-validate a random forest that tells real from generated cells.

    Principal components are fitted on the training part of each fold only.

    Parameters
    ----------
    x, y
        Real and generated cells × genes in logarithms, as many of each, and no fewer than there are folds.
    trees, folds, repeats, components
        Trees of the forest (Gini), folds and repeats of the stratified cross-validation, principal components.
    seed
        Seed of folds, components and forests.

    Returns
    -------
    dict of float
        rf_auc, the mean over folds × repeats of the area under the ROC curve, and rf_auc_sd (ddof 1). 0.5 where the
        forest cannot tell, 1 where it always can. With 200 cells a side the mean varies by about 0.03 between samples.
    """
    x, y = finite("x", x), finite("y", y)
    if x.shape != y.shape or x.shape[0] < folds:
        raise DataError(
            f"expected {folds} cells or more a side, as many of each, and the same genes, got the shapes {x.shape} and "
            f"{y.shape}: sample the larger side"
        )
    pooled = sp.vstack([x, y], format="csr") if sp.issparse(x) or sp.issparse(y) else np.vstack([x, y])
    real = np.repeat([1, 0], x.shape[0])
    areas = []
    for train, test in RepeatedStratifiedKFold(n_splits=folds, n_repeats=repeats, random_state=seed).split(real, real):
        pca = _pca(pooled[train], components, seed)
        forest = RandomForestClassifier(trees, random_state=seed, n_jobs=-1)
        forest.fit(pca.transform(pooled[train]), real[train])
        areas.append(roc_auc_score(real[test], forest.predict_proba(pca.transform(pooled[test]))[:, 1]))
    return {"rf_auc": float(np.mean(areas)), "rf_auc_sd": float(np.std(areas, ddof=1))}


def gene_curves(x: Matrix) -> pd.DataFrame:
    """Compute what the mean-variance and mean-zeros curves are drawn from, of cells × genes in any scale.

    Returns
    -------
    DataFrame, a row a gene
        mean, variance (ddof 1) and zeros, the share of cells with x ≤ 0.
    """
    x = finite("x", x).astype(np.float64)
    n = x.shape[0]
    mean, variance = mean_variance_axis(x, axis=0) if sp.issparse(x) else (x.mean(axis=0), x.var(axis=0))
    zeros = 1 - np.asarray((x > 0).sum(axis=0)).ravel() / n
    return pd.DataFrame({"mean": mean, "variance": variance * n / max(n - 1, 1), "zeros": zeros})


def per_gene(x: Matrix, y: Matrix) -> dict[str, float]:
    """Compare mean, variance and zeros of the genes of real and generated cells × genes in logarithms.

    Returns
    -------
    dict of float
        pearson, spearman (average ranks) and rmse of mean, variance and zeros (`gene_curves`), over the genes that are
        not zero in all cells of both sides; and genes_dropped, the number of the others. A Pearson or Spearman of
        constants is NaN. High values are necessary, not sufficient: Poisson noise around the means has them as well.
    """
    real, generated = gene_curves(x), gene_curves(y)
    seen = (real["zeros"] < 1) | (generated["zeros"] < 1)
    scores = {
        f"{moment}_{name}": value
        for moment in real
        for name, value in _agreement(real[moment][seen], generated[moment][seen]).items()
    }
    return scores | {"genes_dropped": float((~seen).sum())}


def cell_table(counts: Matrix) -> pd.DataFrame:
    """Tell library size, detected genes (above 0) and share of zeros of each cell, of counts, cells × genes."""
    counts = finite("counts", counts)
    detected = np.asarray((counts > 0).sum(axis=1)).ravel()
    library = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    return pd.DataFrame({"library": library, "detected": detected, "zeros": 1 - detected / counts.shape[1]})


def per_cell(x: Matrix, y: Matrix) -> dict[str, float]:
    """Compare the distributions of library size and detected genes over real and generated cells × genes.

    Returns
    -------
    dict of float
        library_ks and detected_ks, the Kolmogorov-Smirnov statistic; library_w1 and detected_w1, the Wasserstein
        distance in standard deviations of the real cells (both distances of the share of zeros are those of the
        detected genes); and library_median and zeros_median of the generated cells. The distances of library sizes are
        NaN where all generated cells have the same: such a model does not say how deep a cell is.
    """
    real, generated = cell_table(x), cell_table(y)
    scores = {}
    for name in ("library", "detected"):
        a, b = real[name], generated[name]
        # layers that fix the total do so to the rounding of single precision
        fixed = name == "library" and np.ptp(b) <= 1e-4 * b.mean()
        scores[f"{name}_ks"] = float("nan") if fixed else float(ks_2samp(a, b, method="asymp").statistic)
        scores[f"{name}_w1"] = float("nan") if fixed or a.std() == 0 else float(wasserstein_distance(a, b) / a.std())
    return scores | {f"{name}_median": float(generated[name].median()) for name in ("library", "zeros")}


def top_genes(train: Matrix, p: int = 100, by: Literal["mean", "variance"] = "mean") -> np.ndarray:
    """Choose the `p` genes of highest mean or variance of cells × genes in logarithms: columns, highest first."""
    if by not in ("mean", "variance"):
        raise ParameterError(f"expected genes by mean or variance, got {by!r}: choose one")
    return np.argsort(-gene_curves(train)[by].to_numpy(), kind="stable")[:p]


def correlations(x: Matrix, genes: Sequence[int]) -> np.ndarray:
    """Compute the Pearson correlations of genes (column numbers) of cells × genes: (p, p), NaN for constant ones."""
    x = finite("x", x)[:, np.asarray(genes)]
    x = x.toarray() if sp.issparse(x) else x
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.corrcoef(x, rowvar=False)
    constant = np.ptp(x, axis=0) == 0
    matrix[constant] = matrix[:, constant] = np.nan
    return matrix


def corr_agreement(
    x: Matrix,
    y: Matrix,
    genes: Sequence[int],
    x_labels: Sequence | None = None,
    y_labels: Sequence | None = None,
    min_cells: int = 50,
) -> dict[str, float]:
    """Compare the gene-gene correlations of real and generated cells, pooled and within labels.

    Pooled correlations stem mostly from differences between the means of clusters, which even a permutation within
    clusters keeps; the values within labels show what is left.

    Parameters
    ----------
    x, y
        Real and generated cells × genes in logarithms.
    genes
        Column numbers of the genes (`top_genes`).
    x_labels, y_labels
        Labels of the cells; without both, nothing is computed within labels.
    min_cells
        Cells on either side below which a label is left out.

    Returns
    -------
    dict of float
        corr_pearson and corr_rms, Pearson correlation and root mean square difference of the entries above the
        diagonal, over genes that vary on both sides (scDesign3 reports the first); corr_within_pearson and
        corr_within_rms, their means over labels; n_clusters, the number of those. NaN where nothing is left.
    """

    def agree(a: Matrix, b: Matrix) -> tuple[float, float]:
        first, second = (correlations(part, genes)[np.triu_indices(len(genes), 1)] for part in (a, b))
        both = np.isfinite(first) & np.isfinite(second)
        found = _agreement(first[both], second[both])
        return found["pearson"], found["rmse"]

    pearson, rms = agree(x, y)
    within = []
    if x_labels is not None and y_labels is not None:
        within = [agree(x[in_x], y[in_y]) for in_x, in_y in by_label(x_labels, y_labels, min_cells)]
    mean = np.mean(within, axis=0) if within else (np.nan, np.nan)
    return {
        "corr_pearson": pearson,
        "corr_rms": rms,
        "corr_within_pearson": float(mean[0]),
        "corr_within_rms": float(mean[1]),
        "n_clusters": float(len(within)),
    }


def _pca(x: Matrix, n: int, seed: int) -> PCA:
    # the one solver that takes dense and sparse matrices of any width, so that both give the same components
    return PCA(max(1, min(n, min(x.shape) - 1)), svd_solver="arpack", random_state=seed).fit(x)


def _agreement(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    a, b = np.asarray(a), np.asarray(b)
    rmse = float(np.sqrt(np.mean((a - b) ** 2))) if len(a) else float("nan")
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return {"pearson": float("nan"), "spearman": float("nan"), "rmse": rmse}
    return {"pearson": float(pearsonr(a, b)[0]), "spearman": float(spearmanr(a, b)[0]), "rmse": rmse}
