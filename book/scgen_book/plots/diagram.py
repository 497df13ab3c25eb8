"""Diagrams of models: boxes and arrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from scgen_book.plots.base import GREY, PAPER, RUN, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# What an arrow may stand for: its colour and its dashes.
ARROWS = {"data": (GREY, "-"), "gradient": (RUN, "-"), "inert": (PAPER, "--")}


def diagram(
    boxes: Mapping[str, tuple[float, float, float]], arrows: Sequence[tuple[str, str, str, str, float]], height: float
) -> Figure:
    """Draw a model as boxes and arrows.

    Parameters
    ----------
    boxes
        For each text the centre and the width of its box, x, y and width in inches from the lower left; the figure is
        five inches wide.
    arrows
        From which box to which, the kind, a key of `ARROWS`, the words at its middle, and its bend: how far it swings
        out, as a share of its length, to the right of its way.
    height
        Of the figure, in inches.

    Returns
    -------
    Figure
        The diagram; solid grey arrows carry data, solid blue ones gradients, dashed ones a gradient that is missing.
    """
    fig = plt.figure(figsize=(WIDTH, height), layout="none")
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, height))
    ax.set_axis_off()
    drawn = {}
    for text, (x, y, width) in boxes.items():
        tall = 0.28 + 0.16 * text.count("\n")
        box = FancyBboxPatch(
            (x - width / 2, y - tall / 2), width, tall, boxstyle="round,pad=0.04", fc="white", ec="black"
        )
        drawn[text] = ax.add_patch(box)
        ax.text(x, y, text, ha="center", va="center", fontsize=9)
    for start, end, kind, words, bend in arrows:
        colour, dashes = ARROWS[kind]
        (x0, y0, _), (x1, y1, _) = boxes[start], boxes[end]
        arrow = FancyArrowPatch(
            (x0, y0), (x1, y1), patchA=drawn[start], patchB=drawn[end], arrowstyle="-|>", mutation_scale=12,
            color=colour, ls=dashes, lw=1.5, connectionstyle=f"arc3,rad={bend}", shrinkA=2, shrinkB=2,
        )  # fmt: skip
        ax.add_patch(arrow)
        if words:
            # matplotlib bends by a control point; the curve itself gets half as far
            x, y = (x0 + x1) / 2 + bend / 2 * (y1 - y0), (y0 + y1) / 2 - bend / 2 * (x1 - x0)
            ax.text(
                x, y, words, ha="center", va="center", fontsize=8, color="black" if kind == "data" else colour,
                bbox={"fc": "white", "ec": "none", "pad": 1},
            )  # fmt: skip
    return fig
