"""Whether generated cells are what their labels ask for, and as diverse as real cells of the label."""

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import scanpy as sc
import scipy.sparse as sp
from anndata import AnnData
from scipy.stats import spearmanr
from sklearn.base import ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics.arrays import Matrix, by_label, dense, finite, labelled


def label_fidelity(
    train: np.ndarray,
    train_labels: Sequence,
    cells: np.ndarray,
    labels: Sequence,
    *,
    classifier: Literal["forest", "logistic"] = "forest",
    trees: int = 1000,
    seed: int = 0,
) -> dict[str, float | pd.DataFrame]:
    """Train a classifier of labels on some cells and let it tell the labels of others.

    Trained on real cells it judges generated ones; trained on generated cells and applied to real ones it judges what
    the simulation can teach.

    Parameters
    ----------
    train, cells
        Cells × dimensions, in a space fixed on training cells.
    train_labels, labels
        Labels of both; those of generated cells are the labels asked for.
    classifier
        Random forest, or logistic regression with scikit-learn's default penalty.
    trees, seed
        Trees and seed of the forest.

    Returns
    -------
    dict
        accuracy, f1 (mean over the labels of `cells`), and confusion, a DataFrame of counts with a row for each label
        asked for and a column for each label told. Scores above those of real cells warn of cells too typical of their
        label.
    """
    return label_scores(label_classifier(train, train_labels, classifier, trees, seed), cells, labels)


def label_classifier(
    train: np.ndarray,
    labels: Sequence,
    classifier: Literal["forest", "logistic"] = "forest",
    trees: int = 1000,
    seed: int = 0,
) -> ClassifierMixin:
    """Fit the classifier of `label_fidelity`."""
    if classifier not in ("forest", "logistic"):
        raise ParameterError(f"expected the classifier forest or logistic, got {classifier!r}: choose one")
    train = dense("train", train)
    labels = labelled(labels, train.shape[0]).astype(str)
    if len(set(labels)) < 2:
        raise DataError(f"expected two labels to tell apart, got {str(labels[0])!r} alone: add cells of others")
    if classifier == "forest":
        return RandomForestClassifier(trees, random_state=seed, n_jobs=-1).fit(train, labels)
    return LogisticRegression(max_iter=2000).fit(train, labels)


def label_scores(model: ClassifierMixin, cells: np.ndarray, labels: Sequence) -> dict[str, float | pd.DataFrame]:
    """Let a fitted classifier tell the labels of cells (N, D); returns what `label_fidelity` does."""
    cells = dense("cells", cells)
    labels = labelled(labels, cells.shape[0]).astype(str)
    told = model.predict(cells)
    known = sorted(set(model.classes_) | set(labels))
    return {
        "accuracy": float(accuracy_score(labels, told)),
        "f1": float(f1_score(labels, told, labels=sorted(set(labels)), average="macro", zero_division=0)),
        "confusion": pd.DataFrame(confusion_matrix(labels, told, labels=known), index=known, columns=known),
    }


def marker_table(x: Matrix, labels: Sequence, min_cells: int = 10) -> pd.DataFrame:
    """Rank the genes of each label against all other cells by the Wilcoxon test of scanpy.

    Parameters
    ----------
    x
        Logarithms of normalised counts, cells × genes, dense or CSR.
    labels
        Label of each cell; one of fewer than `min_cells` cells is left out.

    Returns
    -------
    DataFrame
        Columns label, gene (column number), score and lfc (log₂ fold change), from the best to the worst gene.
    """
    x = finite("x", x)
    label = pd.Categorical(labelled(labels, x.shape[0]).astype(str))
    adata = AnnData(
        x.astype(np.float64),
        obs=pd.DataFrame({"label": label}, index=np.arange(x.shape[0]).astype(str)),
        var=pd.DataFrame(index=np.arange(x.shape[1]).astype(str)),
    )
    sizes = adata.obs["label"].value_counts()
    groups = sorted(sizes.index[(sizes >= max(min_cells, 2)) & (sizes < len(adata))])
    if not groups:
        return pd.DataFrame(columns=["label", "gene", "score", "lfc"])
    with warnings.catch_warnings():
        # scanpy grows its table column by column, and takes the logarithm of means that are 0
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        sc.tl.rank_genes_groups(adata, "label", groups=groups, method="wilcoxon")
    found = sc.get.rank_genes_groups_df(adata, groups)
    # scanpy leaves the column out where there is one group
    labels = found["group"].astype(str) if "group" in found else groups[0]
    return pd.DataFrame({
        "label": labels, "gene": found["names"].astype(int), "score": found["scores"], "lfc": found["logfoldchanges"],
    })  # fmt: skip


