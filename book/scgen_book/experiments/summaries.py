"""What the rows of an experiment come to: means over seeds, places, gaps, and whether the controls stand right."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scgen_book import experiments
from scgen_book.chance import spread
from scgen_book.experiments.protocol import BASELINE, METHOD, NEGATIVE, POSITIVE, Experiment, Metric

if TYPE_CHECKING:
    import pandas as pd


def summary(of: "pd.DataFrame") -> "pd.DataFrame":
    """Return mean and spread over the seeds of a `table`.

    Returns
    -------
    DataFrame
        dataset, method, role, metric, mean, sd (see `spread`), n (seeds with a value) and reason (of the first gap, or
        None).
    """
    groups = of.groupby(["dataset", "method", "role", "metric"], sort=False)
    found = groups["value"].agg(mean="mean", sd=spread, n="count").astype({"n": int, "sd": float})
    return found.assign(reason=groups["reason"].agg(_first)).reset_index()


def places(of: "pd.DataFrame", metrics: Mapping[str, Metric]) -> "pd.DataFrame":
    """Return the place of each method by each metric, 1 the best mean, without the positive controls.

    Parameters
    ----------
    of
        A `table` of one data set.
    metrics
        What to judge by, in order.

    Returns
    -------
    DataFrame
        Index method, a column a metric that somebody has; NaN where a method has no value.
    """
    means = summary(of[of["role"] != POSITIVE]).dropna(subset=["mean"])
    means = means[means["metric"].isin(metrics)]
    losses = [metrics[metric].loss(value) for metric, value in zip(means["metric"], means["mean"], strict=True)]
    wide = means.assign(loss=losses).pivot_table("loss", "method", "metric", sort=False)
    return wide.rank(method="min").reindex(columns=[metric for metric in metrics if metric in wide])


def scaled(experiment: Experiment, of: "pd.DataFrame") -> "pd.DataFrame":
    """Return the place of each method between the controls: 0 the best negative one, 1 the positive one.

    Parameters
    ----------
    experiment
        With metrics that the controls bound.
    of
        A `table` of its rows.

    Returns
    -------
    DataFrame
        Index method, a column a metric: means over the data sets on which its controls can be told apart. Below 0 a
        method is worse than doing nothing; metrics that nobody but the controls has are left out.
    """
    import pandas as pd

    lines = []
    means = summary(of).dropna(subset=["mean"])
    for (_, metric), part in means.groupby(["dataset", "metric"], sort=False):
        rule = experiment.metrics[metric]
        part = part.assign(loss=part["mean"].map(rule.loss))
        negative = part[part["role"].eq(NEGATIVE) & (part["method"].isin(rule.negative or part["method"]))][
            "loss"
        ].min()
        positive = part[part["role"] == POSITIVE]["loss"].min()
        if rule.judged and positive < negative:
            places = (negative - part["loss"]) / (negative - positive)
            lines.append(part[["method", "role", "metric"]].assign(place=places))
    if not lines:
        return pd.DataFrame()
    found = pd.concat(lines)
    told = found[found["role"].isin([BASELINE, METHOD])]["metric"].unique()
    return found[found["metric"].isin(told)].pivot_table("place", "method", "metric", sort=False)


def gaps(of: "pd.DataFrame") -> "pd.DataFrame":
    """Return what a `table` lacks: dataset, method, seed and reason, a line a gap."""
    lines = of[of["reason"].notna()]
    return lines[["dataset", "method", "seed", "reason"]].drop_duplicates(ignore_index=True)


def check_controls(experiment: Experiment | str, of: "pd.DataFrame") -> "pd.DataFrame":
    """Say for each data set and judged metric whether the controls stand where they must.

    No baseline or method may beat the positive control by more than twice its spread over the seeds, and every negative
    control that a metric can find out should be beaten.

    Returns
    -------
    DataFrame
        dataset, metric, positive and best (mean of the positive control, and of the best baseline or method), method
        (the best one), ok (whether the positive control is not beaten), beaten (whether all negative controls are) and
        words (a sentence).
    """
    import pandas as pd

    experiment = experiments.get(experiment) if isinstance(experiment, str) else experiment
    lines = []
    means = summary(of).dropna(subset=["mean"])
    for (dataset, metric), part in means.groupby(["dataset", "metric"], sort=False):
        rule = experiment.metrics[metric]
        part = part.assign(loss=part["mean"].map(rule.loss))
        free = part[part["role"].isin([BASELINE, METHOD])]
        positive, negative = part[part["role"] == POSITIVE], part[part["role"] == NEGATIVE]
        negative = negative if rule.negative is None else negative[negative["method"].isin(rule.negative)]
        if not rule.judged or free.empty:
            continue
        best = free.loc[free["loss"].idxmin()]
        words, ok, beaten = [], None, None
        if len(positive):
            top = positive.loc[positive["loss"].idxmin()]
            margin = 2 * (0.0 if math.isnan(top["sd"]) else top["sd"])
            ok = bool(best["loss"] >= top["loss"] - margin - 1e-9)
            words.append(
                f"no method beats {top['method']}" if ok else
                f"{best['method']} ({best['mean']:.3g}) BEATS the positive control {top['method']} ({top['mean']:.3g})"
            )  # fmt: skip
        for control in negative.itertuples():
            below = free.loc[free["loss"] >= control.loss, "method"].tolist()
            if len(below) < len(free):
                words.append(f"{control.method} is beaten by {len(free) - len(below)} of {len(free)}")
            else:
                words.append(f"{control.method} is NOT beaten by any")
            beaten = (beaten is not False) and len(below) < len(free)
        lines.append({
            "dataset": dataset, "metric": metric, "positive": top["mean"] if len(positive) else math.nan,
            "best": best["mean"], "method": best["method"], "ok": ok, "beaten": beaten, "words": "; ".join(words),
        })  # fmt: skip
    return pd.DataFrame(lines, columns=["dataset", "metric", "positive", "best", "method", "ok", "beaten", "words"])


def _first(reasons: "pd.Series") -> str | None:
    return next(iter(reasons.dropna()), None)
