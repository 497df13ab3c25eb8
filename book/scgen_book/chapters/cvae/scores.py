"""The rows of ``cvae.realism`` as the chapter reads them: a line a score, with its kinds of cells as methods."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scgen_book.experiments import arrays, recorded
from scgen_book.experiments.cvae import cases, realism
from scgen_book.experiments.rows import Rows

#: Names of methods in tables and figures.
NAMES = {"real": "training cells"}
TRUTH = ("profile, r", "differences between types, r")


def datasets(values: Mapping[str, Any]) -> list[str]:
    """Return the data sets of a run, and beside the default data those of the record, if an edition of the book is."""
    named = values["dataset"] is not None or values["model_path"] is not None
    kept = [] if named or not recorded.of_the_book(values) else recorded.of(realism.EXPERIMENT.name).rows
    return list(dict.fromkeys([*cases.trainings(values).datasets, *(row["dataset"] for row in kept)]))


def shown(found: Rows, values: Mapping[str, Any]) -> tuple[Rows, dict[str, Any]]:
    """Return the rows of which a spread is shown, and the parameters with which they are read.

    Those are of the record where it has them (see `experiments.recorded`), with the data sets of `datasets`.
    """
    rows = recorded.shown(found, values, datasets(values))
    if rows is found:
        return found, dict(values)
    more = dict.fromkeys(row["dataset"] for row in rows.rows if row["dataset"] != cases.main_of(values))
    return rows, recorded.page(rows, found, values) | {"more_datasets": list(more)}


def scores(rows: Rows, values: Mapping[str, Any], of: tuple[str, ...] | None = None) -> pd.DataFrame:
    """Return the scores of a run, also of cells that a model has drawn otherwise.

    Parameters
    ----------
    rows
        Of ``cvae.realism``.
    values
        All parameters of the chapter.
    of
        Metrics; None: those of held-out similarity.

    Returns
    -------
    DataFrame
        seed, method ("faithful, prior z" is of the same training as "faithful"), metric, value, n_real (cells a side)
        and data, in the order of the rows.
    """
    wanted = set(realism.SCORES) - set(TRUTH) if of is None else set(of)
    lines = []
    for row in rows.rows:
        for name, value in row["scores"].items():
            kind = next((kind for kind in realism.KINDS if name.endswith(f", {kind}")), None)
            metric = name.removesuffix(f", {kind}") if kind else name
            if metric in wanted:
                method = f"{row['method']}, {kind}" if kind else row["method"]
                number = np.nan if value is None else value
                lines.append((row["seed"], method, metric, number, row["scores"]["cells a side"], row["dataset"]))
    return pd.DataFrame(lines, columns=["seed", "method", "metric", "value", "n_real", "data"])


def judged(values: Mapping[str, Any]) -> list[str]:
    """Return the data sets that have types with enough test cells."""
    found, _ = cases.load_all(values)
    return [name for name, cells in found.items() if cases.kept_types(cells, values["min_test_cells"])]


def columns(values: Mapping[str, Any]) -> list[str]:
    """Return the methods of tables and figures in their order: controls, the baseline, the models, their other z."""
    run = cases.trainings(values)
    found = ["real", "bootstrap", "permuted", "poisson", "NB per type", *reversed(run.variants)]
    found += ["faithful, prior z"] * ("faithful" in run.variants) + run.apart
    return [*found, f"{run.variants[0]}, posterior z"]


def by_method(own: pd.DataFrame, statistic: str) -> pd.DataFrame:
    """Return mean or sd over the seeds, a row a metric, a column a method; an sd of three seeds or more."""
    found, seen = (
        own.pivot_table(index="metric", columns="method", values="value", aggfunc=f) for f in (statistic, "count")
    )
    return found.where(seen >= 3) if statistic == "std" else found


def kept(rows: Rows, values: Mapping[str, Any], name: str) -> dict[str, dict[str, np.ndarray]]:
    """Return what the figures draw on a data set with the first seed: held-out cells, the baseline, the variants."""
    run = cases.trainings(values)
    of = {"held-out": realism.TEST, "NB per type": "NB per type", **{v: v for v in reversed(run.variants)}}
    found = {shown: rows.kept(method, name, run.seeds[0]) for shown, method in of.items()}
    return {shown: own for shown, own in found.items() if "library" in own}


def value(rows: Rows, dataset: str, method: str, seed: int, metric: str) -> float:
    """Return one score, NaN where there is none."""
    for row in rows.rows:
        if (row["dataset"], row["method"], row["seed"]) == (dataset, method, seed):
            found = row["scores"].get(metric)
            return np.nan if found is None else found
    return np.nan


def type_aucs(rows: Rows) -> pd.DataFrame:
    """Return the AUC of each type for itself: data, label, method, seed and value."""
    lines = []
    for row in rows.rows:
        own = arrays.unpacked(row["arrays"])
        for kind in ("", *realism.KINDS):
            name = f"auc, {kind}" if kind else "auc"
            method = f"{row['method']}, {kind}" if kind else row["method"]
            for label, auc in zip(own.get("auc_types", ()), own.get(name, ()), strict=False):
                lines.append((row["dataset"], label, method, row["seed"], auc))
    return pd.DataFrame(lines, columns=["data", "label", "method", "seed", "value"])
