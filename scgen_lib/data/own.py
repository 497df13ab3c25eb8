"""A user's own file: what is known of it, and an ``.h5ad`` or ``.zarr`` whose counts stay in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgen_lib.data import checks, opened, orientation, readers
from scgen_lib.errors import DataError

if TYPE_CHECKING:
    from anndata import AnnData


def describe(adata: AnnData, path: Path) -> None:
    """Write into ``uns["dataset"]`` what is known of a file, and tell genes apart whose symbols repeat."""
    known = adata.uns.get("dataset")
    adata.uns["dataset"] = {
        "title": path.name,
        "accession": "",
        "licence": "",
        "citation": "",
        "simulated": False,
        # a file that was saved from a loaded or simulated set still says so
        **({key: _plain(value) for key, value in known.items()} if isinstance(known, Mapping) else {}),
        "name": path.resolve().name if path.is_dir() else Path(path.name.removesuffix(".gz")).stem,
        "values": "counts",
        "source": [path.name],
        "sha256": [readers.sha256(path)],
    }
    if not adata.var_names.is_unique and "gene_ids" in adata.var and adata.var["gene_ids"].is_unique:
        # 10x references repeat symbols; the ids tell the genes apart
        again = adata.var_names.duplicated().sum()
        adata.uns["dataset"]["note"] = (
            f'{again} gene symbols repeat and got a number; var["gene_ids"] tells them apart.'
        )
        adata.var_names_make_unique()


def open_counts(path: Path, layer: str | None = None) -> AnnData:
    """Open an ``.h5ad`` or ``.zarr`` with the counts that `data.load` would read, which stay where they are.

    Parameters
    ----------
    path
        File or folder.
    layer
        Layer with the counts; None: where `data.load` looks for them.

    Returns
    -------
    AnnData
        As `opened.open_backed`, with the counts in ``layers["counts"]``, of the type that the file has, and what
        `data.load` writes into ``obs`` and ``uns``. Where ``raw`` has the counts of other genes than ``X``, the genes
        are those, without ``X`` and layers.

    Raises
    ------
    DataError
        As `data.load`.
    """
    adata = opened.open_backed(path)
    raw = adata.raw
    if layer is not None:
        refuse_unknown_layer(adata, layer, path)
        adata.layers["counts"] = adata.layers[layer]
    elif "counts" in adata.layers:
        pass
    elif raw is not None and readers.integers(raw.X):
        same = raw.X.shape == adata.shape
        # to new versions of anndata, X is a layer without a name
        layers = {name: x for name, x in adata.layers.items() if name and same} | {"counts": raw.X}
        x = adata.X if same and adata.X is not None else raw.X
        adata = opened.assembled(opened.annotations(adata, raw), x, layers, raw, raw.X)
    elif adata.X is not None and readers.integers(adata.X):
        adata.layers["counts"] = adata.X
    else:
        raise readers.without_counts(adata, path.name)
    if layer is None:
        describe(adata, path)
    checks.check_names(adata, path.name)
    try:
        # what the pass over all cells tells is kept with them
        counts = checks.get_counts(adata, allow_empty=True, stored=True)
    except DataError as error:
        raise DataError(f"{path.stem}: {error}") from error
    adata.layers["counts"] = counts
    orientation.warn_of_doubt(adata, path.name)
    if "cell_type" in adata.obs:
        adata.obs["cell_type"] = checks.texts(adata.obs["cell_type"])
    return adata


def refuse_unknown_layer(adata: AnnData, layer: str, path: str | Path) -> None:
    """Refuse a layer with counts that is not there, as the option of a command names it."""
    if layer not in adata.layers:
        have = ", ".join(repr(name) for name in adata.layers if name) or "none"
        raise DataError(f"expected the layer {layer!r} in {path}, got {have}: name one of them with --layer")


def _plain(value: Any) -> Any:
    """Return what an .h5ad gives back as arrays as the lists and numbers that JSON can hold."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value
