"""The data set and what denoising does to it: held-out molecules, cell types, and the truth where it is known."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from anndata import AnnData
from IPython.display import Markdown
from matplotlib.figure import Figure

from scgen_book import plots
from scgen_book.chance import spread
from scgen_book.experiments.dca.cells import OF_TRUTH, OF_TYPES
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.rows import Rows
from scgen_lib import training
from scgen_lib.data import checks

if TYPE_CHECKING:
    from IPython.display import HTML


def about(adata: AnnData) -> pd.DataFrame:
    """Say what the data set is: a line a property. Empty cells and genes have been dropped."""
    known, counts = adata.uns["dataset"], training.dense(checks.get_counts(adata))
    _, untyped = checks.scoring(adata.obs.get("cell_type", []))
    properties = {
        "data": known["name"],
        "title": known.get("title", "own file"),
        "simulated": bool(known.get("simulated", False)),
        "cells": adata.n_obs,
        "genes": adata.n_vars,
        "dropped": "{cells} cells, {genes} genes without a count".format(**adata.uns["dropped"]),
        "zeros": f"{(counts == 0).mean():.1%}",
        "median total of a cell": f"{np.median(counts.sum(1)):,.0f}",
        "cell types": untyped or adata.obs["cell_type"].nunique(),
        "true counts": "known" if "true_counts" in adata.layers else "not known",
        "licence": known.get("licence", "your own"),
    }
    return pd.Series(properties, name="").to_frame()


def heldout(found: Rows) -> pd.DataFrame:
    """Return both losses of the held-out molecules, mean and sd over the seeds, the best first."""
    names = {"MCV MSE": "mse", "MCV Poisson": "poisson"}
    losses = found.wide.rename(columns=names).groupby("method")[list(names.values())].agg(["mean", spread])
    return losses.rename(columns={"spread": "sd"}).sort_values(("mse", "mean")).round(4)


def types(found: Rows) -> pd.DataFrame | Markdown:
    """Return how the cell types separate before and after denoising, or why that is not known."""
    if reason := _untyped(found):
        return Markdown(f'*Not run, by* `obs["cell_type"]`*: {reason}.*')
    table = found.wide.set_index("method")[list(OF_TYPES)]
    return table.loc[_denoised(found)].rename_axis(None).round(3)


def type_panels(found: Rows) -> Figure | Markdown:
    """Draw the cells in two principal components before and after denoising."""
    if reason := _untyped(found):
        return Markdown(f"*Not shown: {reason}.*")
    kept = {method: found.kept(method) for method in _denoised(found)}
    scores = found.wide.set_index("method")["silhouette"]
    panels = {method: (arrays["components"], scores[method]) for method, arrays in kept.items()}
    return plots.embedding_panels(panels, next(iter(kept.values()))["types"])


def named(found: Rows) -> "HTML":
    """Return the denoised cells in two principal components, each with its type where a pointer rests on it."""
    if reason := _untyped(found):
        raise NotApplicable(reason)
    method = _denoised(found)[-1]
    kept, words = found.kept(method), f"denoised ({method})"
    return plots.hover({words: kept["components"]}, {words: kept["types"]})


def truth(found: Rows) -> pd.DataFrame | Markdown:
    """Return how far from the true counts all are, or that these are not known."""
    if "mse" not in found.wide:
        return Markdown("*Not shown: the true counts of these data are not known.*")
    return found.wide.set_index("method")[list(OF_TRUTH)].rename_axis(None).round(3)


def _denoised(found: Rows) -> list[str]:
    """Return the methods whose cells are looked at by type: observed and denoised."""
    return [method for method in found.wide["method"] if method == "observed" or method.startswith("DCA")]


def _untyped(found: Rows) -> str | None:
    return next(iter(found.kept("observed").get("untyped", ())), None)
