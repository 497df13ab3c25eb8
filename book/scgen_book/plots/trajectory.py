"""Cells in the order of a process, and between two fates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from scgen_book.plots.base import GREY, RUN, WIDTH, grid, palette, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pseudotime_strips(
    times: Mapping[str, np.ndarray], stages: Sequence, order: Sequence, scores: Mapping[str, str], seed: int = 0
) -> Figure:
    """Draw pseudotime against the known stage of each cell (DB-AAE, figure F8).

    Parameters
    ----------
    times
        Pseudotime of each cell by method; cells that are not finite, which no path reaches, are left out.
    stages
        Known stage of each cell.
    order
        The stages from the first to the last.
    scores
        What stands behind the name of a method in the title of its panel, such as "R² 0.87".
    seed
        Seed of the jitter that keeps cells of one stage apart.

    Returns
    -------
    Figure
        One panel a method: a dot a cell, by stage, with the median of the stage as a bar.
    """
    stages = np.asarray(stages)
    rows = np.array([list(order).index(stage) for stage in stages])
    jitter = np.random.default_rng(seed).uniform(-0.3, 0.3, len(rows))
    colours = np.array(palette(max(10, len(order))))
    fig, panels = plt.subplots(
        len(times),
        1,
        figsize=(WIDTH, (0.13 * len(order) + 1.1) * len(times) + 0.4),
        squeeze=False,
        layout="constrained",
    )
    for ax, (name, time) in zip(panels[:, 0], times.items(), strict=True):
        time = np.asarray(time, dtype=float)
        shown = np.isfinite(time)
        ax.scatter(time[shown], (rows + jitter)[shown], s=6, lw=0, c=colours[rows % len(colours)][shown])
        for k in range(len(order)):
            if own := time[shown & (rows == k)].tolist():
                ax.plot([np.median(own)] * 2, [k - 0.4, k + 0.4], color="black", lw=1.5)
        ax.set(yticks=range(len(order)), title=f"{name}: {scores[name]}" if name in scores else name)
        ax.set_yticklabels([plain(name) for name in order], fontsize=8)
        ax.invert_yaxis()
    ax.set_xlabel("pseudotime")
    return fig


def two_genes(panels: Mapping[str, tuple[np.ndarray, np.ndarray]], names: tuple[str, str]) -> Figure:
    """Draw one gene against another in every cell (DCA, Figure 9).

    Parameters
    ----------
    panels
        By the title of the panel the values of both genes, (N, 2), on the scale of a logarithm, and in which cells
        neither of them was detected, (N,), bool: these are drawn in grey.
    names
        The two genes.

    Returns
    -------
    Figure
        A panel for each, two in a row; their axes differ, since denoised values are not whole.
    """
    fig, axes = grid(len(panels), 2.4)
    for ax, (title, (values, neither)) in zip(axes, panels.items(), strict=True):
        for shown, colour, label in ((neither, GREY, "neither was detected"), (~neither, RUN, "one was, or both")):
            ax.scatter(*values[shown].T, s=5, lw=0, alpha=0.5, color=colour, label=label)
        ax.set(title=title, xlabel=f"ln(1 + {names[0]})", ylabel=f"ln(1 + {names[1]})")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, markerscale=3)
    return fig
