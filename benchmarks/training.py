"""Time per update and peak memory of training DCA: plain Keras `fit`, the project's engine, and the roofline.

All ways train the same network on the same cells, in turn, in one process, so that the machine's drift meets all alike:

    python benchmarks/training.py [--rounds 5] [--output benchmarks/training.md]

The roofline is the time of the matrix products alone, at the rate that this machine reaches on a large product.
"""

import argparse
import contextlib
import platform
import statistics
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from scgen_lib import provenance, training
from scgen_lib.models.dca import DCANet
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
    model = Plain(DCANet(arrays["counts"].shape[1], standardiser=standardiser, released=True))
    model.compile(optimizer=keras.optimizers.RMSprop(clipvalue=5.0), **options)
    return lambda epochs: model.fit(arrays, batch_size=batch, epochs=epochs, verbose=0)


def engine(arrays: dict, standardiser: dict, batch: int, released: bool):
    model = DCANet(arrays["counts"].shape[1], standardiser=standardiser, released=released)
    model.compile(optimizer=keras.optimizers.RMSprop(clipvalue=5.0))
    return Engine(model, arrays, batch)


class Engine:
    """`training.fit`, timed without its compilation: the seconds between the ends of the first and the last epoch."""

    def __init__(self, model: DCANet, arrays: dict, batch: int):
        self.model, self.arrays, self.batch = model, arrays, batch

    def __call__(self, epochs: int) -> float:
        ends = []
        watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
        training.fit(self.model, self.arrays, epochs=epochs + 1, batch_size=self.batch, seed=0, callbacks=[watch])
        return ends[-1] - ends[0]


def seconds(run, epochs: int) -> float:
    if isinstance(run, Engine):
        return run(epochs)
    start = time.perf_counter()
    run(epochs)
    return time.perf_counter() - start


def gemm_rate() -> float:
    """Largest FLOP/s of a float32 product of 1,024 × 1,024 matrices, over ten tries."""
    a = tf.random.normal((1024, 1024))
    product = tf.function(lambda x: tf.linalg.matmul(tf.linalg.matmul(x, a), a) * 1e-3, jit_compile=True)
    product(a).numpy()
    times = []
    for _ in range(10):
        start = time.perf_counter()
        product(a).numpy()
        times.append(time.perf_counter() - start)
    return 2 * 2 * 1024**3 / min(times)


def flops(net: DCANet, batch: int) -> float:
    """Multiply-adds of one update, twice: forward, and backward to weights and inputs (not to the counts)."""
    kernels = [w.shape for w in net.trainable_variables if len(w.shape) == 2]
    first = kernels[0][0] * kernels[0][1]
    return 6 * batch * sum(a * b for a, b in kernels) - 2 * batch * first


class PeakMemory:
    """Growth of the resident set to its highest point within a block, in MiB; NaN where the system does not tell."""

    def __enter__(self) -> "PeakMemory":
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self.before, self.growth = self._read("VmRSS"), float("nan")
        return self

    def __exit__(self, *exc: object) -> None:
        self.growth = self._read("VmHWM") - self.before

    @staticmethod
    def _read(field: str) -> float:
        try:
            lines = Path("/proc/self/status").read_text().splitlines()
        except OSError:
            return float("nan")
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def measure(genes: int, batch: int, rounds: int, epochs: int, rate: float) -> list[str]:
    arrays, standardiser = data(genes)
    ways = {
        "plain `fit`": plain(arrays, standardiser, batch),
        "`fit`, XLA, 16 steps a call": plain(arrays, standardiser, batch, jit_compile=True, steps_per_execution=16),
        "engine, released loss": engine(arrays, standardiser, batch, released=True),
        "**engine**": engine(arrays, standardiser, batch, released=False),
    }
    memory = {}
    for name, run in ways.items():
        with PeakMemory() as peak:
            run(1)
        memory[name] = peak.growth
    steps = epochs * (CELLS // batch)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            times[name].append(seconds(run, epochs) / steps * 1e3)
    roofline = flops(ways["**engine**"].model, batch) / rate * 1e3
    rows = []
    for name, values in times.items():
        ratios = [a / b for a, b in zip(times["plain `fit`"], values, strict=True)]
        median = statistics.median(values)
        rows.append(
            f"| {genes:,} | {batch} | {name} | {median:.2f} ({min(values):.2f}–{max(values):.2f}) | "
            f"{statistics.median(ratios):.1f} ({min(ratios):.1f}–{max(ratios):.1f}) | {roofline / median:.0%} | "
            f"{memory[name]:.0f} |"
        )
    return [*rows, f"| {genes:,} | {batch} | roofline | {roofline:.2f} | | 100% | |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rate = gemm_rate()
    machine = provenance.hardware()
    lines = [
        "# Time per update of DCA (zinb-conddisp)",
        "",
        f"Made by `python benchmarks/training.py --rounds {options.rounds} --epochs {options.epochs}` on "
        f"{machine['cpu']}, {machine['cores']} cores, {', '.join(machine['gpus']) or 'no GPU'}; TensorFlow "
        f"{tf.__version__}, Keras {keras.__version__}, Python {platform.python_version()}; matrix products at "
        f"{rate / 1e9:.0f} GFLOP/s. {CELLS:,} cells; medians (and range) of {options.rounds} rounds, all ways in turn.",
        "Times are without compilation; memory is the growth of the process during the first epoch, "
        "compilation included.",
        "",
        "| genes | batch | way | ms per update | times faster than plain `fit` | of the roofline | memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    for genes in (200, 1000):
        for batch in (32, 128):
            lines += measure(genes, batch, options.rounds, options.epochs, rate)
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
