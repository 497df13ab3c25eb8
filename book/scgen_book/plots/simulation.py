"""Simulated cells beside real ones."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scgen_book.plots.base import (
    GREY,
    MARKERS,
    RUN,
    WIDTH,
    axes,
    grid,
    legend_below,
    palette,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def cell_images(rows: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw cells as the images that a convolutional network sees and returns (figure F2).

    Parameters
    ----------
    rows
        For each row of panels (a model, say) its images, S × S, by name.

    Returns
    -------
    Figure
        A panel an image, each with a scale of its own; the largest value stands in its title.
    """
    width = max(len(images) for images in rows.values())
    fig, panels = plt.subplots(len(rows), width, figsize=(WIDTH, 1.95 * len(rows)), squeeze=False, layout="constrained")
    for line, (name, images) in zip(panels, rows.items(), strict=True):
        for ax in line[len(images) :]:
            ax.remove()
        for ax, (what, image) in zip(line, images.items(), strict=False):
            ax.imshow(image, cmap="viridis", interpolation="nearest")
            ax.set(title=f"{what}\nmaximum {np.max(image):.3g}", xticks=[], yticks=[])
        line[0].set_ylabel(name)
    return fig


def cell_violins(tables: Mapping[str, pd.DataFrame], value: str, words: str, log: bool = False) -> Axes:
    """Draw the distribution of a quantity of the cells by label and source (figure F5).

    Parameters
    ----------
    tables
        For each source ("real", a method) a row a cell, with the column label and the quantity.
    value, words
        The quantity's column and its name on the axis.
    log
        Whether to draw log10(1 + value).

    Returns
    -------
    Axes
        A row a label; in it a violin a source, with its median.
    """
    labels = list(dict.fromkeys(np.concatenate([table["label"].astype(str).unique() for table in tables.values()])))
    step = 0.8 / len(tables)
    ax = axes(0.17 * len(labels) * len(tables) + 1.1)
    for k, (table, colour) in enumerate(zip(tables.values(), palette(len(tables)), strict=True)):
        for row, label in enumerate(labels):
            values = table.loc[table["label"].astype(str) == label, value].to_numpy(dtype=float)
            values = np.log10(1 + values) if log else values
            y = -row + 0.4 - step * (k + 0.5)
            if len(values) > 1 and np.ptp(values) > 0:
                violin = ax.violinplot(values, [y], orientation="horizontal", widths=step * 1.1, showextrema=False)
                violin["bodies"][0].set(facecolor=colour, edgecolor=colour, alpha=0.7)
            if len(values):
                ax.plot(np.median(values), y, "|", color="black", ms=4)
    ax.set(
        yticks=-np.arange(len(labels)),
        yticklabels=[plain(textwrap.shorten(label, 26, placeholder="…")) for label in labels],
        ylim=(0.6 - len(labels), 0.5),
        xlabel=f"log$_{{10}}$(1 + {words})" if log else words,
    )
    handles = [plt.Rectangle((0, 0), 1, 1, color=c, label=n) for n, c in zip(tables, palette(len(tables)), strict=True)]
    ax.figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return ax


