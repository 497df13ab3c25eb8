"""Counts that stay on disk: what a CSR matrix is in memory, as far as a training and a walk over cells need it."""

from __future__ import annotations

import functools
import hashlib
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    Block = np.ndarray | csr_matrix

# Counts on disk that take no more than this as dense float32 are read into memory, where a training is faster.
IN_MEMORY_BYTES = 512 << 20
# What is held of a file at a time: in a pass over its cells, and to shuffle the cells of an epoch.
BLOCK_BYTES = 16 << 20
POOL_BYTES = 128 << 20
# Neighbouring cells that are read as one, and the largest gap between two cells over which it pays to read on.
NEIGHBOURS, GAP = 64, 32


def on_disk(x: object) -> bool:
    """Say whether a matrix is one that a file holds by cells: CSR or dense, in HDF5 or zarr."""
    import h5py
    from anndata.abc import CSRDataset

    # what is not loaded has no arrays
    zarr = sys.modules.get("zarr")
    return isinstance(x, (Stored, CSRDataset, h5py.Dataset, *([zarr.Array] if zarr else [])))


class _File:
    """Rows of a matrix in a file, from one to another."""

    def __init__(self, source: Any):
        self.source, self.shape, self.dtype = source, tuple(source.shape), np.dtype(source.dtype)
        self.sparse = hasattr(source, "group")
        if self.sparse:
            self.values, self.columns = source.group["data"], source.group["indices"]
            self.ends = np.asarray(source.group["indptr"][:])
            entries = int(self.ends[-1]) / max(self.shape[0], 1)
            row_bytes = entries * (self.values.dtype.itemsize + self.columns.dtype.itemsize)
            chunk, squeezed = self.values.chunks, getattr(self.values, "compression", True)
            # of a compressed chunk all is read, however little is wanted
            least = math.ceil(chunk[0] / max(entries, 1)) if chunk and squeezed else 1
        else:
            row_bytes = self.shape[1] * self.dtype.itemsize
            least = source.chunks[0] if source.chunks else 1
        self.row_bytes = max(row_bytes, 1)
        self.neighbours = max(NEIGHBOURS, least)

    def rows(self, start: int, stop: int) -> csr_matrix:
        from scipy import sparse

        if not self.sparse:
            return sparse.csr_matrix(self.source[start:stop])
        low, high = int(self.ends[start]), int(self.ends[stop])
        parts = (self.values[low:high], self.columns[low:high], self.ends[start : stop + 1] - low)
        return sparse.csr_matrix(parts, (stop - start, self.shape[1]))


@dataclass(frozen=True)
class Sums:
    """What one pass over raw counts tells: the sums of cells (N,) and genes (G,), float64, and whether all are counts.

    `clean` says that every value is finite, not negative and an integer.
    """

    cells: np.ndarray
    genes: np.ndarray
    clean: bool


