"""The record beside a run's own rows: what the full edition measured, by data set and method."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from IPython.display import Markdown

from scgen_book import names
from scgen_book.chance import spread
from scgen_book.experiments import recorded
from scgen_book.experiments.protocol import METHOD
from scgen_book.experiments.rows import Rows


def origin(shown: Rows, found: Rows | None = None) -> str:
    """Say in Markdown whether rows are of the record or of this run, over how many seeds, and at which settings.

    Parameters
    ----------
    shown, found
        What is shown (`experiments.recorded.shown`), and the rows of the run; None: the same.
    """
    found = shown if found is None else found
    seeds = len({row["seed"] for row in shown.rows if row["role"] == METHOD and row["status"] == "ok"})
    words = f"{seeds} seed{'s' * (seeds != 1)}"
    if shown is found and (found.own or not found):
        return f"**In this run**: {words}."
    own = found.own[0]["settings"] if found.own else {}
    other = {name: value for name, value in shown.rows[0]["settings"].items() if name in own and value != own[name]}
    if not found.own:
        words = f"{names.listed(list(dict.fromkeys(row['dataset'] for row in shown.rows)))}, {words}"
    each = ", ".join(f"`{name}` {_value(value)} (this run: {_value(own[name])})" for name, value in other.items())
    return f"**In the record**: {words}, at the settings of the full edition" + (f": {each}." if each else ".")


def _value(value: Any) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:,}" if number else str(value)


def beside(
    shown: Rows, found: Rows, metrics: Sequence[str], names: Mapping[str, str] | None = None
) -> pd.DataFrame | None:
    """Return what the record has beside what this run has measured, a row a data set and method of the run.

    Parameters
    ----------
    shown, found
        As in `origin`.
    metrics
        What to show, in this order.
    names
        Words for methods.

    Returns
    -------
    DataFrame
        For each metric the columns "record", mean ± sd over the seeds, and "this run"; methods that have none of them
        are left out. None where this run alone is shown.
    """
    if shown is found:
        return None
    both = {"record": summary(shown, metrics), "this run": summary(Rows(found.experiment, found.own), metrics)}
    table = pd.concat({side: own.drop(columns="seeds") for side, own in both.items()}, axis=1)
    table = table.loc[both["this run"].index].fillna("–").swaplevel(axis=1)
    table = table[(table != "–").any(axis=1)]
    labels = [found.experiment.metrics[name].label for name in metrics]
    table = table[[(label, side) for label in labels for side in both if (label, side) in table]]
    return table.rename(index=dict(names or {}), level=1).rename_axis(index=["data", "method"])


def table(
    name: str, metrics: Sequence[str], *, edition: str, other_than: str | None = None
) -> "pd.DataFrame | Markdown":
    """Return mean, sd and number of seeds of an experiment's metrics in the record.

    Parameters
    ----------
    name
        The experiment.
    metrics
        What to show, in this order.
    edition
        Of this run: what a user runs on own data has no place beside the record.
    other_than
        A data set that the page shows already.
    """
    if edition == "own":
        return Markdown("*The record stands in the editions of the book.*")
    kept = recorded.of(name)
    rows = [row for row in kept.rows if row["dataset"] != other_than]
    return Rows(kept.experiment, [], "the record has no row of it yet", rows).show(summary, metrics)


def summary(found: Rows, metrics: Sequence[str]) -> pd.DataFrame:
    """Return mean, sd (from three seeds on) and number of seeds by data set and method, a column a metric."""
    shown = [name for name in metrics if name in found.wide]
    by = found.wide.groupby(["dataset", "method"], sort=False)
    labels = {name: found.experiment.metrics[name].label for name in shown}
    words = {labels[name]: by[name].agg(lambda own: _words(own.dropna())) for name in shown}
    return pd.DataFrame(words).assign(seeds=by["seed"].nunique())


def _words(values: pd.Series) -> str:
    if values.empty:
        return "–"
    sd = spread(values)
    return f"{values.mean():.3g}" + (f" ± {sd:.2g}" if sd == sd else "")
