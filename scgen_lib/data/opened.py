"""Cells and genes of which the matrices stay in their file: opened, and some of them selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scgen_lib.data.stored import Stored, kept_on_disk, on_disk
from scgen_lib.errors import DataError
from scgen_lib.files import expanded

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from anndata import AnnData

_ANNOTATIONS = ("obs", "var", "obsm", "varm", "obsp", "varp", "uns")


def open_backed(path: str | os.PathLike) -> AnnData:
    """Open an ``.h5ad`` or ``.zarr`` whose ``X`` and layers stay on disk where they are stored by cells.

    ``anndata.read_h5ad(path, backed="r")`` leaves ``X`` on disk only, and reads the layers.

    Parameters
    ----------
    path
        File or, for zarr, folder, as AnnData writes it.

    Returns
    -------
    AnnData
        Annotations in memory; ``X``, layers and ``raw.X`` are `anndata.abc.CSRDataset` or dense data sets of the open
        file. `selected` takes some cells and genes without reading them.

    Raises
    ------
    DataError
        Nothing there, or no AnnData.
    """
    import anndata
    import h5py
    import zarr

    path = expanded(path)
    try:
        file: Any = zarr.open_group(path, mode="r") if path.is_dir() else h5py.File(path, "r")
        parts = {name: anndata.io.read_elem(file[name]) for name in _ANNOTATIONS if name in file}
        layers = {name: _opened(file["layers"][name]) for name in file.get("layers", ())}
        x = _opened(file["X"]) if "X" in file else None
        made = assembled(anndata.AnnData(**parts), x, layers)
        # zarr has one that is nothing
        if "raw" in file and file["raw"].attrs.get("encoding-type") == "raw":
            of_raw = {name: anndata.io.read_elem(file["raw"][name]) for name in ("var", "varm") if name in file["raw"]}
            made.raw = anndata.AnnData(_opened(file["raw"]["X"]), **of_raw)
        return made
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"expected an .h5ad or .zarr of AnnData, got {path} ({error}): name another file") from error


def annotations(adata: AnnData, genes: Any = None) -> AnnData:
    """Return cells and genes without a matrix, and what is said of them; `genes` may be a ``raw`` that has others."""
    import anndata

    of_genes = {"var": adata.var, "varm": adata.varm, "varp": adata.varp}
    if genes is not None:
        of_genes = {"var": genes.var, "varm": genes.varm}
    frames = {"obs": adata.obs, "var": of_genes.pop("var")}
    others = {name: getattr(adata, name) for name in ("obsm", "obsp", "uns")} | of_genes
    return anndata.AnnData(**frames, **{name: dict(values) for name, values in others.items()})


def assembled(bare: AnnData, x: Any, layers: Mapping[str, Any], raw: Any = None, of_raw: Any = None) -> AnnData:
    """Return annotations with matrices, which may be `Stored`: `X`, layers, and that of a ``raw``."""
    import anndata
    from anndata.abc import CSRDataset

    # AnnData takes the matrices that it knows, and no others; this base class is there to be had
    CSRDataset.register(Stored)
    made = anndata.AnnData(x, layers=layers, **{name: getattr(bare, name) for name in _ANNOTATIONS})
    if raw is not None:
        made.raw = anndata.AnnData(of_raw, var=raw.var, varm=dict(raw.varm))
    return made


def selected(adata: AnnData, cells: Any = slice(None), genes: Any = slice(None)) -> AnnData:
    """Return what ``adata[cells, genes].copy()`` returns, with large matrices left on disk.

    Parameters
    ----------
    adata
        Cells × genes, in memory or on disk.
    cells, genes
        A slice, a mask or positions, in any order.

    Returns
    -------
    AnnData
        In memory, but for matrices on disk that `kept_on_disk` finds too large; these are `Stored`.
    """
    raw = adata.raw
    of_raw = None if raw is None else raw.X
    if not any(kept_on_disk(x) for x in (adata.X, of_raw, *adata.layers.values())):
        kept = adata[cells, genes]
        return kept.to_memory() if kept.isbacked else kept.copy()
    rows, columns = np.arange(adata.n_obs)[cells], np.arange(adata.n_vars)[genes]

    def taken(x: Any, columns: np.ndarray | None) -> Any:
        if not on_disk(x):
            return x if x is None else x[rows] if columns is None else x[rows][:, columns]
        found = Stored.of(x)[rows]
        found = found if columns is None else found.columns(columns)
        return found if kept_on_disk(found) else found.to_memory()

    bare = annotations(adata)[rows, columns].copy()
    # to new versions of anndata, X is a layer without a name
    layers = {name: taken(x, columns) for name, x in adata.layers.items() if name}
    return assembled(bare, taken(adata.X, columns), layers, raw, taken(of_raw, None))


def _opened(element: Any) -> Any:
    """Return a matrix as it lies in the file; one that is stored by genes is read."""
    import anndata

    kind = element.attrs.get("encoding-type")
    if kind == "csr_matrix":
        return anndata.io.sparse_dataset(element)
    return element if kind == "array" else anndata.io.read_elem(element)