class Stored:
    """Cells × genes on disk, of which rows, and functions of rows, are taken without reading them.

    Parameters
    ----------
    source
        A matrix in a file, see `on_disk`.

    Attributes
    ----------
    source
        As given.
    shape
        Cells N and genes G, or columns after `map`.
    dtype
        Of the values in the file.
    pool, neighbours
        How many cells are held to be shuffled, and how many that stand beside each other are read as one.

    Notes
    -----
    ``stored[rows]`` and `map` return another `Stored`; `read` and `blocks` read. Rows may be in any order and repeat.
    ``stored[rows, columns]`` reads, as other matrices in files do, which is what a view of AnnData asks for.
    """

    def __init__(self, source: Any):
        self.source, self._file = source, _File(source)
        self._rows: np.ndarray | None = None
        self._functions: tuple[Callable[[Block], Block], ...] = ()
        self.shape, self.dtype = self._file.shape, self._file.dtype
        self.neighbours = self._file.neighbours
        self.pool = max(self.neighbours, int(POOL_BYTES / self._file.row_bytes))

    def _like(self, **changes: object) -> Stored:
        other = object.__new__(Stored)
        kept = {name: value for name, value in vars(self).items() if name != "sums"}
        vars(other).update(kept | changes)
        return other

    def __getitem__(self, rows: Any) -> Stored:
        """Return the cells of an index, a mask or a slice."""
        if isinstance(rows, tuple):
            rows, columns = (part.ravel() if isinstance(part, np.ndarray) else part for part in rows)
            return self[rows].columns(np.arange(self.shape[1])[columns]).to_memory()
        chosen = np.arange(self.shape[0])[rows] if self._rows is None else self._rows[rows]
        if self._rows is None and len(chosen) == self.shape[0] and (np.diff(chosen) == 1).all():
            return self
        return self._like(_rows=chosen, shape=(len(chosen), self.shape[1]))

    def map(self, function: Callable[[Block], Block], columns: int | None = None) -> Stored:
        """Return what a function makes of the cells, block by block, which may have another number of columns."""
        shape = (self.shape[0], self.shape[1] if columns is None else columns)
        return self._like(_functions=(*self._functions, function), shape=shape)

    @staticmethod
    def of(x: Any) -> Stored:
        """Return a matrix in a file as it is taken here."""
        return x if isinstance(x, Stored) else Stored(x)

    def columns(self, positions: np.ndarray) -> Stored:
        """Return some genes (or columns, after `map`) in the order asked for."""
        if len(positions) == self.shape[1] and (np.diff(positions) == 1).all():
            return self
        return self.map(lambda x: x[:, positions], len(positions))

    @property
    def sparse(self) -> bool:
        """Whether the file has it as CSR."""
        return self._file.sparse

    @property
    def nbytes(self) -> int:
        """About how many bytes of the file these cells take, with all genes that it has."""
        return int(self.shape[0] * self._file.row_bytes)

    def copy(self) -> Stored:
        """Return itself: nothing here changes."""
        return self

    def to_memory(self) -> Block:
        """Return all cells, in memory: CSR or dense as in the file, read block by block."""
        from scipy import sparse

        blocks = [block for _, block in self.blocks()]
        if not blocks:
            return self.read()
        if isinstance(blocks[0], np.ndarray):
            return np.concatenate(blocks)
        whole = sparse.vstack(blocks, format="csr")
        return whole if self.sparse else whole.toarray()

    def read(self) -> Block:
        """Return all cells, in memory: CSR, or what the last function returns."""
        from scipy import sparse

        wanted = np.arange(self._file.shape[0]) if self._rows is None else self._rows
        order = np.argsort(wanted, kind="stable")
        ordered = wanted[order]
        # what a function makes on its way may be larger than the cells it is given
        step = self.step if self._functions else max(len(wanted), 1)
        starts = range(0, max(len(wanted), 1), step)
        parts = [self.applied(self._read(ordered[start : start + step])) for start in starts]
        block = parts[0]
        if len(parts) > 1:
            block = np.concatenate(parts) if isinstance(block, np.ndarray) else sparse.vstack(parts, format="csr")
        parts.clear()  # before there is a third copy
        return block[np.argsort(order)] if (order[:-1] > order[1:]).any() else block

    def _read(self, ordered: np.ndarray) -> csr_matrix:
        """Read cells that follow each other in the file."""
        from scipy import sparse

        most = max(1, int(BLOCK_BYTES / self._file.row_bytes / GAP))
        pieces = []
        for near in np.split(ordered, np.flatnonzero(np.diff(ordered) > GAP) + 1):
            contiguous = len(near) and len(near) == near[-1] - near[0] + 1 and (np.diff(near) == 1).all()
            step = len(near) if contiguous else most
            for start in range(0, len(near), max(step, 1)):
                piece = near[start : start + step]
                low = int(piece[0])
                block = self._file.rows(low, int(piece[-1]) + 1)
                pieces.append(block if contiguous else block[piece - low])
        if not pieces:
            return sparse.csr_matrix((0, self._file.shape[1]), dtype=self.dtype)
        return pieces[0] if len(pieces) == 1 else sparse.vstack(pieces, format="csr")

    def bare(self) -> Stored:
        """Return the cells as they are in the file, to which no function of `map` is applied."""
        return self._like(_functions=(), shape=(self.shape[0], self._file.shape[1]))

    def same_cells(self, other: Stored) -> bool:
        """Say whether another one is of the same cells of the same file, whatever functions are applied."""
        return self._file is other._file and self._rows is other._rows

    def applied(self, block: Block) -> Block:
        """Apply the functions of `map` to cells as they are in the file, which should be no more than `step`."""
        return functools.reduce(lambda values, function: function(values), self._functions, block)

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """Walk over the cells: the position of a block's first one, and the block."""
        for start in range(0, self.shape[0], self.step):
            yield start, self[start : start + self.step].read()

    @property
    def step(self) -> int:
        """How many cells are read, or given to the functions, at a time."""
        return max(1, int(BLOCK_BYTES / self._file.row_bytes))

    def _in_file_order(self) -> tuple[np.ndarray, Stored]:
        """Where the cells stand here, and the cells, as they follow each other in the file."""
        order = np.arange(self.shape[0]) if self._rows is None else np.argsort(self._rows, kind="stable")
        return order, self if self._rows is None else self[order]

    @functools.cached_property
    def sums(self) -> Sums:
        """Sums of cells and genes, and whether these are counts; one pass, and what it tells is kept."""
        cells, genes, clean = np.zeros(self.shape[0]), np.zeros(self.shape[1]), True
        order, walk = self._in_file_order()
        for start, block in walk.blocks():
            clean = clean and are_counts(block if isinstance(block, np.ndarray) else block.data)
            # float64 keeps the sums of small integer types from wrapping around
            of_cells = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
            cells[order[start : start + len(of_cells)]] = of_cells
            genes += np.asarray(block.sum(axis=0, dtype=np.float64)).ravel()
        return Sums(cells, genes, clean)

    def extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest value of every column, (G,) each, the zeros that are not stored among them."""
        low, high = np.full(self.shape[1], np.inf), np.full(self.shape[1], -np.inf)
        for _, block in self._in_file_order()[1].blocks():
            for found, reduce, of in ((low, np.minimum, block.min(axis=0)), (high, np.maximum, block.max(axis=0))):
                reduce(found, np.ravel(of.toarray() if hasattr(of, "toarray") else of), out=found)
        return low, high

    def max(self) -> float:
        """Largest value."""
        return float(self.extremes()[1].max())

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Means over the cells of every column and of its squares, (G,) float64 each."""
        total, square = np.zeros(self.shape[1]), np.zeros(self.shape[1])
        for _, block in self._in_file_order()[1].blocks():
            squares = block**2 if isinstance(block, np.ndarray) else block.multiply(block)
            total += np.asarray(block.sum(axis=0, dtype=np.float64)).ravel()
            square += np.asarray(squares.sum(axis=0, dtype=np.float64)).ravel()
        return total / self.shape[0], square / self.shape[0]

    def fingerprint(self) -> str:
        """SHA-256 of what is read, in hexadecimal."""
        digest = hashlib.sha256(str(self.shape).encode())
        for _, block in self.blocks():
            for part in (block,) if isinstance(block, np.ndarray) else (block.data, block.indices, block.indptr):
                digest.update(np.ascontiguousarray(part))
        return digest.hexdigest()


