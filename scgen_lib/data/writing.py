"""An ``.h5ad`` that is written block by block: cells as they came, with a layer that need not fit into memory."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import scipy.sparse as sp

from scgen_lib.data.stored import Stored, on_disk
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.files import refuse_overwriting, replacing


def write_with_layer(
    adata: anndata.AnnData,
    path: str | os.PathLike,
    layer: str,
    blocks: Iterable[np.ndarray],
    *,
    genes: np.ndarray,
    dtype: str = "float32",
) -> None:
    """Write cells with one more layer, dense, to an ``.h5ad`` that appears whole or not at all.

    Parameters
    ----------
    adata
        Cells × genes; what it has on disk is copied block by block.
    path
        File to write; one that is there is replaced.
    layer
        Name of the layer, in place of one of that name.
    blocks
        The layer, (B, len(genes)) each, cells in the order of `adata`.
    genes
        Positions of the genes to write, (G,) int; all else of genes goes with them.
    dtype
        Of the layer, ``float32`` or ``float16``.

    Raises
    ------
    ParameterError
        Another ending than .h5ad, or the file that `adata` is read from.
    DataError
        A value that the dtype cannot hold.
    OSError
        As the system has it, a full disk for example.
    """
    if Path(path).suffix != ".h5ad":
        raise ParameterError(f"expected a file name that ends in .h5ad, got {path}: change the ending")
    source = _file_of(adata)
    refuse_overwriting([path], {str(source): source} if source else {})
    whole = len(genes) == adata.n_vars and (np.diff(genes) == 1).all()
    bare = anndata.AnnData(
        obs=adata.obs, var=adata.var, uns=dict(adata.uns), obsm=dict(adata.obsm), varm=dict(adata.varm),
        obsp=dict(adata.obsp), varp=dict(adata.varp),
    )  # fmt: skip
    with _system_errors(path), replacing(path) as temporary:
        (bare if whole else bare[:, genes]).write_h5ad(temporary)
        with h5py.File(temporary, "r+") as file:
            layers = file.require_group("layers")
            if adata.X is not None:
                _copy(file, "X", adata.X, None if whole else genes)
            for name, values in adata.layers.items():
                # to new versions of anndata, X is a layer without a name
                if name and name != layer:
                    _copy(layers, name, values, None if whole else genes)
            _write_dense(layers, layer, blocks, (adata.n_obs, len(genes)), dtype)
            if adata.raw is not None:
                raw = file.create_group("raw")
                raw.attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})
                _copy(raw, "X", adata.raw.X, None)
                for name in ("var", "varm"):
                    part = getattr(adata.raw, name)
                    anndata.io.write_elem(raw, name, dict(part) if name == "varm" else part)


@contextlib.contextmanager
def _system_errors(path: str | os.PathLike) -> Iterator[None]:
    """Raise as the system's errors what HDF5 tells of them: it may be a `RuntimeError` with the number in words."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), os.fspath(path)) from error


def _file_of(adata: anndata.AnnData) -> Path | None:
    """Return the file that the counts are read from while they are written."""
    if adata.filename is not None:
        return Path(adata.filename)
    found = next((values for values in (adata.X, *adata.layers.values()) if on_disk(values)), None)
    name = getattr(getattr(getattr(found, "group", found), "file", None), "filename", None)
    return None if name is None else Path(name)


def _copy(group: h5py.Group, name: str, values: Any, genes: np.ndarray | None) -> None:
    if not on_disk(values):
        anndata.io.write_elem(group, name, values if genes is None else values[:, genes])
        return
    stored = Stored(values)
    blocks = (block if genes is None else block[:, genes] for _, block in stored.blocks())
    if not hasattr(values, "group"):
        width = stored.shape[1] if genes is None else len(genes)
        _write_dense(group, name, (block.toarray() for block in blocks), (stored.shape[0], width), stored.dtype)
        return
    anndata.io.write_elem(group, name, sp.csr_matrix(next(blocks)))
    for block in blocks:
        # opened anew, since it remembers where its rows ended
        anndata.io.sparse_dataset(group[name]).append(sp.csr_matrix(block))


def _write_dense(
    group: h5py.Group, name: str, blocks: Iterable[np.ndarray], shape: tuple[int, int], dtype: Any
) -> None:
    dtype, (n, width) = np.dtype(dtype), shape
    rows = max(1, min(n, (1 << 20) // max(width * dtype.itemsize, 1)))
    made = group.create_dataset(name, shape, dtype, chunks=(rows, width))
    made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    start = 0
    for values in blocks:
        if dtype.kind == "f" and (most := np.abs(values).max(initial=0)) > np.finfo(dtype).max:
            raise DataError(f"expected values up to {np.finfo(dtype).max:g} for {dtype}, got {most:g}: use float32")
        made[start : start + len(values)] = values
        start += len(values)
