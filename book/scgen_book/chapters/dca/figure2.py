"""Part A on the page: Figure 2, its differences one at a time, and the noise models."""

import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from scgen_book import claims, originals, plots, provenance
from scgen_book.chance import spread
from scgen_book.experiments import paired
from scgen_book.experiments.dca import entries
from scgen_book.experiments.dca.figure2 import SHOWN
from scgen_book.experiments.protocol import Metric
from scgen_book.experiments.rows import Rows

NAMES = dict(
    zip(
        SHOWN,
        ("true counts", "with dropout", "ZINB, faithful", "squared error, faithful", "ZINB, repaired"),
        strict=True,
    )
)
QUANTITIES = {
    "silhouette": "silhouette where the figure looks",
    "silhouette, ten components": "silhouette on ten components",
    "dropped": "squared error at dropped entries",
    "all": "squared error at all entries",
    "epochs": "epochs",
}
#: A difference → the methods with it and without it.
PAIRS = {
    "the logarithm at the input, which the figure's notebook leaves out": ("zinb, logarithm", "zinb"),
    "what the description asks for, the likelihood in log space": ("zinb, described", "zinb, logarithm"),
    "what we added (start at gene means, drawn validation cells, best weights)": ("zinb, repaired", "zinb, described"),
    "RMSprop of Keras 3 in place of that of Keras 2": ("zinb, Keras 3", "zinb"),
    "squared error on one path with the others": ("mse, one path", "mse"),
}
_LOOKED = {
    "silhouette": "higher",
    "dropped": "lower",
    "silhouette, ten components": "higher",
    "all": "lower",
    "epochs": "lower",
}


def scored(found: Rows) -> pd.DataFrame:
    """Return the rows of the figure's methods and differences, a line a row."""
    return found.wide[found.wide["method"] != "nb"]


def summary(found: Rows) -> pd.DataFrame:
    """Return mean and sd over the seeds of what is measured, by data set and method."""
    by = scored(found).groupby(["dataset", "method"], sort=False)
    shown = by[[name for name in QUANTITIES if name in found.wide]].agg(["mean", spread])
    shown = shown.rename(columns=QUANTITIES | {"spread": "sd"})
    shown["seeds", ""] = by["seed"].nunique()
    return shown.round(3)


def panels(found: Rows, which: int) -> Figure | Markdown:
    """Draw the cells of one of the simulations (by its place) where the figure looks at them, first seed."""
    rows, names = found.wide, list(dict.fromkeys(found.wide["dataset"]))
    dataset = names[which] if which < len(names) else None
    rows = rows[(rows["dataset"] == dataset) & rows["method"].isin(SHOWN)]
    rows = rows[rows["seed"] == rows["seed"].min()]
    kept = {row.method: found.kept(row.method, dataset, row.seed) for row in rows.itertuples()}
    rows = rows[[bool(kept[method]) for method in rows["method"]]]  # of most rows the record has scores alone
    if rows.empty:
        return Markdown("*Not shown: no such simulation was asked for (parameter* `fig2_datasets`*).*")
    groups = next(filter(None, kept.values()))["groups"]
    shown = {NAMES[row.method]: (kept[row.method]["figure"], row.silhouette) for row in rows.itertuples()}
    return plots.embedding_panels(shown, groups, "PC" if len(set(groups)) == 2 else "t-SNE ")


def bars(found: Rows) -> Figure:
    """Draw the silhouettes of all methods beside the published numbers."""
    rows = scored(found)
    means = rows[rows["method"].isin(NAMES)].groupby(["groups", "method"], sort=False)["silhouette"]
    means = means.agg(value="mean", sd=spread, count="count").reset_index()
    said = published()
    keys = zip(means["groups"], means["method"], strict=True)
    means["published"] = [said.get(f"dca.fig2.g{groups:.0f}.{method}", np.nan) for groups, method in keys]
    means["method"] = [
        f"{row.groups:.0f} groups: {NAMES[row.method]} (n = {row.count})" for row in means.itertuples(index=False)
    ]
    return plots.silhouette_bars(means).figure


def published() -> pd.Series:
    """Return the published numbers of the paper by claim."""
    return pd.Series({item.id: item.value for item in claims.claims("eraslan2019")}, dtype=float)


