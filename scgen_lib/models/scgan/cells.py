"""Cells on their way into scGAN: filters, clusters, split, library size."""

import os
import warnings
from collections.abc import Sequence
from typing import Annotated

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import normalize

from scgen_lib import data
from scgen_lib.data import checks
from scgen_lib.data.stored import Stored, detected, of_columns
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.models.scgan.settings import ScGANSettings
from scgen_lib.preprocess import LogNormaliser, Matrix
from scgen_lib.settings import Option, arguments, checked

SPLIT = ("train", "valid", "test")
#: Columns of ``obs`` that `process` writes.
OWN_SPLIT, OWN_TOTAL = "scgan_split", "scgan_total"


@checked
def process(
    dataset: str | os.PathLike | anndata.AnnData,
    *,
    label_key: str = "cell_type",
    resolution: Annotated[
        float | None,
        Option("in (0, 5]", "of Louvain clusters; None: the classes are given", origin="input_ds.clustering.res"),
    ] = None,
    min_genes: Annotated[
        int, Option("in [0, inf)", "detected genes that a cell must have", origin="input_ds.filtering.min_genes")
    ] = 10,
    min_cells: Annotated[
        int, Option("in [0, inf)", "cells in which a gene must be detected", origin="input_ds.filtering.min_cells")
    ] = 3,
    min_class_size: Annotated[int, Option("in [0, inf)", "smaller classes are dropped, and named")] = 0,
    library_size: Annotated[float, arguments(ScGANSettings)["library_size"].option] = 20000.0,
    valid_cells: Annotated[
        float,
        Option("in [0, inf)", "validation cells, a number or a share below 1", origin="input_ds.split.valid_cells"),
    ] = 0.0,
    test_cells: Annotated[
        float, Option("in [0, inf)", "held-out cells, a number or a share below 1", origin="input_ds.split.test_cells")
    ] = 0.3,
    stratify: Annotated[
        bool, Option("any", "every class has its share in every part", origin="input_ds.split.balanced_split")
    ] = True,
    n_top_genes: Annotated[
        int | None, Option("in [1, inf)", "genes that vary most in the training cells, with what ties; None: all")
    ] = None,
    split_seed: Annotated[
        int, Option("in [0, 4294967295]", "of clusters and split", origin="input_ds.split.split_seed")
    ] = 0,
    cluster_first: Annotated[bool, Option("any", "find clusters before the filters, as in the release")] = False,
    round_down: Annotated[bool, Option("any", "round the parts of a class down, as in the release")] = False,
) -> anndata.AnnData:
    """Filter, cluster, split and scale cells.

    Parameters
    ----------
    dataset
        What `scgen_lib.data.load` takes, or cells × genes with raw counts in ``layers["counts"]`` (else ``X``), which
        `scgen_lib.data.open_backed` may have left on disk: filters and split walk over them block by block; clusters
        alone need them in memory.
    label_key
        Column of ``obs`` with the classes, or the one to write clusters into.

    Returns
    -------
    AnnData
        Scaled expression in ``X`` (float32, no logarithm), raw counts in ``layers["counts"]``, CSR where the counts
        were; counts on disk stay there, and ``X`` is left out, since a training scales its mini-batches; ``obs``:
        classes (categorical, in the order of their codes), "scgan_split" (train, valid or test) and "scgan_total", the
        raw library size over the genes that are left; ``uns["scgan"]``: "prior", the share of every class in the
        training cells, in the order of the codes, "cells" of every part, "library_size", and what was "dropped":
        numbers of "cells" and "genes", names of "classes".

    Raises
    ------
    DataError
        Counts or labels that cannot be used, nothing left by the filters, or a class without a training cell.
    ParameterError
        More cells asked for than there are, or classes in a column that is written here.
    """
    checks.check_label_key(label_key, OWN_SPLIT, OWN_TOTAL)
    cells = data.selected(dataset if isinstance(dataset, anndata.AnnData) else data.load(dataset))
    cells.var_names_make_unique()
    before, counts = cells.shape, checks.get_counts(cells, allow_empty=True, stored=True)
    cells.raw, cells.X, cells.layers["counts"] = None, None, counts
    if resolution is not None and cluster_first:
        cells.obs[label_key] = cluster(counts, resolution, seed=split_seed)
    kept = checks.totals(detected(counts)) >= min_genes
    genes = checks.totals(detected(counts[kept]), 0) >= min_cells
    # A gene filter can leave a cell without counts, which no factor brings to a library size.
    kept[kept] = checks.totals(of_columns(counts[kept], np.flatnonzero(genes))) > 0
    if not kept.any() or not genes.any():
        raise DataError(
            f"expected cells with {min_genes} genes and genes in {min_cells} cells, got none among {before[0]} cells × "
            f"{before[1]} genes: lower min_genes and min_cells"
        )
    cells = data.selected(cells, kept, genes)
    if resolution is not None and not cluster_first:
        cells.obs[label_key] = cluster(cells.layers["counts"], resolution, seed=split_seed)
    labels = checks.check_labels(cells, label_key, min_classes=1)
    sizes = pd.Series(labels).value_counts(sort=False)
    small = list(sizes.index[sizes < min_class_size])
    large = ~np.isin(labels, small)
    if not large.any():
        raise DataError(f"expected a class with {min_class_size} cells, got {sizes.max()} at most: lower it")
    cells = data.selected(cells, large)
    cells.obs[label_key] = labels[large].remove_unused_categories()
    groups = cells.obs[label_key] if stratify else np.zeros(cells.n_obs, int)
    part = stratified_split(groups, valid_cells, test_cells, seed=split_seed, round_down=round_down)
    counts = cells.layers["counts"]
    if n_top_genes is not None:
        chosen = np.array(LogNormaliser(min_cells=1, n_hvg=n_top_genes).fit(counts[part == "train"]).genes)
        full = checks.totals(of_columns(counts, chosen)) > 0
        cells, part = data.selected(cells, full, chosen), part[full]
        counts = cells.layers["counts"]
    train = cells.obs[label_key][part == "train"].value_counts(sort=False)
    if (train == 0).any():
        raise DataError(
            f"expected training cells of every class, got none of {train.index[train == 0][0]!r}: raise min_class_size"
        )
    cells.obs[OWN_SPLIT] = pd.Categorical(part, categories=list(SPLIT))
    cells.obs[OWN_TOTAL] = checks.totals(counts)
    if not isinstance(counts, Stored):
        cells.X = scaled(counts, library_size)
    cells.uns["scgan"] = {
        "prior": (train / train.sum()).to_numpy(),
        "cells": {name: int((part == name).sum()) for name in SPLIT},
        "library_size": library_size,
        "dropped": {
            "cells": before[0] - cells.n_obs,
            "genes": before[1] - cells.n_vars,
            "classes": [str(name) for name in small],
        },
    }
    return cells


