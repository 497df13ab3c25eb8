"""Time per update and peak memory of training DCA: plain Keras `fit`, the project's engine, and the roofline.

All ways train the same network on the same cells, in turn, in one process, so that the machine's drift meets all alike:

    python benchmarks/training.py [--rounds 5] [--output benchmarks/training.md]

The roofline is the time of the matrix products alone, at the rate that this machine reaches on a large product.
"""

import argparse
import statistics
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from harness import Engine, PeakMemory, gemm_rate, in_turn, ratios, report, seconds, spread

from scgen_lib.models.dca.net import DCANet
from scgen_lib.models.dca.settings import DCASettings
from scgen_lib.preprocess import Standardiser, mean_log_factorial

CELLS = 1792


class Plain(keras.Model):
    """DCA as one would write it in Keras without further thought: `compute_loss`, and the released form of the loss."""

    def __init__(self, net: DCANet):
        super().__init__()
        self.net = net

    def call(self, batch: dict, training: bool = False) -> dict:
        return self.net(batch, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> tf.Tensor:
        return self.net.batch_loss(x, training)


def data(genes: int) -> tuple[dict, dict]:
    rng = np.random.default_rng(0)
    counts = rng.negative_binomial(2, 0.2, (CELLS, genes)).astype("float32")
    standardiser = Standardiser().fit(counts)
    factor = standardiser.factors(counts)[:, None]
    arrays = {"counts": counts, "size_factor": factor, "log_factorial": mean_log_factorial(counts)[:, None]}
    return arrays, standardiser.get_config()


def plain(arrays: dict, standardiser: dict, batch: int, **options):
    model = Plain(DCANet(arrays["counts"].shape[1], DCASettings(loss="released"), standardiser=standardiser))
    model.compile(optimizer=keras.optimizers.RMSprop(clipvalue=5.0), **options)
    return lambda epochs: model.fit(arrays, batch_size=batch, epochs=epochs, verbose=0)


def engine(arrays: dict, standardiser: dict, batch: int, loss: str):
    model = DCANet(arrays["counts"].shape[1], DCASettings(loss=loss), standardiser=standardiser)
    model.compile(optimizer=keras.optimizers.RMSprop(clipvalue=5.0))
    return Engine(model, arrays, batch)


def flops(net: DCANet, batch: int) -> float:
    """Multiply-adds of one update, twice: forward, and backward to weights and inputs (not to the counts)."""
    kernels = [w.shape for w in net.trainable_variables if len(w.shape) == 2]
    first = kernels[0][0] * kernels[0][1]
    return 6 * batch * sum(a * b for a, b in kernels) - 2 * batch * first


def measure(genes: int, batch: int, rounds: int, epochs: int, rate: float) -> list[str]:
    arrays, standardiser = data(genes)
    ways = {
        "plain `fit`": plain(arrays, standardiser, batch),
        "`fit`, XLA, 16 steps a call": plain(arrays, standardiser, batch, jit_compile=True, steps_per_execution=16),
        "engine, released loss": engine(arrays, standardiser, batch, loss="released"),
        "**engine**": engine(arrays, standardiser, batch, loss="log_space"),
    }
    memory = {}
    for name, run in ways.items():
        with PeakMemory() as peak:
            run(1)
        memory[name] = peak.growth
    steps = epochs * (CELLS // batch)
    clocks = {name: partial(lambda run: seconds(run, epochs) / steps * 1e3, run) for name, run in ways.items()}
    times = in_turn(clocks, rounds)
    roofline = flops(ways["**engine**"].model, batch) / rate * 1e3
    rows = [
        f"| {genes:,} | {batch} | {name} | {spread(values)} | {spread(ratios(times['plain `fit`'], values), 1)} | "
        f"{roofline / statistics.median(values):.0%} | {memory[name]:.0f} |"
        for name, values in times.items()
    ]
    return [*rows, f"| {genes:,} | {batch} | roofline | {roofline:.2f} | | 100% | |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rate = gemm_rate()
    notes = (
        f"matrix products at {rate / 1e9:.0f} GFLOP/s. {CELLS:,} cells; medians (and range) of {options.rounds} "
        "rounds, all ways in turn.\nTimes are without compilation; memory is the growth of the process during the "
        "first epoch, compilation included."
    )
    lines = [
        "| genes | batch | way | ms per update | times faster than plain `fit` | of the roofline | memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for genes in (200, 1000):
        for batch in (32, 128):
            lines += measure(genes, batch, options.rounds, options.epochs, rate)
    command = f"benchmarks/training.py --rounds {options.rounds} --epochs {options.epochs}"
    report("Time per update of DCA (zinb-conddisp)", command, notes, lines, options.output)


if __name__ == "__main__":
    main()
