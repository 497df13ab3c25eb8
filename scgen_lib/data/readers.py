"""Readers of file formats: what a user's own counts may stand in, and what the public sources publish.

Every reader of a user's file returns cells × genes with the raw counts in ``X``; none of them checks the values.
"""

from __future__ import annotations

import hashlib
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scgen_lib.errors import DataError, InputError, ParameterError, told
from scgen_lib.files import expanded

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

    Source = str | Path | IO[bytes]

FORMATS = ".h5ad, 10x .h5, a 10x mtx folder, .loom, .csv[.gz] or .tsv[.gz]"


def read(path: str | Path, *, transpose: bool = False, labels: str | None = None) -> AnnData:
    """Read a user's file of counts.

    Parameters
    ----------
    path
        An ``.h5ad``, a 10x ``.h5`` (Cell Ranger 2 or 3), a 10x ``mtx`` folder (2 or 3, gzipped or not), a ``.loom``,
        or a ``.csv`` / ``.tsv`` table, gzipped or not.
    transpose
        For tables only: the file is genes × cells.
    labels
        For tables only: the column (the row, with ``transpose``) that holds the labels and is no gene.

    Returns
    -------
    AnnData
        Cells × genes, raw counts in ``X``.

    Raises
    ------
    DataError
        If the file is absent, of another format, truncated, or holds no counts.
    ParameterError
        If ``transpose`` is asked of anything but a table.
    """
    path = expanded(path)
    if not path.exists():
        raise DataError(f"Expected counts in {path}, but there is no such file or folder: correct the path.")
    reader = _reader(path)
    if transpose and reader is not _table:
        raise ParameterError(
            f"transpose serves .csv and .tsv tables, but {path.name} is {_SAID[reader]}: leave it out."
        )
    try:
        with warnings.catch_warnings():
            # gene symbols repeat in every 10x reference; `load` settles that
            warnings.filterwarnings("ignore", message=".*names are not unique", category=UserWarning)
            return reader(path, transpose, labels) if reader is _table else reader(path)
    except InputError:
        raise
    except (PermissionError, BlockingIOError) as error:
        raise DataError(told(error, path)) from error
    except (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, IndexError, zlib.error) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"{path.name} could not be read as {_SAID[reader]} ({reason}): check that the file is whole and of "
            "that format."
        ) from error


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file, or of the names and hashes of a folder's files."""
    path = Path(path)
    if path.is_dir():
        listing = "".join(f"{file.name} {sha256(file)}\n" for file in sorted(path.iterdir()) if file.is_file())
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

    var, obs = (pd.read_csv(table, sep="\t", header=None, dtype=str) for table in (genes, cells))
    x = sparse.csr_matrix(matrix_market(matrix).T)
    adata = AnnData(
        x,
        obs=pd.DataFrame(index=obs[0].to_numpy()),
        var=pd.DataFrame({"gene_ids": var[0].to_numpy()}, index=var[1 if 1 in var else 0].to_numpy()),
    )
    # antibodies and guides of Cell Ranger 3 are not genes
    return adata[:, (var[2] == "Gene Expression").to_numpy()].copy() if 2 in var else adata


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
    for band in pd.read_csv(source, sep=sep, index_col=0, chunksize=2000):
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
        table = pd.read_csv(path, sep="\t", header=None, usecols=list(columns), dtype=str, comment="#")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            f"Expected a table of gene symbols and transcript ids in {path}, but it cannot be read as one "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): give a file like UCSC's refGene "
            "or refFlat."
        ) from error
    # a transcript that lies at several places has a line for each
    return table.rename(columns=columns).dropna().drop_duplicates("id").set_index("id")["symbol"]