def training_cells(adata: anndata.AnnData) -> np.ndarray:
    """Indices of the training cells as `process` has marked them; of all cells where it has not."""
    if OWN_SPLIT not in adata.obs:
        return np.arange(adata.n_obs)
    part = adata.obs[OWN_SPLIT].astype(object)
    if not (known := part.isin(SPLIT)).all():
        raise DataError(
            f"expected train, valid or test in obs[{OWN_SPLIT!r}], got {part[~known].iloc[0]!r}: rename that column"
        )
    return np.flatnonzero(part == "train")


def scaled(counts: Matrix, library_size: float) -> Matrix:
    """Scale every cell of counts (N, G) to one total, float32, no logarithm; CSR stays sparse.

    Raises
    ------
    DataError
        A cell without any count.
    """
    empty = checks.totals(counts) == 0
    if empty.any():
        raise DataError(
            f"expected a count in every cell, got none in {int(empty.sum())} of {len(empty)}: remove these cells, or "
            "choose other genes"
        )

    def scale(x: np.ndarray | sp.csr_matrix) -> np.ndarray | sp.csr_matrix:
        shares = normalize(x.astype("float64"), norm="l1", copy=False)
        if not sp.issparse(x):
            return (shares * library_size).astype("float32")
        values = (shares.data * library_size).astype("float32")
        return sp.csr_matrix((values, shares.indices, shares.indptr), shares.shape)

    return counts.map(scale) if isinstance(counts, Stored) else scale(counts)


