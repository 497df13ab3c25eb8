"""How well an unsupervised order of cells follows their known time or stage."""

import warnings
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from scipy.sparse.csgraph import connected_components
from scipy.stats import kendalltau, pearsonr, spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.metrics import euclidean_distances
from sklearn.preprocessing import SplineTransformer

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics.arrays import Matrix, finite
from scgen_lib.metrics.realism import top_genes

Method = Literal["dpt", "curve", "pc1"]
METHODS = ("dpt", "curve", "pc1")
SCORES = ("spearman", "kendall", "pos", "r2")
GRID = 300  # points at which a principal curve is a polygon


def components(x: Matrix, n_pcs: int = 10, n_genes: int | None = None, seed: int = 0) -> np.ndarray:
    """Project cells on the principal components in which they are ordered: (N, n_pcs), or fewer.

    Parameters
    ----------
    x
        Cells × genes in logarithms, dense or CSR; centred, not scaled.
    n_pcs
        Components, fewer where the matrix has fewer.
    n_genes
        Genes of highest variance that are used; None takes all.
    seed
        Seed of the solver.
    """
    x = finite("x", x).astype(np.float64)
    if n_genes is not None:
        x = x[:, np.sort(top_genes(x, n_genes, by="variance"))]
    n = max(1, min(n_pcs, min(x.shape) - 1))
    return PCA(n, svd_solver="arpack", random_state=seed).fit_transform(x)


def medoid(points: np.ndarray, stages: Sequence, first: object) -> int:
    """Find the root of a trajectory: of the first stage, the cell with the least distance to all its others.

    Parameters
    ----------
    points
        Cells × dimensions.
    stages, first
        Known stage of each cell, and the first of them.

    Returns
    -------
    int
        Row number.
    """
    points = finite("points", points)
    rows = np.flatnonzero(np.asarray(stages) == first)
    if not len(rows):
        raise DataError(f"expected a cell of the first stage, got none of {first!r}: name a stage that occurs")
    return int(rows[euclidean_distances(points[rows]).sum(axis=1).argmin()])


def pseudotime(
    points: np.ndarray, root: int, *, method: Method = "dpt", n_neighbors: int = 15, seed: int = 0
) -> np.ndarray:
    """Order cells from a root on, without their times.

    Parameters
    ----------
    points
        Cells × dimensions, such as `components`; ten cells or more.
    root
        Row number of the cell at the beginning, fixed from the truth and not by what scores best.
    method
        dpt, diffusion pseudotime of scanpy (Haghverdi et al. 2016); curve, arc length along a principal curve (Hastie
        and Stuetzle 1989) with splines of five degrees of freedom, which starts as the first component; or pc1, the
        first of the dimensions itself. The latter two are turned so that the root lies in their first half.
    n_neighbors
        Neighbours of the graph of dpt, fewer where there are fewer cells.
    seed
        Seed of the graph and its diffusion map.

    Returns
    -------
    ndarray, float64, one value a cell
        Pseudotime of 0 or more; infinite for cells that the graph of dpt does not connect with the root.
    """
    points = np.asarray(finite("points", points), dtype=np.float64)
    if method not in METHODS:
        raise ParameterError(f"expected a method among {', '.join(METHODS)}, got {method!r}: choose one")
    if not 0 <= root < len(points):
        raise ParameterError(f"expected a root among the rows 0 to {len(points) - 1}, got {root!r}: name a cell")
    if len(points) < 10:
        raise DataError(f"expected ten cells or more to order, got {len(points)}: use more cells")
    if method == "dpt":
        return _diffusion(points, root, min(n_neighbors, len(points) - 1), seed)
    time = _principal_curve(points) if method == "curve" else points[:, 0] - points[:, 0].min()
    return time if time[root] <= time.max() / 2 else time.max() - time


def ordering_scores(
    time: Sequence[float], stages: Sequence, order: Sequence | None = None, lineages: Sequence | None = None
) -> dict[str, float]:
    """Compare pseudotimes with known times or ordered stages.

    Parameters
    ----------
    time
        Pseudotime of each cell; infinite values are left out and counted.
    stages
        Known times as numbers, or names of stages.
    order
        The names of the stages from the first to the last; their index 1, 2, … is the time. None takes numbers.
    lineages
        Lineage of each cell: each is scored for itself, and the mean weighted by cells is returned.

    Returns
    -------
    dict
        spearman; kendall (tau-b, which allows for ties); pos, concordant less discordant pairs of cells over all pairs
        of different times (pseudotemporal ordering score); r2, the squared Pearson correlation (float; 1 is best, only
        r2 is blind to the direction; NaN where all times or all pseudotimes are the same); n and n_excluded (int).
    """
    time, known = np.asarray(time, dtype=np.float64), _times(stages, order)
    groups = np.zeros(len(time)) if lineages is None else np.asarray(lineages)
    if np.isnan(time).any() or not len(time) == len(known) == len(groups):
        raise DataError(
            f"expected one pseudotime a cell that is a number, got {len(time)} for {len(known)} stages, of which "
            f"{np.isnan(time).sum()} are NaN: order all cells"
        )
    reached = np.isfinite(time)
    scores, sizes = [], []
    for group in pd.unique(groups[reached]):
        chosen = reached & (groups == group)
        scores.append(_scores(time[chosen], known[chosen]))
        sizes.append(chosen.sum())
    mean = np.average(scores, axis=0, weights=sizes) if scores else np.full(len(SCORES), np.nan)
    return dict(zip(SCORES, map(float, mean), strict=True)) | {
        "n": int(reached.sum()),
        "n_excluded": int((~reached).sum()),
    }


