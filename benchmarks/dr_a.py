"""Time per iteration of training DR-A as released: one call per optimiser step, the project's engine, and the roofline.

The released code runs a session for every optimiser step and feeds it the mini-batch each time. All ways train the
same network on the same cells, in turn, in one process, so that the machine's drift meets all alike:

    python benchmarks/dr_a.py [--rounds 5] [--output benchmarks/dr_a.md]

The roofline is the time of the matrix products alone, at the rate that this machine reaches on a large product, and
then with that of reading and writing weights and moments in Adam, at the rate of a large copy.
"""

import argparse
import math
import statistics
from pathlib import Path

import harness
import numpy as np
import tensorflow as tf

from scgen_lib.models.dr_a.net import DRANet
from scgen_lib.models.dr_a.settings import DRASettings
from scgen_lib.preprocess import UnitScaler, mean_log_factorial

CELLS, GENES, BATCH = 3000, 720, 128
ITERATIONS = CELLS // BATCH
TURNS_OF_D1 = math.ceil(ITERATIONS / 3)


class LibraryNet(DRANet):
    """The likelihood with the library's lnΓ, as the released code has it."""

    def nll(self, x: tf.Tensor, log_mean: tf.Tensor, theta: tf.Tensor, logit: tf.Tensor) -> tf.Tensor:
        mean, eps = tf.exp(log_mean), 1e-8
        log_theta, log_both = tf.math.log(theta + eps), tf.math.log(theta + mean + eps)
        zero = tf.math.softplus(-logit + theta * (log_theta - log_both)) - tf.math.softplus(-logit)
        other = (
            -tf.math.softplus(-logit)
            - logit
            + theta * (log_theta - log_both)
            + x * (tf.math.log(mean + eps) - log_both)
            + tf.math.lgamma(x + theta)
            - tf.math.lgamma(theta)
        )
        return -tf.where(x < eps, zero, other)


