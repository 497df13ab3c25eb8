"""The loop of a training, which is that of Keras, and a walk of a fitted network over cells."""

import hashlib
import math
import os
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from tqdm.keras import TqdmCallback

from scgen_lib import backend
from scgen_lib.data.stored import Stored
from scgen_lib.errors import TrainingError
from scgen_lib.training.arrays import Arrays, dense, refuse_none
from scgen_lib.training.checkpoint import Checkpoint
from scgen_lib.training.model import WindowModel
from scgen_lib.training.windows import Order, Windows, shuffling

# Counts that take more memory than this as a dense matrix stay sparse on the host.
RESIDENT_BYTES = 2 << 30


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
        whole would take more than 2 GiB, or `Stored`, which stays on disk.
    epochs, batch_size
        As in Keras. The last mini-batch of an epoch is smaller where the cells do not divide.
    seed
        Fixes the order of cells in every epoch.
    rows, validation_rows
        Indices of the training cells (all, if None) and of the validation cells (none, if None).
    order
        Which cells an epoch walks through, and how: as `shuffling` says (if None), `in_file_order`, or a function of a
        seeded generator, the training cells and the batch size that returns the cells of one epoch, equally many in
        every epoch; successive runs of `batch_size` are the mini-batches.
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
    refuse_none(len(rows))
    stored = next((a for a in arrays.values() if isinstance(a, Stored)), None)
    resident = stored is None and sum(math.prod(a.shape) * 4 for a in arrays.values()) <= RESIDENT_BYTES
    model._resident_arrays = {name: tf.constant(dense(a)) for name, a in arrays.items()} if resident else {}
    # A function traced for earlier data would go on reading those.
    model.train_function = model.test_function = None

    order = order or shuffling(stored)
    model._train_windows = train = Windows(arrays, rows, batch_size, resident, epochs, order, seed)
    validation = None
    if validation_rows is not None and len(validation_rows):
        model._validation_windows = Windows(arrays, validation_rows, min(len(validation_rows), 512), resident, epochs)
        validation = model._validation_windows.dataset()
    # a pass over the data, which only a file of the state has need of
    settings = "" if checkpoint is None else _fingerprint(arrays, rows, batch_size, seed, order)
    keeper = Checkpoint(checkpoint, every=checkpoint_every, epochs=epochs, settings=settings)
    # The order matters: `train` learns the epoch first, and the keeper saves what all others have done.
    finite = keras.callbacks.TerminateOnNaN() if may_diverge else _Finite()
    watchers = [keras.callbacks.LambdaCallback(on_epoch_begin=train.begin_epoch), finite, *callbacks, keeper]
    watchers.append(
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, _: backend.trim_memory() if not epoch else None)
    )
    if progress:
        watchers.append(TqdmCallback(epochs=epochs, verbose=0, leave=True))
    keeper.attach(model, callbacks)
    initial_epoch = epochs if keeper.finished else keeper.epoch
    # A finished training runs no epoch more, but its callbacks still end it: early stopping puts the best weights back.
    model.fit(
        train.dataset(range(initial_epoch, epochs)),
        epochs=epochs,
        initial_epoch=initial_epoch,
        # what streams goes on from epoch to epoch
        steps_per_epoch=None if resident else train.n_windows,
        validation_data=validation,
        callbacks=watchers,
        shuffle=False,
        verbose=0,
    )
    model._resident_arrays, model._train_windows, model._validation_windows = {}, None, None
    model.train_function = model.test_function = None
    if not may_diverge:
        _check_weights(model, epochs)
    return keeper.history


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
    parts = list(predictions(function, arrays, batch_size))
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def predictions(
    function: Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]], arrays: Arrays, batch_size: int = 512
) -> Iterator[dict[str, np.ndarray]]:
    """Walk through what `predict` returns, a batch at a time."""
    n = next(iter(arrays.values())).shape[0]
    size = min(n, batch_size)
    # One pass over the cells does not earn back what XLA takes to compile.
    compiled = tf.function(function, autograph=False)
    for start in range(0, n, size):
        index = np.minimum(np.arange(start, start + size), n - 1)
        out = compiled({name: tf.constant(dense(a[index])) for name, a in arrays.items()})
        yield {name: value.numpy()[: n - start] for name, value in out.items()}


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


def _fingerprint(arrays: Arrays, rows: np.ndarray, batch_size: int, seed: int, order: Order) -> str:
    """What a checkpoint must agree on with the run that continues it."""
    digest = hashlib.sha256(f"{batch_size} {seed} {order.__name__}".encode())
    for name, a in arrays.items():
        digest.update(name.encode())
        if isinstance(a, Stored):
            digest.update(f"{a.fingerprint()} {a.pool} {a.neighbours}".encode())
            continue
        for part in (a.data, a.indices, a.indptr) if sp.issparse(a) else (a,):
            digest.update(np.ascontiguousarray(part))
    digest.update(np.ascontiguousarray(rows))
    return digest.hexdigest()
