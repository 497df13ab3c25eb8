"""Time of an outer step of cscGAN, five updates of the critic and one of the generator, and of generating cells.

The engine takes many outer steps in one compiled program; beside it stands the same arithmetic as six compiled calls,
each fed from NumPy, which is how a session of TensorFlow 1 worked:

    python benchmarks/scgan.py [--rounds 5] [--genes 765 2000] [--output benchmarks/scgan.md]
"""

import argparse
import statistics
import time
from pathlib import Path

import harness
import keras
import numpy as np
import tensorflow as tf

from scgen_lib import training
from scgen_lib.models.scgan import ScGAN
from scgen_lib.models.scgan.net import ScGANNet

CELLS, CLASSES, BATCH, TOTAL = 2000, 10, 128, 20000.0


class Session:
    """One call for every update, with cells, classes, noise and positions made by NumPy."""

    def __init__(self, net: ScGANNet, x: np.ndarray, codes: np.ndarray):
        self.net, self.x, self.eye, self.codes = net, x, np.eye(CLASSES, dtype="float32"), codes
        self.rng = np.random.default_rng(0)
        self.critic = tf.function(net.critic_step)
        self.generator = tf.function(net.generator_step)

    def noise(self) -> tuple[np.ndarray, np.ndarray]:
        wanted = self.eye[self.rng.integers(0, CLASSES, BATCH)]
        return self.rng.standard_normal((BATCH, self.net.settings.latent_dim), "float32"), wanted

    def __call__(self, steps: int) -> None:
        for _ in range(steps):
            for _ in range(self.net.critic_updates):
                rows = self.rng.integers(0, CELLS, BATCH)
                z, wanted = self.noise()
                alpha = self.rng.random((BATCH, 1), "float32")
                arguments = (self.x[rows], self.eye[self.codes[rows]], z, wanted, alpha)
                logs = self.critic(*map(tf.constant, arguments))
            logs |= self.generator(*map(tf.constant, self.noise()))
            float(logs["generator"]), float(logs["critic"])


class InTurn(keras.callbacks.Callback):
    """Times the engine's blocks, and after each as many outer steps of the other way."""

    def __init__(self, session: Session, steps: int):
        super().__init__()
        self.session, self.steps = session, steps
        self.times: dict[str, list[np.ndarray]] = {"engine": [], "session": []}

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.start = clocks()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        middle = clocks()
        self.session(self.steps)
        if epoch:  # the first one compiles
            self.times["engine"].append((middle - self.start) / self.steps)
            self.times["session"].append((clocks() - middle) / self.steps)


def clocks() -> np.ndarray:
    """Seconds on the clock, and seconds that all cores together worked for this process."""
    return np.array([time.perf_counter(), time.process_time()])


def product_rate() -> float:
    """FLOP per core-second of float32 products of 1,024 × 1,024 matrices, the best of ten tries."""
    a = tf.random.normal((1024, 1024))
    product = tf.function(lambda x: tf.linalg.matmul(tf.linalg.matmul(x, a), a) * 1e-3, jit_compile=True)
    product(a).numpy()
    used = []
    for _ in range(10):
        start = clocks()
        for _ in range(5):
            product(a).numpy()
        used.append((clocks() - start)[1] / 5)
    return 2 * 2 * 1024**3 / min(used)


def flops(net: ScGANNet) -> float:
    """Floating-point operations of the matrix products that one outer step cannot do without.

    Of a layer of the critic, one update needs: the products forward of real, generated and intermediate cells; back to
    the weights, and but for the first layer to the inputs, of the former two; the gradient with respect to the
    intermediate cells, which is one product; and of that product back to the weights and to what it came from. The
    generator makes two batches for each update of the critic.
    """

    def sizes(dense: list[keras.layers.Dense]) -> list[int]:
        return [int(np.prod(layer.kernel.shape)) for layer in dense]

    first, *rest = sizes(net.features)
    generator = sizes([*net.hidden, net.expression])
    critic_update = 8 * first + 10 * sum(rest) + 2 * sum(generator)
    generator_update = 3 * sum(generator) - generator[0] + 2 * (first + sum(rest))
    return 2 * BATCH * (net.critic_updates * critic_update + generator_update)


