"""Coarser products and XLA's flags: what they save in an update of each network, and what they change in its results.

Each way is a state of the whole process, so each is measured in a process of its own, all in turn, round by round:

    python benchmarks/precision.py [--rounds 3] [--output benchmarks/precision.md]

The results are those of short trainings on the 700 human blood cells that scanpy brings along, from the same seeds.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

FAST, ONEDNN = {"XLA_FLAGS": "--xla_cpu_enable_fast_math=true"}, {"TF_SET_ONEDNN_FPMATH_MODE": "BF16"}
# Way → compiled by XLA, products of bfloat16, environment.
BASE = "**float32, XLA**"
WAYS = {
    BASE: (True, False, {}),
    "float32, XLA, `xla_cpu_enable_fast_math`": (True, False, FAST),
    "bfloat16 products, XLA": (True, True, {}),
    "float32, no XLA": (False, False, {}),
    "float32, no XLA, oneDNN's bfloat16 mode": (False, False, ONEDNN),
    "bfloat16 products, no XLA": (False, True, {}),
}
CHANGES = ("float32, XLA, `xla_cpu_enable_fast_math`", "float32, no XLA", "bfloat16 products, no XLA")


def coarse() -> None:
    """Let dense layers multiply in bfloat16 from here on, forward and backward; weights and sums stay float32."""
    import keras
    import tensorflow as tf

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        x = tf.cast(tf.cast(inputs, tf.bfloat16) @ tf.cast(self.kernel, tf.bfloat16), tf.float32)
        x = x if self.bias is None else x + self.bias
        return x if self.activation is None else self.activation(x)

    keras.layers.Dense.call = call


def updates(jit: bool, epochs: int) -> dict[str, float]:
    """Return milliseconds per step of every network, without compilation."""
    return {name: run(epochs) / steps * 1e3 for name, run, steps in networks(jit, epochs)}


def drawn(rng, rows, size: int):
    """Return the cells of four outer steps of cscGAN, drawn with replacement."""
    return rng.choice(rows, 4 * size)


def networks(jit: bool, epochs: int) -> Iterator[tuple]:
    """Yield name, training and number of steps that are timed."""
    import cvae
    import dr_a
    import numpy as np
    import scgan
    import training as dca
    from harness import Engine

    def timed(net, *args, **options) -> Engine:
        net.jit = jit
        return Engine(net, *args, **options)

    for genes, batch in ((1000, 32), (1000, 128)):
        arrays, standardiser = dca.data(genes)
        net = dca.engine(arrays, standardiser, batch, "log_space").model
        yield f"DCA, {genes:,} genes, {batch} cells", timed(net, arrays, batch), epochs * (dca.CELLS // batch)
    run = timed(dr_a.compiled(), dr_a.data(), dr_a.BATCH, order=dr_a.windows)
    yield f"DR-A, {dr_a.GENES} genes, {dr_a.BATCH} cells", run, epochs * dr_a.ITERATIONS
    for genes in (765, 2000):
        net, (x, codes) = scgan.compiled(genes), scgan.data(genes)
        arrays = {"x": x, "label": codes[:, None].astype("float32")}
        run = timed(net, arrays, net.critic_updates * scgan.BATCH, order=drawn)
        yield f"cscGAN, {genes:,} genes, {scgan.BATCH} cells", run, 4 * epochs
    if not jit:  # in XLA its convolutions are many times slower, so it never trains there
        counts = cvae.simulated(10 * cvae.BATCH).layers["counts"]
        codes = (np.arange(counts.shape[0])[:, None] % cvae.LABELS).astype("float32")
        arrays = {"counts": counts, "label": codes, "constant": np.zeros_like(codes)}
        run = timed(cvae.build(), arrays, cvae.BATCH)
        yield f"CVAE, {cvae.SIZE} × {cvae.SIZE} pixels, {cvae.BATCH} cells", run, 10 * epochs


def results(jit: bool, seeds: int) -> dict[str, list[float]]:
    """Return what short trainings end with, a value a seed."""
    import numpy as np

    from scgen_lib import data, training
    from scgen_lib.metrics.clustering import kmeans_scores
    from scgen_lib.models.dca import DCA
    from scgen_lib.models.dr_a import DRA

    for module in (training, training.windows):
        module.XLA_PAYS = 0 if jit else np.inf
    cells = data.load("pbmc68k_reduced")
    dca = [DCA(seed=seed).fit(cells, epochs=100) for seed in range(seeds)]
    dra = [DRA.faithful(seed=seed, latent_dim=10).fit(cells, epochs=100) for seed in range(seeds)]
    return {
        "DCA: held-out loss": [model.history["val_loss"][-1] for model in dca],
        "DR-A, K = 10: NMI of the 10 types": [
            float(kmeans_scores(model.embed(cells), cells.obs["cell_type"]).loc["nmi", "mean"]) for model in dra
        ],
    }


def by_network(taken: list[dict[str, dict[str, float]]]) -> Iterator[tuple[str, dict[str, list[float]]]]:
    """Yield each network with every round's milliseconds of the ways that it was timed in, the first way first."""
    for name in taken[0][list(WAYS)[-1]]:
        yield name, {way: [round_[way][name] for round_ in taken] for way in WAYS if name in taken[0][way]}