@checked
def cluster(
    counts: Matrix,
    resolution: Annotated[float, Option("in (0, 5]", "the higher, the more clusters")] = 0.15,
    *,
    seed: int = 0,
) -> pd.Categorical:
    """Louvain clusters of cells, as in the paper: 1,000 variable genes, 50 principal components, 15 neighbours.

    Parameters
    ----------
    counts
        Raw counts, cells × genes (N, G); those on disk are read.
    seed
        Of the components and of the order in which the nodes move.

    Returns
    -------
    pd.Categorical
        (N,), "0" for the largest cluster, "1" for the next and so on.

    Notes
    -----
    The preparation is `scanpy.pp.recipe_zheng17`; the graph joins a cell and each of its neighbours without a weight,
    as `scanpy.tl.louvain` does by default. The communities are found by networkx, in time that grows with the number of
    edges: seconds for thousands of cells, many minutes for the 68k PBMC.

    References
    ----------
    Blondel et al. 2008, https://doi.org/10.1088/1742-5468/2008/10/P10008
    """
    import networkx as nx
    import scanpy as sc

    counts = counts.to_memory() if isinstance(counts, Stored) else counts
    cells = anndata.AnnData(sp.csr_matrix(counts, dtype="float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanpy tells of its own plans
        n_genes = int((checks.totals(cells.X, 0) > 0).sum())
        sc.pp.recipe_zheng17(cells, n_top_genes=min(1000, n_genes))
        sc.pp.pca(cells, n_comps=min(50, min(cells.shape) - 1), random_state=seed)
    # scanpy counts a cell among its 15 neighbours
    near = kneighbors_graph(cells.obsm["X_pca"], min(14, cells.n_obs - 1))
    graph = nx.from_scipy_sparse_array(near.maximum(near.T))
    found = nx.community.louvain_communities(graph, weight=None, resolution=resolution, seed=seed)
    codes = np.empty(cells.n_obs, int)
    for code, members in enumerate(sorted(found, key=lambda members: (-len(members), min(members)))):
        codes[list(members)] = code
    return pd.Categorical.from_codes(codes, categories=[str(i) for i in range(len(found))])


def stratified_split(
    labels: Sequence, valid: float = 0, test: float = 0, *, seed: int = 0, round_down: bool = False
) -> np.ndarray:
    """Assign every cell to training, validation or test, each class by its share.

    Parameters
    ----------
    labels
        Class of every cell, (N,).
    valid, test
        Size of the two parts, a number of cells or a share below 1.
    seed
        Of the draw.
    round_down
        Round the part of every class down, so that a part can be smaller than asked for; else the parts have their
        sizes, and what rounding down leaves goes to the classes with the largest remainders.

    Returns
    -------
    np.ndarray
        "train", "valid" or "test", (N,).

    Raises
    ------
    ParameterError
        Parts that leave no cell for training.
    """
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    n = len(codes)
    wanted = {name: _number(size, n) for name, size in (("test", test), ("valid", valid))}
    if sum(wanted.values()) >= n:
        raise ParameterError(
            f"expected fewer than {n} cells outside of training, got {wanted['valid']} + {wanted['test']}: lower "
            "valid_cells or test_cells"
        )
    part, order = np.full(n, "train", "<U5"), np.random.default_rng([seed, n]).permutation(n)
    for name, size in wanted.items():
        free = order[part[order] == "train"]
        of = codes[free]
        # What is left has the right shares, so that no class is asked for more than it has.
        quota = np.bincount(codes if round_down else of) * size / (n if round_down else len(free))
        take = np.floor(quota).astype(int)
        if not round_down:
            most = np.argsort(take - quota, kind="stable")[: size - take.sum()]
            take[most] += 1
        for code in range(len(take)):
            part[free[of == code][: take[code]]] = name
    return part


def _number(size: float, n: int) -> int:
    if not size >= 0 or (size >= 1 and size != int(size)):
        raise ParameterError(f"expected a number of cells or a share below 1, got {size}: change it")
    return round(size * n) if size < 1 else int(size)