class FusedNet(DRANet):
    """Both sides of a discriminator in one product a layer: the same numbers, as its normalisation is a constant."""

    def _discriminate(self, name: str, real: tf.Tensor, fake: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            both = self._run(getattr(self, name), tf.concat([real, fake], 0), training=True)
            loss = self.game.discriminator(*tf.split(both, 2))
        weights = self.players[name]
        getattr(self, f"{name}_optimizer").apply(tape.gradient(loss, weights), weights)
        return {name: loss, f"{name}_exp": tf.exp(-loss), f"{name}_mixed": tf.constant(0.0)}


def windows(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
    starts = rng.integers(0, len(rows) - batch_size, ITERATIONS)
    return rows[starts[:, None] + np.arange(batch_size)].ravel()


class Sessions:
    """One graph call per optimiser step, fed from NumPy, its loss fetched."""

    def __init__(self, net: DRANet, arrays: dict, **options: object):
        self.arrays = arrays
        steps = (net.autoencoder_step, net.d1_step, net.encoder_step, net.d2_step)
        self.autoencoder, self.d1, self.encoder, self.d2 = (tf.function(step, **options) for step in steps)
        self.rng = np.random.default_rng(0)

    def __call__(self, epochs: int) -> None:
        for _ in range(epochs):
            order = windows(self.rng, np.arange(CELLS), BATCH).reshape(ITERATIONS, BATCH)
            for it, rows in enumerate(order):
                for step in (self.autoencoder, self.encoder if it % 3 else self.d1, self.d2):
                    batch = {name: tf.constant(values[rows]) for name, values in self.arrays.items()}
                    {name: value.numpy() for name, value in step(batch).items()}


def data() -> dict[str, np.ndarray]:
    counts = np.random.default_rng(0).negative_binomial(1, 0.4, (CELLS, GENES)).astype("float32")
    x = UnitScaler().fit(counts)(counts)
    return {"x": x, "log_factorial": mean_log_factorial(x)[:, None] * np.float32(GENES)}


def compiled(kind: type[DRANet] = DRANet) -> DRANet:
    net = kind(GENES, DRASettings.faithful(), iterations=ITERATIONS, library_prior=(4.0, 0.2))
    net.compile()
    return net


def flops(net: DRANet) -> float:
    """Floating-point operations of the matrix products of an iteration, the mean of the turns of D1 and the encoder."""
    size = {name: sum(math.prod(w.shape) for w in ws if len(w.shape) == 2) for name, ws in net.parts.items()}
    into = {name: math.prod(net.parts[name][0].shape) for name in ("encoder", "d1", "d2")}
    code, likelihood = size["encoder"] + size["z"], sum(size[k] for k in ("library", "decoder", "zinb"))
    # Forward, backward to the weights, and backward to the inputs are a product each, but inputs of nets get none.
    autoencoder = 3 * (code + likelihood) - into["encoder"]
    of_d1 = code + 2 * (3 * size["d1"] - into["d1"])
    of_encoder = 3 * code - into["encoder"] + 2 * size["d1"]
    of_d2 = code + size["decoder"] + size["reconstruction"] + 2 * (3 * size["d2"] - into["d2"])
    share = TURNS_OF_D1 / ITERATIONS
    return 2 * BATCH * (autoencoder + share * of_d1 + (1 - share) * of_encoder + of_d2)


def adam_bytes(net: DRANet) -> float:
    """Bytes that the updates of an iteration read (weight, gradient, two moments) and write (all but the gradient)."""
    share = TURNS_OF_D1 / ITERATIONS
    often = {"autoencoder": 1.0, "d2": 1.0, "d1": share, "encoder": 1 - share}
    return 7 * 4 * sum(often[name] * sum(math.prod(w.shape) for w in ws) for name, ws in net.players.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    arrays = data()
    slow = "a call per step, library lnΓ"
    ways = {
        slow: Sessions(compiled(LibraryNet), arrays),
        "a call per step": Sessions(compiled(), arrays),
        "a call per step, XLA": Sessions(compiled(), arrays, jit_compile=True),
        "engine, real and fake in one product": harness.Engine(compiled(FusedNet), arrays, BATCH, order=windows),
        "**engine**": harness.Engine(compiled(), arrays, BATCH, order=windows),
    }
    for run in ways.values():
        run(1)
    updates = options.epochs * ITERATIONS
    times = harness.in_turn(
        {name: lambda run=run: harness.seconds(run, options.epochs) / updates * 1e3 for name, run in ways.items()},
        options.rounds,
    )
    rate, copies = harness.gemm_rate(), harness.copy_rate()
    products = flops(compiled()) / rate * 1e3
    traffic = adam_bytes(compiled()) / copies * 1e3
    lines = [
        "| way | ms per iteration | s per 200 epochs | times faster than the first | of the products | with Adam |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in times.items():
        median = statistics.median(values)
        lines.append(
            f"| {name} | {harness.spread(values)} | {median * 200 * ITERATIONS / 1e3:.0f} | "
            f"{harness.spread(harness.ratios(times[slow], values), 1)} | {products / median:.0%} | "
            f"{(products + traffic) / median:.0%} |"
        )
    lines += [
        f"| matrix products | {products:.2f} | {products * 200 * ITERATIONS / 1e3:.0f} | | 100% | |",
        f"| and Adam's traffic | {products + traffic:.2f} | {(products + traffic) * 200 * ITERATIONS / 1e3:.0f} "
        "| | | 100% |",
        "",
        "The matrix products and Adam's traffic bound it, and not the calls: nothing that makes the same products "
        f"could be more than {statistics.median(times[slow]) / (products + traffic):.1f} times faster than the first "
        "way.",
    ]
    harness.report(
        "Time per iteration of DR-A (faithful, K = 10)",
        f"benchmarks/dr_a.py --rounds {options.rounds} --epochs {options.epochs}",
        f"matrix products at {rate / 1e9:.0f} GFLOP/s, copies at {copies / 1e9:.0f} GB/s. {CELLS:,} cells × {GENES} "
        f"genes, mini-batches of {BATCH}, {ITERATIONS} iterations an epoch; medians (and range) of {options.rounds} "
        f"rounds of {options.epochs} epochs, all ways in turn. Times are without compilation; 200 epochs are "
        f"extrapolated. An iteration is {flops(compiled()) / 1e9:.2f} GFLOP of matrix products in three updates, and "
        f"{adam_bytes(compiled()) / 1e6:.0f} MB that Adam reads and writes.",
        lines,
        options.output,
    )


if __name__ == "__main__":
    main()
