"""Mini-batches of an epoch, cut into windows that one program walks through."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from scgen_lib.errors import InputError
from scgen_lib.training.arrays import Arrays, dense

# A window of streamed, dense mini-batches takes at most about this much memory.
WINDOW_BYTES = 64 << 20
# Mini-batches per call when the data are resident: enough to hide the call, few enough for a lively progress bar.
WINDOW_BATCHES = 256
# XLA takes about as long to compile an operation as some 3,000 calls of it lose outside of an XLA program.
XLA_PAYS = 3000

# From a seeded generator, the training cells and the batch size to the cells of one epoch.
Order = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]


def shuffled(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Every cell once an epoch, in an order drawn anew."""
    return rng.permutation(rows)


def in_file_order(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Every cell once an epoch, as they stand."""
    return rows


class Windows:
    """The epochs of a training: windows of mini-batches of equal size, and the smaller last one of an epoch.

    Resident data are gathered by index, and a variable holds the indices of the epoch, so that an element of the data
    set is no more than the number of a window; streamed data travel in the elements themselves.
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
        self.cells = self._cells_of(0)
        if len(self.cells) == 0:
            raise InputError(
                f"expected at least one mini-batch, got {len(rows)} training cells for a batch size of {batch_size}: "
                "lower the batch size"
            )
        self.full_batches, self.last_size = divmod(len(self.cells), batch_size)
        self.xla_pays = epochs * self.full_batches >= XLA_PAYS
        most = WINDOW_BATCHES if resident else max(1, WINDOW_BYTES // batch_bytes)
        self.window_batches = max(1, min(most, self.full_batches))
        self.n_windows = max(1, -(-self.full_batches // self.window_batches))
        if resident:
            self.indices = tf.Variable(self._padded(), dtype=tf.int32, trainable=False)

    def _cells_of(self, epoch: int) -> np.ndarray:
        return np.asarray(self.order(np.random.default_rng([self.seed, epoch]), self.rows, self.batch_size))

    def _padded(self) -> np.ndarray:
        """Cells of the epoch in windows of one shape, so that one program serves them, and those of the last batch.

        What the last window lacks is never walked.
        """
        full = self.full_batches * self.batch_size
        padding = np.zeros(self.n_windows * self.window_batches * self.batch_size - full, "int32")
        return np.concatenate([self.cells[:full], padding, self.cells[full:]])

    def begin_epoch(self, epoch: int, logs: dict | None = None) -> None:
        """Order the cells of an epoch by seed and epoch alone, so that a resumed run repeats it."""
        self.cells = self._cells_of(epoch)
        if self.resident:
            self.indices.assign(self._padded())

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

    def dataset(self) -> tf.data.Dataset:
        """Numbers of the windows, or the streamed windows themselves."""
        # Nothing here is to be tuned, and the thread that would do it keeps an epoch's end waiting for up to 60 ms.
        options = tf.data.Options()
        options.autotune.enabled = False
        if self.resident:
            return tf.data.Dataset.range(self.n_windows).with_options(options)

        def spec(*leading: int | None) -> dict[str, tf.TensorSpec]:
            return {name: tf.TensorSpec((*leading, *a.shape[1:]), tf.float32) for name, a in self.arrays.items()}

        element = ((spec(self.window_batches, self.batch_size), tf.TensorSpec((), tf.int32), spec(None)),)
        data = tf.data.Dataset.from_generator(self._stream, output_signature=element)
        data = data.apply(tf.data.experimental.assert_cardinality(self.n_windows)).prefetch(2)
        return data.with_options(options)

    def _stream(self) -> Iterator[tuple]:
        per_window, last = self.window_batches * self.batch_size, self.cells[self.full_batches * self.batch_size :]
        for number in range(self.n_windows):
            count = min(self.window_batches, self.full_batches - number * self.window_batches)
            rows = np.zeros(per_window, self.cells.dtype)
            rows[: count * self.batch_size] = self.cells[number * per_window :][: count * self.batch_size]
            end = last if number == self.n_windows - 1 else last[:0]
            window = self._take(rows, self.window_batches, self.batch_size)
            yield ((window, np.int32(count), self._take(end, len(end))),)

    def _take(self, index: np.ndarray, *leading: int) -> dict[str, np.ndarray]:
        return {name: dense(a[index]).reshape(*leading, *a.shape[1:]) for name, a in self.arrays.items()}