def heat_maps(found: Rows) -> Figure | Markdown:
    """Draw the differentially expressed genes of the first simulation in four matrices."""
    kept = {NAMES[m]: found.kept(m) for m in ("true", "observed", "zinb", "mse")}
    shown = {name: arrays["heat map"] for name, arrays in kept.items() if "heat map" in arrays}
    if NAMES["true"] not in shown:
        return _NO_ENTRIES
    groups = kept[NAMES["true"]]["heat map groups"]
    return plots.de_heatmaps(shown, groups, np.ones(shown[NAMES["true"]].shape[1], bool), stratify=False)


def losses(found: Rows) -> Figure:
    """Draw the losses of the faithful network on every simulation, first seed."""
    kept = {name: found.kept("zinb", name) for name in dict.fromkeys(found.wide["dataset"])}
    histories = {name: {k: kept[name][k] for k in ("loss", "val_loss") if k in kept[name]} for name in kept}
    return plots.loss_curves(histories).figure


def steps(found: Rows) -> pd.DataFrame:
    """Return what each difference does by itself (see `paired.steps`)."""
    looked = {name: Metric(QUANTITIES[name], better) for name, better in _LOOKED.items()}
    return paired.steps(found.table, PAIRS, looked, {"epochs": ".0f"})


def step_table(found: Rows) -> Styler:
    """Return `steps` for display."""
    table = steps(found).drop(columns="disagree").rename(columns=QUANTITIES)
    return table.style.hide(axis="index").set_properties(**{"text-align": "left", "vertical-align": "top"})


def with_epochs(found: Rows) -> pd.DataFrame:
    """Return how the silhouette goes with the number of epochs, in runs of the original's code and in ours."""
    own = None
    if found:
        own = found.wide[found.wide["method"] == "zinb"].rename(columns={"silhouette": "value"})
        own = own.assign(code="this run, other cells each seed")
    return originals.with_epochs(provenance.ROOT / "benchmarks" / "originals", "dca", "silhouette PC1-2", own)


def quality(found: Rows) -> pd.DataFrame:
    """Return error and r of the entries of the first simulation, first seed."""
    rows = found.wide[found.wide["dataset"] == found.wide["dataset"].iloc[0]]
    rows = rows[rows["seed"] == rows["seed"].iloc[0]].set_index("method")
    names = [f"{what}, {which}" for which in ("all entries", "dropped entries") for what in ("MSE", "r")]
    shown = rows.reindex([m for m in _ESTIMATES if m in rows.index], columns=names)
    return shown.rename(index=_ESTIMATES).rename_axis(None).round(3)


def scatter(found: Rows, dropped: bool) -> Figure | Markdown:
    """Draw true against estimated counts of the first simulation, all entries or the dropped ones alone."""
    kept = {words: found.kept(method) for method, words in _ESTIMATES.items()}
    kept = {words: arrays for words, arrays in kept.items() if "entries truth" in arrays}
    if not kept:
        return _NO_ENTRIES
    names = ("truth", "estimate", "dropped", "entries")
    kept = {words: {name: arrays[f"entries {name}"] for name in names} for words, arrays in kept.items()}
    all_of = {words: entries.expanded(arrays) for words, arrays in kept.items()}
    truth, _, mask = next(iter(all_of.values()))
    estimates = {words: estimate for words, (_, estimate, _) in all_of.items()}
    return plots.truth_scatter(truth, estimates, mask if dropped else None)


def likelihoods(found: Rows) -> pd.DataFrame:
    """Return held-out loss, mean and sd over the seeds, and size of each noise model."""
    table = found.wide.groupby("method", sort=False).agg(
        nll=("nll", "mean"), sd=("nll", spread), parameters=("parameters", "first")
    )
    return table.reset_index(names="model").astype({"parameters": int})


def likelihood_table(found: Rows) -> pd.DataFrame:
    """Return `likelihoods` for display."""
    return likelihoods(found).round(4)


def likelihood_figure(found: Rows) -> Figure:
    """Draw held-out loss and size of each noise model."""
    return plots.dispersion_models(likelihoods(found))


_ESTIMATES = {m: NAMES[m] for m in ("observed", "zinb", "mse")} | {"nb": "NB, faithful"}
_NO_ENTRIES = Markdown("*Not shown: the matrices of the first simulation were not kept.*")