def gene_agreement(held_out: pd.DataFrame, methods: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw mean, variance and zeros of every gene, simulated against held-out cells (figure F6).

    Parameters
    ----------
    held_out, methods
        Results of `metrics.realism.gene_curves`, the latter by method; the same genes in the same order.

    Returns
    -------
    Figure
        A row a method, a column a quantity, with the diagonal of a perfect answer.
    """
    quantities = {"mean": "mean", "variance": "variance", "zeros": "zeros"}
    fig, panels = plt.subplots(
        len(methods), 3, figsize=(WIDTH, 1.65 * len(methods) + 0.3), sharex="col", squeeze=False, layout="constrained"
    )
    for line, (name, table) in zip(panels, methods.items(), strict=True):
        for ax, (key, words) in zip(line, quantities.items(), strict=True):
            end = max(held_out[key].max(), table[key].max())
            ax.plot([0, end], [0, end], color=GREY, lw=1, zorder=0)
            ax.plot(held_out[key], table[key], ".", ms=2.5, color=RUN, alpha=0.5, mew=0, rasterized=True)
            if ax in panels[0]:
                ax.set_title(words)
            if ax in panels[-1]:
                ax.set_xlabel("held-out cells")
        line[0].set_ylabel(name)
    return fig


def mean_variance(curves: Mapping[str, pd.DataFrame], bins: int = 15) -> Figure:
    """Draw variance and zeros against the mean, real and simulated (figure F7).

    Parameters
    ----------
    curves
        Results of `metrics.realism.gene_curves` by source; the first, the real cells, is drawn gene by gene too.
    bins
        Equally full bins of the mean; a line joins their medians.

    Returns
    -------
    Figure
        Variance with logarithmic axes, and zeros.
    """
    fig, panels = plt.subplots(2, 1, figsize=(WIDTH, 5.4), sharex=True, layout="constrained")
    for (name, table), colour in zip(curves.items(), palette(len(curves)), strict=True):
        seen = table[(table["mean"] > 0) & (table["variance"] > 0)]
        if name == next(iter(curves)):
            for ax, key in zip(panels, ("variance", "zeros"), strict=True):
                ax.plot(seen["mean"], seen[key], ".", ms=2.5, color=GREY, alpha=0.5, mew=0, rasterized=True)
        edges = np.unique(np.quantile(seen["mean"], np.linspace(0, 1, bins + 1)))
        medians = seen.groupby(np.searchsorted(edges, seen["mean"], side="left")).median()
        for ax, key in zip(panels, ("variance", "zeros"), strict=True):
            ax.plot(medians["mean"], medians[key], "-", color=colour, label=name)
    panels[0].set(xscale="log", yscale="log", ylabel="variance")
    panels[1].set(xlabel="mean", ylabel="share of zeros")
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    return fig


def correlation_maps(matrices: Mapping[str, np.ndarray]) -> Figure:
    """Draw gene-gene correlations of real and simulated cells (figure F8).

    Parameters
    ----------
    matrices
        Correlations of the same genes, p × p, by source; the first, the real cells, fixes the order of the genes, which
        is that of average-linkage clustering. NaN stands for genes that do not vary.

    Returns
    -------
    Figure
        A panel a source, with one colour bar, from -1 to 1; NaN is grey.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    reference = np.nan_to_num(next(iter(matrices.values())))
    order = leaves_list(linkage(reference, "average")) if len(reference) > 1 else [0]
    fig, panels = grid(len(matrices), 2.2)
    colours = plt.get_cmap("PuOr_r").with_extremes(bad="#b0b0b0")
    for ax, (name, matrix) in zip(panels, matrices.items(), strict=False):
        image = ax.imshow(matrix[np.ix_(order, order)], cmap=colours, vmin=-1, vmax=1, interpolation="nearest")
        ax.set(title=name, xticks=[], yticks=[])
    fig.colorbar(image, ax=panels, label="Pearson correlation", shrink=0.6)
    return fig


def confusions(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw which label a classifier sees in cells of each label (figure F9).

    Parameters
    ----------
    tables
        Confusion matrices by source: rows the wanted, columns the predicted label, numbers of cells.

    Returns
    -------
    Figure
        A panel a source, every row scaled to a sum of 1; labels are numbered, and a legend gives their names.
    """
    names = [plain(name) for name in next(iter(tables.values())).index]
    fig, panels = grid(len(tables), 2.3)
    for ax, (name, table) in zip(panels, tables.items(), strict=False):
        share = table.to_numpy() / np.maximum(table.to_numpy().sum(axis=1, keepdims=True), 1)
        image = ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
        ticks = np.arange(len(names))
        ax.set(title=name, xticks=ticks, yticks=ticks, xticklabels=ticks + 1, yticklabels=ticks + 1)
        ax.tick_params(labelsize=7)
        ax.set(xlabel="predicted", ylabel="wanted")
    fig.colorbar(image, ax=panels, label="share of the cells of a row", shrink=0.6)
    handles = [plt.Line2D([], [], ls="none", label=f"{k} {name}") for k, name in enumerate(names, 1)]
    fig.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, handlelength=0, handletextpad=0)
    return fig


def score_bars(table: pd.DataFrame, words: str, best: float, ax: Axes | None = None, form: str = ".2f") -> Axes:
    """Draw one score of several methods, with the controls set apart by colour (figure F10).

    Parameters
    ----------
    table
        Columns method, mean, sd (NaN: not known) and control (bool).
    words
        Name of the score and its scale.
    best
        The best value, drawn as a line.
    ax
        Axes to draw on.
    form
        Format of the numbers on the bars.

    Returns
    -------
    Axes
        A bar a method with its sd as a line; its number stands on it, or beside it where the bar is short.
    """
    ax = ax or axes(0.36 * len(table) + 1)
    y = np.arange(len(table))[::-1]
    colours = np.where(table["control"], GREY, RUN)
    ax.barh(y, table["mean"], xerr=table["sd"].fillna(0), color=colours, height=0.65)
    wide = table["mean"].abs().max()
    for place, value in zip(y, table["mean"], strict=True):
        short = value < 0.2 * wide
        ax.text(max(value, 0) if short else 0, place, f" {value:{form}}", va="center", fontsize=9,
                color="black" if short else "white")  # fmt: skip
    ax.axvline(best, color="black", ls=":", lw=1)
    ax.set(yticks=y, yticklabels=table["method"], xlabel=words)
    return ax


def augmentation_curve(table: pd.DataFrame, words: str, full: tuple[float, float] | None = None) -> Axes:
    """Draw how well a rare class is found by its share of cells, with and without help (scGAN, augmentation).

    Parameters
    ----------
    table
        Columns share (of the class's training cells that are left, 0 to 1), way (of helping), mean and sd (NaN: not
        known).
    words
        Name of the score.
    full
        Mean and sd of the score with all cells of the class, drawn as a line and a band.

    Returns
    -------
    Axes
        A line a way over a logarithmic axis of the share in percent.
    """
    ax = axes(3.4)
    ways = list(dict.fromkeys(table["way"]))
    shares = sorted(table["share"].unique())
    if full is not None:
        ax.axhline(full[0], color=GREY, lw=1.5, label="all cells")
        spread = np.nan_to_num(full[1])
        ax.axhspan(full[0] - spread, full[0] + spread, color=GREY, alpha=0.25, lw=0)
    for k, (way, colour) in enumerate(zip(ways, palette(len(ways)), strict=True)):
        own = table[table["way"] == way].sort_values("share")
        # side by side, so that spreads of the same share can be told apart
        x = 100 * own["share"] * 1.04 ** (k - (len(ways) - 1) / 2)
        ax.errorbar(x, own["mean"], yerr=own["sd"].fillna(0), color=colour, marker=MARKERS[k % len(MARKERS)], ms=5,
                    capsize=2, label=way)  # fmt: skip
    ax.set_xscale("log")
    ax.set_xticks([100 * share for share in shares], [f"{100 * share:g}" for share in shares])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="training cells of the class that are left (%)", ylabel=plain(words))
    legend_below(ax)
    return ax
