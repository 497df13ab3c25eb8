"""The record beside a paper's own rows: what the full edition measured, by data set and method."""

from collections.abc import Sequence

import pandas as pd
from IPython.display import Markdown

from scgen_book.chance import spread
from scgen_book.experiments import recorded
from scgen_book.experiments.rows import Rows


def table(name: str, metrics: Sequence[str], *, edition: str) -> "pd.DataFrame | Markdown":
    """Return mean, sd and number of seeds of an experiment's metrics in the record.

    Parameters
    ----------
    name
        The experiment.
    metrics
        What to show, in this order.
    edition
        Of this run: what a user runs on own data has no place beside the record.
    """
    if edition == "own":
        return Markdown("*The record stands in the editions of the book.*")
    return recorded.of(name).show(summary, metrics)


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
