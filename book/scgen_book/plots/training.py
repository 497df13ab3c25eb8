"""Figures of trainings, drawn from histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from scgen_book.plots.base import (
    GREY,
    MARKERS,
    PAPER,
    RUN,
    WIDTH,
    History,
    axes,
    broken_line,
    grid,
    legend_below,
    palette,
)

if TYPE_CHECKING:
    import pandas as pd
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


def adversarial_curves(histories: Mapping[str, History]) -> Figure:
    """Draw both sides of the game between an autoencoder and the discriminator of its codes (DB-AAE, figure F2).

    Parameters
    ----------
    histories
        For each model by epoch: reconstruction_loss, adversarial_loss, d_loss_real, d_loss_fake, d_accuracy_real,
        d_accuracy_fake (0 to 1), d_code_min and d_code_max (range of D(E(x)) over the cells), d_code_zero and
        d_code_one (shares of cells with D(E(x)) = 0 and ≥ 1), as `models.db_aae.DBAAE` keeps them.

    Returns
    -------
    Figure
        Five panels: reconstruction; adversarial loss of the encoder; losses and accuracies of D on draws of the prior
        (solid) and on codes (dashed); range of D(E(x)) as a band, with the shares of cells at 0 (dotted) and at 1 or
        above (dash-dotted).
    """
    fig, panels = plt.subplots(5, 1, figsize=(WIDTH, 9), sharex=True, layout="constrained")
    reconstruction, adversarial, losses, accuracy, scores = panels
    for (name, history), colour in zip(histories.items(), palette(len(histories)), strict=True):
        broken_line(reconstruction, history["reconstruction_loss"], name, color=colour)
        broken_line(adversarial, history["adversarial_loss"], name, color=colour)
        for side, dashes in (("real", "-"), ("fake", "--")):
            broken_line(losses, history[f"d_loss_{side}"], name, color=colour, ls=dashes)
            broken_line(accuracy, history[f"d_accuracy_{side}"], name, color=colour, ls=dashes)
        epochs = np.arange(1, len(history["d_code_min"]) + 1)
        scores.fill_between(epochs, history["d_code_min"], history["d_code_max"], color=colour, alpha=0.3, lw=0)
        broken_line(scores, history["d_code_zero"], name, color=colour, ls=":")
        broken_line(scores, history["d_code_one"], name, color=colour, ls="-.")
    reconstruction.set(ylabel="reconstruction\nMSE", yscale="log")
    adversarial.set_ylabel("adversarial loss\nof E (nats)")
    losses.set_ylabel("loss of D (nats)\nprior –, codes - -")
    accuracy.set(ylabel="accuracy of D\nprior –, codes - -", ylim=(-0.05, 1.05))
    accuracy.axhline(0.5, color="black", lw=0.8)
    scores.set(ylabel="D(E(x)), all cells\n= 0 ···, ≥ 1 –·", xlabel="epoch")
    scores.xaxis.get_major_locator().set_params(integer=True)
    fig.legend(*reconstruction.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def objective_curves(curves: Mapping[str, pd.DataFrame], best: Mapping[str, int] | None = None) -> Figure:
    """Draw what a search over batch sizes measured (DB-AAE, figure F3).

    Parameters
    ----------
    curves
        For each search a table indexed by batch size with the columns steps and any of d_accuracy, d_equilibrium (both
        in percent) and val_mse, each with its sd over seeds in a column of that name and _sd: `training.Search.curve`.
    best
        The batch size that a search has chosen, by search; drawn as a vertical line.

    Returns
    -------
    Figure
        A panel for each objective that was measured, and one for the number of optimiser steps, two in a row.
    """
    words = {
        "d_accuracy": "accuracy of D (%)\nreleased: highest",
        "d_equilibrium": "|accuracy − 50| (%)\nlowest",
        "val_mse": "held-out MSE\nlowest",
        "steps": "optimiser steps",
    }
    keys = [key for key in words if any(key in curve and curve[key].notna().any() for curve in curves.values())]
    fig, panels = grid(len(keys), 2.0)
    colours = palette(len(curves))
    for ax, key in zip(panels, keys, strict=True):
        for (name, curve), colour, marker in zip(curves.items(), colours, "os^Dv", strict=False):
            if key not in curve or curve[key].isna().all():
                continue
            spread = curve[f"{key}_sd"].fillna(0) if f"{key}_sd" in curve else 0
            ax.errorbar(curve.index, curve[key], yerr=spread, color=colour, marker=marker, ms=4, capsize=2, label=name)
            if best and name in best:
                ax.axvline(best[name], color=colour, ls=":", lw=1)
        ax.set(ylabel=words[key], yscale="log" if key == "steps" else "linear", xlabel="batch size (cells)")
    shown = {label: handle for ax in panels for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=2)
    return fig


def history_panels(histories: Mapping[str, History], quantities: Mapping[str, str], log: Sequence[str] = ()) -> Figure:
    """Draw several quantities of several trainings by epoch, a panel a quantity (DR-A, figure F2).

    Parameters
    ----------
    histories
        For each training the quantities by epoch; a training that lacks one is not drawn in its panel.
    quantities
        Key in the history → words at the axis. One that no training has gets no panel.
    log
        Keys with a logarithmic axis.

    Returns
    -------
    Figure
        Panels two in a row; lines break off with a cross at the first value that is not finite.
    """
    keys = [key for key in quantities if any(key in history for history in histories.values())]
    fig, panels = grid(len(keys), 1.7)
    for ax, key in zip(panels, keys, strict=True):
        for (name, history), colour in zip(histories.items(), palette(len(histories)), strict=True):
            if key in history:
                broken_line(ax, history[key], name, color=colour)
        ax.set(title=quantities[key], yscale="log" if key in log else "linear", xlabel="epoch")
    shown = {name: line for ax in panels for line, name in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=2)
    return fig


def gan_curves(histories: Mapping[str, History]) -> Figure:
    """Draw the course of a Wasserstein GAN with gradient penalty over outer steps (scGAN, training).

    Parameters
    ----------
    histories
        For each training "step" and, of the steps before it, the means "critic" (loss), "generator" (loss), "penalty"
        (mean of (s - 1)², without its weight), "slope" (mean of s) and "learning_rate", as `models.scgan.ScGAN` keeps
        them.

    Returns
    -------
    Figure
        A panel a quantity on a logarithmic axis; that of the losses is linear from -1 to 1.
    """
    quantities = {
        "critic": "loss of\nthe critic",
        "generator": "loss of the\ngenerator",
        "penalty": "penalty\n(s − 1)²",
        "slope": "slope s\n(1 is asked for)",
        "learning_rate": "step size of\nboth",
    }
    fig, panels = plt.subplots(len(quantities), 1, figsize=(WIDTH, 7.2), sharex=True, layout="constrained")
    for ax, (key, words) in zip(panels, quantities.items(), strict=True):
        for (name, history), colour, dashes in zip(
            histories.items(), palette(len(histories)), _cycle(len(histories)), strict=True
        ):
            ax.plot(history["step"], history[key], color=colour, ls=dashes, lw=1.2, label=name)
        ax.set_ylabel(words)
        # losses fall by orders of magnitude, and have a sign
        ax.set_yscale("symlog" if key in ("critic", "generator") else "log")
    panels[3].axhline(1, color="black", lw=0.8)
    panels[-1].set_xlabel("outer step")
    fig.align_ylabels(panels)
    fig.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return fig


def _cycle(n: int) -> list[str]:
    """Return n dashes, so that curves that lie on each other are all seen."""
    return [("-", "--", "-.", ":")[k % 4] for k in range(n)]


def weights_moved(moved: Mapping[str, Mapping[str, float]], ax: Axes | None = None) -> Axes:
    """Draw how far training has moved the weights of each part of a model: a part at 0 was never trained.

    Parameters
    ----------
    moved
        For each model, by part, the distance of the weights from their initial values over the norm of those.
    ax
        Axes to draw on.

    Returns
    -------
    Axes
        A row a part and a marker a model; the axis is linear up to 0.01 and logarithmic above.
    """
    parts = list(dict.fromkeys(part for of in moved.values() for part in of))
    ax = ax or axes(0.32 * len(parts) + 1.3)
    for (name, of), marker, colour in zip(moved.items(), MARKERS, palette(len(moved)), strict=False):
        ax.plot(list(of.values()), [parts.index(part) for part in of], marker, color=colour, label=name, alpha=0.8)
    ax.set(yticks=range(len(parts)), yticklabels=parts, xlabel="‖w − w₀‖ / ‖w₀‖ after training")
    ax.set_xscale("symlog", linthresh=0.01)
    ax.set_xlim(left=-0.002)
    ax.invert_yaxis()
    ax.grid(axis="y", lw=0.4)
    legend_below(ax)
    return ax


def logit_histograms(logits: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw what a discriminator says of real and of made samples (DR-A, figure F6).

    Parameters
    ----------
    logits
        For each discriminator, by kind of sample, its logits; the first kind is the real one.

    Returns
    -------
    Figure
        A panel a discriminator with a histogram a kind; the dotted line at 0 is a probability of one half.
    """
    fig, panels = plt.subplots(
        len(logits), 1, figsize=(WIDTH, 1.9 * len(logits) + 0.3), squeeze=False, layout="constrained"
    )
    for ax, (name, kinds) in zip(panels[:, 0], logits.items(), strict=True):
        values = {kind: np.asarray(x, float).ravel() for kind, x in kinds.items()}
        low, high = min(x.min() for x in values.values()), max(x.max() for x in values.values())
        edges = np.linspace(low, high if high > low else low + 1, 41)
        for (kind, x), colour in zip(values.items(), (GREY, RUN, PAPER), strict=False):
            ax.hist(x, edges, color=colour, alpha=0.6, label=kind)
        ax.axvline(0, color="black", ls=":", lw=1)
        ax.set(title=name, ylabel="samples")
        ax.legend()
    panels[-1, 0].set_xlabel("logit")
    return fig


