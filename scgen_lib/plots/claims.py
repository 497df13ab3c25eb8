"""The paper beside the run."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scgen_lib.plots.base import GREY, PAPER, RUN, axes, legend_below

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


def released_and_described(
    released: Sequence[float], described: Sequence[float], quantity: str, ax: Axes | None = None
) -> Axes:
    """Draw one quantity as the released code computes it and as its description asks for.

    Parameters
    ----------
    released, described
        One value a seed.
    quantity
        What it is, with its unit.
    ax
        Axes to draw on.

    Returns
    -------
    Axes
        Two rows: a bar from 0 to the mean and a point a seed; the description in grey.
    """
    ax = ax or axes(1.5)
    for y, (values, colour) in enumerate(((described, GREY), (released, RUN))):
        ax.barh(y, np.mean(values), color=colour, height=0.6, zorder=1)
        if len(values) > 1:
            ax.plot(values, np.full(len(values), y), "o", ms=4, color="white", mec="black", zorder=2)
    ax.axvline(0, color="black", lw=0.8)
    ax.set(yticks=[0, 1], yticklabels=["as described", "as released"], xlabel=textwrap.fill(quantity, 60))
    ax.tick_params(axis="y", length=0)
    return ax
