"""Part B: the four models of a student reproduction, trained on the one part of the cells and looked at on both.

Metrics without a further word are of the validation cells after all epochs; the report looks at a third, at two thirds
and at all of them.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from scgen_book.experiments.dca import calls, cases
from scgen_book.experiments.protocol import METHOD, Experiment, Method, Metric, Task
from scgen_lib.metrics import denoising
from scgen_lib.models.dca.students import MODELS, Student
from scgen_lib.settings import chosen

Split = dict[str, Any]
#: Measured of the model IV alone: what its code does, and the other way.
BOTH_WAYS = {
    "C6": ("AUC of π", "AUC of w"),
    "C8": ("called dropouts filled with, floor", "called dropouts filled with"),
    "C10": ("error in training mode", "error in inference mode"),
}
DIVERGED = "first epoch with a non-finite loss"
_PARTS = ("test", "validation")
_HISTORY = ("loss", "gradient_norm", "largest_mean", "largest_dispersion")


def marks(epochs: int) -> tuple[int, int, int]:
    """Return a third, two thirds and all of the epochs."""
    return epochs // 3, 2 * epochs // 3, epochs


def named(column: str, part: str, third: int) -> str:
    """Return the metric of a column on a part of the cells after so many thirds of the epochs."""
    return column if (part, third) == ("validation", 3) else f"{column}, {part}, {third}/3"


def _student(kind: str) -> Method:
    def run(split: Split, seed: int, settings: Mapping) -> Student:
        student, epochs = Student(kind=kind, seed=seed, **chosen(Student, settings)), settings["student_epochs"]
        # without a checkpoint: the weights at the marks are not in it
        return student.fit(split["test"], epochs=epochs, batch_size=settings["batch_size"], snapshots=marks(epochs))

    return Method(run, METHOD, variant="faithful")


def score(split: Split, student: Student, seed: int, settings: Mapping) -> dict[str, float]:
    """Return calls and distances on both parts at the marks that the training has reached, and where it diverged."""
    found = {
        DIVERGED: student.diverged_at or np.nan,
        "cells": split["test"].n_obs,
        "genes": split["test"].n_vars,
    }
    rule, rounding = settings["dropout_rule"] or "prior", settings["rounding"] or "floor"
    for third, mark in enumerate(marks(settings["student_epochs"]), 1):
        for part in _PARTS if mark in student.snapshots else ():
            values = student.at(mark).parameters(split[part])
            judged = calls.judge(values, split[part], rule, rounding, settings["threshold"])
            found |= {named(column, part, third): judged[column] for column in calls.COLUMNS}
    return found | (_both_ways(student, split["validation"], settings) if student.kind == "IV" else {})


def _both_ways(student: Student, cells: Any, settings: Mapping) -> dict[str, float]:
    """Return the quantities of `BOTH_WAYS`, and r of a cell's depth with its summed mean."""
    observed, truth = cases.both(cells)
    values, dropped = student.parameters(cells), denoising.dropout_mask(observed, truth)
    batch = {"counts": tf.constant(observed), "size_factor": student.net.standardiser.factors(observed)[:, None]}
    inference = student.net(batch, training=False)["mean"].numpy()
    auc = [denoising.detection_curve(values[key], observed, truth)["auc"] for key in ("dropout", "posterior")]
    called = (observed == 0) & (values["dropout"] > settings["threshold"])
    filled = values["mean"][called] if called.any() else np.array([np.nan])
    off = [np.median(np.abs(np.log1p(m[dropped]) - np.log1p(truth[dropped]))) for m in (values["mean"], inference)]
    sides = [*auc, np.floor(filled).mean(), filled.mean(), *off]
    names = [name for both in BOTH_WAYS.values() for name in both]
    depth = np.corrcoef(values["mean"].sum(1), truth.sum(1))[0, 1]
    return dict(zip(names, sides, strict=True)) | {"r of depth": depth}


def keep(split: Split, student: Student, seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return what the epochs left behind: losses, gradient norms, largest means and dispersions."""
    return {name: np.asarray(student.history[name], "float64") for name in _HISTORY}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the models at every seed."""
    cases.refuse_unless("B", values)
    return [(values["simulation"], kind, seed) for seed in values["seeds"] for kind in values["models"]]


def claims(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims of the report on a model."""
    found = {name: f"dca.student.{row['method']}.{name}" for name in ("precision", "recall", "distance")}
    diverged = {DIVERGED: "dca.student.I.nan_epoch"} if row["method"] == "I" else {}
    return found | diverged


EXPERIMENT = Experiment(
    name="dca.students",
    methods={kind: _student(kind) for kind in MODELS},
    metrics={
        DIVERGED: Metric(DIVERGED, "higher", judged=False),
        "cells": Metric("cells trained on", "higher", judged=False),
        "genes": Metric("genes", "higher", judged=False),
        **{
            named(column, part, third): metric
            for third in (1, 2, 3)
            for part in _PARTS
            for column, metric in calls.COLUMNS.items()
        },
        **{name: Metric(name, "higher", judged=False) for both in BOTH_WAYS.values() for name in both},
        "r of depth": Metric("r of a cell's depth with its summed mean", "higher", judged=False),
    },
    prepare=cases.split,
    score=score,
    keep=keep,
    settings=(
        Student, "student_epochs", "batch_size", "test_fraction", "shuffle_split", "dropout_rule", "threshold",
        "rounding", "max_cells", "max_genes",
    ),
    asked=asked,
    claims=claims,
)  # fmt: skip
