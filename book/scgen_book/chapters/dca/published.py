"""Other numbers of the paper and its tutorial on the page: groups of two more simulations, and two genes of blood."""

import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure

from scgen_book import claims, plots
from scgen_book.chance import spread
from scgen_book.experiments.dca import figure9
from scgen_book.experiments.rows import Rows

_NAMES = {
    "dca_g2_tutorial": "two groups, PC1–2",
    "dca_g6_methods": "six groups, t-SNE",
    "true": "true counts",
    "observed": "as observed",
    "zinb": "DCA, ZINB",
    "nb": "DCA, NB",
    "nb-conddisp": "DCA, NB with a dispersion by cell",
}


def tutorial(found: Rows) -> pd.DataFrame:
    """Return the silhouettes of the tutorial's simulations, mean and sd over the seeds, beside the published ones."""
    return _beside(found, "silhouette").set_index(["data", "counts"])


def correlations(found: Rows) -> pd.DataFrame:
    """Return Pearson's r of Gata1 and Pu.1 in all cells and in those with neither, beside the published ones."""
    of = {"all cells": figure9.ALL, "cells with neither": figure9.NEITHER}
    parts = [_beside(found, metric).assign(cells=name) for name, metric in of.items() if metric in found.wide]
    return pd.concat(parts).drop(columns="data").set_index(["cells", "counts"])


def _beside(found: Rows, metric: str) -> pd.DataFrame:
    lines = []
    for (dataset, method), own in found.wide.dropna(subset=metric).groupby(["dataset", "method"], sort=False):
        said = {row["claims"].get(metric) for row in found.rows if (row["dataset"], row["method"]) == (dataset, method)}
        published = next((claims.claim(name).value for name in said if name), float("nan"))
        lines.append({
            "data": _NAMES.get(dataset, dataset), "counts": _NAMES[method], "mean": own[metric].mean(),
            "sd": spread(own[metric]), "seeds": len(own), "published": published,
        })  # fmt: skip
    return pd.DataFrame(lines).round(3)


def two_genes(found: Rows) -> Figure | Markdown:
    """Draw Gata1 and Pu.1 in every cell, as observed and denoised, of the first seed that has its cells."""
    panels = {}
    for method in found.experiment.methods:
        if kept := found.kept(method):
            r = found.values(method, figure9.ALL).iloc[0]
            panels[f"{_NAMES[method]}, r = {r:.2f}"] = kept["genes"], kept["neither"]
    return plots.two_genes(panels, ("Gata1", "Pu.1")) if panels else Markdown("*Not drawn: the record has no cells.*")
