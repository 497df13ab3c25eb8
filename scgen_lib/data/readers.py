"""Readers of file formats: what a user's own counts may stand in, and what the public sources publish.

Every reader of a user's file returns cells × genes with the raw counts in ``X``; none of them checks the values. Names
and labels are the texts of the file: ``0001``, ``1.10``, ``NA`` and ``nan`` stay what they are.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgen_lib.data import checks
from scgen_lib.errors import DataError, InputError, ParameterError, told
from scgen_lib.files import expanded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import IO

    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

    Source = str | Path | IO[bytes]

FORMATS = ".h5ad, 10x .h5, a 10x mtx folder, .loom, .csv[.gz] or .tsv[.gz]"


def read(path: str | Path, *, transpose: bool = False, labels: str | None = None, genome: str | None = None) -> AnnData:
    """Read a user's file of counts.

    Parameters
    ----------
    path
        An ``.h5ad``, a 10x ``.h5`` (Cell Ranger 2 or 3), a 10x ``mtx`` folder (2 or 3, gzipped or not), a ``.loom``,
        or a ``.csv`` / ``.tsv`` table, gzipped or not, with commas, semicolons or tabs. Of HDF5 files the content
        decides, not the name.
    transpose
        For tables and ``.h5ad``: the file is genes × cells. The other formats say themselves which is which.
    labels
        For tables only: the column (the row, with ``transpose``) that holds the labels and is no gene.
    genome
        For 10x files of several genomes: the one to read.

    Returns
    -------
    AnnData
        Cells × genes, raw counts in ``X``.

    Raises
    ------
    DataError
        If the file is absent, of another format, truncated, or holds no counts, or several genomes and none is chosen.
    ParameterError
        If ``transpose`` or ``genome`` is asked of a format that does not have it.
    """
    path = expanded(path)
    if not path.exists():
        raise DataError(f"Expected counts in {path}, but there is no such file or folder: correct the path.")
    reader = _reader(path)
    options = {"transpose": transpose, "labels": labels, "genome": genome}
    for name, serves in (("transpose", ".csv, .tsv and .h5ad files"), ("genome", "10x files")):
        if options[name] and name not in _OPTIONS[reader]:
            raise ParameterError(f"{name} serves {serves}, but {path.name} is {_SAID[reader]}: leave it out.")
    try:
        with warnings.catch_warnings():
            # gene symbols repeat in every 10x reference; `load` settles that
            warnings.filterwarnings("ignore", message=".*names are not unique", category=UserWarning)
            adata = reader(path, **{name: options[name] for name in _OPTIONS[reader]})
    except InputError:
        raise
    except (PermissionError, BlockingIOError) as error:
        raise DataError(told(error, path)) from error
    except (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, zlib.error, csv.Error) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"{path.name} could not be read as {_SAID[reader]} ({reason}): check that the file is whole and of "
            "that format."
        ) from error
    if 0 in adata.shape:
        raise DataError(
            f"Expected cells and genes in {path.name}, but as {_SAID[reader]} it holds {adata.n_obs} cells × "
            f"{adata.n_vars} genes: check that it is whole and of that format."
        )
    return adata


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, or of the names and hashes of a folder's files."""
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        listing = "".join(f"{file.relative_to(path).as_posix()} {sha256(file)}\n" for file in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def rda(path: str | Path) -> Any:
    """Return the one object of an R data file (``.rda``, ``.RData``), a list as a dict."""
    import rdata

    with warnings.catch_warnings():
        # sparse matrices and model objects have no constructor in rdata; `from_dgc` builds the former
        warnings.filterwarnings("ignore", message="Missing constructor", category=UserWarning)
        content = rdata.read_rda(path)
    return next(iter(content.values()))


def from_dgc(matrix: Any) -> tuple[csc_matrix, np.ndarray, np.ndarray]:
    """Return an R ``dgCMatrix`` as a matrix with the names of its rows and of its columns, the way it lies in R."""
    from scipy import sparse

    values = sparse.csc_matrix((matrix.x, matrix.i, matrix.p), shape=tuple(matrix.Dim))
    return values, *matrix.Dimnames


def matrix_market(source: Source) -> coo_matrix | np.ndarray:
    """Return the matrix of a Matrix Market file, sparse as coordinates or dense, as the file says."""
    from scipy import io

    with warnings.catch_warnings():
        # either kind of sparse object serves, and only new versions of scipy have the argument that says so
        warnings.filterwarnings("ignore", message=".*spmatrix", category=DeprecationWarning)
        return io.mmread(source)


def mtx_10x(genes: Source, cells: Source, matrix: Source) -> AnnData:
    """Return the three files of a 10x sample, Cell Ranger 2 or 3, without what Cell Ranger 3 counts beside genes."""
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    # without a filter of missing values, which would take the fly's gene `nan` for one
    var, obs = (pd.read_csv(table, sep="\t", header=None, dtype=str, na_filter=False) for table in (genes, cells))
    x = sparse.csr_matrix(matrix_market(matrix).T)
    adata = AnnData(
        x,
        obs=pd.DataFrame(index=obs[0].to_numpy()),
        var=pd.DataFrame({"gene_ids": var[0].to_numpy()}, index=var[1 if 1 in var else 0].to_numpy()),
    )
    return _genes_alone(adata, var[2]) if 2 in var else adata


def _genes_alone(adata: AnnData, kinds: pd.Series) -> AnnData:
    """Leave out the antibodies and guides of Cell Ranger 3, which are no genes; other tools write ``Gene``."""
    genes = kinds.astype(str).str.casefold().str.startswith("gene").to_numpy()
    if len(genes) and not genes.any():
        found = ", ".join(map(repr, list(dict.fromkeys(kinds.astype(str)))[:3]))
        raise DataError(
            f"Expected features of the type 'Gene Expression', but their types are {found}: if these are genes, write "
            "that type into the third column of the features, or leave the column out."
        )
    return adata if genes.all() else adata[:, genes].copy()


def genes_by_cells(source: Source, sep: str, name: str) -> tuple[csr_matrix, list[str], pd.Index]:
    """Return a text table of genes × cells, sparse, with its genes and its cells.

    It is read by bands of genes: as a dense table, 20,000 genes of 4,700 cells would take 740 MB.

    Raises
    ------
    DataError
        If an entry is no number; ``name`` is the file's in the message.
    """
    import pandas as pd
    from scipy import sparse

    bands, genes = [], []
    # a gene may be called `nan`; a count that is missing is then text, and refused
    for band in pd.read_csv(source, sep=sep, index_col=0, chunksize=2000, na_filter=False):
        if len(texts := band.select_dtypes(exclude="number").columns):
            raise DataError(
                f"Expected a number for every gene and cell of {name}, but the entries of {len(texts)} cells hold text "
                f"(first: {texts[0]!r}): remove the file and fetch it again."
            )
        bands.append(sparse.csr_matrix(band.to_numpy()))
        genes.extend(band.index)
    return sparse.vstack(bands, format="csr"), genes, band.columns


def transcript_symbols(path: str | Path) -> pd.Series:
    """Read which gene each transcript is of, from a table of the UCSC genome browser.

    Parameters
    ----------
    path
        Tab-separated text, gzipped or not, whose first line may be a header that starts with ``#``: refGene (16
        columns, transcript id in the 2nd, gene symbol in the 13th) or refFlat (fewer columns, symbol in the 1st, id in
        the 2nd).

    Returns
    -------
    Series
        Gene symbol by transcript id, each id once.

    Raises
    ------
    DataError
        If the file is absent or of another layout.
    """
    import pandas as pd

    path = expanded(path)
    try:
        width = len(pd.read_csv(path, sep="\t", header=None, nrows=1).columns)
        columns = {1: "id", 12: "symbol"} if width == 16 else {0: "symbol", 1: "id"}
        table = pd.read_csv(path, sep="\t", header=None, usecols=list(columns), dtype=str, comment="#", na_filter=False)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            f"Expected a table of gene symbols and transcript ids in {path}, but it cannot be read as one "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): give a file like UCSC's refGene "
            "or refFlat."
        ) from error
    # a transcript that lies at several places has a line for each
    table = table.rename(columns=columns).drop_duplicates("id").set_index("id")["symbol"]
    return table[table != ""]