def per_cell(function: Callable[[Block], np.ndarray], x: Block | Stored) -> np.ndarray:
    """Apply a function of cells, (B, G) → (B, …), to a matrix in memory as one, to one on disk block by block."""
    if not isinstance(x, Stored):
        return function(x)
    return np.concatenate([function(block) for _, block in x.blocks()])


def of_columns(x: Block | Stored, positions: np.ndarray) -> Block | Stored:
    """Return some columns of a matrix in memory or on disk, in the order asked for."""
    return x.columns(positions) if isinstance(x, Stored) else x[:, positions]


def detected(x: Block | Stored) -> Block | Stored:
    """Say which genes are detected in which cells, (N, G) bool; on disk where the counts are."""
    return x.map(lambda block: block > 0) if isinstance(x, Stored) else x > 0


def are_counts(values: np.ndarray) -> bool:
    """Say whether all values are finite integers of 0 or more."""
    if values.dtype.kind not in "if":
        return True
    if values.dtype.kind == "i":
        return not (values < 0).any()
    return bool(np.isfinite(values).all() and (values >= 0).all() and (values == np.rint(values)).all())


def kept_on_disk(x: Any) -> bool:
    """Say whether a matrix is on disk, and too large to be read into memory at once."""
    return on_disk(x) and math.prod(x.shape) * 4 > IN_MEMORY_BYTES