def marker_agreement(reference: pd.DataFrame, other: pd.DataFrame, n: int = 20) -> dict[str, float]:
    """Compare the markers of generated cells with those of real ones, in tables of `marker_table`.

    Returns
    -------
    dict of float
        Means over the labels in both tables: markers_jaccard, the overlap of the `n` top markers; and markers_lfc, the
        Spearman correlation of log-fold changes over the top markers of all labels of the reference. NaN without such
        a label.
    """
    shared = [label for label in pd.unique(reference["label"]) if (other["label"] == label).any()]
    genes = pd.unique(reference.groupby("label", sort=False).head(n)["gene"])
    jaccard, correlation = [], []
    for label in shared:
        a, b = (table[table["label"] == label].set_index("gene") for table in (reference, other))
        top, found = set(a.index[:n]), set(b.index[:n])
        jaccard.append(len(top & found) / len(top | found))
        correlation.append(spearmanr(a.loc[genes, "lfc"], b.loc[genes, "lfc"])[0])
    if not shared:
        return {"markers_jaccard": float("nan"), "markers_lfc": float("nan")}
    return {"markers_jaccard": float(np.mean(jaccard)), "markers_lfc": float(np.mean(correlation))}


def diversity(x: Matrix, x_labels: Sequence, y: Matrix, y_labels: Sequence, min_cells: int = 10) -> dict[str, float]:
    """Compare the spread of generated cells within a label with that of real ones.

    Parameters
    ----------
    x, y
        Real and generated cells × genes, in logarithms.
    x_labels, y_labels
        Their labels; one of fewer than `min_cells` cells on either side is left out.

    Returns
    -------
    dict of float
        sd_ratio, the mean over labels of the sum of the genes' standard deviations (ddof 1) in generated cells over the
        same in real cells; the sum and not the mean of single ratios, which rarely seen genes would rule. NaN without
        such a label.
    """
    x, y = finite("x", x), finite("y", y)
    x_labels, y_labels = labelled(x_labels, x.shape[0]).astype(str), labelled(y_labels, y.shape[0]).astype(str)
    ratios = []
    for in_x, in_y in by_label(x_labels, y_labels, max(min_cells, 2)):
        real, generated = _sd(x[in_x]).sum(), _sd(y[in_y]).sum()
        ratios.append(generated / real if real > 0 else np.nan)
    return {"sd_ratio": float(np.mean(ratios)) if ratios else float("nan")}


def distinct(counts: Matrix) -> float:
    """Compute the share of distinct rows of cells × genes, which falls where a simulator repeats itself."""
    counts = sp.csr_matrix(finite("counts", counts))
    counts.eliminate_zeros()
    counts.sort_indices()
    rows = zip(counts.indptr[:-1], counts.indptr[1:], strict=True)
    seen = {(counts.indices[a:b].tobytes(), counts.data[a:b].tobytes()) for a, b in rows}
    return len(seen) / counts.shape[0]


def _sd(x: Matrix) -> np.ndarray:
    x = x.toarray() if sp.issparse(x) else x
    return x.std(axis=0, ddof=1)
