"""DB-AAE taken apart: what the models of the defects are called on the page, how they differ, and words on that."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from scgen_book.chance import spread
from scgen_book.experiments import paired
from scgen_book.experiments.db_aae.parts import EARLY, LATE, MEASURES, OTHERS, PAIRS, PARTS, PUT_BACK, REPAIRED
from scgen_book.experiments.protocol import Metric
from scgen_book.experiments.rows import Rows

Pairs = Mapping[str, tuple[str, str]]


def names(rows: Rows) -> dict[str, str]:
    """Return what models are called on the page: by searched batch sizes, by cells and epochs of few."""
    values = rows.rows[0]["settings"]
    found = {
        EARLY: f"D18: {values['few_cells']} cells, {values['few_epochs']} epochs",
        LATE: f"D18: {values['few_cells']} cells, {values['more_epochs']} epochs",
    }
    for name, part in PARTS.items():
        size = rows.values(name, "batch_size") if part.size else ()
        found |= {name: f"{REPAIRED}, B = {size.iloc[0]:.0f}"} if len(size) else {}
    return found


def table(rows: Rows) -> pd.DataFrame:
    """Return method, seed, metric and value; models that searches have made the same stand there once."""
    found = rows.table[["method", "seed", "metric", "value"]].dropna(subset=["value"])
    found = found[found["metric"] != "batch_size"]
    return found.replace({"method": names(rows)}).drop_duplicates(["method", "seed", "metric"])


def pairs(rows: Rows) -> dict[str, tuple[str, str]]:
    """Return defect → the names on the page of the model with it and of that without, where both were trained."""
    there, called = set(rows.wide["method"]), names(rows)
    return {
        key: tuple(called.get(name, name) for name in pair) for key, pair in PAIRS.items() if there.issuperset(pair)
    }


def shown(rows: Rows) -> pd.DataFrame:
    """Return the means over the seeds of the weights, a line a model."""
    wide = table(rows).pivot_table("value", "method", "metric", sort=False).drop(columns="error_at_0")
    return wide.rename(columns={key: rule.label for key, rule in (MEASURES | OTHERS).items()}).round(4)


def errors(parts: pd.DataFrame, of: Pairs) -> pd.DataFrame:
    """Return method, mean, sd and control (whether another is compared with it) for the bars."""
    there = [name for name in dict.fromkeys(parts["method"]) if "B = " not in name]
    own = [values(parts, name, "kept") for name in there]
    others = {other for _, other in of.values()}
    return pd.DataFrame({"method": there, "mean": [np.mean(v) for v in own], "sd": [spread(v) for v in own],
                         "control": [name in others for name in there]})  # fmt: skip


def values(parts: pd.DataFrame, method: str, metric: str) -> list[float]:
    """Return one score of a model by seed; `parts` has columns method, seed, metric and value."""
    return parts.loc[parts["method"].eq(method) & parts["metric"].eq(metric), "value"].tolist()


def differ(parts: pd.DataFrame, pair: Sequence[str]) -> dict[str, list[float]]:
    """By measure the first model's score less the second one's, seed by seed; measures without one are left out."""
    if pair[0] == pair[1]:
        return {m: [0.0] * len(own) for m in MEASURES if (own := values(parts, pair[0], m))}
    found = {metric: paired.differences(parts, *pair, metric) for metric in MEASURES}
    return {metric: difference for metric, difference in found.items() if difference}


def standing(parts: pd.DataFrame, method: str, *others: str) -> str:
    """Say how a model differs from others by each of `MEASURES`, and whether these agree."""
    if others == (method,):
        return f"both are the same here ({method})"
    return paired.standing(parts, method, others, MEASURES, form=".4f")


def idle(parts: pd.DataFrame, method: str) -> str:
    """Say how many genes a model decodes to 0 in every cell, and what share of its error is in them."""
    share, error = (np.mean(values(parts, method, name)) for name in ("genes_at_0", "error_at_0"))
    return f"{method}: {share:.0%} of the genes at 0 in every cell, with {error:.0%} of the error of the reconstruction"


def harm(parts: pd.DataFrame, of: Pairs) -> str:
    """Say by each measure which defect that is put back costs most, and on which of them the measures disagree."""
    costs = {key: differ(parts, of[key]) for key in PUT_BACK}
    told = []
    for metric in costs["D1"]:
        most = max(costs, key=lambda key: np.mean(costs[key][metric]))
        rise = costs[most][metric]
        words = f"{paired.said(rise, '.4f')} by {most}" if np.mean(rise) > 0 else "rises by none"
        told.append(f"{MEASURES[metric].label}: {words}")
    split = [key for key, cost in costs.items() if len({np.mean(difference) > 0 for difference in cost.values()}) > 1]
    end = f" **The measures disagree** on whether there is harm in {', '.join(split)}." if split else ""
    return f"{'; '.join(told)}.{end}"


def stands(table: pd.DataFrame, method: str, by: Mapping[str, Metric], form: str = ".3f") -> str:
    """Say a method's scores on one data set, and how they differ from all others' on the same seeds.

    Parameters
    ----------
    table
        Columns method, seed, and one for each metric of `by`, of one data set.
    method
        Name in the table.
    by
        Metrics; those that the table lacks are passed over.
    form
        Format of the numbers.
    """
    long = table.melt(["method", "seed"], [name for name in by if name in table], "metric").dropna()
    own = long[long["method"] == method].groupby("metric")["value"].mean()
    said = "; ".join(f"{rule.label} {own[name]:{form}}" for name, rule in by.items() if name in own)
    others = [name for name in dict.fromkeys(long["method"]) if name != method]
    differ = paired.standing(long, method, others, by, form=form)
    return f"{method}: {said}." + (f" Differences on the same seeds: {differ}" if differ else "")
