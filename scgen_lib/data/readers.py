"""Readers of the formats in which a user's own counts may stand.

Every reader returns cells × genes with the raw counts in ``X``; none of them checks the values. Names and labels are
the texts of the file: ``0001``, ``1.10``, ``NA`` and ``nan`` stay what they are.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import itertools
import warnings
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from scgen_lib.data import checks
from scgen_lib.data.stored import Stored, on_disk
from scgen_lib.errors import DataError, InputError, ParameterError, told
from scgen_lib.files import expanded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import coo_matrix

Source = str | Path | IO[bytes]
FORMATS = ".h5ad, 10x .h5, a 10x mtx folder, .loom, .csv[.gz] or .tsv[.gz]"


def read(path: str | Path, *, transpose: bool = False, labels: str | None = None, genome: str | None = None) -> AnnData:
    """Read a user's file of counts into cells × genes, raw counts in ``X``; parameters are those of `load`.

    The formats are ``.h5ad``, 10x ``.h5`` (Cell Ranger 2 or 3), a 10x ``mtx`` folder (2 or 3, gzipped or not),
    ``.loom``, and a ``.csv`` / ``.tsv`` table, gzipped or not, with commas, semicolons or tabs. Of HDF5 files the
    content decides, not the name.
    """
    path = expanded(path)
    if not path.exists():
        raise DataError(f"expected counts in {path}, got no such file or folder: correct the path")
    reader = _reader(path)
    said, has = _READERS[reader]
    options = {"transpose": transpose, "labels": labels, "genome": genome}
    for name, serves in (("transpose", ".csv, .tsv and .h5ad files"), ("genome", "10x files")):
        if options[name] and name not in has:
            raise ParameterError(f"expected {name} with {serves} alone, got {path.name}, {said}: leave it out")
    try:
        with warnings.catch_warnings():
            # gene symbols repeat in every 10x reference; `load` settles that
            warnings.filterwarnings("ignore", message=".*names are not unique", category=UserWarning)
            adata = reader(path, **{name: options[name] for name in has})
    except InputError:
        raise
    except (PermissionError, BlockingIOError) as error:
        raise DataError(told(error, path)) from error
    except (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, zlib.error, csv.Error) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"expected {said} in {path.name}, got what cannot be read as one ({reason}): check that the file is whole "
            "and of that format"
        ) from error
    if 0 in adata.shape:
        raise DataError(
            f"expected cells and genes in {path.name}, got {said} of {adata.n_obs} cells × {adata.n_vars} genes: check "
            "that it is whole and of that format"
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
            f"expected features of the type 'Gene Expression', got {found}: if these are genes, write that type into "
            "the third column of the features, or leave the column out"
        )
    return adata if genes.all() else adata[:, genes].copy()


def _h5ad(path: Path, transpose: bool) -> AnnData:
    """Prefer ``layers["counts"]``, then integer-valued ``raw.X``, then integer-valued ``X``."""
    import anndata

    adata = anndata.read_h5ad(path)
    if "counts" in adata.layers:
        adata.X = adata.layers.pop("counts")
    elif adata.raw is not None and integers(adata.raw.X):
        adata = adata.raw.to_adata()
    elif adata.X is None or not integers(adata.X):
        raise without_counts(adata, path.name)
    adata.raw = None
    return adata.T.copy() if transpose else adata


def without_counts(adata: AnnData, name: str) -> DataError:
    """Return what is to be said of an .h5ad without counts, with the layer that may be meant."""
    # to new versions of anndata, X is a layer without a name
    layers = {key: integers(x) for key, x in adata.layers.items() if key}
    whole = next((key for key, is_whole in layers.items() if is_whole), None)
    hint = f"the layers are {', '.join(map(repr, layers))}" if layers else "there is no layer"
    hint += f", of which {whole!r} holds integers: rename it to 'counts'" if whole else ": give raw counts"
    return DataError(
        f"expected raw counts in layers['counts'], raw.X or X of {name}, got no integers: they look log-transformed or "
        f"normalised, and {hint}"
    )


def _h5_10x(path: Path, genome: str | None) -> AnnData:
    import h5py
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
            f"expected one of the genomes of {path.name}, {', '.join(genomes) or '(none is named)'}, got {genome!r}: "
            "choose with load(..., genome=NAME), and save what it returns as .h5ad for a notebook"
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
                f"expected one {' or '.join(stems)} (.gz or not) in {path}, got {len(found)}: give a folder with the "
                "three files of one 10x sample"
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
                f"expected {' or '.join(names)} in {group.name} of {path.name}, got none of them: name the entries"
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
            f"expected numbers in every gene of {path.name}, got text in {len(texts)} {what} (first: {texts[0]!r}): "
            f"name the {what[:-1]} of the labels with labels=NAME and remove the others"
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
            f"expected names separated by commas, semicolons or tabs in the first line of {path.name}, got none of "
            "them: save the table with one of these separators"
        )
    return best


def _layout(path: Path, sep: str) -> tuple[int, list[str], int]:
    """Return how many lines the header ends after, the names of the columns behind the first, and their number."""
    (start, header), *first = itertools.islice(_lines(path, sep), 2)
    if not first:
        raise DataError(f"expected a row for each cell in {path.name}, got a header alone: check its export")
    width = len(first[0][1])
    # R leaves out the name above the names
    if width - len(header) not in (0, 1):
        raise DataError(
            f"expected as many entries in every line of {path.name}, got {len(header)} in the header and {width} "
            "in the next line: check its separators"
        )
    return start, header[len(header) - width + 1 :], width


def integers(x: Any) -> bool:
    """Say whether a matrix holds what can be counts; one on disk is read up to where it does not."""
    if on_disk(x):
        return all(integers(block) for _, block in Stored.of(x).blocks())
    values = x.data if hasattr(x, "indptr") else np.asarray(x)
    if values.dtype.kind == "f":
        # NaN and infinity are for the checks to name
        values = values[np.isfinite(values)]
    return values.dtype.kind in "biu" or checks.rounded(values) is not None


# what each reads, in words, and which of the options it has
_READERS = {
    _h5ad: ("an .h5ad file", ("transpose",)),
    _h5_10x: ("a 10x .h5 file", ("genome",)),
    _mtx_folder: ("a 10x mtx folder", ("genome",)),
    _loom: ("a .loom file", ()),
    _table: ("a table", ("transpose", "labels")),
}


def _reader(path: Path) -> Callable[..., AnnData]:
    """Return the reader of a file: of HDF5 the content decides, where it can be opened."""
    if path.is_dir():
        return _mtx_folder
    by_suffix = {".h5ad": _h5ad, ".h5": _h5_10x, ".loom": _loom, ".csv": _table, ".tsv": _table}
    name = path.name.lower()
    suffix = Path(name.removesuffix(".gz")).suffix
    if suffix not in by_suffix or (name.endswith(".gz") and by_suffix[suffix] is not _table):
        raise DataError(f"expected {FORMATS}, got {path.name}: convert it to one of these")
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
