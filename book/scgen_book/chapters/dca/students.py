"""Part B on the page: four student models, and the same under repaired settings."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scgen_book import plots
from scgen_book.experiments.dca import calls, entries
from scgen_book.experiments.dca import students as models
from scgen_book.experiments.dca import students_repaired as networks
from scgen_book.experiments.rows import Rows
from scgen_book.results import Run

FREE, TAMED = (networks.network(True, ridge) for ridge in networks.RIDGES)
_PARTS = ("test", "validation")


def record(found: Rows, run: Run, epochs: int) -> None:
    """Record every value, and of a training that did not diverge up to which epoch that is known."""

    def told(row: Mapping, metric: str) -> dict[str, str]:
        never = metric == models.DIVERGED and row["scores"][metric] is None
        return {"note": f"none up to {epochs} epochs"} if never else {}

    found.record(run, told)


def scores(found: Rows, epochs: int) -> pd.DataFrame:
    """Return the scores of the students, a line a model, number of epochs, part and seed.

    A training that had diverged by then has no scores.
    """
    lines = [
        {"model": row["method"], "epochs": mark, "part": part, "seed": row["seed"]}
        | {column: row.get(models.named(column, part, third), np.nan) for column in calls.COLUMNS}
        for row in found.wide.to_dict("records")
        for third, mark in enumerate(models.marks(epochs), 1)
        for part in _PARTS
    ]
    return pd.DataFrame(lines)


def table(found: Rows, epochs: int) -> pd.DataFrame:
    """Return the scores of the students, mean over the seeds."""
    return scores(found, epochs).groupby(["part", "model", "epochs"])[list(calls.COLUMNS)].mean().round(3)


def losses(found: Rows) -> Figure:
    """Draw the losses of the students, first seed."""
    return plots.loss_curves({kind: {"loss": kept["loss"]} for kind, kept in _histories(found).items()}).figure


def divergence(found: Rows) -> Figure:
    """Draw what may explode in the students, first seed."""
    return plots.divergence(_histories(found))


def _histories(found: Rows) -> dict[str, Mapping[str, np.ndarray]]:
    return {kind: found.kept(kind) for kind in dict.fromkeys(found.wide["method"])}


def repaired(found: Rows) -> pd.DataFrame:
    """Return the scores of the repaired networks and of the controls, a line a model, part and seed."""
    lines = [
        {"model": row["method"], "part": part, "seed": row["seed"]}
        | {column: row.get(networks.named(column, part), np.nan) for column in networks.COLUMNS}
        for part in _PARTS
        for row in found.wide.to_dict("records")
    ]
    return pd.DataFrame(lines)


def repaired_table(found: Rows) -> pd.DataFrame:
    """Return the scores of the repaired networks and of the controls, mean over the seeds."""
    columns = [*calls.COLUMNS, "median_abs_log_dropout"]
    return repaired(found).groupby(["part", "model"], sort=False)[columns].mean().round(3)


def first(found: Rows, model: str) -> dict[str, float]:
    """Return the values of a network at the first seed, by metric."""
    rows = found.wide[found.wide["method"] == model]
    return rows.iloc[0].to_dict() if len(rows) else {}


def _curves(found: Rows) -> dict[str, dict]:
    """Return precision and recall of all scores of dropout, with and without ridge, first seed."""
    curves = {}
    for ridge, model in zip(networks.RIDGES, (FREE, TAMED), strict=True):
        kept, values = found.kept(model), first(found, model)
        for label in networks.SCORES if kept else ():
            precision, recall = kept[f"curve {label}"]
            curves[f"{label}, ridge {ridge:g}"] = {
                "auc": values[f"AUC, {label}"],
                "average_precision": values[f"average precision, {label}"],
                "precision": precision,
                "recall": recall,
            }
    return curves


def curve_table(found: Rows) -> pd.DataFrame:
    """Return the areas under the curves of all scores of dropout, validation cells, first seed."""
    areas = {n: {"AUC": c["auc"], "average precision": c["average_precision"]} for n, c in _curves(found).items()}
    return pd.DataFrame(areas).T.round(3)


def precision_recall(found: Rows, students: Rows, epochs: int) -> Figure:
    """Draw how well dropouts are found: curves of the repaired network, points of the students, first seed."""
    points = None
    if students:
        points = scores(students, epochs)
        points = points[(points["part"] == "validation") & (points["seed"] == points["seed"].iloc[0])]
    return plots.precision_recall(_curves(found), first(found, FREE)["prevalence"], points).figure


def dropped_density(found: Rows) -> Figure:
    """Draw denoised against true counts at the dropped entries, ridge 0.05, first seed."""
    kept = found.kept(TAMED)
    of = {name: kept[f"entries {name}"] for name in ("truth", "estimate", "dropped", "entries")}
    return plots.dropped_density(*entries.expanded(of)).figure


def calibration(found: Rows) -> Figure:
    """Draw whether probabilities of dropout mean what they say, first seed."""
    free, tamed = found.kept(FREE), found.kept(TAMED)
    shown = {
        "prior π, ridge 0": free["zeros π"],
        "posterior w, ridge 0": free["zeros w"],
        "posterior w, ridge 0.05": tamed["zeros w"],
    }
    positive = entries.scores(free["zeros π"])[1]
    return plots.calibration({name: entries.scores(kept)[0] for name, kept in shown.items()}, positive)
