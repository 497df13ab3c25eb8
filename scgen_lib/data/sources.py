"""What the public sources publish, as objects of R or as text, and what recipes make of it."""

import contextlib
import gzip
import tarfile
import warnings
import zlib
from collections.abc import Iterator, Sized
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile, is_zipfile

import numpy as np
import pandas as pd
import rdata
from anndata import AnnData
from scipy import sparse

from scgen_lib.data.readers import Source
from scgen_lib.errors import DataError
from scgen_lib.files import expanded


def rda(path: str | Path) -> Any:
    """Return the one object of an R data file (``.rda``, ``.RData``), a list as a dict."""
    with warnings.catch_warnings():
        # sparse matrices and model objects have no constructor in rdata; `from_dgc` builds the former
        warnings.filterwarnings("ignore", message="Missing constructor", category=UserWarning)
        content = rdata.read_rda(path)
    return next(iter(content.values()))


def from_dgc(matrix: Any) -> tuple[sparse.csc_matrix, np.ndarray, np.ndarray]:
    """Return an R ``dgCMatrix`` as a matrix with the names of its rows and of its columns, the way it lies in R."""
    values = sparse.csc_matrix((matrix.x, matrix.i, matrix.p), shape=tuple(matrix.Dim))
    return values, *matrix.Dimnames


def genes_by_cells(source: Source, sep: str, name: str) -> tuple[sparse.csr_matrix, list[str], pd.Index]:
    """Return a text table of genes × cells, sparse, with its genes and its cells; `name` is the file's in messages.

    It is read by bands of genes: as a dense table, 20,000 genes of 4,700 cells would take 740 MB.
    """
    bands, genes = [], []
    # a gene may be called `nan`; a count that is missing is then text, and refused
    for band in pd.read_csv(source, sep=sep, index_col=0, chunksize=2000, na_filter=False):
        if len(texts := band.select_dtypes(exclude="number").columns):
            raise DataError(
                f"expected a number for every gene and cell of {name}, got text in {len(texts)} cells (first: "
                f"{texts[0]!r}): remove the file and fetch it again"
            )
        bands.append(sparse.csr_matrix(band.to_numpy()))
        genes.extend(band.index)
    return sparse.vstack(bands, format="csr"), genes, band.columns


@contextlib.contextmanager
def only_member(path: Path, ending: str) -> Iterator[IO[bytes]]:
    """Open the one file of an archive whose name ends so, or the file itself where it is no archive.

    The archive is a ``.zip``, a ``.tar`` (compressed or not) or a ``.gz`` of one file: the content decides, and so does
    not matter under which name it lies. What a Mac adds to archives is passed over.
    """
    if is_zipfile(path):
        with ZipFile(path) as archive, archive.open(_only(archive.namelist(), path, ending)) as member:
            yield member
    elif tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            files = [entry.name for entry in archive if entry.isfile()]
            yield archive.extractfile(_only(files, path, ending))
    else:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as member:
            yield member


def _only(names: list[str], path: Path, ending: str) -> str:
    found = [name for name in names if name.endswith(ending) and not Path(name).name.startswith("._")]
    if len(found) != 1:
        raise DataError(
            f"expected one file {ending} in {path.name}, got {len(found)} ({len(names)} files in all): remove it and "
            "fetch it again"
        )
    return found[0]


def transcript_symbols(path: str | Path) -> pd.Series:
    """Read which gene each transcript is of, from a table of the UCSC genome browser: symbol by id, each id once.

    The text is separated by tabs, gzipped or not, and its first line may be a header that starts with ``#``: refGene
    (16 columns, transcript id in the 2nd, gene symbol in the 13th) or refFlat (fewer columns, symbol in the 1st, id in
    the 2nd).
    """
    path = expanded(path)
    try:
        width = len(pd.read_csv(path, sep="\t", header=None, nrows=1).columns)
        columns = {1: "id", 12: "symbol"} if width == 16 else {0: "symbol", 1: "id"}
        table = pd.read_csv(path, sep="\t", header=None, usecols=list(columns), dtype=str, comment="#", na_filter=False)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(
            f"expected a table of gene symbols and transcript ids in {path}, got "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}: give a file like UCSC's refGene or "
            "refFlat"
        ) from error
    # a transcript that lies at several places has a line for each
    table = table.rename(columns=columns).drop_duplicates("id").set_index("id")["symbol"]
    return table[table != ""]


def rounded(values: np.ndarray | sparse.csr_matrix, name: str) -> np.ndarray | sparse.csr_matrix:
    """Whole numbers behind values that were computed from counts; refused where they are none."""
    entries = values.data if sparse.issparse(values) else values
    whole = np.rint(entries)
    # float32 logarithms leave at most 0.08 in the public file, values that are no counts about 0.5
    if (worst := np.abs(entries - whole).max()) > 0.15:
        raise DataError(
            f"expected the values of {name} to come from counts, got one {worst:.2f} from an integer: fetch it again"
        )
    if not sparse.issparse(values):
        return whole
    values.data = whole
    values.eliminate_zeros()
    return values


def from_genes_by_cells(x: np.ndarray | sparse.spmatrix, genes: np.ndarray, cells: np.ndarray) -> AnnData:
    """Values as they lie in R, (G, N), and their names → cells × genes."""
    obs, var = (pd.DataFrame(index=np.asarray(names, dtype=str)) for names in (cells, genes))
    return AnnData(x.T.tocsr() if sparse.issparse(x) else x.T, obs=obs, var=var)


def one_each(labels: Sized, stated: Path, cells: Sized, source: Path) -> None:
    """Refuse labels that are not as many as the cells."""
    if len(labels) != len(cells):
        raise DataError(
            f"expected a label in {stated.name} for each of the {len(cells)} cells of {source.name}, got "
            f"{len(labels)}: remove both and fetch them again"
        )


def unnamed(x: np.ndarray | sparse.spmatrix) -> AnnData:
    """Cells and genes numbered from 1, for sources that name neither."""
    obs, var = (
        pd.DataFrame(index=[f"{what}_{i}" for i in range(1, n + 1)])
        for what, n in zip(("cell", "gene"), x.shape, strict=True)
    )
    return AnnData(x, obs=obs, var=var)


def numbered(classes: np.ndarray) -> pd.Categorical:
    """Class numbers as categories in numerical order."""
    numbers = np.asarray(classes).ravel().astype(int)
    return pd.Categorical(numbers).rename_categories(str)


def with_spike_ins(adata: AnnData) -> AnnData:
    """Mark the spike-ins of the ERCC in ``var``."""
    adata.var["spike_in"] = adata.var_names.str.startswith("ERCC-")
    return adata
