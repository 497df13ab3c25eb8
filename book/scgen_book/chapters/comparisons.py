"""What the chapters that compare methods of several papers have in common: records, gaps, and controls in words."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scgen_book import plots
from scgen_book.chapters import recorded
from scgen_book.experiments import summaries
from scgen_book.experiments.protocol import Metric, NotApplicable
from scgen_book.experiments.rows import Rows

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import Markdown
    from matplotlib.figure import Figure
    from pandas.io.formats.style import Styler

    from scgen_book.results import Run


def left(table: "pd.DataFrame", **of_cells: str) -> "Styler":
    """Return a table for display without its index, texts at the left; further properties of cells as CSS has them."""
    return table.style.hide(axis="index").set_properties(**{"text-align": "left"} | of_cells)


def top_left(table: "pd.DataFrame") -> "Styler":
    """Return a table of long texts for display."""
    return left(table, **{"vertical-align": "top"})


def listed(lines: list[str]) -> "Markdown":
    """Return sentences as a list of Markdown."""
    from IPython.display import Markdown

    return Markdown("\n".join(f"- {line}" for line in lines))


def record(found: Rows, run: "Run", models: Mapping[str, tuple[str, str]]) -> None:
    """Record every value and every gap with its reason, and write ``comparison.csv`` beside the records.

    Parameters
    ----------
    found
        The rows.
    run
        The run; without a folder nothing is written.
    models
        Model and variant by method, for methods that are variants of one model.
    """
    table = Rows(found.experiment, found.own).table
    for line in table.itertuples():
        method, variant = models.get(line.method, (line.method, None))
        run.add(
            None, line.metric, line.value, seed=line.seed, dataset=line.dataset, method=method, variant=variant,
            note=line.reason,
        )  # fmt: skip
    if run.out is not None:
        Path(run.out).mkdir(parents=True, exist_ok=True)
        table.to_csv(Path(run.out) / "comparison.csv", index=False)


def overview(found: Rows, names: Mapping[str, str], metrics: Sequence[str] | None = None) -> "Figure":
    """Draw all methods by metrics between their controls.

    Parameters
    ----------
    found, names
        The rows, and words for methods.
    metrics
        Which metrics, in their order; None: all that have controls.

    Raises
    ------
    NotApplicable
        If no metric has two controls that it tells apart.
    """
    places = summaries.scaled(found.experiment, found.table)
    if places.empty:
        raise NotApplicable("no metric has controls that it tells apart")
    places = places[[name for name in metrics or places if name in places]]
    labels = {name: metric.label for name, metric in found.experiment.metrics.items()}
    return plots.overview(places.rename(index=dict(names), columns=labels))


def origin(shown: Rows, found: Rows) -> "Markdown":
    """Say whether what follows is the record or this run.

    Parameters
    ----------
    shown
        What is shown (see `experiments.recorded.shown`).
    found
        The rows of the run.
    """
    from IPython.display import Markdown

    words = recorded.origin(shown, found)
    if shown is found:
        return Markdown(f"{words} All that follows is of these rows.")
    return Markdown(
        f"{words} All that follows is of these rows; the {len(found)} rows of this run are in `comparison.csv`."
    )


def counted(found: Rows) -> str:
    """Say how many rows a run has, how many of them have values, and how long they took."""
    scored = sum(row["status"] == "ok" for row in found.own)
    minutes = sum(row["duration_s"] for row in found.own) / 60
    return f"{len(found)} rows, {scored} of them scored, {minutes:.1f} minutes of work"


def named(found: Rows, name: str) -> list:
    """Return the data sets, methods or seeds of rows (``"dataset"``, ...), in order, each once."""
    return list(dict.fromkeys(row[name] for row in found.rows))


def gaps(
    found: Rows, names: Mapping[str, str], *, joined: bool = False, also: Rows | None = None
) -> "Styler | Markdown":
    """Return the table of what was not run and why, or the sentence that there is nothing.

    Parameters
    ----------
    found, names
        The rows, and words for methods.
    joined
        A line for methods that share a reason, and not one each: a data set that is not at hand.
    also
        Rows of the run, where those that are shown are others.
    """
    from IPython.display import Markdown

    if also is not None and also is not found:
        found = Rows(found.experiment, [*found.rows, *also.own])
    lost = plots.gap_table(found.table, names=names)
    if lost.empty:
        return Markdown("Nothing: every method was scored on every data set and seed.")
    if joined:
        methods, by = len(named(found, "method")), ["data", "seeds", "reason"]
        told = lost.groupby(by, sort=False)["method"].agg(lambda m: "all" if len(m) == methods else ", ".join(m))
        lost = told.reset_index()[["data", "method", "seeds", "reason"]]
    return top_left(lost)


def failed(found: Rows) -> list[str]:
    """Return a sentence on the rows that are gaps, or none."""
    lost = sum(row["status"] != "ok" for row in found.rows)
    lost += sum(row["status"] == "ok" and None in row["scores"].values() for row in found.rows)
    return [f"**Gaps**: {lost} of {len(found)} rows could not be scored, see above."] if lost else []


def odd(checked: "pd.DataFrame") -> "pd.DataFrame":
    """Return the places where a control does not stand as it must (see `summaries.check_controls`)."""
    return checked[checked["ok"].eq(False) | checked["beaten"].eq(False)]


def share(checked: "pd.DataFrame", column: str) -> str:
    """Say in how many places of those that can tell a control stands as it must: ``3 of 4``."""
    known = checked[column].dropna().astype(bool)
    return f"{known.sum()} of {len(known)}"


def readable(words: str, names: Mapping[str, str]) -> str:
    """Return the words of `summaries.check_controls` with the names of methods that figures have, in italics."""
    for name in sorted(names, key=len, reverse=True):
        words = words.replace(f"{name} is ", f"*{names[name]}* is ").replace(f"beats {name}", f"beats *{names[name]}*")
        words = words.replace(f"control {name} ", f"control *{names[name]}* ")
        words = f"*{names[name]}*" + words[len(name) :] if words.startswith(f"{name} (") else words
    return words


def odd_lines(checked: "pd.DataFrame", metrics: Mapping[str, Metric], names: Mapping[str, str]) -> list[str]:
    """Return a sentence for each place where a control does not stand as it must."""
    return [
        f"**{row.dataset}**, {metrics[row.metric].label}: {readable(row.words, names)}."
        for row in odd(checked).itertuples()
    ]


def controls_table(
    checked: "pd.DataFrame", metrics: Mapping[str, Metric], names: Mapping[str, str], positive: str
) -> "Styler":
    """Return what the controls come to, place by place, as a table.

    Parameters
    ----------
    checked
        Result of `summaries.check_controls`.
    metrics, names
        Metrics by name, and words for methods.
    positive
        Head of the column of the positive control.
    """
    told = checked.assign(
        metric=checked["metric"].map(lambda m: metrics[m].label),
        method=checked["method"].map(lambda m: names.get(m, m)),
        words=checked["words"].map(lambda w: readable(w, names).replace("*", "")),
    )
    heads = {"dataset": "data", "positive": positive, "method": "best", "best": "its value", "words": "in words"}
    told = told.rename(columns=heads)[["data", "metric", positive, "best", "its value", "in words"]]
    return left(told).format(precision=3)


@functools.lru_cache(maxsize=4)
def summary(found: Rows) -> "pd.DataFrame":
    """Return mean and spread over the seeds of rows (see `summaries.summary`)."""
    return summaries.summary(found.table)
