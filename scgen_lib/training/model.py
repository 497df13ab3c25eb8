"""The base of all networks: a Keras model that trains on windows of mini-batches."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from scgen_lib.training.checkpoint import optimizers_of
from scgen_lib.training.windows import Windows


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
        self._epoch_metrics = {name: _REDUCTIONS[by](name=name) for name, by in self.logs_by.items()}
        self._resident_arrays: dict[str, tf.Tensor] = {}
        self._train_windows: Windows | None = None
        self._validation_windows: Windows | None = None
        self.build_optimizers()
        for optimizer in optimizers_of(self):
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
        return list(getattr(self, "_epoch_metrics", {}).values())

    def train_step(self, element: tuple) -> dict[str, tf.Tensor]:
        """Update from one element of `Windows`: whole mini-batches in one program, then the smaller last one."""
        return self._run_windows(self._train_windows, element, self.batch_step, self._epoch_metrics)

    def test_step(self, element: tuple) -> dict[str, tf.Tensor]:
        """Score one element of `Windows`."""
        return self._run_windows(
            self._validation_windows, element, self.batch_test, {"loss": self._epoch_metrics["loss"]}
        )

    def _run_windows(
        self, windows: Windows, element: tuple, step: Callable[[dict], dict], sums: dict
    ) -> dict[str, tf.Tensor]:
        window, count, last = windows.unpack(element)
        by_max = {name: isinstance(metric, Max) for name, metric in sums.items()}
        jit = windows.xla_pays if self.jit is None else self.jit

        def one_batch(rows: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            if "index" in rows:
                rows = {name: tf.gather(values, rows["index"]) for name, values in self._resident_arrays.items()}
            return step(rows)

        if windows.last_size and windows.full_batches and (jit or not windows.xla_pays):
            # One trace for the smaller last mini-batch too, which is most of what a short training takes. XLA knows the
            # sizes all the same; a long training without it would run slower.
            spec = {name: tf.TensorSpec((None, *values.shape[2:]), values.dtype) for name, values in window.items()}
            one_batch = tf.function(one_batch, input_signature=[spec], autograph=False)

        @tf.function(jit_compile=jit, autograph=False)
        def full_batches(window: dict[str, tf.Tensor], count: tf.Tensor) -> dict[str, tf.Tensor]:
            def body(i: tf.Tensor, totals: dict[str, tf.Tensor]) -> tuple:
                logs = one_batch({name: values[i] for name, values in window.items()})
                return i + 1, {k: tf.maximum(v, logs[k]) if by_max[k] else v + logs[k] for k, v in totals.items()}

            start = {name: tf.constant(-math.inf if by_max[name] else 0.0) for name in sums}
            return tf.while_loop(lambda i, _: i < count, body, (tf.constant(0), start))[1]

        def record(logs: dict[str, tf.Tensor], rows: tf.Tensor) -> None:
            for name, metric in sums.items():
                metric.update_state(logs[name], sample_weight=tf.cast(rows, tf.float32))

        def last_batch() -> tf.Tensor:
            # Once an epoch: not worth a second XLA program for its own shape.
            record(one_batch(last), tf.shape(_first(last))[0])
            return count

        # What the data do not have is not traced: it takes as long as what they have.
        if windows.full_batches:
            logs, n = full_batches(window, count), tf.cast(count, tf.float32)
            record({k: v if by_max[k] else v / n for k, v in logs.items()}, count * tf.shape(_first(window))[1])
        if windows.last_size:
            tf.cond(tf.shape(_first(last))[0] > 0, last_batch, lambda: count)
        return {name: metric.result() for name, metric in sums.items()}


def _first(rows: dict[str, tf.Tensor]) -> tf.Tensor:
    return next(iter(rows.values()))
