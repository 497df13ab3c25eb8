"""What the codes do otherwise, measured by itself: both sides of each deviation that needs no long training."""

import functools
from collections.abc import Mapping
from typing import Any

import anndata
import numpy as np
import tensorflow as tf

from scgen_book.experiments import defects
from scgen_book.experiments.dca import cases
from scgen_book.experiments.defects import Defect
from scgen_book.experiments.protocol import NotApplicable, Task
from scgen_lib import preprocess, training
from scgen_lib.data import checks, splatter
from scgen_lib.models.dca.students import Student, StudentNet, StudentSettings

Sides = tuple[float, float]


class Case:
    """The data set, or the cells that part B trains on: loaded where a deviation asks for them."""

    def __init__(self, dataset: str, seed: int, settings: Mapping):
        self._dataset, self._seed, self._settings = dataset, seed, settings

    @functools.cached_property
    def own(self) -> anndata.AnnData:
        """The data set that is denoised."""
        return cases.own(self._dataset, self._settings)

    @functools.cached_property
    def test(self) -> anndata.AnnData:
        """The cells that part B trains on."""
        return cases.split(self._dataset, self._seed, self._settings)["test"]

    @property
    def counts(self) -> np.ndarray:
        """Counts of `test`, dense."""
        return training.dense(checks.get_counts(self.test))


def folded_guard(case: Case, seed: int, settings: Mapping) -> Sides:
    """Compile the guard of a logarithm, and the larger of two numbers in its place."""
    logit = tf.range(0.0, 40.0, 0.5)  # of π, for a count that is not zero
    folded = tf.function(lambda a: -tf.math.log(1.0 - tf.sigmoid(a) + 1e-10), jit_compile=True)(logit)
    guarded = tf.function(lambda a: -tf.math.log(tf.maximum(1.0 - tf.sigmoid(a), 1e-10)), jit_compile=True)(logit)
    return tuple(np.isfinite(loss).mean() for loss in (folded, guarded))


def zero_size_factor(case: Case, seed: int, settings: Mapping) -> Sides:
    """Count the cells whose lower median count is 0 where more is dropped."""
    sparse = splatter.preset("dca_student", seed=seed, dropout_mid=3)
    ordered = np.sort(training.dense(checks.get_counts(sparse, allow_empty=True)), axis=1)
    return (ordered[:, ordered.shape[1] // 2 - 1] == 0).mean(), 0.0


def _standardised(x: np.ndarray, size_factor: str, zscore: str, cells: np.ndarray) -> np.ndarray:
    """Return the input of a network that was fitted on x."""
    made = preprocess.Standardiser(size_factor, zscore).fit(x)
    return made(tf.constant(cells), tf.constant(made.factors(cells)[:, None])).numpy()


def one_mean_for_all(case: Case, seed: int, settings: Mapping) -> Sides:
    """Look at the means of the genes at the input, by one z-score for the whole matrix and by one a gene."""
    x = case.counts
    return tuple(np.abs(_standardised(x, "total_median", way, x).mean(0)).max() for way in ("global", "gene"))


def batch_mates(case: Case, seed: int, settings: Mapping) -> Sides:
    """Put the same eight cells among seven and among 63 others."""
    x = case.counts
    inputs = [_standardised(x, "batch_total", "batch", x[:m])[:8] for m in (8, 64)]
    return np.abs(inputs[0] - inputs[1]).max(), 0.0


def early_step(case: Case, seed: int, settings: Mapping) -> Sides:
    """Train two epochs with the step before the backward pass and after it, and see what has moved."""
    test, seed, moved = case.test, settings["seed"], []
    start = StudentNet(test.n_vars, StudentSettings(kind="IV", seed=seed)).get_weights()[:2]
    for buggy in (True, False):
        loop = Student(kind="IV", size_factor="total_median", buggy_step=buggy, weight_decay=0.0, seed=seed)
        after = loop.fit(test, epochs=2).net.get_weights()[:2]
        moved.append(max(float(np.abs(a - b).max()) for a, b in zip(after, start, strict=True)))
    return tuple(moved)


def types_among_the_last(case: Case, seed: int, settings: Mapping) -> Sides:
    """Count the types among the last cells of a file sorted by type, and among as many drawn ones."""
    _, reason = checks.scoring(case.own.obs.get("cell_type", []))
    if reason is not None:
        raise NotApplicable(reason)
    kinds, share = case.own.obs["cell_type"], settings["validation_split"]
    last = kinds.iloc[np.argsort(kinds.cat.codes, kind="stable")[int(len(kinds) * (1 - share)) :]]
    return last.nunique(), kinds.sample(frac=share, random_state=seed).nunique()


DEFECTS = {
    "S2": Defect("share of logits of π from 0 to 40 with a finite loss", folded_guard),
    "C1": Defect("share of cells with size factor 0, dropout midpoint 3", zero_size_factor),
    "C2": Defect("largest mean of a gene at the input, sd", one_mean_for_all),
    "C3": Defect("largest change of an input by its batch mates, sd", batch_mates),
    "C9": Defect("largest change of a first-layer weight in two epochs without weight decay", early_step),
    "C15": Defect("cell types among the validation cells of a file sorted by type", types_among_the_last),
}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return what can be measured: on the data set always, on the simulation of part B where that is asked for."""
    dataset, simulation, seed = values["dataset"], values["simulation"], values["seed"]
    tasks = [(dataset, "S2", seed), (dataset, "C15", seed)]
    try:
        cases.refuse_unless("B", values)
    except NotApplicable:
        return tasks
    if values["seeds"]:
        first, trained = values["seeds"][0], ["C9"] if "IV" in values["models"] else []
        tasks += [(simulation, "C1", seed), *((simulation, name, first) for name in ("C2", "C3", *trained))]
    return tasks


EXPERIMENT = defects.experiment(
    "dca.defects",
    DEFECTS,
    prepare=Case,
    asked=asked,
    settings=(
        "labels", "transpose", "max_cells", "max_genes", "test_fraction", "shuffle_split", "validation_split", "seed",
    ),
)  # fmt: skip
