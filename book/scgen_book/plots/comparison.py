"""Several methods on several data sets, between two controls; what could not be run stays in sight."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from scgen_book.plots.base import GREY, PAPER, RUN, WIDTH, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from scgen_book.experiments.protocol import Metric

# Shape and colour say the same, for readers who cannot tell the colours apart.
ROLES = {
    "negative control": ("v", "#555555"),
    "baseline": ("s", GREY),
    "method": ("o", RUN),
    "positive control": ("D", PAPER),
}


def comparison_dots(
    summary: pd.DataFrame,
    metrics: Mapping[str, Metric],
    datasets: Sequence[str] | None = None,
    names: Mapping[str, str] | None = None,
    columns: int = 2,
) -> Figure:
    """Draw every method's mean ± sd: a block of panels a data set, a panel a metric, a row a method.

    Parameters
    ----------
    summary
        Result of `summaries.summary`: columns dataset, method, role, metric, mean, sd, n and reason.
    metrics
        Which metrics to draw, in order; one that nobody has on a data set gets no panel there.
    datasets
        Which data sets to draw, in order; None draws all of the summary.
    names
        Words for methods and data sets; what is not among them stands under its own name.
    columns
        Panels side by side.

    Returns
    -------
    Figure
        The role of a method by shape and colour. A value far beyond all others stands at the edge as a number, with an
        arrow. A row without a value says "not run" with the beginning of its reason, or "no value" if only this metric
        has no meaning for it.
    """
    names = names or {}
    datasets = list(dict.fromkeys(summary["dataset"])) if datasets is None else list(datasets)
    blocks = []
    for dataset in datasets:
        own = summary[summary["dataset"] == dataset]
        shown = [m for m in metrics if own.loc[own["metric"] == m, "mean"].notna().any()] or list(metrics)[:1]
        blocks.append((dataset, own, shown))
    columns = min(columns, max((len(shown) for *_, shown in blocks), default=1))
    lines = [(dataset, own, shown[i : i + columns], i == 0) for dataset, own, shown in blocks
             for i in range(0, len(shown), columns)]  # fmt: skip
    rows = [own["method"].nunique() for _, own, *_ in lines]
    fig, panels = plt.subplots(
        len(lines), columns, figsize=(WIDTH, 0.2 * sum(rows) + 0.75 * len(lines) + 0.5), height_ratios=rows,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for row, (dataset, own, shown, first) in zip(panels, lines, strict=True):
        for ax, metric in zip(row, shown, strict=False):
            _rows(ax, own, metric, metrics[metric], names, labelled=ax is row[0])
        if first:
            row[0].set_title(plain(names.get(dataset, dataset)), loc="left", fontweight="bold")
        for spare in row[len(shown) :]:
            spare.remove()
    present = [role for role in ROLES if (summary["role"] == role).any()]
    handles = [plt.Line2D([], [], ls="none", marker=ROLES[role][0], color=ROLES[role][1], label=role)
               for role in present]  # fmt: skip
    fig.legend(handles=handles, loc="outside lower center", ncols=2, columnspacing=1, handletextpad=0.2)
    return fig


def _rows(ax: Axes, own: pd.DataFrame, metric: str, kind: Metric, names: Mapping[str, str], labelled: bool) -> None:
    """Draw one metric of one data set."""
    methods = list(dict.fromkeys(own["method"]))
    values = own[own["metric"] == metric].set_index("method")
    reasons = own.dropna(subset="reason").drop_duplicates("method").set_index("method")["reason"]
    low, high = _bounds(values["mean"].dropna().to_numpy(float))
    for y, method in enumerate(reversed(methods)):
        if method in values.index and np.isfinite(values.loc[method, "mean"]):
            found = values.loc[method]
            marker, colour = ROLES[found["role"]]
            if low <= found["mean"] <= high:
                sd = np.nan_to_num(found["sd"])
                ax.errorbar(found["mean"], y, xerr=sd, fmt=marker, color=colour, ms=5, capsize=2)
                continue
            side = int(found["mean"] > high)
            ax.annotate(f" {found['mean']:.3g} ", (side, y), (0.8 if side else 0.2, y), ax.get_yaxis_transform(),
                        fontsize=7, color=colour, va="center", ha="right" if side else "left",
                        arrowprops={"arrowstyle": "->", "color": colour})  # fmt: skip
        else:
            words = f"not run: {reasons[method]}" if method in reasons else "no value"
            ax.text(0.02, y, textwrap.shorten(words, 40, placeholder="…"), transform=ax.get_yaxis_transform(),
                    fontsize=6.5, style="italic", color="#555555", va="center",
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    if not isinstance(kind.better, str):
        ax.axvline(kind.better, color="black", ls=":", lw=1)
    ax.set_ylim(-0.6, len(methods) - 0.4)
    ax.set_yticks(range(len(methods)), [names.get(m, m) for m in reversed(methods)] if labelled else [])
    ax.tick_params(axis="y", length=0, labelsize=8)
    ax.tick_params(axis="x", labelsize=8)
    ax.grid(axis="y", color="#e6e6e6", lw=0.8)
    ax.set_axisbelow(True)
    ax.margins(x=0.08)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.set_xlabel(f"{textwrap.fill(kind.label, 30)}\n({direction(kind)})", fontsize=8)


def _bounds(values: np.ndarray) -> tuple[float, float]:
    """Return the ends of what is shown: all but a quarter at most, values so far away that the others would merge."""
    inside = np.sort(values)
    for _ in range(len(values) // 4):
        below, above = inside[1] - inside[0], inside[-1] - inside[-2]
        rest = inside[:-1] if above >= below else inside[1:]
        if max(above, below) <= 2 * np.ptp(rest) or not np.ptp(rest):
            break
        inside = rest
    return (inside[0], inside[-1]) if len(inside) else (-np.inf, np.inf)


def direction(metric: Metric) -> str:
    """Which way a metric is better, in words."""
    if isinstance(metric.better, str):
        return f"{metric.better} is better"
    return f"nearer to {metric.better:g} is better"


def score_table(
    summary: pd.DataFrame,
    metrics: Mapping[str, Metric],
    names: Mapping[str, str] | None = None,
    digits: int = 3,
) -> pd.DataFrame:
    """Write the scores as text, "mean ± sd (n)", a row a data set and method.

    Parameters
    ----------
    summary, metrics, names
        As in `comparison_dots`.
    digits
        Decimals of the means.

    Returns
    -------
    DataFrame
        Index dataset and method, a column a metric that somebody has; "not run" where a method left a gap, "–" where a
        metric does not apply.
    """
    names = names or {}
    kept = [m for m in metrics if summary.loc[summary["metric"] == m, "mean"].notna().any()]
    rows = {}
    for (dataset, method), own in summary.groupby(["dataset", "method"], sort=False):
        values = own.set_index("metric")
        empty = "not run" if own["mean"].isna().all() else "–"
        rows[names.get(dataset, dataset), names.get(method, method)] = {
            metrics[m].label: _text(values.loc[m], digits, empty) if m in values.index else empty for m in kept
        }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[metrics[m].label for m in kept])
    table.index = pd.MultiIndex.from_tuples(rows, names=["data", "method"])
    return table


def _text(found: pd.Series, digits: int, empty: str) -> str:
    if not np.isfinite(found["mean"]):
        return empty
    spread = f" ± {found['sd']:.{digits}f}" if np.isfinite(found["sd"]) else ""
    return f"{found['mean']:.{digits}f}{spread} ({found['n']:.0f})"


def gap_table(table: pd.DataFrame, names: Mapping[str, str] | None = None) -> pd.DataFrame:
    """List what was not run and why.

    Parameters
    ----------
    table
        A `Rows.table`: columns dataset, method, seed, metric, value and reason.
    names
        As in `comparison_dots`.

    Returns
    -------
    DataFrame
        Columns data, method, seeds and reason, a row a reason; empty if everything was run. A missing value whose
        reason is not known stands there as "no reason was recorded".
    """
    names = names or {}
    by = ["dataset", "method"]
    # a metric that has no meaning for a method is no gap of it; nothing at all is, even where nobody says why
    lost = table.groupby([*by, "seed"])["value"].transform(lambda values: values.isna().all())
    gaps = table[table["reason"].notna() | lost]
    gaps = gaps.assign(reason=gaps["reason"].fillna("no reason was recorded"))
    rows = [
        {
            "data": names.get(dataset, dataset), "method": names.get(method, method),
            "seeds": ", ".join(map(str, sorted(set(own["seed"])))), "reason": reason,
        }
        for (dataset, method, reason), own in gaps.groupby([*by, "reason"], sort=False)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["data", "method", "seeds", "reason"])


def overview(places: pd.DataFrame) -> Figure:
    """Draw methods by metrics, from what doing nothing comes to (0) to a perfect answer (1).

    Parameters
    ----------
    places
        A row a method and a column a metric, named as readers name them; NaN where a method has no value.

    Returns
    -------
    Figure
        A column a method, places as colours and numbers; beyond the controls the colour is that of the nearer one.
    """
    values = places.to_numpy(float).T
    rows, columns = values.shape
    fig, ax = plt.subplots(figsize=(WIDTH, 0.32 * rows + 1.4), layout="constrained")
    ax.imshow(np.ma.masked_invalid(values), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            text = f"{value:z.1f}".replace("-", "−")
            text = "≪ 0" if value < -9.95 else text
            ax.text(j, i, text, ha="center", va="center", fontsize=7, color="black" if value > 0.55 else "white")
    labels = [textwrap.fill(plain(name), 34) for name in places.columns]
    ax.set_yticks(range(rows), labels, fontsize=7)
    ax.set_xticks(range(columns), [plain(name) for name in places.index], fontsize=8, rotation=50, ha="right")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    return fig
