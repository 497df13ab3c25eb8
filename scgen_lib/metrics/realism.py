"""How much generated cells look like held-out real ones, always beside what simple controls score.

`score` is the one call a chapter needs. Spaces: counts; log, which is ln(1 + x) of cells scaled to 10,000; and pc50,
the first 50 principal components of log, fixed on training cells.
"""

from collections.abc import Mapping, Sequence
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
from scgen_lib.metrics.arrays import Matrix, finite, log_normalise
from scgen_lib.metrics.conditional import (
    distinct,
    diversity,
    label_classifier,
    label_fidelity,
    label_scores,
    marker_agreement,
    marker_table,
)
from scgen_lib.metrics.controls import Cells, as_counts, controls, parametric, permute
from scgen_lib.metrics.mixing import bandwidth, knn_mix, lisi, mmd2, nn_train

__all__ = [
    "QUICK", "Cells", "Frame", "Space", "as_counts", "bandwidth", "cell_table", "controls", "corr_agreement",
    "correlations", "distinct", "diversity", "gene_curves", "knn_mix", "label_fidelity", "lisi", "log",
    "marker_agreement", "marker_table", "mmd2", "nn_train", "parametric", "per_cell", "per_gene", "permute",
    "rf_auc", "score", "score_by_label", "summary", "top_genes",
]  # fmt: skip

QUICK = {"seeds": (0,), "trees": 100, "folds": 5, "repeats": 1, "permutations": 100}


def log(counts: Matrix, *, allow_empty: bool = False) -> Matrix:
    """Scale every cell to 10,000 and take ln(1 + x), whatever depth it has.

    Parameters
    ----------
    counts
        Non-negative values, cells × genes; CSR stays CSR.
    allow_empty
        Whether cells without any count may stand; they stay zero.

    Returns
    -------
    ndarray or csr_matrix, float64
        Logarithms.

    Raises
    ------
    DataError
        If a value is negative or not finite, or a cell is empty.
    """
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

        Raises
        ------
        DataError
            If a value is not finite.
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
        Real and generated cells × genes in logarithms, as many of each.
    trees, folds, repeats, components
        Trees of the forest (Gini), folds and repeats of the stratified cross-validation, principal components.
    seed
        Seed of folds, components and forests.

    Returns
    -------
    dict of float
        rf_auc, the mean over folds × repeats of the area under the ROC curve, and rf_auc_sd (ddof 1). 0.5 where the
        forest cannot tell, 1 where it always can. With 200 cells a side the mean varies by about 0.03 between samples.

    Raises
    ------
    DataError
        If a value is not finite, the sides differ in size or genes, or have fewer cells than there are folds.
    """
    x, y = finite("x", x), finite("y", y)
    if x.shape != y.shape or x.shape[0] < folds:
        raise DataError(
            f"Expected {folds} cells or more a side, as many of each, and the same genes, but the shapes are {x.shape} "
            f"and {y.shape}: sample the larger side."
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
    """Compute what the mean-variance and mean-zeros curves are drawn from.

    Parameters
    ----------
    x
        Cells × genes, in any scale.

    Returns
    -------
    DataFrame, a row a gene
        mean, variance (ddof 1) and zeros, the share of cells with x ≤ 0.

    Raises
    ------
    DataError
        If a value is not finite.
    """
    x = finite("x", x).astype(np.float64)
    n = x.shape[0]
    mean, variance = mean_variance_axis(x, axis=0) if sp.issparse(x) else (x.mean(axis=0), x.var(axis=0))
    zeros = 1 - np.asarray((x > 0).sum(axis=0)).ravel() / n
    return pd.DataFrame({"mean": mean, "variance": variance * n / max(n - 1, 1), "zeros": zeros})


def per_gene(x: Matrix, y: Matrix) -> dict[str, float]:
    """Compare mean, variance and zeros of the genes.

    Parameters
    ----------
    x, y
        Real and generated cells × genes in logarithms.

    Returns
    -------
    dict of float
        pearson, spearman (average ranks) and rmse of mean, variance and zeros (`gene_curves`), over the genes that are
        not zero in all cells of both sides; and genes_dropped, the number of the others. A Pearson or Spearman of
        constants is NaN. High values are necessary, not sufficient: Poisson noise around the means has them as well.

    Raises
    ------
    DataError
        If a value is not finite.
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
    """Compute library size, detected genes and share of zeros of each cell.

    Parameters
    ----------
    counts
        Cells × genes.

    Returns
    -------
    DataFrame, a row a cell
        library, detected (genes above 0) and zeros.

    Raises
    ------
    DataError
        If a value is not finite.
    """
    counts = finite("counts", counts)
    detected = np.asarray((counts > 0).sum(axis=1)).ravel()
    library = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel()
    return pd.DataFrame({"library": library, "detected": detected, "zeros": 1 - detected / counts.shape[1]})


