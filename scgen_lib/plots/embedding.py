"""Cells in two dimensions, and scores of embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scgen_lib.plots.base import MARKERS, PAPER, RUN, axes, coded, grid, legend_below, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def embedding_panels(
    embeddings: Mapping[str, tuple[np.ndarray, float]], groups: Sequence, axes_name: str = "PC"
) -> Figure:
    """Draw the same cells in several embeddings (figure A1).

    Parameters
    ----------
    embeddings
        For each method the coordinates, cells × 2, and their silhouette, which stands in the title (NaN: none).
    groups
        Group of each cell.
    axes_name
        "PC" or "t-SNE ", completed by 1 and 2.

    Returns
    -------
    Figure
        One panel a method, two in a row.
    """
    codes, names = coded(groups)
    fig, panels = grid(len(embeddings), 2.3)
    for ax, (method, (coordinates, score)) in zip(panels, embeddings.items(), strict=False):
        for k, (name, colour) in enumerate(zip(names, palette(len(names)), strict=True)):
            own = coordinates[codes == k]
            ax.scatter(own[:, 0], own[:, 1], s=4, lw=0, color=colour, marker=MARKERS[k // 10], label=name)
        ax.set(title=method if np.isnan(score) else f"{method}\nsilhouette {score:.2f}", xticks=[], yticks=[])
        ax.set(xlabel=f"{axes_name}1", ylabel=f"{axes_name}2")
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3, markerscale=3)
    return fig


def silhouette_bars(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the silhouette of each method with the published value beside it (figure A1).

    Parameters
    ----------
    table
        Columns method, value, sd and published; NaN stands for what is not known.
    ax
        Axes to draw on.

    Returns
    -------
    Axes
        A bar a method, its sd as a line, the published value as a diamond.
    """
    ax = ax or axes(0.5 * len(table) + 1)
    y = np.arange(len(table))[::-1]
    ax.barh(y, table["value"], xerr=table["sd"].fillna(0), color=RUN, height=0.6, label="this run (± sd)")
    ax.plot(table["published"], y, "D", color=PAPER, mec="black", ls="none", label="published")
    ax.axvline(0, color="black", lw=0.8)
    ax.set(yticks=y, yticklabels=table["method"], xlabel="silhouette width (−1 to 1)")
    legend_below(ax)
    return ax
