"""The training engine that all models share: Keras `fit` and its callbacks around compiled windows of mini-batches.

The nets of these papers are small. With one call per mini-batch most of the time is the call, so here one XLA program
takes a whole window of mini-batches, with the data resident on the device and rows gathered by index inside it.
A training too short to earn back XLA's compilation walks through the same windows without it.
Keras still runs the loop over windows and epochs, so its callbacks (early stopping, schedules, TensorBoard, progress)
work as everywhere. `benchmarks/` holds the figures behind this choice.
"""

import contextlib
import ctypes
import hashlib
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence

import joblib
import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from tqdm.keras import TqdmCallback

from scgen_lib import environment
from scgen_lib.checkpoint import Checkpoint, optimizers
from scgen_lib.errors import InputError, TrainingError

environment.settle_keras()
# Every fit has functions of its own, which TensorFlow takes for a mistake and warns of in the pages.
tf.get_logger().setLevel("ERROR")

# Counts that take more memory than this as a dense matrix stay sparse on the host.
RESIDENT_BYTES = 2 << 30
# A window of streamed, dense mini-batches takes at most about this much memory.
WINDOW_BYTES = 64 << 20
# Mini-batches per call when the data are resident: enough to hide the call, few enough for a lively progress bar.
WINDOW_BATCHES = 256
# XLA takes about as long to compile an operation as some 3,000 calls of it lose outside of an XLA program.
XLA_PAYS = 3000

Arrays = dict[str, np.ndarray | sp.csr_matrix]
# From a seeded generator, the training cells and the batch size to the cells of one epoch.
Order = Callable[[np.random.Generator, np.ndarray, int], np.ndarray]