def _h5ad(path: Path, transpose: bool) -> AnnData:
    """Prefer ``layers["counts"]``, then integer-valued ``raw.X``, then integer-valued ``X``."""
    import anndata

    adata = anndata.read_h5ad(path)
    if "counts" in adata.layers:
        adata.X = adata.layers.pop("counts")
    elif adata.raw is not None and _integers(adata.raw.X):
        adata = adata.raw.to_adata()
    elif adata.X is None or not _integers(adata.X):
        # to new versions of anndata, X is a layer without a name
        layers = {name: _integers(x) for name, x in adata.layers.items() if name}
        whole = next((name for name, is_whole in layers.items() if is_whole), None)
        hint = f"the layers are {', '.join(map(repr, layers))}" if layers else "there is no layer"
        hint += f", of which {whole!r} holds integers: rename it to 'counts'" if whole else ": give raw counts"
        raise DataError(
            f"Expected raw counts in layers['counts'], raw.X or X of {path.name}, but none holds integers: they look "
            f"log-transformed or normalised, and {hint}."
        )
    adata.raw = None
    return adata.T.copy() if transpose else adata


def _h5_10x(path: Path, genome: str | None) -> AnnData:
    import h5py
    import numpy as np
    import scanpy as sc

    with h5py.File(path) as file:
        # Cell Ranger 2 has a group for each genome, 3 a column
        genomes = [name for name, group in file.items() if isinstance(group, h5py.Group) and "barcodes" in group]
        several = genomes if "matrix" not in file else []
        if "matrix/features/genome" in file:
            genomes = [text for text in np.unique(file["matrix/features/genome"].asstr()[:]) if text]
    genome = _chosen(path, genome, genomes, len(several) > 1)
    adata = sc.read_10x_h5(path, genome=genome, gex_only=False)
    return _genes_alone(adata, adata.var["feature_types"]) if "feature_types" in adata.var else adata


