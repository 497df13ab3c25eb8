"""The convolutional conditional VAE at the size of the 68k PBMC: time per update, time of generation, peak memory.

Training is compared with plain Keras `fit` of the same network and loss on dense images, generation with one call of
`predict` per cell; all ways take turns in one process. Peak memory is that of a process of its own:

    python benchmarks/cvae.py [--rounds 5] [--output benchmarks/cvae.md]
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import anndata
import keras
import numpy as np
import pandas as pd
import scipy.sparse as sp
import tensorflow as tf
from harness import Engine, gemm_rate, in_turn, ratios, report, seconds, spread

from scgen_lib.models.cvae import CVAE
from scgen_lib.models.cvae.cells import image_side
from scgen_lib.models.cvae.net import CVAENet

GENES, LABELS, BATCH, ALL_CELLS, DETECTED = 20_387, 11, 32, 68_579, 530
SIZE = image_side(GENES)


class Plain(keras.Model):
    """The same network in Keras without further thought: images and one-hot types in, `compute_loss`."""

    def __init__(self, net: CVAENet):
        super().__init__()
        self.net = net

    def call(self, inputs: tuple, training: bool = False) -> tf.Tensor:
        mean, log_var = self.net.encoder(list(inputs))
        self.add_loss(-0.5 * tf.reduce_mean(tf.reduce_sum(1 + log_var - mean**2 - tf.exp(log_var), axis=1)))
        z = mean + tf.exp(0.5 * log_var) * keras.random.normal(tf.shape(mean), seed=self.net.noise)
        return tf.sigmoid(self.net.decoder([z, inputs[1]]))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True) -> tf.Tensor:
        image = tf.reshape(x[0], tf.shape(y_pred))
        return SIZE**2 * tf.reduce_mean((image - y_pred) ** 2) + tf.add_n(self.losses)


def simulated(cells: int) -> anndata.AnnData:
    """CSR counts with as many detected genes a cell as the real ones, every gene detected, types of all sizes."""
    rng = np.random.default_rng(0)
    blocks = []
    for start in range(0, cells, 4096):
        n = min(4096, cells - start)
        size = n * DETECTED
        rows, genes = np.repeat(np.arange(n, dtype="int32"), DETECTED), rng.integers(0, GENES, size, "int32")
        if not blocks:
            genes[:GENES] = rng.permutation(GENES)
        values = np.minimum(rng.geometric(0.4, size), 260).astype("int32")
        blocks.append(sp.csr_matrix((values, (rows, genes)), (n, GENES)))
    obs = pd.DataFrame({"cell_type": [f"type {i % LABELS}" for i in range(cells)]}, index=map(str, range(cells)))
    counts = sp.vstack(blocks, format="csr")
    return anndata.AnnData(
        None, obs=obs, var=pd.DataFrame(index=[f"g{i}" for i in range(GENES)]), layers={"counts": counts}
    )


def build(jit: bool = CVAENet.jit) -> CVAENet:
    net = CVAENet(GENES, CVAE.faithful().settings, n_labels=LABELS, maximum=260.0)
    net.jit = jit
    net.compile(optimizer=keras.optimizers.RMSprop(1e-3))
    return net


def training_times(rounds: int, batches: int) -> list[str]:
    counts = simulated(BATCH * batches).layers["counts"]
    codes = np.arange(BATCH * batches) % LABELS
    images = np.pad(counts.toarray() / 260.0, ((0, 0), (0, SIZE**2 - GENES))).astype("float32")
    inputs = (images.reshape(-1, SIZE, SIZE, 1), np.eye(LABELS, dtype="float32")[codes])
    plain = Plain(build())
    plain.compile(optimizer=keras.optimizers.RMSprop(1e-3))
    xla = Plain(build())
    xla.compile(optimizer=keras.optimizers.RMSprop(1e-3), jit_compile=True)
    arrays = {
        "counts": counts,
        "label": codes[:, None].astype("float32"),
        "constant": np.zeros((len(codes), 1), "float32"),
    }
    ways = {
        "plain `fit`": lambda epochs: plain.fit(inputs, batch_size=BATCH, epochs=epochs, verbose=0),
        "`fit`, XLA": lambda epochs: xla.fit(inputs, batch_size=BATCH, epochs=epochs, verbose=0),
        "engine, XLA": Engine(build(jit=True), arrays, BATCH),
        "**engine**": Engine(build(), arrays, BATCH),
    }
    for run in ways.values():
        run(1)
    taken = in_turn({name: partial(seconds, run, 1) for name, run in ways.items()}, rounds)
    times = {name: [value / batches * 1e3 for value in values] for name, values in taken.items()}
    bound = 3 * 2 * BATCH * multiply_adds() / gemm_rate() * 1e3
    rows = [
        f"| {name} | {spread(values, 0)} | {spread(ratios(times['plain `fit`'], values), 1)} | "
        f"{bound / statistics.median(values):.0%} |"
        for name, values in times.items()
    ]
    return [*rows, f"| roofline | {bound:.0f} | | 100% |"]


def multiply_adds() -> int:
    """Multiply-adds of one cell forward through both nets; backward takes twice as many."""
    net, total = build(), 0
    for layer in (*net.encoder.layers, *net.decoder.layers):
        if isinstance(layer, keras.layers.Conv2DTranspose):
            total += layer.kernel.shape.num_elements() * layer.input.shape[1] * layer.input.shape[2]
        elif isinstance(layer, keras.layers.Conv2D):
            total += layer.kernel.shape.num_elements() * layer.output.shape[1] * layer.output.shape[2]
        elif isinstance(layer, keras.layers.Dense):
            total += layer.kernel.shape.num_elements()
    return total


def generation_times(rounds: int, cells: int, calls: int) -> list[str]:
    model = CVAE.faithful().fit(simulated(BATCH * 6), epochs=1)
    thin_out(model)
    decoder, one_hot, rng = model.net.decoder, np.eye(LABELS, dtype="float32"), np.random.default_rng(0)
    target = {label: cells // LABELS + (i < cells % LABELS) for i, label in enumerate(model.labels)}

    def one_by_one() -> float:
        start = time.perf_counter()
        for i in range(calls):
            z = rng.normal(1.0, 2.0, (1, 2)).astype("float32")
            logits = decoder.predict([z, one_hot[[i % LABELS]]], verbose=0)
            np.floor(model.maximum / (1 + np.exp(-logits))).astype(int)
        return (time.perf_counter() - start) / calls * cells

    def together() -> float:
        start = time.perf_counter()
        model.simulate(target)
        return time.perf_counter() - start

    one_by_one()
    model.simulate(LABELS)
    times = in_turn({"slow": one_by_one, "fast": together}, rounds)
    return [
        f"| one `predict` per cell ({calls} calls, extrapolated) | {spread(times['slow'], 0)} | 1.0 |",
        f"| **`simulate`** | {spread(times['fast'], 1)} | {spread(ratios(times['slow'], times['fast']), 0)} |",
    ]


def thin_out(model: CVAE) -> None:
    """Set the last layer such that one count in ten is not zero, as in real data: a longer training would."""
    decoder = model.net.decoder
    *_, last = (layer for layer in decoder.layers if isinstance(layer, keras.layers.Conv2DTranspose))
    z = np.random.default_rng(0).normal(1.0, 2.0, (LABELS, 2)).astype("float32")
    logits = decoder([z, np.eye(LABELS, dtype="float32")]).numpy()
    factor = 2.5 / logits.std()
    last.kernel.assign(last.kernel * factor)
    last.bias.assign(last.bias * factor - np.quantile(logits * factor, 0.9) - np.log(model.maximum - 1))


def train_all(batches: int) -> None:
    """Part of an epoch on a matrix of full size; prints the peak of the resident set in GiB before and after."""

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts KiB

    adata = simulated(ALL_CELLS)
    before = peak()
    train = np.random.default_rng(0).choice(ALL_CELLS, BATCH * batches, replace=False)
    model = CVAE().fit(adata, train=train, epochs=1, validation_split=0.1)
    if not np.isfinite(model.history["loss"][0]):
        raise RuntimeError("the loss is not finite")
    print(f"{before:.2f} {peak():.2f} {adata.layers['counts'].nnz / ALL_CELLS:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=10)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--train-all", action="store_true", help="only train on the full matrix, and print the memory")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.train_all:
        train_all(options.batches)
        return
    command = [sys.executable, __file__, "--train-all", "--batches", "20"]
    alone = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    lines = [
        f"One update, batch {BATCH}, image {SIZE} × {SIZE}, squared error, RMSprop:",
        "",
        "| way | ms per update | times faster than plain `fit` | of the roofline |",
        "|---|---|---|---|",
        *training_times(options.rounds, options.batches),
        "",
        f"Generation of {options.cells:,} cells of {LABELS} types, counts of {GENES:,} genes, variant faithful:",
        "",
        "| way | s | times faster |",
        "|---|---|---|",
        *generation_times(min(options.rounds, 3), options.cells, 100),
        "",
        f"Peak resident set of a process that trains on 20 batches of {ALL_CELLS:,} cells × {GENES:,} genes (CSR, "
        f"{alone[2]} detected genes a cell), variant repaired: **{float(alone[1]):.2f} GiB**; "
        f"{float(alone[0]):.2f} GiB when the data were made, before training.",
    ]
    report(
        "The convolutional conditional VAE at the size of the 68k PBMC",
        f"benchmarks/cvae.py --rounds {options.rounds} --batches {options.batches} --cells {options.cells}",
        f"medians (and range) of {options.rounds} rounds (generation: {min(options.rounds, 3)}), all ways in turn. "
        "Times are without compilation. The roofline is the time of the multiply-adds alone at the rate of a large "
        "matrix product.",
        lines,
        options.output,
    )


if __name__ == "__main__":
    main()
