"""What bounds an update of DCA, and what five seeds in one program would save.

The same network is trained with parts of its update left out, which says what they take, and with the weights of five
seeds stacked, every product a product of five. All ways in turn, in one process; what one thread does is measured in a
process of its own, since rows of two seeds can also stand side by side on two cores:

    python benchmarks/bounds.py [--rounds 5] [--output benchmarks/bounds.md]
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from harness import Engine, gemm_rate, in_turn, other, ratios, report, spread
from training import CELLS, data, flops

from scgen_lib.models.dca.net import DCANet
from scgen_lib.models.dca.settings import DCASettings

SEEDS = 5
ONE, MANY = "**one seed**", f"{SEEDS} seeds in one program, each"
SIZES = ((200, 32), (200, 128), (1000, 32), (1000, 128))


@keras.saving.register_keras_serializable("benchmarks")
class Products(DCANet):
    """DCA with the squares of its heads for a loss: its products and its optimiser, without any special function."""

    def nll(self, batch: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Return squares of what the three heads say, (B, G)."""
        h = self.bottleneck(self.encode(batch, training), training=training)
        h = self.decoders[0](h, training=training)
        return self.mean_head(h) ** 2 + self.dispersion_head(h) ** 2 + self.dropout_head(h) ** 2

    adds_factorial = False


def rmsprop() -> keras.Optimizer:
    return keras.optimizers.RMSprop(clipvalue=5.0)


def engine(net: type, arrays: dict, standardiser: dict, batch: int, optimizer: keras.Optimizer) -> Engine:
    model = net(arrays["counts"].shape[1], DCASettings(), standardiser=standardiser)
    model.compile(optimizer=optimizer)
    return Engine(model, arrays, batch)


class Stacked:
    """Seeds of one network, trained at once on mini-batches of their own, with the updates of each for itself."""

    def __init__(self, arrays: dict, standardiser: dict, batch: int, seeds: int = SEEDS):
        genes = arrays["counts"].shape[1]
        nets = [DCANet(genes, DCASettings(seed=seed), standardiser=standardiser) for seed in range(seeds)]
        self.net, self.seeds, self.batch = nets[0], seeds, batch

        def stacked(of: Callable[[DCANet], list]) -> list[keras.Variable]:
            return [keras.Variable(np.stack(of_nets)) for of_nets in zip(*map(of, nets), strict=True)]

        self.weights = stacked(lambda net: net.trainable_variables)
        self.rest = stacked(lambda net: net.non_trainable_variables)
        self.optimizer = rmsprop()
        self.optimizer.build(self.weights)
        self.arrays = {name: tf.constant(values) for name, values in arrays.items()}
        self.epoch = tf.function(self._epoch, jit_compile=True, autograph=False)

    def _one(self, given: tuple) -> tuple:
        """Return loss, gradients and statistics of one of the seeds."""
        weights, rest, rows = given
        net = self.net
        mapping = list(zip([*net.trainable_variables, *net.non_trainable_variables], [*weights, *rest], strict=True))
        with tf.GradientTape() as tape, keras.StatelessScope(state_mapping=mapping) as scope:
            tape.watch(weights)
            loss = net.batch_loss(rows, True)
        gradients = tape.gradient(loss, weights)
        return loss, gradients, [scope.get_current_value(v) for v in net.non_trainable_variables]

    def _epoch(self, orders: tf.Tensor) -> tf.Tensor:
        def body(i: tf.Tensor, total: tf.Tensor) -> tuple:
            rows = {name: tf.gather(values, orders[i]) for name, values in self.arrays.items()}
            given = [tf.convert_to_tensor(v) for v in self.weights], [tf.convert_to_tensor(v) for v in self.rest], rows
            loss, gradients, rest = tf.vectorized_map(self._one, given)
            self.optimizer.apply(gradients, self.weights)
            for variable, value in zip(self.rest, rest, strict=True):
                variable.assign(value)
            return i + 1, total + loss

        n = orders.shape[0]
        return tf.while_loop(lambda i, _: i < n, body, (tf.constant(0), tf.zeros(self.seeds)))[1] / n

    def order(self, epoch: int) -> tf.Tensor:
        """Return the cells of every mini-batch, (updates, seeds, batch)."""
        rngs = [np.random.default_rng([seed, epoch]) for seed in range(self.seeds)]
        cells = np.stack([rng.permutation(CELLS) for rng in rngs])[:, : CELLS // self.batch * self.batch]
        return tf.constant(cells.reshape(self.seeds, -1, self.batch).swapaxes(0, 1))

    def __call__(self, epochs: int) -> float:
        self.epoch(self.order(0))
        start = time.perf_counter()
        for epoch in range(epochs):
            losses = self.epoch(self.order(epoch + 1)).numpy()
        assert np.isfinite(losses).all()
        return time.perf_counter() - start


def measured(rounds: int, epochs: int) -> list[dict]:
    """Return milliseconds per update and seed of every way, round by round, at every size."""
    rows, rate = [], gemm_rate()
    for genes, batch in SIZES:
        arrays, standardiser = data(genes)
        args, updates = (arrays, standardiser, batch), epochs * (CELLS // batch)
        ways = {
            ONE: engine(DCANet, *args, rmsprop()),
            "without the likelihood": engine(Products, *args, rmsprop()),
            "by plain gradient descent": engine(DCANet, *args, keras.optimizers.SGD(1e-3)),
            "both": engine(Products, *args, keras.optimizers.SGD(1e-3)),
            MANY: Stacked(*args),
        }
        share = {name: SEEDS if name == MANY else 1 for name in ways}
        for run in ways.values():
            run(1)
        clocks = {
            name: partial(lambda run, n: run(epochs) / n * 1e3, run, updates * share[name])
            for name, run in ways.items()
        }
        products = flops(ways[ONE].model, batch) / rate * 1e3
        rows.append({"genes": genes, "batch": batch, "products": products, "ms": in_turn(clocks, rounds)})
    return rows


def table(two: list[dict], one: list[dict]) -> list[str]:
    """Return the report's lines from what two threads did, and one."""
    lines = [
        "| genes | batch | way | ms, 2 threads | of one seed's | ms, 1 thread |",
        "|---|---|---|---|---|---|",
    ]
    for row, alone in zip(two, one, strict=True):
        for name, values in row["ms"].items():
            cells = f"{row['genes']:,}", f"{row['batch']}", name, spread(values)
            cells += spread(ratios(values, row["ms"][ONE])), spread(alone["ms"][name])
            lines.append(f"| {' | '.join(cells)} |")
        lines.append(f"| {row['genes']:,} | {row['batch']} | products alone | {row['products']:.2f} | | |")
    return lines


def conclusion(two: list[dict], one: list[dict]) -> list[str]:
    """Return what the figures say of seeds in one program, against two rows side by side on two cores."""
    found = []
    for row, alone in zip(two, one, strict=True):
        side, many = statistics.median(alone["ms"][ONE]) / 2, statistics.median(row["ms"][MANY])
        found.append(f"{row['genes']:,} genes in {row['batch']}s: {many:.2f} against {side:.2f} ms")
    return ["", f"Per update and seed, {SEEDS} seeds in one program against two rows side by side: {'; '.join(found)}."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.threads)
        tf.config.threading.set_inter_op_parallelism_threads(options.threads)
        print(json.dumps(measured(options.rounds, options.epochs)))
        return
    given = ["--rounds", str(options.rounds), "--epochs", str(options.epochs)]
    two, one = (other([sys.executable, __file__, "--threads", str(n), *given]) for n in (2, 1))
    notes = (
        f"{CELLS:,} cells; medians (and range) of {options.rounds} rounds, all ways in turn, without compilation. "
        "What a way leaves out is what the likelihood\n(the special functions and what they read and write) and "
        "RMSprop with its clipping take beside the products."
    )
    lines = [*table(two, one), *conclusion(two, one)]
    report("What bounds an update of DCA", f"benchmarks/bounds.py {' '.join(given)}", notes, lines, options.output)


if __name__ == "__main__":
    main()
