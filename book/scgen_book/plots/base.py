"""How all figures look, and the pieces they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from scgen_book.names import told

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


def axes(height: float) -> Axes:
    """Make one panel of the common width, `height` inches high."""
    return plt.subplots(figsize=(WIDTH, height), layout="constrained")[1]


def grid(n: int, height: float) -> tuple[Figure, list[Axes]]:
    """Make n panels, two in a row."""
    rows, columns = -(-n // 2), min(n, 2)
    fig, panels = plt.subplots(rows, columns, figsize=(WIDTH, height * rows + 0.5), squeeze=False, layout="constrained")
    for spare in panels.ravel()[n:]:
        spare.remove()
    return fig, list(panels.ravel()[:n])


def legend_below(ax: Axes) -> None:
    """Put the legend of a lone panel below it: beside it, a phone has no room."""
    if len(ax.figure.axes) > 1:
        ax.legend()
    else:
        ax.figure.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2)


def plain(name: object) -> str:
    """Return a name for a figure to show: a data set's as people say it, and all by their letters.

    There is no formula between two ``$``, and nothing is left out for its ``_``.
    """
    text = told(str(name)).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text


def coded(groups: Sequence) -> tuple[np.ndarray, list[str]]:
    """Return the code of each group and the names of the codes, as figures show them; cells without one come last."""
    categories = pd.Categorical(groups).remove_unused_categories()
    codes, names = np.asarray(categories.codes), [plain(name) for name in categories.categories]
    if (codes < 0).any():
        codes, names = np.where(codes < 0, len(names), codes), [*names, "no label"]
    return codes, names


def broken_line(ax: Axes, values: Sequence[float], label: str, **kwargs) -> None:
    """Draw values up to the first that is not finite, and say there in which epoch it came."""
    values = np.asarray(values, dtype=float)
    end = int(np.argmin(np.isfinite(values))) if not np.isfinite(values).all() else len(values)
    lost = f" (not finite from epoch {end + 1})" if end < len(values) else ""
    ax.plot(np.arange(1, end + 1), values[:end], label=plain(label) + lost, **kwargs)
    if lost and end:
        ax.plot(end, values[end - 1], "X", ms=9, color=kwargs["color"], mec="black", zorder=3)
