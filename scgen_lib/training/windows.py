"""Mini-batches of an epoch, cut into windows that one program walks through."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from scgen_lib.data.stored import Stored
from scgen_lib.errors import InputError
from scgen_lib.training.arrays import Arrays

# A window of streamed, dense mini-batches takes at most about this much memory.
WINDOW_BYTES = 64 << 20
# So many windows are made ahead: of a small net they last about as long as the next pool takes to be read.
AHEAD = 3
# Mini-batches per call when the data are resident: enough to hide the call, few enough for a lively progress bar.
WINDOW_BATCHES = 256
# XLA takes about as long to compile an operation as some 3,000 calls of it lose outside of an XLA program.
XLA_PAYS = 3000
# Bytes: TensorFlow takes an array as it is if its address is a multiple of this.
ALIGNMENT = 64

# From a seeded generator, the training cells and the batch size to the cells of one epoch.
Order = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]


def shuffled(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Every cell once an epoch, in an order drawn anew."""
    return rng.permutation(rows)


def in_file_order(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Every cell once an epoch, as they stand."""
    return rows


def shuffling(x: np.ndarray | sp.csr_matrix | Stored) -> Order:
    """How cells are shuffled: in memory as `shuffled` does; on disk so that few places of the file are read at a time.

    There, runs of neighbouring training cells come in an order drawn anew for every epoch, and the cells of some runs,
    as many as are held in memory at a time, are shuffled among each other. Every cell comes once an epoch.
    """
    if not isinstance(x, Stored):
        return shuffled
    run, pool = x.neighbours, x.pool

    def in_pools(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
        runs = np.split(np.sort(rows), np.arange(run, len(rows), run))
        cells = np.concatenate([runs[i] for i in rng.permutation(len(runs))])
        for start in range(0, len(cells), pool):
            rng.shuffle(cells[start : start + pool])
        return cells

    return in_pools


def exactly(steps: int, order: Order) -> Order:
    """Epochs of so many full mini-batches, however often they go through the cells."""

    def epoch(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
        lap = order(rng, rows, batch_size)
        laps = [lap, *(order(rng, rows, batch_size) for _ in range(len(lap) and steps * batch_size // len(lap)))]
        return np.concatenate(laps)[: steps * batch_size]

    return epoch


class _Pool:
    """The cells of an epoch in their order, read from disk some at a time for all arrays that are made of them."""

    def __init__(self, stored: Stored):
        self.stored, self.arrays = stored.bare(), {}
        self.cells, self.part = np.zeros(0, int), range(0)

    @classmethod
    def of(cls, arrays: Arrays) -> list["_Pool"]:
        """Return as many as there are kinds of cells on disk."""
        pools: list[_Pool] = []
        for name, a in arrays.items():
            if isinstance(a, Stored):
                if not any(a.same_cells(pool.stored) for pool in pools):
                    pools.append(cls(a))
                next(pool for pool in pools if a.same_cells(pool.stored)).arrays[name] = a
        return pools

    def begin(self, cells: np.ndarray) -> None:
        """Take the cells of an epoch; what is held stays where they are those of the last one."""
        if not np.array_equal(cells, self.cells):
            self.cells, self.part = cells, range(0)
        # nothing is won by holding cells that are walked through as they stand, unless all of them can stay
        in_pools = len(cells) <= self.stored.pool or (np.diff(cells) < 0).any()
        self.size = self.stored.pool if in_pools else self.stored.step

    def write(self, out: dict[str, np.ndarray], start: int, stop: int) -> None:
        """Write some cells of the epoch, dense, to where their arrays begin."""
        position = start
        while position < stop:
            if position not in self.part:
                first = position - position % self.size
                self.part = range(first, min(first + self.size, len(self.cells)))
                self.held = None  # before the next one is there
                # as they stand in the file: a cell is moved when it is written, and not before
                cells = self.cells[first : self.part.stop]
                order = np.argsort(cells, kind="stable")
                self.held, self.place = self.stored[cells[order]].read(), np.argsort(order)
            end = min(stop, self.part.stop, position + self.stored.step)
            block = self.held[self.place[position - self.part.start : end - self.part.start]]
            for name, stored in self.arrays.items():
                _fill(out[name][position - start : end - start], stored.applied(block))
            position = end


def _fill(out: np.ndarray, values: np.ndarray | sp.csr_matrix) -> None:
    if sp.issparse(values):
        values.astype("float32", copy=False).toarray(out=out)
    else:
        out[...] = values


def _aligned(*shape: int) -> np.ndarray:
    """Return float32 that begins where TensorFlow wants it to, which else copies it."""
    room = np.empty(math.prod(shape) * 4 + ALIGNMENT, "uint8")
    begin = -room.ctypes.data % ALIGNMENT
    return room[begin : begin + math.prod(shape) * 4].view("float32").reshape(shape)


class Windows:
    """The epochs of a training: windows of mini-batches of equal size, and the smaller last one of an epoch.

    Resident data are gathered by index, and a variable holds the indices of the epoch, so that an element of the data
    set is no more than the number of a window; streamed data travel in the elements themselves, which are made ahead of
    the training and beyond the end of its epoch.
    """

    def __init__(
        self,
        arrays: Arrays,
        rows: np.ndarray,
        batch_size: int,
        resident: bool,
        epochs: int,
        order: Order | None = None,
        seed: int = 0,
    ):
        self.arrays, self.rows, self.batch_size, self.resident = arrays, rows, batch_size, resident
        self.order, self.seed = order or in_file_order, seed
        batch_bytes = sum(math.prod(a.shape[1:]) * 4 for a in arrays.values()) * batch_size
        cells = self._cells_of(0)
        if len(cells) == 0:
            raise InputError(
                f"expected at least one mini-batch, got {len(rows)} training cells for a batch size of {batch_size}: "
                "lower the batch size"
            )
        self.full_batches, self.last_size = divmod(len(cells), batch_size)
        self.xla_pays = epochs * self.full_batches >= XLA_PAYS
        most = WINDOW_BATCHES if resident else max(1, WINDOW_BYTES // batch_bytes)
        self.window_batches = max(1, min(most, self.full_batches))
        self.n_windows = max(1, -(-self.full_batches // self.window_batches))
        if resident:
            self.indices = tf.Variable(self._padded(cells), dtype=tf.int32, trainable=False)
        self.pools = _Pool.of(arrays)

    def _cells_of(self, epoch: int) -> np.ndarray:
        return np.asarray(self.order(np.random.default_rng([self.seed, epoch]), self.rows, self.batch_size))

    def _padded(self, cells: np.ndarray) -> np.ndarray:
        """Cells of the epoch in windows of one shape, so that one program serves them, and those of the last batch.

        What the last window lacks is never walked.
        """
        full = self.full_batches * self.batch_size
        padding = np.zeros(self.n_windows * self.window_batches * self.batch_size - full, "int32")
        return np.concatenate([cells[:full], padding, cells[full:]])

    def begin_epoch(self, epoch: int, logs: dict | None = None) -> None:
        """Order the cells of an epoch by seed and epoch alone, so that a resumed run repeats it."""
        if self.resident:
            self.indices.assign(self._padded(self._cells_of(epoch)))

    def unpack(self, element: tuple) -> tuple[dict[str, tf.Tensor], tf.Tensor, dict[str, tf.Tensor]]:
        """Window (window_batches, B, …), how many of its mini-batches count, and the last mini-batch (r, …) or none."""
        if not self.resident:
            return element[0]
        number = tf.cast(element, tf.int32)
        cut = self.n_windows * self.window_batches * self.batch_size
        windows = tf.reshape(self.indices[:cut], (self.n_windows, self.window_batches, self.batch_size))
        last = tf.cast(number == self.n_windows - 1, tf.int32)
        count = tf.minimum(self.window_batches, self.full_batches - number * self.window_batches)
        return {"index": windows[number]}, count, {"index": self.indices[cut : cut + last * self.last_size]}

    def dataset(self, epochs: range = range(1)) -> tf.data.Dataset:
        """Numbers of the windows of an epoch, or the streamed windows of some epochs."""
        # Nothing here is to be tuned, and the thread that would do it keeps an epoch's end waiting for up to 60 ms.
        options = tf.data.Options()
        options.autotune.enabled = False
        if self.resident:
            return tf.data.Dataset.range(self.n_windows).with_options(options)

        def spec(*leading: int | None) -> dict[str, tf.TensorSpec]:
            return {name: tf.TensorSpec((*leading, *a.shape[1:]), tf.float32) for name, a in self.arrays.items()}

        element = ((spec(self.window_batches, self.batch_size), tf.TensorSpec((), tf.int32), spec(None)),)

        def windows() -> Iterator[tuple]:
            for epoch in epochs:
                yield from self._stream(epoch)

        data = tf.data.Dataset.from_generator(windows, output_signature=element)
        data = data.apply(tf.data.experimental.assert_cardinality(len(epochs) * self.n_windows)).prefetch(AHEAD)
        return data.with_options(options)

    def _stream(self, epoch: int) -> Iterator[tuple]:
        cells = self._cells_of(epoch)
        for pool in self.pools:
            pool.begin(cells)
        full = self.full_batches * self.batch_size

        def take(start: int, stop: int, *leading: int) -> dict[str, np.ndarray]:
            rows, n = cells[start:stop], math.prod(leading)
            found = {name: _aligned(n, *a.shape[1:]) for name, a in self.arrays.items()}
            for name, a in self.arrays.items():
                if not isinstance(a, Stored):
                    _fill(found[name][: len(rows)], a[rows])
            for pool in self.pools:
                pool.write(found, start, stop)
            for values in found.values():
                values[len(rows) :] = 0  # what the last window lacks is never walked
            return {name: values.reshape(*leading, *values.shape[1:]) for name, values in found.items()}

        for number in range(self.n_windows):
            first = number * self.window_batches
            count = min(self.window_batches, self.full_batches - first)
            start = first * self.batch_size
            window = take(start, start + count * self.batch_size, self.window_batches, self.batch_size)
            end = len(cells) if number == self.n_windows - 1 else full
            yield ((window, np.int32(count), take(full, end, end - full)),)
