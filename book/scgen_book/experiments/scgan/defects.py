"""What the released code does otherwise, each deviation by itself: numbers of parts, of the split and of a picture."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier

from scgen_book.experiments import defects
from scgen_book.experiments.defects import Defect
from scgen_book.experiments.protocol import NotApplicable, Task
from scgen_book.experiments.scgan import cells
from scgen_lib import training
from scgen_lib.metrics import realism
from scgen_lib.models.scgan.cells import stratified_split
from scgen_lib.models.scgan.layers import ClassScore, input_slopes, to_library_size

MOST = 5000  # cells of a t-SNE


def _last_step_size(case: cells.Case, seed: int, settings: Mapping) -> tuple[float, float]:
    return settings["lr_final"], settings["lr_initial"]


def _heads(case: cells.Case, seed: int, settings: Mapping) -> tuple[float, float]:
    width, k = settings["critic_layers"][-1], len(case.names)
    weights = [ClassScore(width, k, condition).weights for condition in ("per_class", "projection")]
    return tuple(sum(w.numpy().size for w in of) for of in weights)


def shares(case: cells.Case) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of every class as released, sorted by size, and in the training cells, (K,) each."""
    sizes = pd.Series(case.labels[case.part == "train"]).value_counts().reindex(case.names).to_numpy()
    own = sizes / sizes.sum()
    return np.sort(own)[::-1], own


def _share(case: cells.Case, seed: int, settings: Mapping) -> tuple[float, float]:
    wrong, own = shares(case)
    far = int(np.abs(wrong - own).argmax())
    return wrong[far], own[far]


def finite_share(epsilon: float) -> float:
    """Return the share of the weights whose gradient is finite where a critic is flat."""
    w = tf.Variable(tf.zeros((5, 1)))
    with tf.GradientTape() as tape:
        slopes = input_slopes(lambda v: (v @ w)[:, 0], tf.ones((3, 5)), epsilon=epsilon)
        loss = tf.reduce_mean((slopes - 1) ** 2)
    return 1 - float(np.mean(~np.isfinite(tape.gradient(loss, w))))


def total_of_nothing(library_size: float) -> float:
    """Return the total of a cell without any expression after it was scaled to a library size."""
    return float(tf.reduce_sum(to_library_size(tf.zeros((1, 4)), library_size)))


def _gradients(case: cells.Case, seed: int, settings: Mapping) -> tuple[float, float]:
    return finite_share(0.0), finite_share(1e-12)


def splits(case: cells.Case, settings: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of every cell as released, rounded down in every class, and with the sizes asked for."""
    every = case.cells.obs["cell_type"].astype(str).to_numpy()
    down, right = (
        stratified_split(every, 0, settings["test_cells"], seed=settings["split_seed"], round_down=r)
        for r in (True, False)
    )
    return down, right


def _held_out(case: cells.Case, seed: int, settings: Mapping) -> tuple[float, float]:
    return tuple((part == "test").sum() for part in splits(case, settings))


def _figure(case: cells.Case, seed: int, settings: Mapping) -> tuple[float, float]:
    n = int((case.part == case.looked).sum())
    batch = min(settings["batch_size"], int((case.part == "train").sum()))
    return n // batch * batch, n


def _seen(x: Any, own: np.ndarray, seed: int) -> float:
    """Return the share of cells whose nearest neighbour in a t-SNE is of their own class."""
    points = TSNE(init="pca", perplexity=min(30, len(x) // 4), random_state=seed).fit_transform(x)
    near = KNeighborsClassifier(2).fit(points, own).kneighbors(points, return_distance=False)[:, 1]
    return float(np.mean(own[near] == own))


def _picture(case: cells.Case, seed: int, settings: Mapping) -> tuple[float, float]:
    rows = case.part == case.looked
    if len(case.names) < 2 or rows.sum() > MOST:
        raise NotApplicable("not measured: needs two classes, and 5,000 cells at most")
    space = realism.Space.fit(realism.log(case.of("train").counts), seed=seed)
    counts = case.cells.layers["counts"][rows]
    two = training.dense(case.cells.X[rows]), space(realism.log(counts))
    return tuple(_seen(x, case.labels[rows], seed) for x in two)


DEFECTS = {
    "C2": Defect("last step size with decay = false", _last_step_size),
    "C3": Defect("weights of the output of a critic", _heads),
    "C4": Defect("share of a class in a batch to be generated, that of the largest difference", _share),
    "C5": Defect("share of the gradients of a flat critic that are finite", _gradients),
    "C8": Defect("cells held out", _held_out),
    "C9": Defect("real cells in the figure of generated ones", _figure),
    "C10": Defect("share of real cells whose neighbour in the picture is of their class", _picture),
}


def prepare(dataset: str, seed: int, settings: Mapping) -> cells.Case:
    """Return the cells."""
    return cells.case(dataset, settings)


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every deviation, at the seed of figures."""
    return [(values["dataset"], name, int(values["seed"])) for name in DEFECTS]


EXPERIMENT = defects.experiment(
    "scgan.defects",
    DEFECTS,
    prepare=prepare,
    asked=asked,
    settings=(*cells.SETTINGS, "lr_initial", "lr_final", "critic_layers", "batch_size"),
)
