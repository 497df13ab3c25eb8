"""Cells of a file on their way into a model: read or opened as they are, and those that can be used."""

import contextlib
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata
import click
import h5py
import pandas as pd
import zarr

from scgen_lib import data, preprocess
from scgen_lib.data import checks, own
from scgen_lib.data.opened import assembled
from scgen_lib.data.stored import Stored, of_columns
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.files import expanded
from scgen_lib.models.base import AnnDataModel
from scgen_lib.training.loop import RESIDENT_BYTES

# Of a file with a matrix that takes more than this as dense float32, matrices stay on disk: a training in memory would
# make its cells dense a batch at a time as well, and what is held on the way is several times the counts.
OPENED_BYTES = RESIDENT_BYTES


def say(line: str) -> None:
    """Tell the user something beside the result."""
    click.echo(line, err=True)


def in_options(text: str) -> str:
    """Return a message whose advice is an argument of `data.load` with the option that gives it."""
    rest = r"(?:, and save what it returns as \.h5ad for a notebook)?"
    text = re.sub(rf"(?:for example )?with load\(\.\.\., (\w+)=NAME\){rest}", r"with --\1 NAME", text)
    return re.sub(r"\b(labels|genome)=NAME", r"--\1 NAME", text).replace("transpose=True", "--transpose")


def load(
    counts: str, *, labels: str | None, transpose: bool, genome: str | None, layer: str | None = None
) -> anndata.AnnData:
    """Read cells by `data.load`, with all that their file has beside the counts, or open a file that is large.

    Parameters
    ----------
    counts
        A file, or the name of a data set. An ``.h5ad`` is opened where it has a matrix of more than `OPENED_BYTES`, a
        ``.zarr`` always.
    labels
        Column of the types; it stays where it is, in ``obs``.
    transpose, genome
        As in `data.load`.
    layer
        Layer of an ``.h5ad`` with the counts; None: where `data.load` looks for them.

    Returns
    -------
    AnnData
        Counts in ``layers["counts"]``, and all else as in the file; on disk as `own.open_counts` has it.

    Raises
    ------
    DataError
        As `data.load`.
    """
    table = re.search(r"\.[ct]sv(\.gz)?$", counts, re.IGNORECASE)
    genes = 0 if genome else _on_disk(path := expanded(counts), transpose)
    try:
        if genes:
            cells = own.open_counts(path, layer)
        elif layer is not None:
            cells = _of_layer(counts, layer, transpose)
        else:
            cells = data.load(counts, transpose=transpose, genome=genome, labels=labels if table else None)
    except DataError as error:
        raise DataError(in_options(str(error))) from error
    if labels is not None:
        _refuse_unknown(cells, labels)
    if genes and genes != cells.n_vars:
        _leaves_out(cells, genes)
    if not genes and layer is None and Path(counts).is_file() and h5py.is_hdf5(counts):
        with h5py.File(counts) as file:
            is_h5ad = {"obs", "var"} <= set(file)
        if is_h5ad:
            was = anndata.read_h5ad(counts)
            _give_back(cells, was.T if transpose else was)
    return cells


