"""Counts, truth and denoised values against one another, and dropout calls."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, LogNorm

from scgen_book.plots.base import (
    COUNT,
    GREY,
    MARKERS,
    PAPER,
    RUN,
    WIDTH,
    axes,
    coded,
    grid,
    legend_below,
    palette,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def de_heatmaps(
    matrices: Mapping[str, np.ndarray],
    groups: Sequence,
    de_genes: np.ndarray,
    n_cells: int = 300,
    seed: int = 0,
    stratify: bool = True,
) -> Figure:
    """Draw the differentially expressed genes of the same cells in several matrices (figure A2).

    Parameters
    ----------
    matrices
        Logarithms of normalised counts, cells × genes; the first, the truth, fixes the order of the genes, which is
        that of average-linkage clustering.
    groups
        Group of each cell; cells are drawn group by group.
    de_genes
        Which genes to show (bool or positions).
    n_cells, seed, stratify
        Number of cells drawn at random, its seed, and whether the groups get equal shares.

    Returns
    -------
    Figure
        One panel a matrix, genes × cells, every gene scaled to [0, 1], below a strip of the groups.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    codes, names = coded(groups)
    shuffled = np.random.default_rng(seed).permutation(len(codes))
    # the rank of a cell within its group: the first ranks of all groups are equal shares
    rank = pd.Series(codes[shuffled]).groupby(codes[shuffled]).cumcount() if stratify else np.arange(len(codes))
    cells = shuffled[np.argsort(np.asarray(rank), kind="stable")[:n_cells]]
    cells = cells[np.argsort(codes[cells], kind="stable")]
    scaled = {name: _unit_range(np.asarray(x)[cells][:, de_genes]) for name, x in matrices.items()}
    first = next(iter(scaled.values()))
    genes = leaves_list(linkage(first.T, "average")) if first.shape[1] > 1 else [0]
    fig, panels = plt.subplots(
        2 * len(scaled),
        1,
        figsize=(WIDTH, 1.7 * len(scaled) + 0.6),
        height_ratios=[1, 12] * len(scaled),
        layout="constrained",
        squeeze=False,
    )
    colours = ListedColormap(palette(len(names)))
    for (strip, ax), (name, x) in zip(panels.reshape(-1, 2), scaled.items(), strict=True):
        strip.imshow(codes[cells][None], aspect="auto", cmap=colours, vmin=-0.5, vmax=len(names) - 0.5)
        strip.set(title=name, xticks=[], yticks=[])
        image = ax.imshow(x[:, genes].T, aspect="auto", cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
        ax.set(ylabel=f"{x.shape[1]} genes", xticks=[], yticks=[])
    ax.set_xlabel(f"{len(cells)} cells, by group")
    fig.colorbar(image, ax=panels[:, 0], label="expression, scaled by gene to [0, 1]", shrink=0.6)
    return fig


def truth_scatter(truth: np.ndarray, estimates: Mapping[str, np.ndarray], mask: np.ndarray | None = None) -> Figure:
    """Draw estimated against true counts (figure A4).

    Parameters
    ----------
    truth, estimates
        True counts and, by method, observed or denoised values on the same scale, cells × genes.
    mask
        Entries to show (bool), such as the dropouts; None shows all.

    Returns
    -------
    Figure
        One panel a method: density of entries with the diagonal of a perfect answer.
    """
    fig, panels = grid(len(estimates), 2.4)
    for ax, (name, estimate) in zip(panels, estimates.items(), strict=False):
        _density(ax, truth, estimate, mask)
        ax.set_title(name)
    shared = LogNorm(1, max([2, *np.concatenate([ax.collections[0].get_array() for ax in panels])]))
    for ax in panels:
        ax.collections[0].set_norm(shared)
    fig.colorbar(ax.collections[0], ax=panels, label="entries", shrink=0.6)
    return fig


def dropped_density(truth: np.ndarray, estimate: np.ndarray, mask: np.ndarray, ax: Axes | None = None) -> Axes:
    """Draw denoised against true counts at the dropouts (figure B4).

    Parameters
    ----------
    truth, estimate
        True counts and denoised values, cells × genes.
    mask
        The dropouts (bool), cells × genes.
    ax
        Axes to draw on.

    Returns
    -------
    Axes
        Density of entries with the diagonal of a perfect answer.
    """
    ax = ax or axes(4)
    _density(ax, truth, estimate, mask)
    ax.figure.colorbar(ax.collections[0], ax=ax, label="dropped entries")
    return ax


def marker_violins(
    matrices: Mapping[str, np.ndarray], groups: Sequence, genes: Sequence[str], limits: str = "gene"
) -> Figure:
    """Draw the expression of marker genes by group in several matrices, gene above gene (DB-AAE, figures F7 and S1).

    Parameters
    ----------
    matrices
        Logarithms of normalised expression by name, cells × the genes named; one column of panels each.
    groups
        Group of each cell.
    genes
        Names of the columns of the matrices, one row of panels each.
    limits
        "gene": all matrices share the axis of a gene; "panel": every panel has its own.

    Returns
    -------
    Figure
        A violin a group, as wide as its panel allows; its ends are the smallest and the largest value.
    """
    import seaborn as sns

    codes, names = coded(groups)
    fig, panels = plt.subplots(
        len(genes),
        len(matrices),
        figsize=(WIDTH, 0.62 * len(genes) + 1.3),
        sharex=True,
        sharey="row" if limits == "gene" else False,
        squeeze=False,
        layout="constrained",
    )
    for column, (name, x) in zip(panels.T, matrices.items(), strict=True):
        column[0].set_title(textwrap.fill(name, 12))
        for ax, values in zip(column, np.asarray(x, dtype=float).T, strict=True):
            sns.violinplot(
                x=codes, y=values, hue=codes, ax=ax, palette=palette(len(names)), density_norm="width", cut=0,
                inner=None, linewidth=0.5, legend=False,
            )  # fmt: skip
            ax.set(xlabel="", ylabel="")
            ax.tick_params(labelsize=7)
        column[-1].set_xticks(range(len(names)), names, rotation=90)
    for ax, gene in zip(panels[:, 0], genes, strict=True):
        ax.set_ylabel(plain(gene), rotation=0, ha="right", va="center", fontsize=8)
    return fig


def dispersion_models(table: pd.DataFrame) -> Figure:
    """Draw held-out loss and size of models with other likelihoods (figure A5).

    Parameters
    ----------
    table
        Columns model, nll (mean negative log-likelihood of an entry, in nats), sd and parameters (their number).

    Returns
    -------
    Figure
        Held-out loss (± sd) and number of parameters, side by side.
    """
    fig, (loss, size) = plt.subplots(1, 2, figsize=(WIDTH, 0.45 * len(table) + 1.2), sharey=True, layout="constrained")
    y = np.arange(len(table))[::-1]
    loss.errorbar(table["nll"], y, xerr=table["sd"].fillna(0), fmt="o", color=RUN, capsize=3)
    loss.set(yticks=y, yticklabels=table["model"], xlabel="held-out loss\n(nats per entry)")
    size.barh(y, table["parameters"] / 1000, color=GREY, height=0.6)
    size.set_xlabel("trainable parameters\n(thousands)")
    return fig


def precision_recall(
    curves: Mapping[str, Mapping], prevalence: float, points: pd.DataFrame | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how well scores find dropouts among zeros (figure B3).

    Parameters
    ----------
    curves
        For each score the result of `metrics.denoising.detection_curve`.
    prevalence
        Share of dropouts among zeros: the precision of calling all of them.
    points
        Columns model, epochs, precision and recall: models at their checkpoints; a NaN, where nothing was called, is
        left out.
    ax
        Axes to draw on.

    Returns
    -------
    Axes
        Curves, points and the line of the prevalence.
    """
    ax = ax or axes(4.4)
    for (name, curve), colour in zip(curves.items(), palette(len(curves)), strict=True):
        ax.plot(
            curve["recall"], curve["precision"], color=colour, label=f"{name} (AP {curve['average_precision']:.2f})"
        )
    ax.axhline(prevalence, color="black", ls=":", label=f"all zeros called ({prevalence:.2f})")
    if points is not None:
        shown = points.dropna(subset=["precision", "recall"])
        for marker, (model, own) in zip(MARKERS, shown.groupby("model"), strict=False):
            dots = ax.scatter(own["recall"], own["precision"], c=own["epochs"], marker=marker, cmap="cividis",
                              ec="black", s=40, zorder=3, label=model, vmin=0, vmax=points["epochs"].max())  # fmt: skip
    ax.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    legend_below(ax)
    if points is not None and len(shown):
        ax.figure.colorbar(dots, ax=ax, label="epochs", shrink=0.6)
    return ax


def calibration(scores: Mapping[str, np.ndarray], positive: np.ndarray, n_bins: int = 10) -> Figure:
    """Draw whether a dropout probability means what it says (figure B5).

    Parameters
    ----------
    scores
        Probabilities in [0, 1] of the same zeros, by name.
    positive
        Which of these zeros are dropouts (bool).
    n_bins
        Equal bins of the probability.

    Returns
    -------
    Figure
        First the share of dropouts in each bin, with the diagonal of a calibrated score; then for each score the
        number of zeros of either class.
    """
    positive = np.asarray(positive, dtype=bool).ravel()
    edges = np.linspace(0, 1, n_bins + 1)
    fig, (curve, *panels) = plt.subplots(
        1 + len(scores), 1, figsize=(WIDTH, 3 + 1.6 * len(scores)), height_ratios=[2] + [1] * len(scores), sharex=True,
        layout="constrained",
    )  # fmt: skip
    curve.plot([0, 1], [0, 1], ":", color="black", label="calibrated")
    for ax, (name, score), colour in zip(panels, scores.items(), palette(len(scores)), strict=True):
        score = np.asarray(score).ravel()
        counts = [np.histogram(score[own], edges)[0] for own in (positive, ~positive)]
        total = counts[0] + counts[1]
        full = total > 0
        curve.plot(((edges[1:] + edges[:-1]) / 2)[full], counts[0][full] / total[full], "o-", color=colour, label=name)
        ax.stairs(counts[0], edges, fill=True, color=colour, alpha=0.5, label="dropouts")
        ax.stairs(counts[1], edges, color="black", label="true zeros")
        ax.set(ylabel="zeros", title=name)
        ax.legend()
    curve.set(ylabel="share of dropouts", ylim=(-0.02, 1.02))
    curve.legend()
    fig.axes[-1].set_xlabel("dropout probability given")
    return fig


def _unit_range(x: np.ndarray) -> np.ndarray:
    low, span = x.min(axis=0), np.ptp(x, axis=0)
    return (x - low) / np.where(span > 0, span, 1)


def _density(ax: Axes, truth: np.ndarray, estimate: np.ndarray, mask: np.ndarray | None) -> None:
    chosen = slice(None) if mask is None else np.asarray(mask, dtype=bool)
    x, y = (np.log10(1 + np.asarray(values, dtype=float)[chosen].ravel()) for values in (truth, estimate))
    end = max(x.max(initial=0.1), y.max(initial=0.1))
    ax.hexbin(x, y, gridsize=40, bins="log", mincnt=1, cmap="viridis", extent=(0, end, 0, end), linewidths=0.1)
    ax.plot([0, end], [0, end], color=PAPER, lw=1)
    if not len(x):
        ax.text(0.5, 0.9, "no such entries", ha="center", transform=ax.transAxes)
    ax.set(xlabel=COUNT % "true count", ylabel=COUNT % "estimate", aspect="equal")