class WindowModel(keras.Model):
    """A `keras.Model` that trains on windows of mini-batches.

    A subclass defines `batch_loss` where one loss serves, or `batch_step` where several networks play. A batch is a
    dict of tensors with the rows of one mini-batch, under the names that `fit` was given.

    Attributes
    ----------
    logs_by
        What `batch_step` returns, and how an epoch sums it up: "mean" (weighted by rows) or "max".
    jit
        Whether XLA compiles the windows; None: where a training has so many mini-batches that this pays. XLA's
        convolutions on a CPU are many times slower than TensorFlow's own.
    remedy
        What to do, in the words of an error, when the training diverges.
    """

    logs_by: dict[str, str] = {"loss": "mean"}  # noqa: RUF012
    jit: bool | None = None
    remedy: str = "lower learning_rate"

    def moment(self, epoch: int) -> str:
        """Name a moment of the training for its user, from the number of the epoch, which begins at 0."""
        return f"in epoch {epoch + 1}"

    def batch_loss(self, batch: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Scalar loss of one mini-batch, regularisation left out."""
        raise NotImplementedError

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update from one mini-batch; returns scalars under the names of `logs_by`."""
        with tf.GradientTape() as tape:
            objective = self._objective(batch, training=True)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(objective, weights), weights)
        return {"loss": objective}

    def batch_test(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What a validation batch is worth, means over its rows."""
        return {"loss": self._objective(batch, training=False)}

    def _objective(self, batch: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        loss = self.batch_loss(batch, training)
        return tf.add_n([loss, *self.losses])

    # Keras calls the rest --------------------------------------------------------------------------------------------

    def build(self, input_shape: object = None) -> None:
        """Nothing is left to build: the constructor made the networks."""
        self.built = True

    def compile(self, *args: object, **kwargs: object) -> None:
        """As in Keras; XLA compiles whole windows inside a step, so Keras must not compile the step once more."""
        super().compile(*args, jit_compile=False, **kwargs)
        self._sums = {name: _REDUCTIONS[by](name=name) for name, by in self.logs_by.items()}
        self._resident: dict[str, tf.Tensor] = {}
        self._train: _Windows | None = None
        self._validation: _Windows | None = None
        self.build_optimizers()
        for optimizer in optimizers(self):
            # There is one replica, so nothing to reduce; TensorFlow registers the gradient of this reduction for good,
            # and with it the graph of every training, some 60 MB each.
            optimizer._all_reduce_sum_gradients = lambda grads_and_vars: grads_and_vars

    def get_compile_config(self) -> None:
        """Nothing: a saved model is for use, and an interrupted training continues from a checkpoint."""

    def build_optimizers(self) -> None:
        """Make the optimiser's slots, so that a checkpoint can be read into them; adversaries have one each."""
        self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """What sums up an epoch; Keras resets it before every epoch and validation."""
        return list(getattr(self, "_sums", {}).values())

    def train_step(self, element: tuple) -> dict[str, tf.Tensor]:
        """Update from one element of `_Windows`: whole mini-batches in one program, then the smaller last one."""
        return self._walk(self._train, element, self.batch_step, self._sums)

    def test_step(self, element: tuple) -> dict[str, tf.Tensor]:
        """Score one element of `_Windows`."""
        return self._walk(self._validation, element, self.batch_test, {"loss": self._sums["loss"]})

    def _walk(
        self, windows: "_Windows", element: tuple, step: Callable[[dict], dict], sums: dict
    ) -> dict[str, tf.Tensor]:
        window, count, tail = windows.parts(element)
        by_max = {name: isinstance(metric, Max) for name, metric in sums.items()}

        jit = windows.pays if self.jit is None else self.jit

        def one(rows: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            if "index" in rows:
                rows = {name: tf.gather(values, rows["index"]) for name, values in self._resident.items()}
            return step(rows)

        if jit and windows.tail:
            # One trace for the smaller last mini-batch too; XLA knows the sizes all the same, others would run slower.
            spec = {name: tf.TensorSpec((None, *values.shape[2:]), values.dtype) for name, values in window.items()}
            one = tf.function(one, input_signature=[spec], autograph=False)

        @tf.function(jit_compile=jit, autograph=False)
        def walk(window: dict[str, tf.Tensor], count: tf.Tensor) -> dict[str, tf.Tensor]:
            def body(i: tf.Tensor, totals: dict[str, tf.Tensor]) -> tuple:
                logs = one({name: values[i] for name, values in window.items()})
                return i + 1, {k: tf.maximum(v, logs[k]) if by_max[k] else v + logs[k] for k, v in totals.items()}

            start = {name: tf.constant(-math.inf if by_max[name] else 0.0) for name in sums}
            return tf.while_loop(lambda i, _: i < count, body, (tf.constant(0), start))[1]

        def record(logs: dict[str, tf.Tensor], rows: tf.Tensor) -> None:
            for name, metric in sums.items():
                metric.update_state(logs[name], sample_weight=tf.cast(rows, tf.float32))

        def last() -> tf.Tensor:
            # Once an epoch: not worth a second XLA program for its own shape.
            record(one(tail), tf.shape(_first(tail))[0])
            return count

        # What the data do not have is not traced: it takes as long as what they have.
        if windows.whole:
            logs, n = walk(window, count), tf.cast(count, tf.float32)
            record({k: v if by_max[k] else v / n for k, v in logs.items()}, count * tf.shape(_first(window))[1])
        if windows.tail:
            tf.cond(tf.shape(_first(tail))[0] > 0, last, lambda: count)
        return {name: metric.result() for name, metric in sums.items()}


@keras.saving.register_keras_serializable("scgen_lib")
class Max(keras.metrics.Metric):
    """Largest value of an epoch; NaN if one was NaN."""

    def __init__(self, name: str = "max", **kwargs: object):
        super().__init__(name=name, **kwargs)
        self.largest = self.add_variable((), keras.initializers.Constant(-math.inf), name="largest")

    def update_state(self, value: tf.Tensor, sample_weight: tf.Tensor | None = None) -> None:
        """Take one more scalar; the weight has no meaning here."""
        self.largest.assign(tf.maximum(self.largest, value))

    def reset_state(self) -> None:
        """Start anew, below every value."""
        self.largest.assign(-math.inf)

    def result(self) -> tf.Tensor:
        """The largest value so far, which a reset leaves as it is."""
        return tf.identity(self.largest)


_REDUCTIONS = {"mean": keras.metrics.Mean, "max": Max}


def fit(
    model: WindowModel,
    arrays: Arrays,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    rows: np.ndarray | None = None,
    validation_rows: np.ndarray | None = None,
    order: Order | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint: str | os.PathLike | None = None,
    checkpoint_every: int = 10,
    may_diverge: bool = False,
    progress: bool = False,
) -> dict[str, list[float]]:
    """Train a compiled model with Keras `fit` over windows of mini-batches.

    Parameters
    ----------
    model
        A compiled `WindowModel`.
    arrays
        Named arrays that share their first axis, the cells: dense, or CSR, which is made dense a batch at a time if the
        whole would take more than 2 GiB.
    epochs, batch_size
        As in Keras. The last mini-batch of an epoch is smaller where the cells do not divide.
    seed
        Fixes the order of cells in every epoch.
    rows, validation_rows
        Indices of the training cells (all, if None) and of the validation cells (none, if None).
    order
        Which cells an epoch walks through, and how: `shuffled` (if None), `in_file_order`, or a function of a seeded
        generator, the training cells and the batch size that returns the cells of one epoch, equally many in every
        epoch; successive runs of `batch_size` are the mini-batches.
    callbacks
        Keras callbacks; batch-level ones are called once a window.
    checkpoint
        File that the whole state is written to every `checkpoint_every` epochs and at the end. If it exists already,
        training continues there and ends with the numbers of an uninterrupted run.
    may_diverge
        Let a training that is no longer finite end there with its history, where the divergence is the result.
    progress
        Show one progress bar over the epochs.

    Returns
    -------
    dict
        Name → one value per epoch, from the first epoch on, also after a resume.

    Raises
    ------
    CheckpointError
        `checkpoint` is truncated or belongs to another model, other data or other settings.
    InputError
        No training cells.
    TrainingError
        A loss, or at the end a weight, that is not finite; a checkpoint is that of the last finite epoch.
    """
    n = next(iter(arrays.values())).shape[0]
    rows = np.arange(n) if rows is None else np.asarray(rows)
    _refuse_none(len(rows))
    resident = sum(math.prod(a.shape) * 4 for a in arrays.values()) <= RESIDENT_BYTES
    model._resident = {name: tf.constant(dense(a)) for name, a in arrays.items()} if resident else {}
    # A function traced for earlier data would go on reading those.
    model.train_function = model.test_function = None

    order = order or shuffled
    model._train = train = _Windows(arrays, rows, batch_size, resident, epochs, order, seed)
    validation = None
    if validation_rows is not None and len(validation_rows):
        model._validation = _Windows(arrays, validation_rows, min(len(validation_rows), 512), resident, epochs)
        validation = model._validation.dataset()
    keeper = Checkpoint(
        checkpoint, every=checkpoint_every, epochs=epochs, settings=_fingerprint(arrays, rows, batch_size, seed, order)
    )
    # The order matters: `train` learns the epoch first, and the keeper saves what all others have done.
    finite = keras.callbacks.TerminateOnNaN() if may_diverge else _Finite()
    watchers = [keras.callbacks.LambdaCallback(on_epoch_begin=train.begin), finite, *callbacks, keeper]
    watchers.append(keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: _trim() if not epoch else None))
    if progress:
        watchers.append(TqdmCallback(epochs=epochs, verbose=0, leave=True))
    keeper.attach(model, callbacks)
    # A finished training runs no epoch more, but its callbacks still end it: early stopping puts the best weights back.
    model.fit(
        train.dataset(),
        epochs=epochs,
        initial_epoch=epochs if keeper.finished else keeper.epoch,
        validation_data=validation,
        callbacks=watchers,
        shuffle=False,
        verbose=0,
    )
    model._resident, model._train, model._validation = {}, None, None
    model.train_function = model.test_function = None
    if not may_diverge:
        _check_weights(model, epochs)
    return keeper.history


def _trim() -> None:
    """Return to the system what XLA's compiler has freed: glibc would keep it, 100 to 280 MB a program."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


class _Finite(keras.callbacks.Callback):
    """Ends a training whose losses are no longer finite, before anything is made of its weights."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        for name, value in (logs or {}).items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"expected a training of finite values, got {name} = {float(value)} "
                    f"{self.model.moment(self.epoch)}: {self.model.remedy}"
                )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.on_train_batch_end(0, logs)  # with those of the validation