def _of_layer(counts: str, layer: str, transpose: bool) -> anndata.AnnData:
    """Read an ``.h5ad`` as it is, with one of its layers as the counts."""
    try:
        cells = anndata.read_h5ad(counts)
    except (OSError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise DataError(
            f"expected an .h5ad file with the layer {layer!r}, got {counts}, which cannot be read as one: name another "
            "file, or leave out --layer"
        ) from error
    own.refuse_unknown_layer(cells, layer, counts)
    cells = cells.T.copy() if transpose else cells
    checks.check_names(cells, counts)
    cells.layers["counts"] = checks.check_counts(
        cells.layers[layer], cells.var_names, cells.obs_names, allow_empty=True
    )
    return cells


def _give_back(cells: anndata.AnnData, was: anndata.AnnData) -> None:
    """Put ``X``, ``raw`` and layers of a file beside the counts, which may have been any of them."""
    if was.shape == cells.shape:
        cells.X = cells.X if was.X is None else was.X
        for name in set(was.layers) - set(cells.layers):
            cells.layers[name] = was.layers[name]
    else:
        _leaves_out(cells, was.n_vars)
    if was.raw is not None:
        cells.raw = was.raw.to_adata()


def _leaves_out(cells: anndata.AnnData, genes: int) -> None:
    say(f"Takes the counts of raw, which has {cells.n_vars:,} genes, and leaves out X, which has {genes:,}.")


def _on_disk(path: Path, transpose: bool) -> int:
    """Return how many genes a file has whose matrices are to stay in it, or 0 for one that is to be read."""
    folder = path.is_dir() and path.suffix == ".zarr"
    if folder and transpose:
        raise ParameterError(f"expected --transpose with .csv, .tsv and .h5ad files alone, got {path}: leave it out")
    # a name without an ending may be that of a data set
    if not folder and not (path.is_file() and path.suffix and h5py.is_hdf5(path)):
        return 0
    try:
        with contextlib.nullcontext(zarr.open_group(path, mode="r")) if folder else h5py.File(path) as file:
            if not {"obs", "var"} <= set(file):
                return 0
            genes = len(anndata.io.read_elem(file["var"][file["var"].attrs["_index"]]))
            names = ["X", "raw/X", *(f"layers/{name}" for name in file.get("layers", ()))]
            found = [file[name] for name in names if name in file]
            sizes = [math.prod(x.attrs.get("shape", getattr(x, "shape", (0,)))) for x in found]
            large = [x for x, size in zip(found, sizes, strict=True) if size * 4 > OPENED_BYTES]
            by_cells = all(x.attrs.get("encoding-type") in ("csr_matrix", "array") for x in large)
    except (OSError, KeyError):
        return 0  # what is wrong with it is for the reader to say
    if folder or (large and by_cells and not transpose):
        return genes
    if large:
        say(
            f"Reads all of {path} into memory: matrices of this size stay on disk where they lie by cells (CSR or "
            "dense) in the file, and without --transpose."
        )
    return 0


def _refuse_unknown(cells: anndata.AnnData, key: str) -> None:
    if key not in cells.obs:
        have = ", ".join(map(str, cells.obs.columns)) or "no column at all"
        raise DataError(
            f"expected the types of the cells in the column {key!r}, got {have}: name theirs with --labels COLUMN"
        )


def labelled(cells: anndata.AnnData, key: str) -> anndata.AnnData:
    """Return the cells that have a type.

    Raises
    ------
    DataError
        No such column, or no cell with a type.
    """
    _refuse_unknown(cells, key)
    known = checks.texts(cells.obs[key]).notna()
    if not known.any():
        raise DataError(f"expected the types of the cells in the column {key!r}, got none: name another with --labels")
    return cells if known.all() else data.selected(cells, known)


def for_training(
    cells: anndata.AnnData, model: AnnDataModel, choice: Mapping[str, Any], key: str | None
) -> tuple[anndata.AnnData, str]:
    """Return the cells and genes that a model can be trained on, and by which words they are chosen.

    Parameters
    ----------
    cells
        With counts in ``layers["counts"]``.
    model
        Untrained.
    choice
        Of `options.of_cells`.
    key
        Column of the types, for a model that has any.

    Raises
    ------
    DataError
        Counts or types that cannot be used.
    """
    if model.key == "scgan":
        from scgen_lib.models.scgan.cells import process

        if choice.get("resolution") is not None and isinstance(cells.layers["counts"], Stored):
            say(f"Reads the counts of {cells.n_obs:,} cells into memory, which their clusters need.")
        if not model.conditional:
            bare = anndata.AnnData(obs=pd.DataFrame({key: "all"}, index=cells.obs_names), var=cells.var[[]])
            cells = assembled(bare, None, {"counts": cells.layers["counts"]})
        found = process(cells, label_key=key, library_size=model.library_size, test_cells=0.0, **choice)
        return found, "what passes --min-genes, --min-cells and --min-class-size"
    found, why = checks.drop_empty(cells), "what has counts"
    if (n := choice.get("genes")) is not None and n < found.n_vars:
        genes = preprocess.highest_variance(checks.get_counts(found, stored=True), n)
        found, why = (
            checks.drop_empty(data.selected(found, genes=genes)),
            "what has counts, the genes by variance (--genes)",
        )
        found.uns["dropped"] = {"cells": cells.n_obs - found.n_obs, "genes": cells.n_vars - found.n_vars}
    return found, why


def for_model(cells: anndata.AnnData, model: AnnDataModel) -> anndata.AnnData:
    """Return the cells that have counts in the genes of a trained model, with these genes in their order.

    Raises
    ------
    DataError
        A gene that is not there, or no such cell.
    """
    genes = list(model.fitted().note["var_names"])
    if lacking := [name for name in genes if name not in cells.var_names]:
        raise DataError(
            f"expected the {len(genes)} genes of the training, got cells without {len(lacking)} of them (first: "
            f"{lacking[0]!r}): give a file that has them all, or train on this one"
        )
    positions = cells.var_names.get_indexer(genes)
    counts = checks.get_counts(cells, allow_empty=True, stored=True)
    full = checks.totals(of_columns(counts, positions)) > 0
    if not full.any():
        raise DataError(
            f"expected counts in the genes of the training, got none in {cells.n_obs} cells: check the file"
        )
    return data.selected(cells, full, positions)
