"""Diagrams of models: boxes and arrows, and their layers in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from scgen_book.plots.base import GREY, PAPER, RUN, WIDTH, palette

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


def network_diagram(networks: Mapping[str, Sequence[tuple[str, str]]]) -> Figure:
    """Draw networks side by side as columns of boxes, from their inputs down to their outputs.

    Parameters
    ----------
    networks
        For each network its layers: what it does, and its output shape and number of parameters in words.

    Returns
    -------
    Figure
        A column a network, a box a layer.
    """
    most = max(len(layers) for layers in networks.values())
    fig, columns = plt.subplots(
        1, len(networks), figsize=(WIDTH, 0.5 * most + 0.4), squeeze=False, layout="constrained"
    )
    for ax, (name, layers), colour in zip(columns[0], networks.items(), palette(len(networks)), strict=True):
        for i, (what, shape) in enumerate(layers):
            box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": colour}
            text = ax.text(0.5, most - i - 0.5, f"{what}\n{shape}", ha="center", va="center", fontsize=8, bbox=box)
            text.set_linespacing(1.15)
            if i:
                ax.annotate("", (0.5, most - i - 0.16), (0.5, most - i + 0.16), arrowprops={"arrowstyle": "->"})
        ax.set(xlim=(0, 1), ylim=(0, most), title=name)
        ax.axis("off")
    return fig
