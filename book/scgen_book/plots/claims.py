"""The paper beside the run."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scgen_book.plots.base import GREY, PAPER, RUN, axes, legend_below

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def paper_beside_run(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the published numbers beside those of this run.

    Parameters
    ----------
    table
        Result of `results.compare`: columns metric, published, mean and sd. Rows without both numbers are left out.
        The rows must share a unit.
    ax
        Axes to draw on.

    Returns
    -------
    Axes
        A row a claim: a diamond for the paper, a dot with its sd over seeds for this run.
    """
    table = table.dropna(subset=["published", "mean"])
    ax = ax or axes(0.5 * len(table) + 1.2)
    y = np.arange(len(table))[::-1]
    ax.hlines(y, table["published"], table["mean"], color=GREY, lw=1, zorder=0)
    ax.errorbar(table["mean"], y, xerr=table["sd"].fillna(0), fmt="o", color=RUN, capsize=3, label="this run (± sd)")
    ax.plot(table["published"], y, "D", color=PAPER, mec="black", ls="none", label="published")
    units = set(table.get("unit", pd.Series(dtype=str)).dropna())
    ax.set(
        yticks=y,
        yticklabels=[textwrap.fill(name, 24) for name in table["metric"]],
        xlabel=units.pop() if len(units) == 1 else "value",
    )
    legend_below(ax)
    return ax
