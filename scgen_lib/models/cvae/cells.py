"""Cells on their way into the convolutional conditional VAE and out of it: types, split, image, table of counts."""

import json
import math
import os
from collections.abc import Sequence
from typing import Annotated

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy.cluster import hierarchy
from sklearn.model_selection import StratifiedShuffleSplit

from scgen_lib import training
from scgen_lib.data import checks
from scgen_lib.data.stored import Stored
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.files import replacing
from scgen_lib.preprocess import Matrix
from scgen_lib.settings import Option, checked


@checked
def split(
    labels: Sequence[str],
    *,
    train_ratio: Annotated[int, Option("in [1, inf)", "share of the training cells", origin="train_ratio")] = 3,
    test_ratio: Annotated[int, Option("in [1, inf)", "share of the test cells", origin="test_ratio")] = 2,
    split_seed: Annotated[
        int, Option("in [0, 4294967295]", "of the five stratified splits", origin="random_state")
    ] = 0,
    split_index: Annotated[int, Option("in [0, 4]", "which of the five splits", origin="cv")] = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and test cells, each type in the same ratio: one of five random splits.

    Parameters
    ----------
    labels
        Type of every cell, (N,).

    Returns
    -------
    tuple of np.ndarray
        Training and test cells, shuffled.

    Raises
    ------
    ParameterError
        A ratio or an index out of its range.
    DataError
        A type that is too small to be in both parts.
    """
    share = test_ratio / (train_ratio + test_ratio)
    splitter = StratifiedShuffleSplit(n_splits=5, test_size=share, random_state=split_seed)
    try:
        return list(splitter.split(np.zeros(len(labels)), np.asarray(labels)))[split_index]
    except ValueError as error:
        rarest = pd.Series(np.asarray(labels)).value_counts()
        raise DataError(
            f"expected enough cells of every type for both parts, got {rarest.iloc[-1]} of {rarest.index[-1]!r} among "
            f"{len(labels)} cells: drop the types with fewer than two cells, or give more cells"
        ) from error


def image_side(n_genes: int, size: int | None = None) -> int:
    """Side S of the image: the smallest multiple of 4 with S² ≥ G, or `size` if it is a multiple of 4 and large enough.

    The strides halve the image twice, so the decoder returns the size of its input for multiples of 4 only.
    """
    least = 4 * math.ceil(math.sqrt(n_genes) / 4)
    if size is None:
        return least
    if size % 4 or size < least:
        raise ParameterError(
            f"expected an image_size that is a multiple of 4 and holds {n_genes} genes, got {size}: take {least} or "
            "leave it out"
        )
    return size


def gene_order(counts: Matrix, by: str) -> np.ndarray | None:
    """Gene of each pixel, (G,), from counts of the training cells; None: as they come.

    Correlations of counts on disk are those of some 10,000 of the cells, as far apart as can be.
    """
    if by == "file":
        return None
    if by == "mean":
        return np.argsort(-checks.totals(counts, 0), kind="stable")
    if isinstance(counts, Stored):
        counts = counts[:: math.ceil(counts.shape[0] / 10_000)].read()
    logs = np.log1p(training.dense(counts) / checks.totals(counts)[:, None] * 1e4)
    # A constant gene has no correlation.
    varies = logs.std(axis=0) > 0
    tree = hierarchy.linkage(logs[:, varies].T, method="average", metric="correlation")
    return np.concatenate([np.flatnonzero(varies)[hierarchy.leaves_list(tree)], np.flatnonzero(~varies)])


def write_table(adata: anndata.AnnData, path: str | os.PathLike, *, label_key: str = "cell_type") -> None:
    """Write simulated cells as the released code does: an HDF5 table of genes and a column of codes, for pandas.

    ``pandas.read_hdf(path, "df")`` returns the cells as rows, the genes as integer columns, and the code of the type as
    the last column "Y"; the names of the types, in the order of their codes, are the attribute "labels" of the file.
    The layout is the fixed format of pandas, whose reader needs PyTables; this writer does not.

    Parameters
    ----------
    adata
        Cells × genes with counts in ``layers["counts"]`` (else ``X``).
    path
        File to write.
    label_key
        Column of ``obs`` with the types; their codes are those of its categories.
    """
    counts = checks.get_counts(adata, allow_empty=True)
    labels = checks.check_labels(adata, label_key, min_classes=1)
    if isinstance(adata.obs[label_key].dtype, pd.CategoricalDtype):
        labels = adata.obs[label_key].cat  # with the types that have no cell here
    text = {"encoding": "UTF-8", "errors": "strict"}
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["labels"] = json.dumps([str(name) for name in labels.categories])
        group = file.create_group("df")
        group.attrs.update(text | {"pandas_type": "frame", "pandas_version": "0.15.2", "ndim": 2, "nblocks": 1})
        columns = [*adata.var_names, "Y"]
        for key, names in (("axis0", columns), ("axis1", list(adata.obs_names)), ("block0_items", columns)):
            group.attrs[f"{key}_variety"] = "regular"
            axis = group.create_dataset(key, data=np.char.encode(np.asarray(names, str), "utf-8"))
            axis.attrs["kind"] = "string"
        values = group.create_dataset(
            "block0_values", (adata.n_obs, len(columns)), "int32", chunks=(1, len(columns)), compression="gzip"
        )
        values.attrs["transposed"] = np.uint8(1)  # PyTables does not know the type that h5py has for True
        codes = np.asarray(labels.codes)[:, None]
        for start in range(0, adata.n_obs, 512):
            part = slice(start, start + 512)
            values[part] = np.hstack([training.dense(counts[part]), codes[part]])
