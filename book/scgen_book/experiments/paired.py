"""Two methods on the same data and seeds: their paired differences, and words about who is better."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from scgen_book.chance import beyond_chance, spread
from scgen_book.experiments.protocol import Metric

if TYPE_CHECKING:
    import pandas as pd


def differences(table: "pd.DataFrame", method: str, other: str, metric: str) -> list[float]:
    """Return one method's values less another's, seed by seed, over the seeds that both have.

    Parameters
    ----------
    table
        Columns seed, method, metric and value, of one data set.
    method, other, metric
        Names in the table.
    """
    values = table[table["metric"] == metric].pivot_table(index="seed", columns="method", values="value")
    values = values.reindex(columns=list(dict.fromkeys((method, other)))).dropna()
    return (values[method] - values[other]).tolist()


def said(values: Sequence[float], form: str = ".3f") -> str:
    """Say the mean of differences with its sign, and their sd where there are seeds enough."""
    words, sd = f"{statistics.fmean(values):+z{form}}".replace("-", "−"), spread(values)
    return words if math.isnan(sd) else f"{words} ± {sd:{form}}"


def standing(
    table: "pd.DataFrame",
    method: str,
    others: Sequence[str],
    metrics: Mapping[str, Metric],
    names: Mapping[str, str] | None = None,
    form: str = ".3f",
) -> str:
    """Say how a method differs from others on the same seeds, and whether the metrics agree on who is better.

    Parameters
    ----------
    table
        As in `differences`.
    method, others
        Names in the table; others that it lacks are passed over.
    metrics
        What to judge by, in order.
    names
        Words for methods.
    form
        Format of the differences.

    Returns
    -------
    str
        A clause for each metric, and a sentence of what follows; empty without a value. "Better" and "worse" are of the
        mean over seeds; what two standard errors hold is said to be within chance, from `FEWEST` seeds on.
    """
    names, found, parts, near = names or {}, {}, [], set()
    for metric, rule in metrics.items():
        losses = table.assign(value=table["value"].map(rule.loss))
        own = {other: values for other in others if (values := differences(table, method, other, metric))}
        for other in own:
            loss = differences(losses, method, other, metric)
            found.setdefault(other, []).append(statistics.fmean(loss) < 0)
            if beyond_chance(loss, [0.0] * len(loss)) is False:
                near.add(names.get(other, other))
        if own:
            each = ", ".join(f"{said(values, form)} against {names.get(o, o)}" for o, values in own.items())
            parts.append(f"{rule.label}: {each}")
    if not parts:
        return ""
    words = {
        "better than": [names.get(o, o) for o, signs in found.items() if all(signs)],
        "worse than": [names.get(o, o) for o, signs in found.items() if not any(signs)],
    }
    split = [names.get(o, o) for o, signs in found.items() if any(signs) and not all(signs)]
    ends = [f"{how} {', '.join(whom)}" + (" by all of these" if len(parts) > 1 else "")
            for how, whom in words.items() if whom]  # fmt: skip
    if split:
        ends.append(f"**the measures disagree** on {', '.join(split)}")
    if near:
        ends.append(f"some differences from {', '.join(sorted(near))} lie within what seeds alone do")
    return f"{'; '.join(parts)}. In the mean {'; '.join(ends)}."


def surpassing(
    table: "pd.DataFrame",
    methods: Sequence[str],
    other: str,
    metrics: Mapping[str, Metric],
    names: Mapping[str, str] | None = None,
    form: str = ".3f",
) -> str:
    """Say which methods are better than another in the mean over equal seeds, and on whom the metrics disagree.

    Parameters
    ----------
    table
        As in `differences`.
    methods, other
        Names in the table.
    metrics
        What to judge by, in order.
    names
        Words for methods.
    form
        Format of the differences.

    Returns
    -------
    str
        A clause for each metric that has values: those who are better, with their differences; and a sentence where the
        metrics disagree; empty without a value. From `FEWEST` seeds on, what two standard errors hold is marked as
        within chance.
    """
    names, found, parts = names or {}, {}, []
    for metric, rule in metrics.items():
        losses = table.assign(value=table["value"].map(rule.loss))
        own = {method: values for method in methods if (values := differences(losses, method, other, metric))}
        ahead = [method for method, values in own.items() if statistics.fmean(values) < 0]
        words = [
            f"{names.get(m, m)} {said(differences(table, m, other, metric), form)}"
            + (" (within chance)" if beyond_chance(own[m], [0.0] * len(own[m])) is False else "")
            for m in ahead
        ]
        if own:
            parts.append(f"{rule.label}: {', '.join(words) or 'none'}")
        for method in own:
            found.setdefault(method, set()).add(method in ahead)
    split = [names.get(method, method) for method, both in found.items() if len(both) == 2]
    ends = f" **The measures disagree** on {', '.join(split)}." if split else ""
    return f"{'; '.join(parts)}.{ends}" if parts else ""


def steps(
    table: "pd.DataFrame", pairs: Mapping[str, tuple[str, str]], metrics: Mapping[str, Metric], forms: Mapping[str, str]
) -> "pd.DataFrame":
    """Return what each of several differences does by itself, on the same data and seeds.

    Parameters
    ----------
    table
        Columns dataset, seed, method, metric and value.
    pairs
        Words for a difference → the methods with and without it.
    metrics
        What to look at, in order; those that are better in one direction are asked whether they agree.
    forms
        Format of a metric's differences where it is not ``".3f"``.

    Returns
    -------
    DataFrame
        A row a data set and difference that was measured there: dataset, difference, seeds (their number), a column a
        metric with its words ("–" without a value), and disagree: whether one of the first two metrics says better and
        the other worse.
    """
    import pandas as pd

    rows = []
    for dataset, own in table.groupby("dataset", sort=False):
        for words, pair in pairs.items():
            found = {metric: differences(own, *pair, metric) for metric in metrics}
            if seeds := max(map(len, found.values())):
                shown = {m: said(each, forms.get(m, ".3f")) if each else "–" for m, each in found.items()}
                first, second = (sum(found[m]) * (1 if metrics[m].better == "lower" else -1) for m in list(metrics)[:2])
                row = {"dataset": dataset, "difference": words, "seeds": seeds}
                rows.append(row | shown | {"disagree": first * second < 0})
    return pd.DataFrame(rows, columns=["dataset", "difference", "seeds", *metrics, "disagree"])