def _chosen(path: Path, genome: str | None, genomes: list[str], needed: bool) -> str | None:
    """Return the genome to read, or refuse one that is not there, or none where one is needed."""
    if genome not in genomes and (needed or genome is not None):
        raise DataError(
            f"Expected one of the genomes of {path.name}, {', '.join(genomes) or '(none is named)'}, got {genome!r}: "
            "choose with load(..., genome=NAME), and save what it returns as .h5ad for a notebook."
        )
    return genome


def _mtx_folder(path: Path, genome: str | None) -> AnnData:
    genomes = [part.name for part in sorted(path.iterdir()) if part.is_dir() and _of_sample(part, "matrix.mtx")]
    if genome is not None or (genomes and not _of_sample(path, "matrix.mtx")):
        # Cell Ranger 2 writes a folder for each genome
        path /= _chosen(path, genome, genomes, needed=len(genomes) > 1) or genomes[0]

    def find(*stems: str) -> Path:
        found = _of_sample(path, *stems)
        if len(found) != 1:
            raise DataError(
                f"Expected one {' or '.join(stems)} (.gz or not) in {path}, but there are {len(found)}: give a folder "
                "with the three files of one 10x sample."
            )
        return found[0]

    return mtx_10x(find("features.tsv", "genes.tsv"), find("barcodes.tsv"), find("matrix.mtx"))


def _of_sample(path: Path, *stems: str) -> list[Path]:
    """Files of a folder by the end of their names; what macOS leaves beside each (``._matrix.mtx``) is none."""
    files = (file for file in sorted(path.iterdir()) if not file.name.startswith("."))
    return [file for file in files if file.name.removesuffix(".gz").endswith(stems)]


def _loom(path: Path) -> AnnData:
    """Loom specification: ``matrix`` is genes × cells, ``row_attrs`` describe the genes, ``col_attrs`` the cells."""
    import h5py
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    def frame(group: h5py.Group, *names: str) -> pd.DataFrame:
        vectors = {key: item for key, item in group.items() if item.ndim == 1}
        columns = {key: item.asstr()[:] if item.dtype.kind in "SO" else item[:] for key, item in vectors.items()}
        index = next((columns.pop(name) for name in names if name in columns), None)
        if index is None:
            raise DataError(
                f"Expected {' or '.join(names)} in {group.name} of {path.name}, but it is absent: name the entries."
            )
        return pd.DataFrame(columns, index=index.astype(str))

    with h5py.File(path) as file:
        # the names of the specification, then those that anndata writes
        var = frame(file["row_attrs"], "Gene", "Accession", "var_names").rename(columns={"Accession": "gene_ids"})
        obs = frame(file["col_attrs"], "CellID", "obs_names")
        # a band of genes at a time: the matrix is stored dense, whatever its zeros
        bands = [sparse.csc_matrix(file["matrix"][i : i + 2048].T) for i in range(0, len(var), 2048)]
    return AnnData(sparse.hstack(bands, format="csr"), obs=obs, var=var)


