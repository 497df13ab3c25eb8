"""How well groups of cells are recovered: agreement of labels, and separation in an embedding."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.metrics.cluster import contingency_matrix
from threadpoolctl import threadpool_limits

from scgen_lib.errors import DataError
from scgen_lib.metrics.arrays import Matrix, dense, log_normalise

SPACES = ("pc2", "pc10", "tsne")


def clustering_scores(labels: Sequence, clusters: Sequence, average_method: str = "arithmetic") -> dict[str, float]:
    """Compare predicted clusters with reference labels.

    Parameters
    ----------
    labels, clusters
        Reference labels and predicted clusters of the same N cells, of any hashable kind.
    average_method
        Mean of the entropies in NMI and AMI. The geometric mean is that of older papers.

    Returns
    -------
    dict of float
        nmi, ari, ami, homogeneity, completeness, v_measure, and accuracy, the share of cells that agree under the best
        one-to-one assignment of clusters to labels. 1 is best; ari and ami are about 0 by chance.
    """
    u, c = _codes("labels", labels), _codes("clusters", clusters)
    if len(u) != len(c):
        raise DataError(f"expected one cluster a label, got {len(u)} labels and {len(c)} clusters: give as many")
    homogeneity, completeness, v_measure = metrics.homogeneity_completeness_v_measure(u, c)
    table = contingency_matrix(u, c)
    scores = {
        "nmi": metrics.normalized_mutual_info_score(u, c, average_method=average_method),
        "ari": metrics.adjusted_rand_score(u, c),
        "ami": metrics.adjusted_mutual_info_score(u, c, average_method=average_method),
        "homogeneity": homogeneity,
        "completeness": completeness,
        "v_measure": v_measure,
        "accuracy": table[linear_sum_assignment(table, maximize=True)].sum() / len(u),
    }
    return {name: float(score) for name, score in scores.items()}


def silhouette(embedding: np.ndarray, labels: Sequence, seed: int = 0, max_cells: int = 5000) -> float:
    """Compute the mean silhouette width of labels, (b - a) / max(a, b); below 0, cells lie nearer to another label.

    Parameters
    ----------
    embedding
        Coordinates, cells × dimensions; distances are Euclidean.
    labels
        Reference labels, two at least.
    seed, max_cells
        Above so many cells a seeded sample is used, since the cost is quadratic.
    """
    embedding, codes = dense("embedding", embedding), _codes("labels", labels)
    if len(codes) != len(embedding):
        raise DataError(f"expected one label a cell, got {len(embedding)} cells and {len(codes)} labels: give as many")
    if len(codes) > max_cells:
        chosen = np.random.default_rng(seed).choice(len(codes), max_cells, replace=False)
        embedding, codes = embedding[chosen], codes[chosen]
    if not 1 < len(np.unique(codes)) < len(codes):
        raise DataError(
            f"expected two labels or more, each of several cells, got {len(np.unique(codes))} in all: use other labels"
        )
    return float(metrics.silhouette_score(embedding, codes))


def kmeans_scores(embedding: np.ndarray, labels: Sequence, seeds: Iterable[int] = range(5)) -> pd.DataFrame:
    """Cluster an embedding (N, D) by k-means into as many clusters as there are labels, and score the clusters.

    Returns
    -------
    DataFrame
        One row a score of `clustering_scores`; columns mean and sd (ddof 1, NaN for one seed) over the seeds, each of
        which has ten initialisations.
    """
    embedding, codes = dense("embedding", embedding), _codes("labels", labels)
    k = len(np.unique(codes))
    runs = [KMeans(k, n_init=10, random_state=seed).fit_predict(embedding) for seed in seeds]
    table = pd.DataFrame([clustering_scores(codes, clusters) for clusters in runs])
    return pd.DataFrame({"mean": table.mean(), "sd": table.std()})


def pca(x: Matrix, n: int = 50, seed: int = 0) -> np.ndarray:
    """Project cells × genes, centred and not scaled, on their first n principal components, or fewer: (N, n)."""
    x = dense("x", x)
    return PCA(min(n, *x.shape), random_state=seed).fit_transform(x)


def tsne(x: Matrix, seed: int = 0, iterations: int = 1000, angle: float = 0.5) -> np.ndarray:
    """Embed cells × genes in two dimensions by t-SNE, from 50 principal components: (N, 2).

    Iterations (250 or more) and angle, in (0, 1], under which distant cells are summed up as one, are scikit-learn's.
    """
    components = pca(x, 50, seed)
    perplexity = min(30, (len(components) - 1) / 3)
    method = TSNE(random_state=seed, perplexity=perplexity, max_iter=iterations, angle=angle)
    # a step on few cells is so short that threads which wait for each other cost more than they save
    with threadpool_limits(1 if len(components) < 5000 else None, user_api="openmp"):
        return method.fit_transform(components)


def embed(counts: Matrix, seed: int = 0, spaces: Sequence[str] = SPACES) -> dict[str, np.ndarray]:
    """Embed cells after normalisation to the median total and ln(1 + x), as in Figure 2 of DCA.

    The published protocol (Eraslan et al. 2019) takes the silhouette of pc2 for two groups and of tsne for six; that of
    pc10 is steadier, since silhouettes on t-SNE vary from run to run.

    Parameters
    ----------
    counts
        Counts, true, observed or denoised, cells × genes.
    seed
        Seed of the embeddings.
    spaces
        Any of pc2 and pc10 (the first principal components) and tsne.

    Returns
    -------
    dict of ndarray, cells × dimensions
        One embedding a space.
    """
    x = dense("counts", log_normalise(counts))
    return {space: tsne(x, seed) if space == "tsne" else pca(x, int(space[2:]), seed) for space in spaces}


def _codes(name: str, labels: Sequence) -> np.ndarray:
    codes, _ = pd.factorize(np.asarray(labels))
    if len(codes) == 0 or (codes < 0).any():
        raise DataError(
            f"expected {name} without gaps, got {(codes < 0).sum()} of {len(codes)} missing: drop those cells"
        )
    return codes
