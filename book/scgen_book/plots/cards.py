"""The figure of a card: one panel, whose words are read at 300 pixels."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from scgen_book.plots.base import GREY, RUN, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Inches: 300 pixels at the resolution of a page.
WIDTH = 3.0


def card(scores: Mapping[str, tuple[float, float, bool]], label: str, title: str) -> Figure:
    """Draw one score of a few methods as bars, those that a chapter is about in colour.

    Parameters
    ----------
    scores
        Mean, sd (NaN: not known) and whether a chapter is about it, by the name of the method.
    label, title
        Words for the score and for the data.
    """
    fig = Figure(figsize=(WIDTH, 0.31 * len(scores) + 0.95), layout="constrained")
    ax: Axes = fig.subplots()
    y = np.arange(len(scores))[::-1]
    means, spreads, marked = (np.array(column) for column in zip(*scores.values(), strict=True))
    colours = np.where(marked, RUN, GREY)
    ax.barh(y, means, xerr=np.nan_to_num(spreads), color=colours, height=0.68, error_kw={"lw": 1.2})
    for place, mean, sd in zip(y, means, np.nan_to_num(spreads), strict=True):
        text = f"{mean:z.2f}".replace("-", "−")
        ax.annotate(text, (max(mean + sd, 0), place), (3, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_yticks(y, [textwrap.fill(plain(name.removeprefix("the ")), 22) for name in scores], fontsize=8)
    ax.set_xlabel(textwrap.fill(plain(label), 36), fontsize=8)
    ax.set_title(textwrap.fill(plain(title), 44), fontsize=8.5, loc="right")
    ax.axvline(0, color="black", lw=0.8)
    ax.margins(x=0.16)
    ax.tick_params(axis="x", labelsize=7.5)
    ax.tick_params(axis="y", length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.locator_params(axis="x", nbins=4)
    return fig
