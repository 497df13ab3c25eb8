"""Published values beside ours."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from scgen_book.plots.base import PAPER, RUN, WIDTH

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def forest(panels: Mapping[str, "pd.DataFrame"]) -> "Figure":
    """Draw means with their spread beside published values, a panel a paper and a line a claim.

    Parameters
    ----------
    panels
        By title: columns words, published, mean and sd, in the order of the lines from the top.

    Returns
    -------
    Figure
        Ours as dots with a line of one sd to either side, published values as diamonds; each panel has its own axis.
    """
    rows = [len(table) for table in panels.values()]
    height = 0.3 * sum(rows) + 0.75 * len(rows) + 0.4
    fig, axes = plt.subplots(
        len(rows), 1, figsize=(WIDTH, height), height_ratios=rows, squeeze=False, layout="constrained"
    )
    for ax, (title, table) in zip(axes[:, 0], panels.items(), strict=True):
        y = np.arange(len(table))[::-1]
        ax.hlines(y, table[["mean", "published"]].min(axis=1), table[["mean", "published"]].max(axis=1), "0.8", lw=1)
        ax.errorbar(
            table["mean"], y, xerr=table["sd"].fillna(0), fmt="o", color=RUN, ms=5, capsize=2, label="here ± sd"
        )
        ax.plot(table["published"], y, "D", color=PAPER, mec="black", ms=5, ls="none", label="published")
        ax.set(yticks=y, yticklabels=table["words"], ylim=(-0.6, len(table) - 0.4))
        ax.set_title(title, loc="right")
        ax.tick_params(axis="y", labelsize=8)
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig
