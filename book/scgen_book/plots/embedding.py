"""Cells in two dimensions, and scores of embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scgen_book.plots.base import MARKERS, PAPER, RUN, WIDTH, axes, coded, grid, legend_below, palette, plain

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
            own, marker = coordinates[codes == k], MARKERS[k // 10 % len(MARKERS)]
            ax.scatter(own[:, 0], own[:, 1], s=4, lw=0, color=colour, marker=marker, label=name)
        ax.set(title=method if np.isnan(score) else f"{method}\nsilhouette {score:.2f}", xticks=[], yticks=[])
        ax.set(xlabel=f"{axes_name}1", ylabel=f"{axes_name}2")
    handles, labels = panels[0].get_legend_handles_labels()
    # three columns of long names are wider than the panels
    columns = 3 if max(map(len, labels)) <= 18 else 2
    fig.legend(handles, labels, loc="outside lower center", ncols=columns, markerscale=3)
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
    ax = ax or axes(0.32 * len(table) + 1)
    y = np.arange(len(table))[::-1]
    ax.barh(y, table["value"], xerr=table["sd"].fillna(0), color=RUN, height=0.6, label="here (± sd)")
    ax.plot(table["published"], y, "D", color=PAPER, mec="black", ls="none", label="published")
    ax.axvline(0, color="black", lw=0.8)
    ax.set(yticks=y, yticklabels=table["method"], xlabel="silhouette width (−1 to 1)")
    legend_below(ax)
    return ax


def score_panels(table: pd.DataFrame, score: str) -> Figure:
    """Draw a score of several methods beside published values, a panel a setting (DR-A, figure F5).

    Parameters
    ----------
    table
        Columns panel, method, value, sd and published; NaN stands for what is not known.
    score
        Name of the score, at the axis.

    Returns
    -------
    Figure
        A bar a method, its sd as a line, the published value as a diamond.
    """
    parts = dict(list(table.groupby("panel", sort=False)))
    rows = [len(part) for part in parts.values()]
    fig, panels = plt.subplots(
        len(parts), 1, figsize=(WIDTH, 0.27 * sum(rows) + 0.45 * len(parts) + 0.6), height_ratios=rows, sharex=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    run = "here (± sd)" if table["sd"].notna().any() else "here"
    for ax, (name, part) in zip(panels[:, 0], parts.items(), strict=True):
        y = np.arange(len(part))[::-1]
        ax.barh(y, part["value"], xerr=part["sd"].fillna(0), color=RUN, height=0.6, label=run)
        ax.plot(part["published"], y, "D", color=PAPER, mec="black", ms=5, ls="none", label="published")
        ax.set(yticks=y, yticklabels=part["method"], title=plain(name))
    panels[-1, 0].set_xlabel(plain(score))
    fig.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def cluster_table(table: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw which classes the cells of each cluster come from (DR-A, figure F7).

    Parameters
    ----------
    table
        Numbers of cells, a row a class and a column a cluster.
    ax
        Axes to draw on.

    Returns
    -------
    Axes
        Shares of a class by colour, numbers of cells as text.
    """
    ax = ax or axes(0.3 * len(table) + 1)
    share = table.to_numpy() / np.maximum(table.to_numpy().sum(axis=1, keepdims=True), 1)
    image = ax.imshow(share, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), cells in np.ndenumerate(table.to_numpy()):
        if cells:
            ax.text(
                j, i, int(cells), ha="center", va="center", fontsize=8, color="black" if share[i, j] > 0.5 else "white"
            )
    ax.set(
        xticks=range(table.shape[1]),
        xticklabels=table.columns,
        yticks=range(len(table)),
        yticklabels=[plain(name) for name in table.index],
    )
    ax.set_xlabel("cluster")
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, label="share of the class", shrink=0.8)
    return ax


