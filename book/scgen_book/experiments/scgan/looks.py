"""What is looked at in one trained model: points of its cells, its moving statistics, its seeds, its memory."""

from collections.abc import Mapping
from typing import Any

import anndata
import numpy as np
import tensorflow as tf

from scgen_book.experiments.scgan import models
from scgen_book.experiments.scgan.cells import Case
from scgen_book.experiments.scgan.judge import Judge
from scgen_lib.metrics import mixing, realism
from scgen_lib.metrics.controls import Cells
from scgen_lib.models.scgan import ScGAN

STATISTICS = ("means by statistics of the batch and moving ones, r", "their mean difference, share", "momentum")
REPEATS = ("values that differ, one seed", "values that differ, two seeds")
APART = ("MMD² from training cells", "MMD² from held-out cells")
STAGES = 3  # the last ones before the end, as the figure shows


def statistics(model: ScGAN, settings: Mapping[str, Any]) -> dict[str, float]:
    """Compare the mean profile of cells from moving statistics with that from statistics of the batch."""
    if settings["gen_norm"] != "batchnorm":
        return {}
    net, rng = model.net, np.random.default_rng(settings["seed"])
    z = tf.constant(rng.standard_normal((512, net.settings.latent_dim), "float32"))
    codes = tf.constant(rng.choice(net.n_classes, 512, p=np.asarray(net.get_config()["prior"])).astype("float32"))
    two = [net.generate(z, net.one_hot(codes), training=t, track=False).numpy() for t in (True, False)]
    a, b = (realism.log(x, allow_empty=True) for x in two)
    r, apart = np.corrcoef(a.mean(0), b.mean(0))[0, 1], np.abs(a.mean(0) - b.mean(0)).mean() / a.mean()
    return dict(zip(STATISTICS, (r, apart, model.bn_momentum), strict=True))


def repeats(model: ScGAN, case: Case, settings: Mapping[str, Any]) -> dict[str, float]:
    """Count the values that differ between two generations with one seed, and with two."""
    seed, wanted = settings["seed"], models.like(model, case)
    again = [models.quietly(model.simulate, wanted, seed=s).X for s in (seed, seed, seed + 1)]
    return dict(zip(REPEATS, ((again[0] != other).nnz for other in again[1:]), strict=True))


def apart(judge: Judge, drawn: Cells) -> dict[str, float]:
    """Return the MMD² of generated cells from training cells and from held-out ones.

    Both sides are cells that the components have not seen: those that fixed them lie apart from all others.
    """
    seed, train = judge.settings["seed"], judge.train.counts
    held = np.random.default_rng(seed).permutation(train.shape[0])
    n = min(len(held) // 2, judge.test.counts.shape[0], drawn.counts.shape[0])
    space = realism.Space.fit(realism.log(train[held[n:]]), seed=seed)
    made = space(realism.log(drawn.counts, allow_empty=True))[:n]
    sides = (train[held[:n]], judge.test.counts)
    found = [
        mixing.mmd2(space(realism.log(x))[:n], made, space.bandwidth, permutations=1, seed=seed)["mmd2"] for x in sides
    ]
    return dict(zip(APART, found, strict=True))


def _space(case: Case, settings: Mapping[str, Any]) -> realism.Space:
    return realism.Space.fit(realism.log(case.of("train").counts), seed=settings["seed"])


def held_out(case: Case, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return "points" of the held-out cells of the figure in the space of the training cells, and "point labels"."""
    rows = case.part == case.looked
    points = _space(case, settings)(realism.log(case.cells.X[rows], allow_empty=True))
    return {"points": points, "point labels": case.labels[rows]}


def points(answer: models.Trained, case: Case, settings: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return "points" and "point labels" of cells of the model, and of those generated on its way, by step."""
    space, model = _space(case, settings), answer.model
    made = models.quietly(model.simulate, models.like(model, case, case.looked), seed=settings["seed"])
    found = _points(space, made, model, "")
    for step, at in list(answer.stages.items())[:-1][-STAGES:]:
        found |= _points(space, at, model, f" {step}")
    return found


def _points(space: realism.Space, made: anndata.AnnData, model: ScGAN, suffix: str) -> dict[str, np.ndarray]:
    labels = made.obs["cell_type"].astype(str).to_numpy() if model.labels else np.repeat("all", made.n_obs)
    return {f"points{suffix}": space(realism.log(made.X, allow_empty=True)), f"point labels{suffix}": labels}
