"""What is a fact of Keras, keras-tuner or Python, repeated in miniature."""

import contextlib
import gc
import io
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import keras
import keras_tuner
import numpy as np
import tensorflow as tf

from scgen_lib.models.db_aae.net import DBAAENet
from scgen_lib.models.db_aae.settings import DBAAESettings


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what Keras prints and warns of to itself."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        yield


def encode(logs: np.ndarray, settings: DBAAESettings) -> tuple[dict[str, float], float]:
    """Encode 32 cells by ``predict`` and within a compiled step (D7).

    Returns
    -------
    tuple
        Milliseconds by way ("predict", "within"), and the largest difference of the codes.
    """
    net, batch = DBAAENet(logs.shape[1], settings), tf.constant(logs[:32])
    within = tf.function(lambda x: net.code(x))
    outer = keras.Model(net.encoder.input, keras.layers.Add()(net.encoder.output))
    ways = {"predict": lambda: outer.predict(batch, verbose=0), "within": lambda: within(batch).numpy()}
    codes, times = {way: call() for way, call in ways.items()}, {}
    for way, call in ways.items():
        start = perf_counter()
        for _ in range(5):
            call()
        times[way] = (perf_counter() - start) / 5 * 1e3
    return times, float(np.abs(codes["predict"] - codes["within"]).max())


def share_an_optimiser() -> str:
    """Compile one optimiser into two models and train these in turn (D8); return the error, or nothing."""
    shared = keras.optimizers.RMSprop(2e-4)
    first, second = (keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]) for _ in range(2))
    for part in (first, second):
        part.compile(shared, "mse")
    try:
        for part in (first, second):
            part.train_on_batch(np.ones((8, 4), "float32"), np.ones((8, 1), "float32"))
    except ValueError as error:
        return str(error).strip().split(":")[0]
    return ""


def freeze(seed: int, frozen: bool) -> float:
    """Train a discriminator that was compiled and then frozen, as in the released order of calls (D9).

    Returns
    -------
    float
        The largest change of a weight in one update.
    """
    start = keras.initializers.GlorotUniform(seed)
    part = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, "sigmoid", kernel_initializer=start)])
    part.compile("sgd", "binary_crossentropy")
    part.trainable = not frozen
    before = part.layers[-1].kernel.numpy().copy()
    part.train_on_batch(np.ones((8, 4), "float32"), np.ones((8, 1), "float32"))
    return float(np.abs(part.layers[-1].kernel.numpy() - before).max())


@dataclass
class Trials(keras_tuner.HyperModel):
    """A model whose fit writes no checkpoint, has epochs of its own, and reads one of its hyperparameters.

    One of the widths is named twice, with another range.

    Attributes
    ----------
    asked
        Epochs that each fit was asked for.
    networks
        Numbers of weights of the networks that were built.
    sizes
        Batch sizes that were tried.
    space
        The hyperparameters.
    """

    asked: list[int] = field(default_factory=list)
    networks: set[int] = field(default_factory=set)
    sizes: list[int] = field(default_factory=list)
    space: Any = None

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Build the same network whatever the widths."""
        for name, least in (("units_2", 64), ("units_3", 32), ("units_4", 16), ("units_4", 512)):
            hp.Int(name, least, 2 * least, step=8)
        self.sizes.append(hp.Int("batch_size", 16, 128, step=8))
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        self.networks.add(model.count_params())
        self.space = hp
        return model

    def fit(
        self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, epochs: int = 1, **kwargs: Any
    ) -> dict[str, float]:
        """Return a score that falls with the batch size, whatever the epochs."""
        self.asked.append(epochs)
        return {"val_accuracy": 1 / hp.get("batch_size")}


def hyperband(seed: int) -> tuple[dict[str, int], str]:
    """Search as the released code does, by Hyperband over `Trials` (D10, D11).

    Returns
    -------
    tuple
        Numbers: trials, lost (that failed), promoted, promoted_lost, least and most (epochs asked for), drawn (values
        of a trial), networks, sizes (batch sizes tried) and widest (end of the range of the width named twice); and
        the error that ended the search, or nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        trial, stopped = Trials(), ""
        band = keras_tuner.Hyperband(
            trial, keras_tuner.Objective("val_accuracy", "max"), max_epochs=10, factor=3, seed=seed + 1,
            directory=folder, max_consecutive_failed_trials=5,
        )  # fmt: skip
        gc.freeze()  # keras-tuner collects garbage before every trial, and this process has much to look through
        try:
            band.search()
        except RuntimeError as error:
            stopped = str(error).splitlines()[0]
        gc.unfreeze()
        trials = list(band.oracle.trials.values())
    lost = [t for t in trials if t.status != "COMPLETED"]
    promoted = [t for t in trials if "tuner/trial_id" in t.hyperparameters.values]
    space = {p.name: p for p in trial.space.space if not p.name.startswith("tuner/")}
    return {
        "trials": len(trials), "lost": len(lost), "promoted": len(promoted),
        "promoted_lost": sum(t in lost for t in promoted), "least": min(trial.asked), "most": max(trial.asked),
        "drawn": len(space), "networks": len(trial.networks), "sizes": len(set(trial.sizes)),
        "widest": space["units_4"].max_value,
    }, stopped  # fmt: skip


def misindent() -> tuple[int, int, str]:
    """Run a script with one line that is indented too far (D15): statements that run, all of them, what Python says."""
    script, ran = ["ran.append(1)", "  ran.append(2)", "ran.append(3)"], []
    try:
        exec("\n".join(script))
    except IndentationError as error:
        return len(ran), len(script), type(error).__name__
    return len(ran), len(script), "it parses"