def _check_weights(model: WindowModel, epochs: int) -> None:
    """Refuse weights that the very last update left not finite: no loss has seen them."""
    for weight in model.trainable_variables:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise TrainingError(
                f"expected a training of finite values, got a weight {weight.path} that is not after {epochs} epochs: "
                f"{model.remedy}"
            )


class _Windows:
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
        self.arrays, self.rows, self.size, self.resident = arrays, rows, batch_size, resident
        self.orderly, self.seed = order or in_file_order, seed
        batch_bytes = sum(math.prod(a.shape[1:]) * 4 for a in arrays.values()) * batch_size
        self.order = self._draw(0)
        if len(self.order) == 0:
            raise InputError(
                f"expected at least one mini-batch, got {len(rows)} training cells for a batch size of {batch_size}: "
                "lower the batch size"
            )
        self.whole, self.tail = divmod(len(self.order), batch_size)
        self.pays = epochs * self.whole >= XLA_PAYS
        most = WINDOW_BATCHES if resident else max(1, WINDOW_BYTES // batch_bytes)
        self.length = max(1, min(most, self.whole))
        self.number = max(1, -(-self.whole // self.length))
        if resident:
            # One shape for all windows, so that one program serves them; what the last one lacks is never walked.
            self.spare = np.zeros(self.number * self.length * batch_size - self.whole * batch_size, "int32")
            whole = self.whole * batch_size
            first = np.concatenate([self.order[:whole], self.spare, self.order[whole:]])
            self.indices = tf.Variable(first, dtype=tf.int32, trainable=False)

    def _draw(self, epoch: int) -> np.ndarray:
        return np.asarray(self.orderly(np.random.default_rng([self.seed, epoch]), self.rows, self.size))

    def begin(self, epoch: int, logs: dict | None = None) -> None:
        """Order the cells of an epoch by seed and epoch alone, so that a resumed run repeats it."""
        self.order = self._draw(epoch)
        if self.resident:
            whole = self.whole * self.size
            self.indices.assign(np.concatenate([self.order[:whole], self.spare, self.order[whole:]]))

    def parts(self, element: tuple) -> tuple[dict[str, tf.Tensor], tf.Tensor, dict[str, tf.Tensor]]:
        """Window (length, B, …), how many of its mini-batches count, and the last mini-batch (r, …) or none."""
        if not self.resident:
            return element[0]
        number = tf.cast(element, tf.int32)
        cut = self.number * self.length * self.size
        windows = tf.reshape(self.indices[:cut], (self.number, self.length, self.size))
        last = tf.cast(number == self.number - 1, tf.int32)
        count = tf.minimum(self.length, self.whole - number * self.length)
        return (
            {"index": windows[number]},
            count,
            {"index": self.indices[cut : cut + last * self.tail]},
        )

    def dataset(self) -> tf.data.Dataset:
        """Numbers of the windows, or the streamed windows themselves."""
        # Nothing here is to be tuned, and the thread that would do it keeps an epoch's end waiting for up to 60 ms.
        options = tf.data.Options()
        options.autotune.enabled = False
        if self.resident:
            return tf.data.Dataset.range(self.number).with_options(options)

        def spec(*leading: int | None) -> dict[str, tf.TensorSpec]:
            return {name: tf.TensorSpec((*leading, *a.shape[1:]), tf.float32) for name, a in self.arrays.items()}

        element = ((spec(self.length, self.size), tf.TensorSpec((), tf.int32), spec(None)),)
        data = tf.data.Dataset.from_generator(self._stream, output_signature=element)
        data = data.apply(tf.data.experimental.assert_cardinality(self.number)).prefetch(2)
        return data.with_options(options)

    def _stream(self) -> Iterator[tuple]:
        order = self.order
        tail = order[self.whole * self.size :]
        for number in range(self.number):
            count = min(self.length, self.whole - number * self.length)
            start = number * self.length * self.size
            part = np.zeros(self.length * self.size, order.dtype)
            part[: count * self.size] = order[start : start + count * self.size]
            last = tail if number == self.number - 1 else tail[:0]
            yield ((self._take(part, self.length, self.size), np.int32(count), self._take(last, len(last))),)

    def _take(self, index: np.ndarray, *leading: int) -> dict[str, np.ndarray]:
        return {name: dense(a[index]).reshape(*leading, *a.shape[1:]) for name, a in self.arrays.items()}


def shuffled(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Every cell once an epoch, in an order drawn anew."""
    return rng.permutation(rows)


def in_file_order(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Every cell once an epoch, as they stand."""
    return rows


def predict(
    function: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]], arrays: Arrays, batch_size: int = 512
) -> dict[str, np.ndarray]:
    """Apply a function of a batch to all cells, a batch at a time.

    Parameters
    ----------
    function
        From named tensors (B, …) to named tensors (B, …).
    arrays
        As in `fit`.
    batch_size
        Cells at a time; the last batch is filled up with the last cell, so that one trace serves all.

    Returns
    -------
    dict
        Name → (N, …), float32, rows in the order of the cells.
    """
    n = next(iter(arrays.values())).shape[0]
    size = min(n, batch_size)
    # One pass over the cells does not earn back what XLA takes to compile.
    compiled = tf.function(function, autograph=False)
    parts = []
    for start in range(0, n, size):
        index = np.minimum(np.arange(start, start + size), n - 1)
        out = compiled({name: tf.constant(dense(a[index])) for name, a in arrays.items()})
        parts.append({name: value.numpy()[: n - start] for name, value in out.items()})
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def in_parallel(function: Callable, tasks: Sequence[tuple]) -> list:
    """Call a function for each tuple of arguments, in one process per core; one after the other where there is a GPU.

    Small nets leave all but one core idle, so independent trainings gain more from processes than from threads.

    Parameters
    ----------
    function
        Any function, one defined in a notebook too; what it returns must be picklable.
    tasks
        Its arguments, call by call.

    Returns
    -------
    list
        What the calls returned, in the order of the tasks.
    """
    jobs = 1 if tf.config.list_physical_devices("GPU") else min(environment.cores(), len(tasks))
    if jobs < 2:
        return [function(*task) for task in tasks]
    # Read by the new processes when they load TensorFlow.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    with warnings.catch_warnings():
        # XLA keeps what it has compiled as long as a process lives, so joblib renews a process that has grown.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)
        return joblib.Parallel(n_jobs=jobs)(joblib.delayed(function)(*task) for task in tasks)


def split(n: int, share: float, *, shuffle: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and validation cells: the last `share` of them, in file order or after a seeded shuffle."""
    order = np.random.default_rng([seed, n]).permutation(n) if shuffle else np.arange(n)
    cut = math.floor(n * (1 - share))
    _refuse_none(cut)
    return np.sort(order[:cut]), np.sort(order[cut:])


def dense(a: np.ndarray | sp.csr_matrix) -> np.ndarray:
    """Dense float32 of an array or CSR matrix, without a copy where it is that already."""
    return np.asarray(a.toarray() if sp.issparse(a) else a, "float32")


def _refuse_none(n: int) -> None:
    if n == 0:
        raise InputError("expected at least one training cell, got none: lower the validation share or give more cells")


def _first(rows: dict[str, tf.Tensor]) -> tf.Tensor:
    return next(iter(rows.values()))


def _fingerprint(arrays: Arrays, rows: np.ndarray, batch_size: int, seed: int, order: Order) -> str:
    """What a checkpoint must agree on with the run that continues it."""
    digest = hashlib.sha256(f"{batch_size} {seed} {order.__name__}".encode())
    for name, a in arrays.items():
        digest.update(name.encode())
        for part in (a.data, a.indices, a.indptr) if sp.issparse(a) else (a,):
            digest.update(np.ascontiguousarray(part))
    digest.update(np.ascontiguousarray(rows))
    return digest.hexdigest()