def _diffusion(points: np.ndarray, root: int, n_neighbors: int, seed: int) -> np.ndarray:
    adata = AnnData(points, obs=pd.DataFrame(index=np.arange(len(points)).astype(str)))
    with warnings.catch_warnings():
        # scanpy takes logarithms and ratios of what lies apart; those cells are set to infinity below
        warnings.simplefilter("ignore")
        sc.pp.neighbors(adata, n_neighbors=n_neighbors, use_rep="X", random_state=seed)
        sc.tl.diffmap(adata, n_comps=min(15, len(points) - 2), random_state=seed)
        adata.uns["iroot"] = root
        sc.tl.dpt(adata, n_dcs=min(10, adata.obsm["X_diffmap"].shape[1]))
    _, part = connected_components(adata.obsp["connectivities"], directed=False)
    time = adata.obs["dpt_pseudotime"].to_numpy(np.float64)
    return np.where(part == part[root], time, np.inf)


def _principal_curve(points: np.ndarray, rounds: int = 30, tolerance: float = 1e-3) -> np.ndarray:
    """Arc length of the nearest point of a principal curve, for each cell."""
    place, last = points[:, 0] - points[:, 0].min(), np.inf
    for _ in range(rounds):
        basis = SplineTransformer(n_knots=3, degree=3, knots="quantile").fit(place[:, None])
        smooth = LinearRegression().fit(basis.transform(place[:, None]), points)
        grid = np.linspace(place.min(), place.max(), GRID)[:, None]
        place, error = _project(points, smooth.predict(basis.transform(grid)))
        if abs(last - error) <= tolerance * error:
            break
        last = error
    return place - place.min()


def _project(points: np.ndarray, polygon: np.ndarray) -> tuple[np.ndarray, float]:
    """Arc length of the nearest point on a polygon for each cell, and the sum of squared distances."""
    start, step = polygon[:-1], np.diff(polygon, axis=0)
    lengths = np.linalg.norm(step, axis=1)
    before = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    dot = points @ step.T - (start * step).sum(axis=1)
    # share of a segment at which it is nearest to a cell, and ‖p - s - a d‖² = ‖p - s‖² - 2 a (p - s)·d + a² ‖d‖² there
    along = np.clip(dot / np.maximum(lengths**2, np.finfo(float).tiny), 0, 1)
    squared = euclidean_distances(points, start, squared=True) - 2 * along * dot + along**2 * lengths**2
    nearest = squared.argmin(axis=1)
    cells = np.arange(len(points))
    return before[nearest] + along[cells, nearest] * lengths[nearest], float(squared[cells, nearest].sum())


def _times(stages: Sequence, order: Sequence | None) -> np.ndarray:
    if order is None:
        known = pd.to_numeric(pd.Series(np.asarray(stages)), errors="coerce").to_numpy(np.float64)
    else:
        known = pd.Series(np.asarray(stages)).map({stage: i + 1 for i, stage in enumerate(order)}).to_numpy(np.float64)
    if not np.isfinite(known).all():
        what = "numbers" if order is None else f"of {', '.join(map(str, order))}"
        bad = np.asarray(stages)[~np.isfinite(known)][0]
        raise DataError(f"expected stages that are {what}, got '{bad}': name all stages, in order")
    return known


def _scores(time: np.ndarray, known: np.ndarray) -> tuple[float, float, float, float]:
    if len(time) < 3 or np.ptp(time) == 0 or np.ptp(known) == 0:
        return (float("nan"),) * 4
    kendall = kendalltau(time, known).statistic
    # tau-b is (C - D) / √(pairs untied in time · pairs untied in known): only the latter divide the ordering score
    return (
        spearmanr(time, known)[0],
        kendall,
        kendall * np.sqrt(_untied(time) / _untied(known)),
        pearsonr(time, known)[0] ** 2,
    )


def _untied(values: np.ndarray) -> float:
    _, counts = np.unique(values, return_counts=True)
    return (len(values) * (len(values) - 1) - (counts * (counts - 1)).sum()) / 2