def simulated_embeddings(
    embeddings: Mapping[str, Mapping[str, np.ndarray]], labels: Mapping[str, Sequence], first: str = "held-out"
) -> Figure:
    """Draw held-out and simulated cells of several stages of a training on common axes (figure F4).

    Parameters
    ----------
    embeddings
        For each method ("PCA") the coordinates of each set of cells ("held-out", "epoch 5"), cells × 2.
    labels
        Label of each cell of each set.
    first
        The set whose cells are drawn in grey behind all others.

    Returns
    -------
    Figure
        A row a set, a column a method; the axes of a column are shared.
    """
    codes, names = coded(np.concatenate([np.asarray(own, dtype=str) for own in labels.values()]))
    codes = dict(zip(labels, np.split(codes, np.cumsum([len(own) for own in labels.values()])[:-1]), strict=True))
    colours = palette(len(names))
    fig, panels = plt.subplots(
        len(labels), len(embeddings), figsize=(WIDTH, 1.45 * len(labels) + 0.2 * -(-len(names) // 2) + 0.3),
        sharex="col", sharey="col", squeeze=False, layout="constrained",
    )  # fmt: skip
    for column, (method, sets) in zip(panels.T, embeddings.items(), strict=True):
        for ax, which in zip(column, labels, strict=True):
            if which != first:
                ax.scatter(*sets[first].T, s=1, lw=0, color="#d0d0d0", rasterized=True)
            for k, colour in enumerate(colours):
                points = sets[which][codes[which] == k]
                ax.scatter(*points.T, s=3, lw=0, color=colour, marker=MARKERS[k // 10 % len(MARKERS)], rasterized=True)
            ax.set(xticks=[], yticks=[])
        column[0].set_title(method)
    for ax, which in zip(panels[:, 0], labels, strict=True):
        ax.set_ylabel(which)
    handles = [
        plt.Line2D([], [], ls="none", marker=MARKERS[k // 10 % len(MARKERS)], ms=4, color=colours[k], label=n)
        for k, n in enumerate(names)
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
    return fig


def joint_embedding(
    points: Mapping[str, np.ndarray], labels: Mapping[str, Sequence], marker: Mapping[str, np.ndarray], gene: str
) -> Figure:
    """Draw sets of cells of one embedding, by label and by the expression of a gene.

    Parameters
    ----------
    points
        Coordinates of the cells of each set ("real", "generated"), cells × 2, all of one embedding.
    labels
        Label of each cell of each set.
    marker
        Expression of a gene in each cell of each set, in logarithms.
    gene
        What it is called.

    Returns
    -------
    Figure
        A column a set, with all cells in grey behind; labels above, the gene below on one scale for all sets.
    """
    codes, names = coded(np.concatenate([np.asarray(own, dtype=str) for own in labels.values()]))
    codes = dict(zip(labels, np.split(codes, np.cumsum([len(own) for own in labels.values()])[:-1]), strict=True))
    colours, most = palette(len(names)), max(float(x.max(initial=0)) for x in marker.values())
    fig, panels = plt.subplots(
        2, len(points), figsize=(WIDTH, 4.4 + 0.2 * -(-len(names) // 2)), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    behind = np.concatenate(list(points.values()))
    for (above, below), (name, own) in zip(panels.T, points.items(), strict=True):
        for ax in (above, below):
            ax.scatter(*behind.T, s=2, lw=0, color="#d0d0d0", rasterized=True)
            ax.set(xticks=[], yticks=[])
        for k, colour in enumerate(colours):
            shape = MARKERS[k // 10 % len(MARKERS)]
            above.scatter(*own[codes[name] == k].T, s=5, lw=0, color=colour, marker=shape, rasterized=True)
        order = np.argsort(marker[name], kind="stable")  # what expresses the gene is not hidden by what does not
        image = below.scatter(
            *own[order].T, s=5, lw=0, c=marker[name][order], cmap="cividis", vmin=0, vmax=most or 1, rasterized=True
        )
        above.set_title(plain(name))
    panels[0, 0].set_ylabel("by class")
    panels[1, 0].set_ylabel("by a marker gene")
    fig.colorbar(image, ax=panels[1, :], label=plain(gene), shrink=0.8)
    handles = [
        plt.Line2D([], [], ls="none", marker=MARKERS[k // 10 % len(MARKERS)], ms=4, color=colours[k], label=n)
        for k, n in enumerate(names)
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
    return fig