def per_cell(x: Matrix, y: Matrix) -> dict[str, float]:
    """Compare the distributions of library size and detected genes over the cells.

    Parameters
    ----------
    x, y
        Counts of real and generated cells × genes.

    Returns
    -------
    dict of float
        library_ks and detected_ks, the Kolmogorov-Smirnov statistic; library_w1 and detected_w1, the Wasserstein
        distance in standard deviations of the real cells (both distances of the share of zeros are those of the
        detected genes); and library_median and zeros_median of the generated cells. The distances of library sizes are
        NaN where all generated cells have the same: such a model does not say how deep a cell is.

    Raises
    ------
    DataError
        If a value is not finite.
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
    """Choose the genes whose correlations are compared.

    Parameters
    ----------
    train
        Training cells × genes in logarithms.
    p
        Number of genes.
    by
        Their highest mean or highest variance.

    Returns
    -------
    ndarray of int
        Column numbers, from the highest on.

    Raises
    ------
    DataError
        If a value is not finite.
    ParameterError
        If `by` is something else.
    """
    if by not in ("mean", "variance"):
        raise ParameterError(f"by must be mean or variance, but is {by!r}.")
    return np.argsort(-gene_curves(train)[by].to_numpy(), kind="stable")[:p]


def correlations(x: Matrix, genes: Sequence[int]) -> np.ndarray:
    """Compute the Pearson correlations of genes.

    Parameters
    ----------
    x
        Cells × genes in logarithms.
    genes
        Column numbers of p genes.

    Returns
    -------
    ndarray, p × p
        NaN for genes that are constant.

    Raises
    ------
    DataError
        If a value is not finite.
    """
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

    Raises
    ------
    DataError
        If a value is not finite.
    """

    def agree(a: Matrix, b: Matrix) -> tuple[float, float]:
        first, second = (correlations(part, genes)[np.triu_indices(len(genes), 1)] for part in (a, b))
        both = np.isfinite(first) & np.isfinite(second)
        found = _agreement(first[both], second[both])
        return found["pearson"], found["rmse"]

    pearson, rms = agree(x, y)
    within = []
    if x_labels is not None and y_labels is not None:
        x_labels, y_labels = np.asarray(x_labels), np.asarray(y_labels)
        for label in sorted(set(x_labels) & set(y_labels), key=str):
            in_x, in_y = x_labels == label, y_labels == label
            if min(in_x.sum(), in_y.sum()) >= min_cells:
                within.append(agree(x[in_x], y[in_y]))
    mean = np.mean(within, axis=0) if within else (np.nan, np.nan)
    return {
        "corr_pearson": pearson,
        "corr_rms": rms,
        "corr_within_pearson": float(mean[0]),
        "corr_within_rms": float(mean[1]),
        "n_clusters": float(len(within)),
    }


