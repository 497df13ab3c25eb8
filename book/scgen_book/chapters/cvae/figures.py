"""Figures of the chapter on the CVAE: each view draws one, and its value is a figure."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure

from scgen_book import plots
from scgen_book.chapters.cvae import scores
from scgen_book.chapters.cvae.tables import gap
from scgen_book.experiments.cvae import cases, views
from scgen_book.experiments.rows import Rows
from scgen_lib.metrics import panel
from scgen_lib.models.cvae.net import CVAENet

KINDS = {
    "Concatenate": "both together", "Reshape": "as an image", "Conv2D": "convolution",
    "Conv2DTranspose": "transposed convolution", "Dense": "dense",
}  # fmt: skip
NOTHING = "*Not shown: no type has enough test cells in this run.*"


def network(net: CVAENet) -> None:
    """Draw the layers of encoder and decoder with their sizes."""
    types, side = net.n_labels, net.size
    into = {"label_map": "type: dense", "z_mean": "μ and ln σ²"}
    encoder = [("image and type", f"{side} × {side} and {types}"), *_layers(net.encoder, into)]
    decoder = [("z and type", f"{net.latent_dim} and {types}"), *_layers(net.decoder, {})]
    decoder.append(("sigmoid, or softmax over genes", f"{net.n_genes:,} genes"))
    plots.network_diagram({"encoder": encoder, "decoder": decoder})


def _layers(net: keras.Model, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the layers of a network that have weights, in order, with their output shapes and weights."""
    rows = []
    for layer in net.layers:
        kind = type(layer).__name__
        if kind in KINDS and layer.name != "z_log_var":
            twice = 2 if layer.name == "z_mean" else 1
            shape = " × ".join(f"{n:,}" for n in layer.output.shape[1:])
            weights = f", {twice * layer.count_params():,} weights" if layer.count_params() else ""
            rows.append((names.get(layer.name, KINDS[kind]), f"{'2 × ' * (twice - 1)}{shape}{weights}"))
    return rows


def kept_of(rows: Rows, values: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Return what is kept of each variant on the main data with the first seed."""
    run = cases.trainings(values)
    found = {variant: rows.kept(variant, run.main, run.seeds[0]) for variant in run.variants}
    return {variant: kept for variant, kept in found.items() if "latent" in kept}


def losses(rows: Rows, values: Mapping[str, Any]) -> Figure | Markdown:
    """Draw reconstruction and KL by epoch."""
    if values["model_path"]:
        return Markdown("*Not shown: nothing is trained where a saved model is given.*")
    parts = ("reconstruction", "kl")
    found = {v: {part: kept[f"history_{part}"] for part in parts} for v, kept in kept_of(rows, values).items()}
    return plots.loss_parts(found, values["latent_dim"]) if found else Markdown(f"*Not shown: {gap(rows)}*")


def images(rows: Rows, values: Mapping[str, Any]) -> Figure | Markdown:
    """Draw one test cell, its type and what comes back."""
    names = {"input": "cell", "label_map": "its type", "reconstruction": "reconstruction"}
    if not (found := kept_of(rows, values)):
        return Markdown(f"*Not shown: {gap(rows)}*")
    return plots.cell_images({v: {w: kept[f"image_{k}"] for k, w in names.items()} for v, kept in found.items()})


def latent(rows: Rows, values: Mapping[str, Any]) -> Figure | Markdown:
    """Draw test cells in the first two dimensions of z."""
    trained = kept_of(rows, values)
    found = {v: kept for v, kept in trained.items() if kept["latent"].shape[1] > 1}
    if not found:
        return Markdown("*Not shown: z has one dimension.*" if trained else f"*Not shown: {gap(rows)}*")
    cells = cases.load(cases.main_of(values), values)
    types = cells.obs.loc[~cells.obs["train"], "cell_type"]
    panels = {f"{v}\nsd {float(kept['latent_sd']):.2g}": (kept["latent"], np.nan) for v, kept in found.items()}
    return plots.embedding_panels(panels, types, "z ")


def aucs(rows: Rows, values: Mapping[str, Any]) -> Figure | Markdown:
    """Draw how well a forest tells simulated from held-out cells, on the first data set that is scored."""
    found, methods = scores.scores(rows, values), scores.columns(values)
    names = [name for name in scores.judged(values) if name in set(found["data"])]
    if not names:
        return Markdown(NOTHING)
    own = found[(found["data"] == names[0]) & (found["metric"] == "rf_auc")]
    auc = panel.summary(own, by=("method",)).reindex(methods)
    auc["sd"] = auc["sd"].where(auc["n"] >= 3)
    auc = auc.reset_index().assign(control=lambda t: t["method"].isin(methods[:5]))
    auc["method"] = auc["method"].replace(scores.NAMES)
    return plots.score_bars(auc, "AUC of a forest that tells simulated from held-out cells", best=0.5).figure


def drawn(rows: Rows, values: Mapping[str, Any], what: str) -> Figure | Markdown:
    """Draw one thing of the first data set that is scored.

    Parameters
    ----------
    rows, values
        Of ``cvae.realism``, and all parameters of the chapter.
    what
        "library", "zeros", "genes", "mean-variance", "correlations" or "confusion".
    """
    names = scores.judged(values)
    kept = scores.kept(rows, values, names[0]) if names else {}
    if "held-out" not in kept or (what == "confusion" and "confusion" not in kept["held-out"]):
        return Markdown(NOTHING if what != "confusion" else "*Not shown: one type alone is scored.*")
    found = _VIEWS[what](kept)
    return found if hasattr(found, "savefig") else found.figure


def _violins(kept: Mapping[str, Mapping[str, np.ndarray]], value: str, words: str, log: bool = False) -> Any:
    return plots.cell_violins({name: views.frame(own) for name, own in kept.items()}, value, words, log=log)


def _curves(kept: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, pd.DataFrame]:
    return {name: views.curves(own) for name, own in kept.items()}


def _genes(kept: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    found = _curves(kept)
    return plots.gene_agreement(found.pop("held-out"), found)


_VIEWS = {
    "library": lambda kept: _violins(kept, "library", "library size", log=True),
    "zeros": lambda kept: _violins(kept, "zeros", "share of zeros in a cell"),
    "genes": _genes,
    "mean-variance": lambda kept: plots.mean_variance(_curves(kept)),
    "correlations": lambda kept: plots.correlation_maps({name: own["correlations"] for name, own in kept.items()}),
    "confusion": lambda kept: plots.confusions({name: views.confusion(own) for name, own in kept.items()}),
}
