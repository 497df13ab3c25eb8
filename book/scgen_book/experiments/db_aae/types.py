"""Do cell types separate better: one pipeline before and after denoising, and pictures of it."""

import anndata
import numpy as np

from scgen_book.experiments.db_aae import cells as own
from scgen_book.experiments.protocol import Metric
from scgen_lib.metrics import clustering, designed

METRICS = {
    "silhouette": Metric("silhouette", "higher"),
    "ari": Metric("ARI", "higher"),
    "nmi": Metric("NMI", "higher"),
    "mixtures": Metric("R² of the proportions", "higher"),
}


def scores(cells: anndata.AnnData, points: np.ndarray, seed: int) -> dict[str, float]:
    """Score components by the labels of the cells, by k-means and silhouette, and by their designed proportions.

    Parameters
    ----------
    cells
        With labels in ``obs["cell_type"]``, or the columns of a designed mixture; without either there is no score.
    points
        Principal components, cells × dimensions.
    seed
        Of the sample of the silhouette, and of the folds.
    """
    found, (many, reason) = {}, own.typed(cells)
    if reason is None:
        labels = cells.obs["cell_type"][many]
        means = clustering.kmeans_scores(points[many], labels, range(5))["mean"]
        found = {"silhouette": clustering.silhouette(points[many], labels, seed), "ari": means["ari"],
                 "nmi": means["nmi"]}  # fmt: skip
    if set(designed.MIXED) <= set(cells.obs):
        mixed = cells.obs[list(designed.MIXED)].to_numpy(float)
        found["mixtures"] = designed.proportions_r2(points, mixed, seed)
    return found


def pictures(cells: anndata.AnnData, points: np.ndarray, seed: int, n_neighbors: int | None) -> dict[str, np.ndarray]:
    """Return two-dimensional coordinates of the cells, their labels and the silhouette of these.

    Parameters
    ----------
    cells, points
        As of `scores`.
    seed
        Of the pictures.
    n_neighbors
        Of UMAP; None: no UMAP.
    """
    many, reason = own.typed(cells)
    labels = cells.obs["cell_type"].astype(str).to_numpy() if reason is None else np.full(cells.n_obs, "all cells")
    width = clustering.silhouette(points[many], labels[many]) if many.any() else np.nan
    found = {"labels": labels, "width": np.array([width]), "tsne": clustering.tsne(points, seed).astype("float32")}
    if n_neighbors is not None:
        import scanpy as sc

        graph = anndata.AnnData(points)
        sc.pp.neighbors(graph, n_neighbors=min(n_neighbors, len(points) - 1), use_rep="X", random_state=seed)
        sc.tl.umap(graph, random_state=seed)
        found["umap"] = graph.obsm["X_umap"].astype("float32")
    return found
