"""Time per update of DB-AAE: the released loop, and the project's engine; memory traffic against the machine's.

Both ways train networks of the published size on the same cells, in turn, in one process:

    python benchmarks/db_aae.py [--rounds 5] [--output benchmarks/db_aae.md]

With 12 million weights and 32 cells per update, weights, gradients and optimiser slots go through memory faster than
the processor could multiply them, so the floor is the time that memory takes for them.
"""

import argparse
import platform
import statistics
import time
from pathlib import Path

import harness
import keras
import numpy as np
import tensorflow as tf

from scgen_book import provenance
from scgen_lib import environment, training
from scgen_lib.models.db_aae import DBAAENet, whole_batches_in_file_order

CELLS, GENES, BATCH = 2000, 5000, 32
RATE = 2e-4


class ReleasedLoop:
    """E's `predict` and three `train_on_batch` on separately compiled models for every mini-batch.

    Under Keras 2 a model that was compiled kept what was trainable then. Keras 3 asks again when it traces, so D is
    thawed for its own update and frozen for that of E and G; and each compiled model has an optimiser of its own.
    """

    def __init__(self, x: np.ndarray):
        net = DBAAENet(GENES, latent_mode="sum", disc_output="relu")
        self.x, self.discriminator = x, net.discriminator
        inputs = keras.Input((GENES,))
        code = keras.layers.Add()(net.encoder(inputs))
        self.encoder = keras.Model(inputs, code)
        self.stack = keras.Model(inputs, [net.decoder(code), net.discriminator(code)])
        self.discriminator.compile(keras.optimizers.RMSprop(RATE), "binary_crossentropy", metrics=["accuracy"])
        self.discriminator.trainable = False
        self.stack.compile(keras.optimizers.RMSprop(RATE), ["mse", "binary_crossentropy"], loss_weights=[0.999, 0.001])
        self.ones, self.zeros = np.ones((BATCH, 1), "float32"), np.zeros((BATCH, 1), "float32")
        self.rng = np.random.default_rng(0)

    def __call__(self, steps: int) -> None:
        for step in range(steps):
            start = step * BATCH % (CELLS - BATCH + 1)
            x = self.x[start : start + BATCH]
            fake = self.encoder.predict(x, verbose=0)
            real = self.rng.standard_normal(fake.shape, "float32")
            self.discriminator.trainable = True
            self.discriminator.train_on_batch(real, self.ones)
            self.discriminator.train_on_batch(fake, self.zeros)
            self.discriminator.trainable = False
            self.stack.train_on_batch(x, [x, self.ones])

    def check(self) -> None:
        """Refuse to be measured where a network stands still."""
        # nothing passes a ReLU below 0, so D needs an answer it can learn from
        self.discriminator.layers[-1].bias.assign([0.5])
        before = [w.numpy().copy() for w in self.stack.weights]
        self(1)
        still = [w.path for w, old in zip(self.stack.weights, before, strict=True) if np.array_equal(w.numpy(), old)]
        if still:
            raise RuntimeError(f"expected the released loop to train all weights, got {still} unchanged")


class InTurn(keras.callbacks.Callback):
    """Times the engine's epochs, and between two of them as many steps of the released loop."""

    def __init__(self, released: ReleasedLoop, steps: int):
        super().__init__()
        self.released, self.steps = released, steps
        self.times: dict[str, list[float]] = {"released": [], "engine": []}

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        engine = time.perf_counter() - self.start
        start = time.perf_counter()
        self.released(self.steps)
        if epoch:  # the first one compiles
            self.times["engine"].append(engine / (CELLS // BATCH) * 1e3)
            self.times["released"].append((time.perf_counter() - start) / self.steps * 1e3)


def work(net: DBAAENet) -> tuple[float, float]:
    """Bytes and floating-point operations that one whole update cannot do without.

    A weight that is updated is read for the forward and the backward pass; its gradient is written and read; the
    optimiser reads and writes weight and slot: 8 numbers of 4 bytes. D is updated twice and read twice more.
    """
    autoencoder = sum(int(np.prod(w.shape)) for w in net.autoencoder_variables)
    discriminator = net.discriminator.count_params()
    moved = 4 * (8 * (autoencoder + 2 * discriminator) + 2 * discriminator)
    # forward, and backward to weights and inputs, of every weight; to the expression itself nothing goes back
    first = net.encoder.layers[1].kernel.shape
    flops = 6 * BATCH * (autoencoder + 2 * discriminator) + 4 * BATCH * discriminator - 2 * BATCH * int(np.prod(first))
    return moved, flops


def row(name: str, times: list[float], released: list[float], moved: float, copy: float) -> str:
    ratios = [a / b for a, b in zip(released, times, strict=True)]
    median = statistics.median(times)
    rate = moved / median * 1e3
    return (
        f"| {name} | {median:.1f} ({min(times):.1f}–{max(times):.1f}) | {statistics.median(ratios):.1f} "
        f"({min(ratios):.1f}–{max(ratios):.1f}) | {rate / 1e9:.1f} | {rate / copy:.0%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20, help="of the released loop in a round")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    copy, gemm = harness.copy_rate(environment.cores()), harness.gemm_rate()
    x = np.log1p(np.random.default_rng(0).negative_binomial(2, 0.4, (CELLS, GENES))).astype("float32")
    released = ReleasedLoop(x)
    released.check()
    net = DBAAENet(GENES, latent_mode="sum", disc_output="relu")
    net.compile(optimizer=keras.optimizers.RMSprop(RATE))
    net.jit = True  # as in the long trainings that these few epochs stand for
    moved, flops = work(net)
    watch = InTurn(released, options.steps)
    training.fit(
        net, {"x": x}, epochs=options.rounds + 1, batch_size=BATCH, seed=0, callbacks=[watch],
        order=whole_batches_in_file_order,
    )  # fmt: skip
    machine = provenance.hardware()
    floor = max(moved / copy, flops / gemm) * 1e3
    ways = (
        ("released loop, Keras 3", watch.times["released"]),
        ("**engine**", watch.times["engine"]),
    )
    lines = [
        "# Time per update of DB-AAE",
        "",
        f"Made by `python benchmarks/db_aae.py --rounds {options.rounds} --steps {options.steps}` on {machine['cpu']}, "
        f"{machine['cores']} cores, {', '.join(machine['gpus']) or 'no GPU'}; TensorFlow {tf.__version__}, Keras "
        f"{keras.__version__}, Python {platform.python_version()}. {CELLS:,} cells × {GENES:,} genes, mini-batches of "
        f"{BATCH}, published widths; medians (and range) of {options.rounds} rounds, both ways in turn, without "
        "compilation.",
        "",
        "One update is one step of D on real codes, one on fake codes, one of E and G. It moves at least "
        f"{moved / 1e6:.0f} MB of weights, gradients and RMSprop slots and takes {flops / 1e9:.2f} GFLOP. In the same "
        f"run this machine copies {copy / 1e9:.1f} GB/s and multiplies {gemm / 1e9:.0f} GFLOP/s, which makes "
        f"{moved / copy * 1e3:.1f} ms for the bytes and {flops / gemm * 1e3:.1f} ms for the products; the floor is the "
        "longer of the two, as if they overlapped wholly. The rate of a way counts these bytes only.",
        "",
        "| way | ms per update | times faster than the released loop | GB/s | of the copy's rate |",
        "|---|---|---|---|---|",
        *(row(name, times, watch.times["released"], moved, copy) for name, times in ways),
        f"| floor | {floor:.1f} | {statistics.median(watch.times['released']) / floor:.1f} | | |",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
