"""Every figure, drawn from arrays, histories or results tables, five inches wide so that a phone shows it.

Nothing is computed here that a reader would quote: scores come in with the data.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap, LogNorm

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    History = Mapping[str, Sequence[float]]

WIDTH = 5.0  # inches: at 360 pixels, the width of a phone, a point of text is a pixel
GREY = "#949494"
RUN, PAPER = "#0173b2", "#de8f05"
MARKERS = "os^Dv"
COUNT = "log$_{10}$(1 + %s)"


def style() -> None:
    """Set how all figures look; in a notebook they become PNG at twice the resolution, never SVG."""
    plt.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.4),
            "figure.dpi": 100,
            "savefig.dpi": 200,
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 10,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": plt.cycler(color=palette(10)),
        }
    )
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("retina")


def palette(n: int) -> list[str]:
    """Return n colours that colour-blind readers tell apart; beyond ten they repeat."""
    import seaborn as sns

    return list(sns.color_palette("colorblind", n).as_hex())


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
    codes, names = _groups(groups)
    fig, panels = _grid(len(embeddings), 2.3)
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
    ax = ax or _axes(0.5 * len(table) + 1)
    y = np.arange(len(table))[::-1]
    ax.barh(y, table["value"], xerr=table["sd"].fillna(0), color=RUN, height=0.6, label="this run (± sd)")
    ax.plot(table["published"], y, "D", color=PAPER, mec="black", ls="none", label="published")
    ax.axvline(0, color="black", lw=0.8)
    ax.set(yticks=y, yticklabels=table["method"], xlabel="silhouette width (−1 to 1)")
    _legend_below(ax)
    return ax


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

    codes, names = _groups(groups)
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


def loss_curves(histories: Mapping[str, History], log: bool = True, ax: Axes | None = None) -> Axes:
    """Draw training and validation loss per epoch (figures A3 and B1).

    Parameters
    ----------
    histories
        For each model the losses by epoch, "loss" and perhaps "val_loss", as in a Keras history.
    log
        Whether the axis is logarithmic.
    ax
        Axes to draw on.

    Returns
    -------
    Axes
        Solid training and dashed validation lines, which break off with a cross at the first value that is not finite.
    """
    ax = ax or _axes(3.4)
    for (name, history), colour in zip(histories.items(), palette(len(histories)), strict=True):
        for key, dashes, words in (("loss", "-", ""), ("val_loss", "--", ", validation")):
            if key in history:
                _broken_line(ax, history[key], f"{name}{words}", color=colour, ls=dashes)
    ax.set(xlabel="epoch", ylabel="loss", yscale="log" if log else "linear")
    _legend_below(ax)
    return ax


def divergence(histories: Mapping[str, History]) -> Figure:
    """Draw what explodes when a model diverges (figure B2).

    Parameters
    ----------
    histories
        For each model "gradient_norm", "largest_mean" and "largest_dispersion" by epoch.

    Returns
    -------
    Figure
        Three panels with logarithmic axes; lines break off with a cross at the first value that is not finite.
    """
    quantities = {"gradient_norm": "gradient norm", "largest_mean": "largest M", "largest_dispersion": "largest Θ"}
    fig, panels = plt.subplots(3, 1, figsize=(WIDTH, 5.5), sharex=True, layout="constrained")
    for ax, (key, words) in zip(panels, quantities.items(), strict=True):
        for (name, history), colour in zip(histories.items(), palette(len(histories)), strict=True):
            _broken_line(ax, history[key], name, color=colour)
        ax.set(ylabel=words, yscale="log")
    ax.set_xlabel("epoch")
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
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
    fig, panels = _grid(len(estimates), 2.4)
    for ax, (name, estimate) in zip(panels, estimates.items(), strict=False):
        _density(ax, truth, estimate, mask)
        ax.set_title(name)
    shared = LogNorm(1, max(2, *(ax.collections[0].get_array().max() for ax in panels)))
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
    ax = ax or _axes(4)
    _density(ax, truth, estimate, mask)
    ax.figure.colorbar(ax.collections[0], ax=ax, label="dropped entries")
    return ax


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
    ax = ax or _axes(4.4)
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
    _legend_below(ax)
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
    ax = ax or _axes(0.5 * len(table) + 1.2)
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
    _legend_below(ax)
    return ax


def _axes(height: float) -> Axes:
    return plt.subplots(figsize=(WIDTH, height), layout="constrained")[1]


def _grid(n: int, height: float) -> tuple[Figure, list[Axes]]:
    """Make n panels, two in a row."""
    rows, columns = -(-n // 2), min(n, 2)
    fig, panels = plt.subplots(rows, columns, figsize=(WIDTH, height * rows + 0.5), squeeze=False, layout="constrained")
    for spare in panels.ravel()[n:]:
        spare.remove()
    return fig, list(panels.ravel()[:n])


def _legend_below(ax: Axes) -> None:
    """Put the legend of a lone panel below it: beside it, a phone has no room."""
    if len(ax.figure.axes) > 1:
        ax.legend()
    else:
        ax.figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def _groups(groups: Sequence) -> tuple[np.ndarray, list[str]]:
    categories = pd.Categorical(groups).remove_unused_categories()
    return np.asarray(categories.codes), [str(name) for name in categories.categories]


def _unit_range(x: np.ndarray) -> np.ndarray:
    low, span = x.min(axis=0), np.ptp(x, axis=0)
    return (x - low) / np.where(span > 0, span, 1)


def _broken_line(ax: Axes, values: Sequence[float], label: str, **kwargs) -> None:
    """Draw values up to the first that is not finite, and say there in which epoch it came."""
    values = np.asarray(values, dtype=float)
    end = int(np.argmin(np.isfinite(values))) if not np.isfinite(values).all() else len(values)
    lost = f" (not finite from epoch {end + 1})" if end < len(values) else ""
    ax.plot(np.arange(1, end + 1), values[:end], label=label + lost, **kwargs)
    if lost and end:
        ax.plot(end, values[end - 1], "X", ms=9, color=kwargs["color"], mec="black", zorder=3)


def _density(ax: Axes, truth: np.ndarray, estimate: np.ndarray, mask: np.ndarray | None) -> None:
    chosen = slice(None) if mask is None else np.asarray(mask, dtype=bool)
    x, y = (np.log10(1 + np.asarray(values, dtype=float)[chosen].ravel()) for values in (truth, estimate))
    end = max(x.max(initial=0.1), y.max(initial=0.1))
    ax.hexbin(x, y, gridsize=40, bins="log", mincnt=1, cmap="viridis", extent=(0, end, 0, end), linewidths=0.1)
    ax.plot([0, end], [0, end], color=PAPER, lw=1)
    ax.set(xlabel=COUNT % "true count", ylabel=COUNT % "estimate", aspect="equal")
