"""An ``.h5ad`` that is written block by block: cells as they came, with a layer that need not fit into memory."""

import contextlib
import dataclasses
import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import scipy.sparse as sp

from scgen_lib.data.opened import annotations
from scgen_lib.data.stored import Stored, on_disk
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.files import naming, refuse_full, refuse_overwriting, replacing


@dataclasses.dataclass(frozen=True)
class Beside:
    """What is written beside what the cells have, in place of what has its name.

    Attributes
    ----------
    obsm
        Of the cells, (N, …) each.
    uns
        Of the whole.
    layers
        Of the cells and the genes that are written, (N, G) each, in memory or on disk.
    """

    obsm: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    uns: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    layers: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def write(adata: anndata.AnnData, path: str | os.PathLike) -> None:
    """Write cells to an ``.h5ad``, what they have on disk block by block; parameters and errors as `write_with_layer`.

    Unlike ``adata.write_h5ad``, which takes no cells and genes that were `selected` on disk.
    """
    with _copied(adata, path, np.arange(adata.n_vars), Beside(), more=0):
        pass


def write_with_layer(
    adata: anndata.AnnData,
    path: str | os.PathLike,
    layer: str,
    blocks: Iterable[np.ndarray],
    *,
    genes: np.ndarray,
    dtype: str = "float32",
    beside: Beside | None = None,
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
    beside
        What else is to be written.

    Raises
    ------
    ParameterError
        Another ending than .h5ad, or the file that `adata` is read from.
    DataError
        A value that the dtype cannot hold.
    OSError
        As the system has it, a full disk for example.
    """
    beside, shape = beside or Beside(), (adata.n_obs, len(genes))
    more = math.prod(shape) * np.dtype(dtype).itemsize
    beside = dataclasses.replace(beside, layers={name: x for name, x in beside.layers.items() if name != layer})
    with _copied(adata, path, genes, beside, more=more, without=layer) as layers:
        _write_dense(layers, layer, blocks, shape, dtype)


@contextlib.contextmanager
def _copied(
    adata: anndata.AnnData,
    path: str | os.PathLike,
    genes: np.ndarray,
    beside: Beside,
    *,
    more: int,
    without: str | None = None,
) -> Iterator[h5py.Group]:
    """Write cells but for a layer, and give the group of the layers, to which so many bytes more are written."""
    if Path(path).suffix != ".h5ad":
        raise ParameterError(f"expected a file name that ends in .h5ad, got {path}: change the ending")
    source = _file_of(adata)
    refuse_overwriting([path], {str(source): source} if source else {})
    whole = len(genes) == adata.n_vars and (np.diff(genes) == 1).all()
    bare = annotations(adata)
    # to new versions of anndata, X is a layer without a name
    kept = {n: x for n, x in adata.layers.items() if n and n != without and n not in beside.layers}
    copied = [x for x in (adata.X, *kept.values()) if x is not None]
    more += sum(map(_bytes, beside.layers.values())) + (0 if adata.raw is None else _bytes(adata.raw.X))
    with naming(path), replacing(path) as temporary:
        share = len(genes) / max(adata.n_vars, 1)
        refuse_full(temporary, more + share * sum(map(_bytes, copied)))
        bare = bare if whole else bare[:, genes].copy()
        bare.obsm.update(beside.obsm)
        bare.uns.update(beside.uns)
        bare.write_h5ad(temporary)
        with h5py.File(temporary, "r+") as file:
            layers = file.require_group("layers")
            if adata.X is not None:
                _copy(file, "X", adata.X, None if whole else genes)
            for name, values in kept.items():
                _copy(layers, name, values, None if whole else genes)
            for name, values in beside.layers.items():
                _copy(layers, name, values, None)
            yield layers
            if adata.raw is not None:
                raw = file.create_group("raw")
                raw.attrs.update({"encoding-type": "raw", "encoding-version": "0.1.0"})
                _copy(raw, "X", adata.raw.X, None)
                for name in ("var", "varm"):
                    part = getattr(adata.raw, name)
                    anndata.io.write_elem(raw, name, dict(part) if name == "varm" else part)


def _bytes(x: Any) -> int:
    """Return about how many bytes a matrix takes in a file."""
    if on_disk(x):
        return Stored.of(x).nbytes
    return sum(part.nbytes for part in (x.data, x.indices, x.indptr)) if sp.issparse(x) else x.nbytes


def _file_of(adata: anndata.AnnData) -> Path | None:
    """Return the file that the counts are read from while they are written."""
    if adata.filename is not None:
        return Path(adata.filename)
    found = next((values for values in (adata.X, *adata.layers.values()) if on_disk(values)), None)
    found = getattr(found, "source", found)
    name = getattr(getattr(getattr(found, "group", found), "file", None), "filename", None)
    return None if name is None else Path(name)


def _copy(group: h5py.Group, name: str, values: Any, genes: np.ndarray | None) -> None:
    if not on_disk(values):
        anndata.io.write_elem(group, name, values if genes is None else values[:, genes])
        return
    stored = Stored.of(values)
    stored = stored if genes is None else stored.columns(genes)
    blocks = (block for _, block in stored.blocks())
    if not stored.sparse:
        dense = (block.toarray() if sp.issparse(block) else block for block in blocks)
        first = next(dense)  # what the cells went through may have another type than the file
        _write_dense(group, name, itertools.chain([first], dense), stored.shape, first.dtype)
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