def _h5ad(path: Path) -> AnnData:
    """Prefer ``layers["counts"]``, then integer-valued ``raw.X``, then integer-valued ``X``."""
    import anndata

    adata = anndata.read_h5ad(path)
    if "counts" in adata.layers:
        adata.X = adata.layers.pop("counts")
    elif adata.raw is not None and _integers(adata.raw.X):
        adata = adata.raw.to_adata()
    elif adata.X is None or not _integers(adata.X):
        raise DataError(
            f"Expected raw counts in layers['counts'], raw.X or X of {path.name}, but none holds integers: they look "
            "log-transformed or normalised, give the file with raw counts."
        )
    adata.raw = None
    return adata


def _h5_10x(path: Path) -> AnnData:
    import scanpy as sc

    return sc.read_10x_h5(path)


def _mtx_folder(path: Path) -> AnnData:
    def find(*stems: str) -> Path:
        found = [file for file in sorted(path.iterdir()) if file.name.removesuffix(".gz").endswith(stems)]
        if len(found) != 1:
            raise DataError(
                f"Expected one {' or '.join(stems)} (.gz or not) in {path}, but there are {len(found)}: give a folder "
                "with the three files of one 10x sample."
            )
        return found[0]

    return mtx_10x(find("features.tsv", "genes.tsv"), find("barcodes.tsv"), find("matrix.mtx"))


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
        var = frame(file["row_attrs"], "Gene", "Accession").rename(columns={"Accession": "gene_ids"})
        obs = frame(file["col_attrs"], "CellID", "obs_names")
        # a band of genes at a time: the matrix is stored dense, whatever its zeros
        bands = [sparse.csc_matrix(file["matrix"][i : i + 2048].T) for i in range(0, len(var), 2048)]
    return AnnData(sparse.hstack(bands, format="csr"), obs=obs, var=var)


def _table(path: Path, transpose: bool, labels: str | None) -> AnnData:
    import pandas as pd
    from anndata import AnnData

    sep = "\t" if ".tsv" in path.suffixes else ","
    # a first line of its own: pandas renames repeated columns without a word
    header = pd.read_csv(path, sep=sep, header=None, nrows=1, dtype=str).iloc[0].to_list()
    table = pd.read_csv(path, sep=sep, index_col=0)
    table.columns = header[len(header) - table.shape[1] :]
    table.index = table.index.astype(str)
    table = table.T if transpose else table
    obs = pd.DataFrame(index=table.index)
    if labels is not None and labels in table:
        obs[labels] = table.pop(labels).to_numpy()
    if transpose:
        # a row of labels has made text of every column
        table = table.apply(pd.to_numeric)
    texts = [name for name, kind in zip(table.columns, table.dtypes, strict=True) if kind.kind not in "biuf"]
    if texts:
        raise DataError(
            f"Expected numbers in every gene of {path.name}, but {len(texts)} columns hold text (first: {texts[0]!r}): "
            "name the column of the labels with labels=NAME and remove the others."
        )
    return AnnData(table.to_numpy(), obs=obs, var=pd.DataFrame(index=table.columns.astype(str)))


def _integers(x: Any) -> bool:
    values = x.data if hasattr(x, "indptr") else np.asarray(x)
    if values.dtype.kind == "f":
        # NaN and infinity are for the checks to name
        values = values[np.isfinite(values)]
    return values.dtype.kind in "biu" or bool(np.all(values == np.rint(values)))


_SAID = {
    _h5ad: "an .h5ad file",
    _h5_10x: "a 10x .h5 file",
    _mtx_folder: "a 10x mtx folder",
    _loom: "a .loom file",
    _table: "a table",
}


def _reader(path: Path) -> Callable[..., AnnData]:
    if path.is_dir():
        return _mtx_folder
    by_suffix = {".h5ad": _h5ad, ".h5": _h5_10x, ".loom": _loom, ".csv": _table, ".tsv": _table}
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in by_suffix or (path.suffix == ".gz" and by_suffix[suffix] is not _table):
        raise DataError(f"Expected {FORMATS}, but {path.name} is none of them: convert it to one of these.")
    return by_suffix[suffix]
