"""What the benchmarks share: clocks, peak memory, the machine's own rates, and the head of a report."""

import contextlib
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from process import resident

from scgen_book import provenance
from scgen_lib import training


class Engine:
    """`training.fit`, timed without its compilation: the seconds between the ends of the first and the last epoch."""

    def __init__(self, model: training.WindowModel, arrays: dict, batch: int, **options: object):
        self.model, self.arrays, self.batch, self.options = model, arrays, batch, options
        if model.jit is None:
            model.jit = True  # as in the long trainings that these few epochs stand for

    def __call__(self, epochs: int) -> float:
        ends = []
        watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
        training.fit(
            self.model, self.arrays, epochs=epochs + 1, batch_size=self.batch, seed=0, callbacks=[watch], **self.options
        )
        return ends[-1] - ends[0]


def seconds(run: Callable, epochs: int) -> float:
    """Time that a way of training takes for some epochs."""
    if isinstance(run, Engine):
        return run(epochs)
    start = time.perf_counter()
    run(epochs)
    return time.perf_counter() - start


def in_turn(ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Call every way once a round, so that the machine's drift meets all alike; returns what they returned."""
    values: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            values[name].append(run())
    return values


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median with the range, for a table."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def ratios(slow: Sequence[float], fast: Sequence[float]) -> list[float]:
    """How many times faster, round by round."""
    return [a / b for a, b in zip(slow, fast, strict=True)]


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


def copy_rate(threads: int = 1) -> float:
    """Largest bytes/s, read and written, of copying 256 MiB from memory to memory, over ten tries."""
    n = (64 << 20) // threads
    parts = [(np.ones(n, "float32"), np.empty(n, "float32")) for _ in range(threads)]
    times = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(10):
            start = time.perf_counter()
            list(pool.map(lambda part: np.copyto(part[1], part[0]), parts))
            times.append(time.perf_counter() - start)
    return 2 * sum(source.nbytes for source, _ in parts) / min(times)


class PeakMemory:
    """Growth of the resident set to its highest point within a block, in MiB; NaN where the system does not tell."""

    def __enter__(self) -> "PeakMemory":
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
        self.before, self.growth = resident("VmRSS"), float("nan")
        return self

    def __exit__(self, *exc: object) -> None:
        self.growth = resident("VmHWM") - self.before


def other(command: Sequence[str]) -> Any:
    """Return what a process of its own says as JSON in its last line."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def report(title: str, command: str, notes: str, lines: Sequence[str], output: Path | None) -> None:
    """Print a report that names the command and the machine, and write it where `output` says."""
    machine = provenance.hardware()
    text = "\n".join([
        f"# {title}",
        "",
        f"Made by `python {command}` on {machine['cpu']}, {machine['cores']} cores, "
        f"{', '.join(machine['gpus']) or 'no GPU'}; TensorFlow {tf.__version__}, Keras {keras.__version__}, "
        f"Python {platform.python_version()}; {notes}",
        "",
        *lines,
    ])  # fmt: skip
    print(text)
    if output:
        output.write_text(text + "\n", encoding="utf-8")