def score(
    train: Cells,
    test: Cells,
    methods: Mapping[str, Cells],
    *,
    seeds: Sequence[int] = range(3),
    n: int | None = None,
    trees: int = 1000,
    folds: int = 5,
    repeats: int = 2,
    permutations: int = 500,
    genes: int = 100,
    by: Literal["mean", "variance"] = "mean",
    min_cells: int = 50,
    allow_empty: bool = False,
) -> pd.DataFrame:
    """Score generated cells and the four controls against held-out real cells, all with as many cells.

    Parameters
    ----------
    train, test
        Raw counts of training and of held-out cells, with labels or without. Space, bandwidth, genes and the classifier
        of labels are fixed on the training cells outside the control real.
    methods
        Generated cells by the name of what generated them; the labels are those asked for.
    seeds
        Seeds: each draws its own sample of every side, its own controls, folds and forests.
    n
        Cells a side; None takes as many as all have, and half of the training cells at most.
    trees, folds, repeats
        As in `rf_auc`; `label_fidelity` takes the same number of trees.
    permutations
        As in `mmd2`.
    genes, by
        Genes of `corr_agreement` and how they are chosen (`top_genes`).
    min_cells
        Cells below which a label is left out within labels in `corr_agreement`.
    allow_empty
        Whether cells without any count may stand; they are rows of zeros, as in the controls always.

    Returns
    -------
    DataFrame
        Columns seed, method, metric, value, space, n_real and n_fake. Method test has only the label fidelity of the
        held-out cells; metrics of labels are absent where one of the sides has none.

    Raises
    ------
    DataError
        If counts are negative or not finite, cells are empty, genes differ in number, or there are too few cells.
    ParameterError
        If a method has the name of a control.
    """
    names = ("real", "bootstrap", "permuted", "poisson", "test")
    if taken := sorted(set(methods) & set(names)):
        raise ParameterError(f"methods must not be called {', '.join(names)}, but one is {taken[0]!r}.")
    for name, cells in {"train": train, "test": test, **methods}.items():
        if cells.counts.shape[1] != train.counts.shape[1]:
            raise DataError(
                f"Expected the {train.counts.shape[1]} genes of the training cells, but {name} has "
                f"{cells.counts.shape[1]}: use the same genes in the same order."
            )
        # refused now, and not after the other methods have been scored for minutes
        log(cells.counts, allow_empty=allow_empty)
    available = min(train.counts.shape[0] // 2, *(c.counts.shape[0] for c in (test, *methods.values())))
    n = available if n is None else n
    if not folds <= n <= available:
        raise DataError(
            f"Expected {folds} to {available} cells a side, but n is {n}: generate more cells or sample fewer."
        )
    judge = {"trees": trees, "folds": folds, "repeats": repeats, "permutations": permutations, "min_cells": min_cells}
    rows = []
    for seed in seeds:
        frame = Frame(train, test, n, seed, genes=genes, by=by, trees=trees)
        found = {
            name: frame.score(_sample(cells, n, seed), **judge, real=name == "real")
            for name, cells in {**frame.controls, **methods}.items()
        }
        if frame.told:
            found["test"] = {"pc50": frame.fidelity(frame.points, frame.test.labels)}
        rows += [
            (seed, name, metric, float(value), space, n, n)
            for name, spaces in found.items()
            for space, scores in spaces.items()
            for metric, value in scores.items()
        ]
    return pd.DataFrame(rows, columns=["seed", "method", "metric", "value", "space", "n_real", "n_fake"])


def score_by_label(
    train: Cells, test: Cells, methods: Mapping[str, Cells], *, min_cells: int = 50, **settings
) -> pd.DataFrame:
    """Score each label for itself: principal components, controls and all metrics of `score` on its cells alone.

    Parameters
    ----------
    train, test, methods
        As in `score`, with labels.
    min_cells
        Cells in `test` and in every method below which a label is left out.
    **settings
        Other parameters of `score`.

    Returns
    -------
    DataFrame
        As `score` returns it, with a first column label. Empty if no label has enough cells.

    Raises
    ------
    DataError
        As in `score`, and if a side has no labels.
    ParameterError
        As in `score`.
    """
    if unlabelled := [
        name for name, cells in {"train": train, "test": test, **methods}.items() if cells.labels is None
    ]:
        raise DataError(f"Expected labels on every side, but {unlabelled[0]} has none: give one a cell.")

    def of(label: str, cells: Cells) -> Cells:
        return cells.take(np.flatnonzero(np.asarray(cells.labels).astype(str) == label))

    tables = []
    for label in sorted(set(np.asarray(test.labels).astype(str))):
        parts = {name: of(label, cells) for name, cells in methods.items()}
        if min(part.counts.shape[0] for part in (of(label, test), *parts.values())) >= min_cells:
            table = score(of(label, train), of(label, test), parts, min_cells=min_cells, **settings)
            tables.append(table.assign(label=label))
    columns = ["label", "seed", "method", "metric", "value", "space", "n_real", "n_fake"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def summary(table: pd.DataFrame, by: Sequence[str] = ("method", "metric")) -> pd.DataFrame:
    """Average a table of `score` over its seeds.

    Parameters
    ----------
    table
        Table of `score` or `score_by_label`.
    by
        Columns that stay apart.

    Returns
    -------
    DataFrame
        mean, sd (ddof 1, NaN for one seed) and n, the seeds with a value; rows in the order of the table.
    """
    return table.groupby(list(by), sort=False)["value"].agg(mean="mean", sd="std", n="count")


class Frame:
    """What one seed fixes before any method is looked at: held-out cells, controls, space, genes and classifiers.

    Parameters
    ----------
    train, test
        Raw counts of training and of held-out cells, with labels or without.
    n
        Cells a side: so many held-out cells are drawn, and so many are in every control.
    seed
        Seed of all draws and fits.
    genes, by
        Genes of `corr_agreement` and how they are chosen (`top_genes`).
    trees
        Trees of the forest that tells labels.

    Attributes
    ----------
    test
        The held-out cells that all are compared with.
    controls
        The cells of real, bootstrap, permuted and poisson (`controls`).
    told
        Classifiers of labels; none without two labels.

    Raises
    ------
    DataError
        If counts are negative or not finite, or there are too few training cells.
    """

    def __init__(
        self,
        train: Cells,
        test: Cells,
        n: int,
        seed: int = 0,
        *,
        genes: int = 100,
        by: Literal["mean", "variance"] = "mean",
        trees: int = 1000,
    ) -> None:
        self.seed, self.test = seed, _sample(test, n, seed)
        self.controls, fixed = controls(train, n, seed)
        # controls of sparse cells may be empty, and `score` has refused the others where they are unwanted
        everything, outside = log(train.counts, allow_empty=True), train.take(fixed)
        self.space = Space.fit(everything[fixed], seed=seed)
        self.genes = top_genes(everything[fixed], genes, by)
        self.log = log(self.test.counts, allow_empty=True)
        self.points = self.space(self.log)
        # the control "real" is part of the training cells and must not be compared with itself
        self.train, self.train_without_real = self.space(everything), self.space(everything[fixed])
        labelled = train.labels is not None and test.labels is not None
        self.told = {}
        if labelled and len(set(outside.labels)) > 1:
            for kind in ("forest", "logistic"):
                self.told[kind] = label_classifier(self.train_without_real, outside.labels, kind, trees, seed)
            self.markers = marker_table(everything[fixed], outside.labels)

    def score(
        self,
        cells: Cells,
        *,
        trees: int = 1000,
        folds: int = 5,
        repeats: int = 2,
        permutations: int = 500,
        min_cells: int = 50,
        real: bool = False,
    ) -> dict[str, dict[str, float]]:
        """Compare cells with the held-out ones.

        Parameters
        ----------
        cells
            As many cells as there are held-out ones, at any depth; their labels are those asked for.
        trees, folds, repeats
            As in `rf_auc`.
        permutations
            As in `mmd2`.
        min_cells
            Cells below which a label is left out within labels in `corr_agreement`.
        real
            Whether these are the control real.

        Returns
        -------
        dict
            Space (log, pc50 or counts) → metric → value; metrics of labels are absent where one side has none.

        Raises
        ------
        DataError
            If a value is negative or not finite, or there are not as many cells.
        """
        x, y = self.log, log(cells.counts, allow_empty=True)
        points, a, b = self.space(y), self.test.labels, cells.labels
        known = self.train_without_real if real else self.train
        one = (np.zeros(x.shape[0]), np.zeros(y.shape[0]))
        found = {
            "log": rf_auc(x, y, trees=trees, folds=folds, repeats=repeats, seed=self.seed)
            | per_gene(x, y)
            | corr_agreement(x, y, self.genes, a, b, min_cells)
            | (diversity(x, one[0], y, one[1]) if a is None or b is None else diversity(x, a, y, b)),
            "pc50": mmd2(self.points, points, self.space.bandwidth, permutations=permutations, seed=self.seed)
            | {"knn_mix": knn_mix(self.points, points)}
            | lisi(self.points, points)
            | nn_train(known, self.points, points),
            "counts": per_cell(self.test.counts, cells.counts) | {"distinct": distinct(cells.counts)},
        }
        if self.told and b is not None:
            found["pc50"] |= self.fidelity(points, b)
            if len(set(b)) > 1:
                back = label_fidelity(points, b, self.points, a, classifier="logistic")
                found["pc50"] |= {f"reverse_{name}": back[name] for name in ("accuracy", "f1")}
                found["log"] |= marker_agreement(self.markers, marker_table(y, b))
        return found

    def fidelity(self, points: np.ndarray, labels: Sequence) -> dict[str, float]:
        """Let the classifiers tell the labels of points of the space: accuracy and macro-F1 of each."""
        told = {kind: label_scores(model, points, labels) for kind, model in self.told.items()}
        return {f"{kind}_{name}": scores[name] for kind, scores in told.items() for name in ("accuracy", "f1")}


def _sample(cells: Cells, n: int, seed: int) -> Cells:
    rows = np.random.default_rng(seed).permutation(cells.counts.shape[0])[:n]
    counts = sp.csr_matrix(cells.counts) if sp.issparse(cells.counts) else np.asarray(cells.counts)
    return Cells(counts, cells.labels).take(np.sort(rows))


def _pca(x: Matrix, n: int, seed: int) -> PCA:
    # the one solver that takes dense and sparse matrices of any width, so that both give the same components
    return PCA(max(1, min(n, min(x.shape) - 1)), svd_solver="arpack", random_state=seed).fit(x)


def _agreement(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    a, b = np.asarray(a), np.asarray(b)
    rmse = float(np.sqrt(np.mean((a - b) ** 2))) if len(a) else float("nan")
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return {"pearson": float("nan"), "spearman": float("nan"), "rmse": rmse}
    return {"pearson": float(pearsonr(a, b)[0]), "spearman": float(spearmanr(a, b)[0]), "rmse": rmse}
