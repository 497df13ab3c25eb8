"""What scores of simulated cells are evidence of: differences on the same seeds, and metrics that can tell anything."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from scgen_book.chance import FEWEST
from scgen_book.experiments.paired import differences
from scgen_book.experiments.simulation.comparison import METRICS


def said(values: Sequence[float], form: str = "+.2f") -> str:
    """Say the mean over seeds and how many there are, and their sd from three on."""
    words = f"{np.mean(values):{form}}"
    words = words if float(words) else f"{0.0:{form}}"
    if len(values) >= FEWEST:
        words += f" ± {np.std(values, ddof=1):{form.replace('+', '')}}"
    return f"{words} ({len(values)} seed{'s' * (len(values) > 1)})"


def surpassed(table: pd.DataFrame, method: str, controls: Sequence[str], metric: str) -> list[str]:
    """Return the controls that a method surpasses in the mean over the seeds that both have.

    Parameters
    ----------
    table, method, metric
        As in `differences`; a metric of `METRICS`.
    controls
        Their names in the table.
    """
    losses = table.assign(value=table["value"].map(METRICS[metric].loss))
    found = {name: differences(losses, method, name, metric) for name in controls}
    return [name for name, values in found.items() if values and np.mean(values) < 0]


def ceilings(table: pd.DataFrame) -> pd.DataFrame:
    """Say which metrics can tell cells of the data from the control that they have to be told from.

    What no method could do better in is no result: a metric has a ceiling where the positive control is better than
    the negative one by more than twice the standard deviation of that difference over the seeds.

    Parameters
    ----------
    table
        Columns seed, method, metric and value, and dataset where there are several.

    Returns
    -------
    DataFrame
        A row a data set and judged metric with both controls: dataset, metric, control (the negative one), real and
        against (their means over the seeds that both have), n (those seeds), and clear, None below three seeds.
    """
    rows = []
    table = table if "dataset" in table else table.assign(dataset="")
    for (dataset, metric), own in table.groupby(["dataset", "metric"], sort=False):
        for name in METRICS[metric].negative if metric in METRICS and METRICS[metric].judged else ():
            losses = own.assign(value=own["value"].map(METRICS[metric].loss))
            gap = np.array(differences(losses, name, "real", metric))
            seeds = own.pivot_table(index="seed", columns="method", values="value")
            if len(gap):
                means = seeds[["real", name]].dropna().mean()
                clear = bool(gap.mean() > 2 * gap.std(ddof=1)) if len(gap) >= FEWEST else None
                rows.append((dataset, metric, name, means["real"], means[name], len(gap), clear))
    return pd.DataFrame(rows, columns=["dataset", "metric", "control", "real", "against", "n", "clear"])


def results_only(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table without the metrics that have no ceiling on their data set (`ceilings`)."""
    low = ceilings(table)
    low = set(low.loc[low["clear"].eq(False), ["dataset", "metric"]].itertuples(index=False, name=None))
    names = table["dataset"] if "dataset" in table else [""] * len(table)
    return table[[key not in low for key in zip(names, table["metric"], strict=True)]]


def no_ceiling(table: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Say in Markdown which metrics are not shown as results, and with which values of the controls.

    Parameters
    ----------
    table
        As in `ceilings`, before `results_only`.
    names
        Words for methods.
    """
    found = ceilings(table)
    if found.empty or found["clear"].isna().all():
        return f"*Controls of fewer than {FEWEST} seeds: which metrics have a ceiling is not known.*"
    low = [
        f"{row.dataset + ', ' if row.dataset else ''}{METRICS[row.metric].label} ({names.get('real', 'real')} "
        f"{row.real:.3g}, {names.get(row.control, row.control)} {row.against:.3g})"
        for row in found[found["clear"].eq(False)].itertuples()
    ]
    return (
        "*Not shown as results, since cells of the data are not better than the control that has to be told from them "
        f"by more than twice the sd of the difference over seeds:* {'; '.join(low) or 'none'}."
    )


def compared(table: pd.DataFrame, method: str, other: str) -> str:
    """Say by AUC and by MMD² whether a method is better than another on the same seeds, and whether both say so.

    Parameters
    ----------
    table, method, other
        As in `differences`.
    """
    words, signs = [], {}
    for metric, name, digits in (("rf_auc", "AUC", 2), ("mmd2", "MMD²", 4)):
        if values := differences(table, method, other, metric):
            words.append(f"{name} {said(values, f'+.{digits}f')}")
            losses = table.assign(value=table["value"].map(METRICS[metric].loss))
            # what is printed as 0 is no difference
            signs[name] = np.sign(round(float(np.mean(differences(losses, method, other, metric))), digits))
    if not words:
        return "not scored"
    found = set(signs.values())
    verdict = "**the two measures disagree**" if {-1, 1} <= found else "better" if -1 in found else "not better"
    if -1 in found and (same := [name for name, sign in signs.items() if sign == 0]):
        verdict += f", by {same[0]} no different"
    return f"{verdict}: {', '.join(words)}"


def augmented(table: pd.DataFrame, way: str = "cells generated") -> str:
    """Say in how many cases one way of helping a rare class is above all others, and by how much in each.

    Parameters
    ----------
    table
        Columns share (of the class that is left), seed, way and F1; a case is a share and a seed. Without shares, F1
        is the mean over them, and a case a seed.
    way
        The way that is asked about.
    """
    by = [name for name in ("share", "seed") if name in table]
    cases = table.pivot_table(index=by, columns="way", values="F1")
    gains = cases[way] - cases.drop(columns=way).max(axis=1)
    each = "; ".join(
        f"{'' if len(by) == 1 else f'{name[0]:.0%} left, '}seed {name if len(by) == 1 else name[1]}: {case[way]:.2f} "
        f"against {case.drop(way).max():.2f} ({case.drop(way).idxmax()})"
        for name, case in cases.iterrows()
    )
    seeds = table["seed"].nunique()
    shares = f"{table['share'].nunique()} shares" if "share" in by else "means over the shares"
    words = (
        f"F1 with {way} is above that of every other way in {(gains > 0).sum()} of {len(cases)} cases "
        f"({shares}, {seeds} seed{'s' * (seeds > 1)}). {each}."
    )
    return words + (" No general statement follows from fewer than three seeds." if seeds < FEWEST else "")
