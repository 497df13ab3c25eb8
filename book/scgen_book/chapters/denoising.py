"""What the comparison of denoisers shows and says of its rows."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scgen_book import experiments, plots
from scgen_book.chapters import comparisons
from scgen_book.experiments import paired, recorded, summaries
from scgen_book.experiments.denoising.cases import Case, DenoisingSettings
from scgen_book.experiments.denoising.comparison import EXPERIMENT, GROUPS, NAMES
from scgen_book.experiments.protocol import Metric
from scgen_book.experiments.rows import Rows
from scgen_lib import errors
from scgen_lib.metrics import denoising

if TYPE_CHECKING:
    from IPython.display import Markdown
    from pandas.io.formats.style import Styler

METRICS = EXPERIMENT.metrics
#: Model and variant by method, as they are recorded.
MODELS = {
    "dca_zinb": ("dca", "zinb-conddisp"),
    "dca_nb": ("dca", "nb"),
    "db_aae_faithful": ("db_aae", "faithful"),
    "db_aae_repaired": ("db_aae", "repaired"),
}
TITLES = {
    "molecules": "Held-out molecules",
    "simulated": "Truth of a simulation",
    "designed": "Truth by design",
    "downstream": "Downstream",
}
MEANINGS = {
    "molecules": (
        "Predict the molecules that were held out. Needs no truth, but knows only what the experiment could see: what "
        "was lost to *dropout* is lost in the held-out molecules too, and what makes a cell differ by chance from the "
        "others of its type is in both parts."
    ),
    "simulated": (
        "Compare with the simulation's counts before dropout, at all entries and at those where a count was lost, and "
        "gene by gene over the cells (r), unless nothing was lost; with the means that the counts of a cell were drawn "
        "from, and with the means of its type. *Average precision*: whether larger values stand where zeros hide a "
        "count."
    ),
    "designed": (
        "Mixtures of RNA of three cell lines: compare mixed samples with the pure ones, mixed in the proportions of "
        "the design, and find the proportions again by a linear fit from principal components (R², cross-validated). "
        "Spike-ins: every cell was given the same molecules. Bulk: order of the genes in a bulk sample of the tissue."
    ),
    "downstream": (
        "Principal components and k-means with as many clusters as types, before (*observed*) and after. *Unrelated "
        "genes*: copies of genes, each permuted by itself within a type, stand among the genes; afterwards they should "
        "not correlate within a type. Where a few genes hold most of the molecules, scaling to a common sum correlates "
        "the observed ones as well."
    ),
}
SIMPLE = ("gene_mean", "pca", "knn")
# by what methods are given places, in words
SHORT = {
    "mse": "all entries",
    "mse_dropped": "dropped entries",
    "mse_cell": "means of cells",
    "mse_means": "means of types",
    "mcv_poisson": "held-out Poisson loss",
    "mcv_mse": "held-out squared error",
    "ari": "ARI",
}
JUDGES = {"mcv_mse": "squared error", "mcv_poisson": "Poisson loss"}


def meanings() -> "Markdown":
    """Return what each group of metrics judges by."""
    return comparisons.listed([f"**{TITLES[group]}.** {words}" for group, words in MEANINGS.items()])


def rules() -> "Styler":
    """Return every metric with what it is judged by and which way it is better."""
    lines = [
        {"judged by": TITLES[group], "metric": metric.label, "better": plots.direction(metric)}
        for group, metrics in GROUPS.items()
        for metric in metrics.values()
    ]
    return comparisons.top_left(pd.DataFrame(lines))


def described(settings: Mapping[str, Any]) -> "Styler":
    """Return the data sets of a page: sizes at its seed, after the choice of genes, and what is known of the truth.

    Those of the record alone (`experiments.recorded.further`) are described as they are there.

    Parameters
    ----------
    settings
        The parameters of the chapter.

    Raises
    ------
    ParameterError
        If settings are not legal together.
    """
    values = experiments.complete("denoising", settings)
    chosen = experiments.settings_of(EXPERIMENT, values)
    DenoisingSettings(**chosen)  # refused before the first is loaded
    lines = []
    for name, own in recorded.described(EXPERIMENT.name, values, chosen).items():
        if own is None:
            lines.append({"data": name, "known": recorded.ELSEWHERE})
            continue
        try:
            lines.append({"data": name} | _sizes(experiments.case(EXPERIMENT, name, values["seed"], own)))
        except errors.InputError as error:
            lines.append({"data": name, "known": f"not at hand: {error}"})
    return comparisons.top_left(pd.DataFrame(lines).fillna("–"))


def _sizes(case: Case) -> dict[str, str]:
    kinds = case.cells.var["kind"].value_counts()
    spikes, dropouts = kinds.get("spike-in"), "–"
    if case.true_counts is not None:
        dropped = denoising.dropout_mask(case.observed, case.true_counts).sum()
        dropouts = f"{dropped / (case.observed == 0).sum():.0%}"
    return {
        "cells": f"{case.cells.n_obs:,}",
        "genes": f"{kinds['gene']:,}" + (f" + {spikes} spike-ins" if spikes else ""),
        "molecules a cell": f"{np.median(case.observed.sum(axis=1)):,.0f}",
        "zeros": f"{(case.observed == 0).mean():.0%}",
        "zeros that are dropouts": dropouts,
        "known": ", ".join([*case.truths, *case.notes]) or "nothing but the counts",
    }


def counted(found: Rows) -> "Markdown":
    """Say how many rows there are, and how long their methods were trained beside the published trainings."""
    from IPython.display import Markdown

    used, seeds = DenoisingSettings(**found.rows[0]["settings"]), len(comparisons.named(found, "seed"))
    epochs, widths = used.db_aae_epochs or "20 or 200", ", ".join(map(str, used.db_aae_layers))
    published = used.dca_epochs >= 300 and used.db_aae_epochs is None and used.db_aae_layers == (1024, 512, 512)
    return Markdown(
        f"{comparisons.counted(found)}; "
        + (f"{seeds} seeds" if seeds > 1 else "**one seed, so no spread**")
        + (". " if seeds > 2 else ": with fewer than three, nothing is said of chance. ")
        + f"DCA: at most {used.dca_epochs} epochs; DB-AAE: {epochs} epochs, widths {widths}"
        + (
            "."
            if published
            else " (published: 300; 20; 1024, 512, 512); **small stand-ins for the published trainings**."
        )
    )


def pick(*names: str) -> dict[str, Metric]:
    """Return some of the metrics."""
    return {name: METRICS[name] for name in names}


def having(found: Rows, group: str) -> list[str]:
    """Return the data sets that have a value in a group of metrics."""
    means = comparisons.summary(found)
    known = set(means.loc[means["metric"].isin(GROUPS[group]) & means["mean"].notna(), "dataset"])
    return [d for d in comparisons.named(found, "dataset") if d in known]


def dots(found: Rows, group: str, *metrics: str) -> "Markdown | None":
    """Draw some metrics of a group, or all, for four data sets at most; say so where no data set has them."""
    from IPython.display import Markdown

    if not (known := having(found, group)):
        return Markdown("*No data set of this run has such a truth.*")
    chosen = pick(*(metrics or GROUPS[group]))
    plots.comparison_dots(comparisons.summary(found), chosen, datasets=known[:4], names=NAMES)
    return None


def scores(found: Rows, group: str, digits: int = 3) -> pd.DataFrame | None:
    """Return the table of a group, of the data sets that have it; None without any."""
    if not (known := having(found, group)):
        return None
    means = comparisons.summary(found)
    return plots.score_table(means[means["dataset"].isin(known)], GROUPS[group], names=NAMES, digits=digits)


def means_of(found: Rows, dataset: str, metric: str) -> pd.Series:
    """Return the mean of each method that has a metric on a data set, the perfect answer left out."""
    means = comparisons.summary(found)
    own = means[(means["dataset"] == dataset) & (means["metric"] == metric) & (means["method"] != "truth")]
    return own.dropna(subset="mean").set_index("method")["mean"]


def agreement(found: Rows) -> pd.DataFrame:
    """Return, a row a simulation and truth, how held-out molecules rank the methods beside how the truth does."""
    lines = []
    for d in having(found, "simulated"):
        for truth in ("mse", "mse_cell", "mse_means"):
            columns = [truth, *JUDGES]
            both = pd.concat([means_of(found, d, metric) for metric in columns], axis=1, keys=columns).dropna()
            if len(both) > 3:
                ranks = {j: both[[truth, j]].corr(method="spearman").iloc[0, 1] for j in JUDGES}
                lines.append(
                    {"data": d, "truth": METRICS[truth].label, "methods": len(both)}
                    | {f"rank correlation, {words}": ranks[judge] for judge, words in JUDGES.items()}
                    | {
                        "best by the Poisson loss": NAMES[both["mcv_poisson"].idxmin()],
                        "best by the truth": NAMES[both[truth].idxmin()],
                    }
                )
    return pd.DataFrame(lines)


def agreement_table(found: Rows) -> "Styler | Markdown":
    """Return the table of `agreement`, or the sentence that it takes more."""
    from IPython.display import Markdown

    if (table := agreement(found)).empty:
        return Markdown("*Not computed: it takes a simulation and four methods.*")
    return comparisons.left(table).format(precision=2)


def controls(found: Rows) -> "Markdown":
    """Say in how many places the controls stand as they must, and where they do not."""
    from IPython.display import Markdown

    checked = summaries.check_controls(EXPERIMENT, found.table)
    if checked.empty:
        return Markdown("*No control to check: nothing was scored.*")
    lines = []
    for row in comparisons.odd(checked).itertuples():
        place, best = f"**{row.dataset}**, {METRICS[row.metric].label}:", f"*{NAMES[row.method]}* ({row.best:.4g})"
        if row.ok is not None and not row.ok:
            lines.append(f"{place} {best} **beats the truth** ({row.positive:.4g}).")
        if row.beaten is not None and not row.beaten:
            lines.append(f"{place} doing nothing is **not beaten**; the best of the others is {best}.")
    said = (
        f"The truth is not beaten in {comparisons.share(checked, 'ok')} places, doing nothing is beaten in "
        f"{comparisons.share(checked, 'beaten')}."
    )
    return Markdown(said + "\n\n" + "\n".join(f"- {line}" for line in lines))


def controls_table(found: Rows) -> "Styler":
    """Return what is observed, the best answer and the truth, place by place."""
    checked, means = summaries.check_controls(EXPERIMENT, found.table), comparisons.summary(found)
    nothing = means[means["method"] == "observed"].set_index(["dataset", "metric"])["mean"]
    told = checked.assign(
        observed=[nothing.get((r.dataset, r.metric), np.nan) for r in checked.itertuples()],
        metric=checked["metric"].map(lambda m: METRICS[m].label),
        method=checked["method"].map(NAMES),
    )
    told = told.rename(columns={"dataset": "data", "method": "best", "best": "its value", "positive": "truth"})
    told = told[["data", "metric", "observed", "best", "its value", "truth"]]
    return comparisons.left(told).format(precision=3, na_rep="–")


def takeaways(found: Rows) -> list[str]:
    """Return what the run shows, in sentences: the first of every topic, then the second, and so on."""
    topics = [_truth(found), _molecules(found), _places(found), _agreement(found), *_downstream(found), _design(found)]
    return [line for of_each in zip_longest(*topics) for line in of_each if line]


def _learnt(found: Rows) -> list[str]:
    return [m for m in comparisons.named(found, "method") if m not in ("observed", *SIMPLE, "truth")]


def _beside(found: Rows, dataset: str, other: str, metrics: Mapping[str, Metric]) -> str:
    """Say which learnt methods are better than another one on the same seeds, by each measure."""
    table = found.table
    return paired.surpassing(table[table["dataset"] == dataset], _learnt(found), other, metrics, NAMES)


def _truth(found: Rows) -> list[str]:
    metrics = pick("mse", "mse_dropped", "mse_cell", "mse_means")
    said = {d: _beside(found, d, "gene_mean", metrics) for d in having(found, "simulated")}
    return [
        f"**{d}**, nearer to the truth than gene means, measure by measure: {words}"
        for d, words in said.items()
        if words
    ]


def _design(found: Rows) -> list[str]:
    if not (known := having(found, "designed")):
        return ["**Truth by design**: no such data set in this run; the paper edition has them."]
    said = {d: _beside(found, d, "observed", GROUPS["designed"]) for d in known}
    return [f"**{d}**, better than doing nothing, measure by measure: {words}" for d, words in said.items() if words]


def _molecules(found: Rows) -> list[str]:
    lines, simulated = [], having(found, "simulated")
    # measured counts first: molecules are all that judges them
    for d in sorted(having(found, "molecules"), key=lambda d: d in simulated):
        for other, words in (("gene_mean", "gene means"), ("observed", "doing nothing")):
            if said := _beside(found, d, other, pick("mcv_poisson", "mcv_mse")):
                lines.append(f"**{d}**, better than {words}, measure by measure: {said}")
    return lines


def _places(found: Rows) -> list[str]:
    lines, table = [], found.table
    for d in comparisons.named(found, "dataset"):
        places = summaries.places(table[table["dataset"] == d], pick(*SHORT))
        each = [
            f"{NAMES[m]} {', '.join(f'{place:.0f}' for place in places.loc[m].dropna())}"
            for m in _learnt(found)
            if m in places.index
        ]
        if each:
            by = ", ".join(SHORT[m] for m in places)
            lines.append(f"**{d}**, places among {len(places)} methods ({by}): {'; '.join(each)}.")
    return lines


def _agreement(found: Rows) -> list[str]:
    return [
        f"**{row['data']}**, do held-out molecules rank the {row['methods']} methods as the truth does "
        f"({row['truth']})? Rank correlation {row['rank correlation, Poisson loss']:.2f} by the Poisson loss, "
        f"{row['rank correlation, squared error']:.2f} by the squared error; best by the Poisson loss: "
        f"{row['best by the Poisson loss']}, by the truth: {row['best by the truth']}."
        for row in agreement(found).to_dict("records")
    ]


def _downstream(found: Rows) -> tuple[list[str], list[str]]:
    """Return what is said of cell types, and of unrelated genes."""
    types, unrelated = [], []
    methods: Sequence[str] = ["observed", *(m for m in SIMPLE if m in comparisons.named(found, "method"))]
    for d in having(found, "downstream"):
        if said := _beside(found, d, "observed", pick("ari", "nmi", "silhouette")):
            types.append(f"**{d}**, cell types clearer than before, measure by measure: {said}")
        values = means_of(found, d, "spurious")
        if len(values) > 1 and "observed" in values:
            each = ", ".join(f"{NAMES[m]} {values[m]:.2f}" for m in [*methods, *_learnt(found)] if m in values)
            unrelated.append(f"**{d}**, 95th percentile of |r| of unrelated genes: {each}; 0 is right.")
    return types, unrelated