def data(genes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return cells of equal totals, (CELLS, genes) float32, and the numbers of their classes."""
    rng = np.random.default_rng(0)
    x = rng.negative_binomial(1, 0.5, (CELLS, genes)).astype("float32")
    x *= TOTAL / x.sum(axis=1, keepdims=True)
    return x, rng.integers(0, CLASSES, CELLS)


def compiled(genes: int) -> ScGANNet:
    net = ScGANNet(genes, prior=[1 / CLASSES] * CLASSES)
    net.compile(steps=1_000_000)
    return net


def measure(genes: int, rounds: int, steps: int) -> tuple[str, str]:
    x, codes = data(genes)
    nets = [compiled(genes) for _ in range(2)]
    for net in nets:
        net.jit = True  # as in the long trainings that these few epochs stand for
    watch = InTurn(Session(nets[1], x, codes), steps)
    updates = nets[0].critic_updates
    training.fit(
        nets[0],
        {"x": x, "label": codes[:, None].astype("float32")},
        epochs=rounds + 1,
        batch_size=updates * BATCH,
        seed=0,
        order=lambda rng, rows, size: rng.integers(0, CELLS, steps * size),
        callbacks=[watch],
    )
    work, rate = flops(nets[0]), product_rate()
    (engine, engine_work), (session, session_work) = (
        np.transpose(watch.times[name]).tolist() for name in ("engine", "session")
    )
    shares = [f"{work / statistics.median(used) / rate:.0%}" for used in (session_work, engine_work)]
    cells = [
        f"{genes:,}",
        *(harness.spread(values, 3) for values in (session, engine)),
        *(harness.spread(values, 3) for values in (session_work, engine_work)),
        harness.spread(harness.ratios(session_work, engine_work)),
        f"{work / 1e9:.1f}",
        *shares,
    ]
    step = f"| {' | '.join(cells)} |"
    gan = ScGAN()
    gan.net = nets[0]
    gan.net.note = {
        "var_names": [f"gene{i}" for i in range(genes)],
        "label_key": "cell_type",
        "labels": [str(i) for i in range(CLASSES)],
        "totals": [[TOTAL]] * CLASSES,
    }
    gan.simulate(1)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        gan.simulate(512)
        times.append(CLASSES * 512 / (time.perf_counter() - start))
    return step, f"| {genes:,} | {harness.spread(times, 0)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="outer steps in a round")
    parser.add_argument("--genes", type=int, nargs="+", default=[765, 2000])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = [measure(genes, options.rounds, options.steps) for genes in options.genes]
    genes = " ".join(map(str, options.genes))
    harness.report(
        "Time per outer step of cscGAN",
        f"benchmarks/scgan.py --rounds {options.rounds} --steps {options.steps} --genes {genes}",
        f"{CELLS:,} cells, {CLASSES} classes, {BATCH} cells per update, published widths; medians (and range) of "
        f"{options.rounds} rounds, both ways in turn, without compilation.",
        [
            "An outer step is five updates of the critic and one of the generator. Six calls: each update is a "
            "compiled call of its own, fed from NumPy. The work counts the matrix products only, those of the "
            "penalty's second differentiation included. Core-seconds are what all cores together worked for the "
            "process, whatever else the machine did; the shares are those of the rate per core-second of products of "
            "1,024 × 1,024 matrices.",
            "",
            "| genes | six calls, s | engine, s | six calls, core-s | engine, core-s | less work, times | GFLOP | "
            "share, six calls | share, engine |",
            "|---|---|---|---|---|---|---|---|---|",
            *(step for step, _ in rows),
            "",
            "Generated cells per second, ready as sparse AnnData:",
            "",
            "| genes | cells/s |",
            "|---|---|",
            *(generation for _, generation in rows),
        ],
        options.output,
    )


if __name__ == "__main__":
    main()
