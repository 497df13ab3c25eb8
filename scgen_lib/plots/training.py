"""Figures of trainings, drawn from histories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt

from scgen_lib.plots.base import WIDTH, History, axes, broken_line, legend_below, palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    ax = ax or axes(3.4)
    for (name, history), colour in zip(histories.items(), palette(len(histories)), strict=True):
        for key, dashes, words in (("loss", "-", ""), ("val_loss", "--", ", validation")):
            if key in history:
                broken_line(ax, history[key], f"{name}{words}", color=colour, ls=dashes)
    ax.set(xlabel="epoch", ylabel="loss", yscale="log" if log else "linear")
    legend_below(ax)
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
            broken_line(ax, history[key], name, color=colour)
        ax.set(ylabel=words, yscale="log")
    ax.set_xlabel("epoch")
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    return fig