def table(taken: list[dict[str, dict[str, float]]]) -> list[str]:
    """Return the lines of what an update takes, from every round's milliseconds of every way."""
    from harness import ratios, spread

    lines = ["| network | way | ms per step | times faster than the first |", "|---|---|---|---|"]
    for name, values in by_network(taken):
        first = next(iter(values.values()))
        lines += [f"| {name} | {way} | {spread(ms)} | {spread(ratios(first, ms))} |" for way, ms in values.items()]
    return lines


def conclusion(taken: list[dict[str, dict[str, float]]]) -> list[str]:
    """Return which way is fastest by network, and by how much."""
    from harness import ratios

    found = []
    for name, values in by_network(taken):
        first = next(iter(values.values()))
        gains = {way: statistics.median(ratios(first, ms)) for way, ms in values.items()}
        best = max(gains, key=gains.get)
        found.append(f"{name}: {best.strip('*')}" + (f" ({gains[best]:.2f} times)" if gains[best] > 1 else ""))
    return ["", f"The fastest by network: {'; '.join(found)}."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--way", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--results", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        jit, in_bfloat16, environment = WAYS[options.way]
        assert environment.items() <= os.environ.items(), f"{options.way} asks for {environment}."
        if in_bfloat16:
            coarse()
        print(json.dumps(results(jit, options.seeds) if options.results else updates(jit, options.epochs)))
        return
    from harness import other, report

    def asked(way: str, *also: str) -> dict:
        env = [f"{name}={value}" for name, value in WAYS[way][-1].items()]
        given = ["--epochs", str(options.epochs), "--seeds", str(options.seeds), "--way", way, *also]
        return other(["env", *env, sys.executable, __file__, *given])

    taken = [{way: asked(way) for way in WAYS} for _ in range(options.rounds)]
    lines = [*table(taken), *conclusion(taken), "", "| way | result of a short training | mean ± sd |", "|---|---|---|"]
    for way in (BASE, *CHANGES):
        for name, values in asked(way, "--results").items():
            lines.append(f"| {way} | {name} | {statistics.mean(values):.4f} ± {statistics.stdev(values):.4f} |")
    given = f"--rounds {options.rounds} --epochs {options.epochs} --seeds {options.seeds}"
    notes = (
        f"medians (and range) of {options.rounds} rounds, a process a way and round, all in turn, without compilation. "
        "A step is an update of DCA and of the CVAE, an iteration of DR-A, five updates of cscGAN's critic and one of "
        f"its generator.\nResults: 100 epochs on pbmc68k_reduced, {options.seeds} seeds."
    )
    report("Coarser products and XLA's flags", f"benchmarks/precision.py {given}", notes, lines, options.output)


if __name__ == "__main__":
    main()