def loss_parts(histories: Mapping[str, History], latent_dim: int | None = None) -> Figure:
    """Draw reconstruction loss and KL divergence of variational autoencoders per epoch (figure F3).

    Parameters
    ----------
    histories
        For each model "reconstruction" and "kl", by epoch. Reconstruction losses of different likelihoods have
        different units, so each model has a panel of its own.
    latent_dim
        Number of latent dimensions, for the words on the axis.

    Returns
    -------
    Figure
        A panel of reconstruction a model, and one of KL for all with a symmetric logarithmic axis, linear below 1e-3.
    """
    fig, panels = plt.subplots(
        len(histories) + 1, 1, figsize=(WIDTH, 1.5 * len(histories) + 2.2), sharex=True, layout="constrained",
        height_ratios=[1] * len(histories) + [1.4],
    )  # fmt: skip
    for ax, (name, history), colour in zip(panels, histories.items(), palette(len(histories)), strict=False):
        values = np.asarray(history["reconstruction"], dtype=float)
        broken_line(ax, values, "reconstruction", color=colour)
        # a logarithmic axis of less than a decade has unreadable ticks
        wide = np.nanmin(values) > 0 and np.nanmax(values) > 10 * np.nanmin(values)
        ax.set(title=name, ylabel="reconstruction", yscale="log" if wide else "linear")
        broken_line(panels[-1], history["kl"], name, color=colour)
    dimensions = "" if latent_dim is None else f", {latent_dim} dimensions"
    panels[-1].axhline(0, color="black", lw=0.8)
    panels[-1].set(xlabel="epoch", ylabel="KL (nats)", title=f"information in z{dimensions}")
    panels[-1].set_yscale("symlog", linthresh=1e-3)
    panels[-1].set_ylim(bottom=-2e-4)
    panels[-1].legend()
    return fig


def scaling(seconds: pd.DataFrame) -> Figure:
    """Draw how times grow with the number of cells.

    Parameters
    ----------
    seconds
        A column a quantity, a line a number of cells.

    Returns
    -------
    Figure
        Both axes are logarithmic; a dashed line through the largest number of cells grows in proportion to the cells.
    """
    ax = axes(3.4)
    cells = seconds.index.to_numpy(float)
    for (name, times), colour, marker in zip(seconds.items(), palette(seconds.shape[1]), MARKERS, strict=False):
        ax.plot(cells, times, color=colour, marker=marker, label=name)
        ax.plot(cells, times.iloc[-1] * cells / cells[-1], color=colour, ls="--", lw=1, alpha=0.7)
    ax.plot([], [], color=GREY, ls="--", lw=1, label="in proportion to the cells")
    ax.set(xlabel="cells", ylabel="seconds", xscale="log", yscale="log")
    legend_below(ax)
    return ax.figure
