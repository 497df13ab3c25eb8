"""``load``: one door for registered data sets, Splatter presets and a user's own files."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgen_lib.data import checks, orientation, own, readers, registry
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.files import expanded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from anndata import AnnData


_SHIPPED = "scanpy.datasets.pbmc68k_reduced()"


def load(
    name_or_path: str | Path, *, transpose: bool = False, labels: str | None = None, genome: str | None = None
) -> AnnData:
    """Load a data set by name, simulate a Splatter preset by name, or read a file of raw counts.

    A known name wins over a file of the same name in the working folder; ``./NAME`` or a `Path` is always the file.
    Files of registered sets come from the folder in ``SCGEN_DATA_DIR``, else from the cache (``SCGEN_CACHE_DIR``),
    else from their public source. Their hash is verified; a file of which none is published is accepted on its content,
    which ``uns["dataset"]["note"]`` says. ``pbmc68k_reduced`` needs no file.

    Parameters
    ----------
    name_or_path
        A name that `datasets` lists, a preset of `scgen_lib.data.splatter`, or an ``.h5ad``, 10x ``.h5``, 10x ``mtx``
        folder, ``.loom``, ``.csv[.gz]`` or ``.tsv[.gz]``.
    transpose
        For ``.csv``, ``.tsv`` and ``.h5ad``: the file is genes × cells.
    labels
        Column of ``obs`` (of the table, for ``.csv`` and ``.tsv``) that becomes ``obs["cell_type"]``.
    genome
        For 10x files of several genomes: the one to read.

    Returns
    -------
    AnnData
        Cells × genes. ``X`` and ``layers["counts"]`` hold the raw counts as int32, CSR where more than half are zero,
        else dense; ``layers["true_counts"]`` those without dropout, where known; ``obs["cell_type"]`` the labels
        (categorical texts, missing for unlabelled cells); ``uns["dataset"]`` name, title, source, accession, licence,
        citation, sha256 (of the files that were read), values, simulated and, where there is something to know, note.
        A set whose source has only log values has them in ``layers["log"]`` and ``X`` (float32), and no counts. Genes
        and cells without counts stay: see `checks.drop_empty`.

    Raises
    ------
    DataError
        If the name is unknown, a file is absent, damaged or no matrix of raw counts, names repeat, or ``labels`` is
        absent.
    ParameterError
        If ``transpose`` or ``genome`` is asked of what does not have it.

    Warns
    -----
    UserWarning
        The file is plainly genes × cells, see `orientation.doubt_orientation`.
    """
    name = str(name_or_path)
    given = {"transpose": transpose, "labels": labels, "genome": genome}
    # a name has neither a folder nor a suffix: what has, is meant as a file even where it is missing
    if isinstance(name_or_path, Path) or Path(name).name != name or Path(name).suffix:
        adata = _own(expanded(name), **given)
    elif transpose:
        raise ParameterError(f"expected transpose with .csv, .tsv and .h5ad files alone, got {name!r}: leave it out")
    elif name in registry.DATASETS:
        adata = _registered(registry.DATASETS[name])
    else:
        adata = _simulated(name, given)
    if labels is not None:
        if labels not in adata.obs:
            checks.check_labels(adata, labels)
        if not len(checks.texts(adata.obs[labels]).categories):
            raise DataError(f"expected labels in obs[{labels!r}], got no cell with one: name another column")
        adata.obs["cell_type"] = adata.obs[labels]
    if "cell_type" in adata.obs:
        # one type of label for every caller
        adata.obs["cell_type"] = checks.texts(adata.obs["cell_type"])
    return adata


def excerpt(adata: AnnData, n_cells: int, n_genes: int | None = None) -> AnnData:
    """Return a copy of a few cells and genes to try something on: what is in them, not what stands first.

    Parameters
    ----------
    adata
        Cells × genes with counts.
    n_cells
        Every so many-th of the cells that have a count, at most this many.
    n_genes
        Genes with the highest totals in these cells, in the order of the file; None: all.

    Returns
    -------
    AnnData
        The cells and genes with all that belongs to them.
    """
    x = checks.get_counts(adata, allow_empty=True)
    full = np.flatnonzero(checks.totals(x) > 0)
    rows = full[:: max(1, -(-len(full) // n_cells))]
    genes = np.sort(np.argsort(-checks.totals(x[rows], 0), kind="stable")[:n_genes])
    return adata[rows, genes].copy()


def datasets() -> pd.DataFrame:
    """Return the registered data sets, a row each.

    Returns
    -------
    DataFrame
        ``name``, ``title``, ``cells``, ``genes`` (0: a table without expression), ``labels`` (number of classes, 0:
        none), ``values`` (``"counts"``, ``"log"``, ``"labels"`` or ``"names"``), ``accession``, ``licence``, ``bytes``
        (of its files, missing where the size of one is not published), ``citation``.
    """
    import pandas as pd

    def size(entry: registry.Dataset) -> int | None:
        sizes = [file.bytes for file in entry.sources]
        return None if None in sizes else sum(sizes)

    columns = ["name", "title", "cells", "genes", "labels", "values", "accession", "licence", "bytes", "citation"]
    entries = registry.DATASETS.values()
    rows = [vars(entry) | {"licence": entry.licence, "bytes": size(entry)} for entry in entries]
    return pd.DataFrame(rows, columns=columns).astype({"bytes": "Int64"})


def prefetch(names: str | Iterable[str] | None = None, *, dest: str | Path | None = None) -> list[Path]:
    """Fetch the files of data sets ahead of use and print a line for each: present, fetched or failed.

    Parameters
    ----------
    names
        Names of data sets; all without it.
    dest
        Folder to fill, laid out as ``SCGEN_DATA_DIR`` expects; the cache without it.

    Returns
    -------
    list of Path
        The files, their hash verified where one is published.

    Raises
    ------
    ParameterError
        If a name is unknown.
    DataError
        At the end, if some of the files could not be had.
    """
    chosen = list(registry.DATASETS) if names is None else [names] if isinstance(names, str) else list(names)
    if unknown := [name for name in chosen if name not in registry.DATASETS]:
        raise ParameterError(_unknown(unknown[0]))
    keys = (
        registry.FILES if names is None else dict.fromkeys(k for name in chosen for k in registry.DATASETS[name].files)
    )
    folder = registry.cache_folder() if dest is None else expanded(dest)
    paths, failed = [], []
    for file in (registry.FILES[key] for key in keys):
        try:
            path = (registry.local_file(file) if dest is None else None) or registry.stored_file(file, folder)
            state = "present" if path else "fetched"
            paths.append(path or registry.download(file, folder))
            print(f"{state:8} {file.key}{'' if file.hash else ' (not verified by a hash)'}", flush=True)
        except DataError as error:
            failed.append(file.key)
            print(f"failed   {file.key}: {error}", flush=True)
    if failed:
        raise DataError(
            f"expected {len(keys)} files, got all but {len(failed)} ({', '.join(failed)}): see the lines above and "
            "fetch again"
        )
    return paths


def zeisel_annotation() -> pd.DataFrame:
    """Annotation of all 3,005 cells of Zeisel et al. (2015), doi:10.1126/science.aaa1934, by cell id.

    Columns: ``tissue``, ``group`` (1-9), ``total_mRNA_mol``, ``well``, ``sex`` (±1), ``age`` (days), ``diameter`` (µm),
    ``level1class`` (7 classes), ``level2class``.
    """
    from scgen_lib.data import recipes

    return recipes.zeisel_annotation(registry.fetch(registry.DATASETS["zeisel_annotation"].sources[0]))


def pbmc68k_labels() -> pd.Series:
    """The 11 types of all 68,579 PBMC of Zheng et al. (2017), doi:10.1038/ncomms14049, in the order of their matrix."""
    from scgen_lib.data import recipes

    return recipes.pbmc68k_labels(registry.fetch(registry.DATASETS["pbmc68k_labels"].sources[0]))


def refseq_mm9() -> pd.Series:
    """Gene symbol by RefSeq id of 26,946 transcripts of the mouse, assembly mm9.

    Pruitt et al. 2014, doi:10.1093/nar/gkt1114.
    """
    from scgen_lib.data import sources

    return sources.transcript_symbols(registry.fetch(registry.DATASETS["refseq_mm9"].sources[0]))


def _registered(entry: registry.Dataset) -> AnnData:
    if not entry.recipe:
        raise DataError(
            f"expected a data set with expression, got the table {entry.name}: call scgen_lib.data.{entry.name}()"
        )
    from scgen_lib.data import recipes

    paths = [] if entry.shipped else [registry.fetch(file) for file in entry.sources]
    adata = getattr(recipes, entry.recipe)(*paths)
    if adata.shape != (entry.cells, entry.genes):
        raise DataError(
            f"{entry.name}: expected {entry.cells} cells × {entry.genes} genes, got {adata.n_obs} × {adata.n_vars} in "
            "the files: remove them and fetch them again"
        )
    notes = [entry.note] * bool(entry.note)
    notes += [f"{file.name} is not verified by a hash: {file.note}" for file in entry.sources if not file.hash]
    for what, names in (("cell", adata.obs_names), ("gene", adata.var_names)):
        if not names.is_unique:
            notes.append(f"{names.duplicated().sum()} {what} names repeat in the source and got a number.")
    adata.obs_names_make_unique()
    adata.var_names_make_unique()
    adata.uns["dataset"] = {
        "name": entry.name,
        "title": entry.title,
        "source": [_SHIPPED] if entry.shipped else [file.url for file in entry.sources],
        "accession": entry.accession,
        "licence": entry.licence,
        "citation": entry.citation,
        "sha256": [f.sha256 or readers.sha256(path) for f, path in zip(entry.sources, paths, strict=not entry.shipped)],
        "values": entry.values,
        "simulated": entry.simulated,
    } | ({"note": " ".join(notes)} if notes else {})
    if entry.values == "log":
        adata.X = np.asarray(adata.X, dtype=np.float32)
        adata.layers["log"] = adata.X.copy()
        return adata
    return _with_counts(adata)


def _own(path: Path, *, transpose: bool, labels: str | None, genome: str | None) -> AnnData:
    adata = readers.read(path, transpose=transpose, labels=labels, genome=genome)
    own.describe(adata, path)
    adata = _with_counts(adata, path.name)
    if not transpose:
        orientation.warn_of_doubt(adata, path.name, stacklevel=4)
    return adata


def _simulated(name: str, given: Mapping[str, Any]) -> AnnData:
    from scgen_lib.data import splatter

    try:
        adata = splatter.preset(name)
    except ParameterError as error:
        if Path(name).is_dir():
            return _own(Path(name), **given)
        raise DataError(_unknown(name, splatter.PRESETS)) from error
    about = adata.uns["dataset"]
    simulator = registry.DATASETS["splatter_g2"]
    adata.uns["dataset"] = {
        "accession": simulator.accession,
        "licence": "",
        "citation": simulator.citation,
        "sha256": [],
        "values": "counts",
        **about,
        "source": [about["source"]],
    }
    return adata


def _with_counts(adata: AnnData, file: str | None = None) -> AnnData:
    """Check ``X`` and lay it down as int32 counts, with the true counts where there are any."""
    found = {"counts": adata.X}
    if "true_counts" in adata.layers:
        found["true_counts"] = adata.layers["true_counts"]
    try:
        checks.check_names(adata, file)
        for layer, x in found.items():
            counts = checks.check_counts(x, adata.var_names, adata.obs_names, allow_empty=True)
            adata.layers[layer] = _compact(counts)
    except DataError as error:
        raise DataError(f"{adata.uns['dataset']['name']}: {error}") from error
    adata.X = adata.layers["counts"].copy()
    return adata


def _compact(x: Any) -> Any:
    """Int32, CSR where more than half of the entries are zero."""
    from scipy import sparse

    if x.max() > np.iinfo(np.int32).max:
        raise DataError(f"expected counts below 2³¹, got {x.max():g}: give raw counts, not normalised values")
    nonzero = x.count_nonzero() if sparse.issparse(x) else np.count_nonzero(x)
    if 2 * nonzero < x.shape[0] * x.shape[1]:
        return sparse.csr_matrix(x, dtype=np.int32)
    return np.asarray(x.toarray() if sparse.issparse(x) else x, dtype=np.int32)


def _unknown(name: str, more: Iterable[str] = ()) -> str:
    known = [*registry.DATASETS, *more]
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"expected the name of a data set{' or a file' if more else ''}, got {name!r}: " + (
        f"did you mean {' or '.join(close)}" if close else f"choose one of {', '.join(known)}"
    )