def _table(path: Path, transpose: bool, labels: str | None) -> AnnData:
    """A table is read twice: its names as texts, its counts as numbers, so that neither is guessed from the other."""
    import pandas as pd
    from anndata import AnnData

    sep = _separator(path)
    start, header, width = _layout(path, sep)
    place, line = None, None
    if labels is not None and transpose:
        line, of_cells = next(((at, row[1:]) for at, row in _lines(path, sep) if row[0] == labels), (None, None))
    elif labels in header:
        place = header.index(labels) + 1
    layout = {"sep": sep, "header": None, "skiprows": [*range(start), *([line - 1] if line else [])]}
    named = pd.read_csv(path, usecols=[0, *([place] if place else [])], dtype=str, na_filter=False, **layout)
    names, genes = named[0].to_numpy(object), [i for i in range(1, width) if i != place]
    with warnings.catch_warnings():
        # a column that turns into text is refused below
        warnings.filterwarnings("ignore", category=pd.errors.DtypeWarning)
        table = pd.read_csv(path, usecols=genes, **layout)
    columns = [header[i - 1] for i in genes]
    texts = [name for name, kind in zip(columns, table.dtypes, strict=True) if kind.kind not in "biuf"]
    if texts:
        what = "columns"
        if transpose:
            entries = table.iloc[:, columns.index(texts[0])]
            texts, what = list(names[(pd.to_numeric(entries, errors="coerce").isna() & entries.notna())]), "rows"
        raise DataError(
            f"Expected numbers in every gene of {path.name}, but {len(texts)} {what} hold text (first: {texts[0]!r}): "
            f"name the {what[:-1]} of the labels with labels=NAME and remove the others."
        )
    obs, var = pd.DataFrame(index=names), pd.DataFrame(index=pd.Index(columns, dtype=object))
    if transpose:
        adata = AnnData(table.to_numpy().T, obs=var, var=obs)
        if line:
            adata.obs[labels] = of_cells
        return adata
    if place:
        obs[labels] = named[place].to_numpy(object)
    return AnnData(table.to_numpy(), obs=obs, var=var)


def _lines(path: Path, sep: str) -> Iterator[tuple[int, list[str]]]:
    """Rows of a table as texts, each with the number of its last line; empty lines are left out."""
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=sep)
        yield from ((rows.line_num, row) for row in rows if row)


def _separator(path: Path) -> str:
    """What stands between most entries of the first line; the suffix decides between equals."""
    seps = "\t,;" if ".tsv" in path.name.lower() else ",;\t"
    widths = {sep: len(next(_lines(path, sep), (0, []))[1]) for sep in seps}
    best = max(widths, key=widths.get)
    if widths[best] < 2:
        raise DataError(
            f"Expected names separated by commas, semicolons or tabs in the first line of {path.name}, but it has none "
            "of them: save the table with one of these separators."
        )
    return best


def _layout(path: Path, sep: str) -> tuple[int, list[str], int]:
    """Return how many lines the header ends after, the names of the columns behind the first, and their number."""
    (start, header), *first = itertools.islice(_lines(path, sep), 2)
    if not first:
        raise DataError(f"Expected a row for each cell in {path.name}, but there is a header alone: check its export.")
    width = len(first[0][1])
    # R leaves out the name above the names
    if width - len(header) not in (0, 1):
        raise DataError(
            f"Expected as many entries in every line of {path.name}, but the header has {len(header)} and the next "
            f"line {width}: check its separators."
        )
    return start, header[len(header) - width + 1 :], width


def _integers(x: Any) -> bool:
    values = x.data if hasattr(x, "indptr") else np.asarray(x)
    if values.dtype.kind == "f":
        # NaN and infinity are for the checks to name
        values = values[np.isfinite(values)]
    return values.dtype.kind in "biu" or checks.rounded(values) is not None


_SAID = {
    _h5ad: "an .h5ad file",
    _h5_10x: "a 10x .h5 file",
    _mtx_folder: "a 10x mtx folder",
    _loom: "a .loom file",
    _table: "a table",
}


_OPTIONS = {
    _h5ad: ("transpose",),
    _h5_10x: ("genome",),
    _mtx_folder: ("genome",),
    _loom: (),
    _table: ("transpose", "labels"),
}


def _reader(path: Path) -> Callable[..., AnnData]:
    """Return the reader of a file: of HDF5 the content decides, where it can be opened."""
    if path.is_dir():
        return _mtx_folder
    by_suffix = {".h5ad": _h5ad, ".h5": _h5_10x, ".loom": _loom, ".csv": _table, ".tsv": _table}
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in by_suffix or (name.endswith(".gz") and by_suffix[suffix] is not _table):
        raise DataError(f"Expected {FORMATS}, but {path.name} is none of them: convert it to one of these.")
    return by_suffix[suffix] if by_suffix[suffix] is _table else _of_content(path) or by_suffix[suffix]


def _of_content(path: Path) -> Callable[..., AnnData] | None:
    """Return the reader of what an HDF5 file holds; None where it cannot be told."""
    import h5py

    try:
        with h5py.File(path) as file:
            if {"obs", "var"} <= set(file):
                return _h5ad
            if {"row_attrs", "col_attrs"} <= set(file):
                return _loom
            return _h5_10x if any(f"{name}/barcodes" in file for name in file) else None
    except OSError:
        return None
