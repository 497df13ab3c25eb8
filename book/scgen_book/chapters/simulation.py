"""What the comparison of simulators shows and says of its rows."""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scgen_book import experiments, plots
from scgen_book.chance import FEWEST
from scgen_book.chapters import comparisons
from scgen_book.experiments import evidence, paired, summaries
from scgen_book.experiments.protocol import Metric
from scgen_book.experiments.rows import Rows
from scgen_book.experiments.simulation.cases import SimulationSettings
from scgen_book.experiments.simulation.comparison import EXPERIMENT, GROUPS, METRICS
from scgen_lib.data import registry, splatter
from scgen_lib.models.scgan import ScGAN

if TYPE_CHECKING:
    from IPython.display import Markdown
    from pandas.io.formats.style import Styler

#: Words for tables and figures.
#: What the first figure shows: a metric or two of each kind.
AT_A_GLANCE = (
    "rf_auc", "mmd2", "knn_mix", "mean_pearson", "variance_pearson", "zeros_pearson", "library_ks", "detected_ks",
    "sd_ratio", "corr_pearson", "corr_within_pearson", "copies",
)  # fmt: skip
NAMES = {
    "real": "cells of the data",
    "cvae_faithful": "CVAE (faithful)",
    "cvae_repaired": "CVAE (repaired)",
    "scgan": "scGAN",
    "cscgan": "cscGAN",
    "nb_per_type": "NB per type",
    "poisson_per_type": "Poisson per type",
    "splatter": "Splat per type",
    "poisson": "Poisson (one depth)",
}
TRAINED = ("cvae_faithful", "cvae_repaired", "scgan", "cscgan")
SIMPLE = ("nb_per_type", "poisson_per_type", "splatter")
#: What each figure shows.
FIGURES = {
    "discrimination": ("rf_auc", "mmd2", "corr_within_pearson", "nn_train"),
    "genes": ("mean_rmse", "variance_rmse", "detected_ks", "corr_pearson"),
    "types": ("accuracy_excess", "reverse_accuracy", "sd_ratio", "copies"),
}


def models(settings: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return model and variant by method, as they are recorded."""
    of_cvae = {f"cvae_{variant}": ("cvae", variant) for variant in ("faithful", "repaired")}
    return of_cvae | {name: (name, settings["gan_variant"]) for name in ("scgan", "cscgan")}


def rules() -> "Styler":
    """Return every metric with which way it is better, and the control that is to beat."""
    lines = [
        {
            "about": group,
            "metric": metric.label,
            "better": plots.direction(metric) if metric.judged else "reported, not judged",
            "to beat": ", ".join(NAMES.get(m, m) for m in metric.negative or ()) if metric.judged else "–",
        }
        for group, metrics in GROUPS.items()
        if group != "size"
        for metric in metrics.values()
    ]
    return comparisons.top_left(pd.DataFrame(lines))


@functools.lru_cache(maxsize=4)
def results(found: Rows) -> pd.DataFrame:
    """Return the table of rows without the metrics that have no ceiling."""
    return evidence.results_only(found.table)


@functools.lru_cache(maxsize=4)
def means(found: Rows) -> pd.DataFrame:
    """Return mean and spread over the seeds of the metrics that are results."""
    return summaries.summary(results(found))


def sizes(found: Rows) -> pd.DataFrame:
    """Return the sizes of the data sets, a row each."""
    own = means(found)
    own = own[own["metric"].isin(GROUPS["size"])].dropna(subset=["mean"]).drop_duplicates(["dataset", "metric"])
    wide = own.pivot_table("mean", "dataset", "metric").reindex(columns=list(GROUPS["size"]))
    heads = {m: metric.label for m, metric in GROUPS["size"].items()}
    return wide.rename(columns=heads).rename_axis(index="data", columns=None).map("{:,.0f}".format)


def counted(found: Rows, settings: Mapping[str, Any]) -> "Markdown":
    """Say what the data are, how many rows there are, and how long the networks of this run were trained.

    Parameters
    ----------
    found
        The rows.
    settings
        The parameters of the chapter.
    """
    from IPython.display import Markdown

    values = experiments.complete("simulation", settings)
    seeds, controls = len(values["seeds"]), len({*values["seeds"], *values["control_seeds"]})
    return Markdown(
        _notes(values["datasets"]) + f"{comparisons.counted(found)}; trained methods and baselines on "
        f"{seeds} seed{'s' * (seeds > 1)}, the controls on {controls}. "
        + _trainings(SimulationSettings(**experiments.settings_of(EXPERIMENT, values)))
    )


def _notes(datasets: Sequence[str]) -> str:
    """Return what is to be known of data sets, a paragraph each."""
    notes = {d: registry.DATASETS[d].note for d in datasets if d in registry.DATASETS and registry.DATASETS[d].note}
    simulated = "**simulated by Splat**; what is said of these cells is said of no real ones."
    notes |= {d: simulated for d in datasets if d in splatter.PRESETS}
    return "".join(f"*{name}*: {words}\n\n" for name, words in notes.items())


def _trainings(used: SimulationSettings) -> str:
    constants = {"critic_input_scale": used.gan_input_scale, "bn_momentum": used.gan_momentum}
    released = {name: getattr(ScGAN.faithful(), name) for name in constants}
    constants = released if used.gan_variant == "faithful" else constants
    small = ". **A small stand-in for the published training** of 1,000,000 steps with 256, 512 and 1,024 units."
    return (
        f"CVAE: {used.cvae_epochs:,} epochs; scGAN and cscGAN ({used.gan_variant}): {used.gan_steps:,} outer steps, "
        f"layers of {', '.join(map(str, used.gan_layers))} units, a critic that sees "
        f"{constants['critic_input_scale']:g} x and statistics of momentum {constants['bn_momentum']:g}"
        + (", both as released" if constants == released else ", both ours (released: 1 and 0.999)")
        + ("." if used.gan_steps >= 1_000_000 else small)
    )


def dots(found: Rows, figure: str) -> None:
    """Draw the metrics of one of `FIGURES` that are results."""
    plots.comparison_dots(means(found), _pick(FIGURES[figure]), names=NAMES)


def _pick(metrics: Sequence[str]) -> dict[str, Metric]:
    return {name: METRICS[name] for name in metrics}


def scores(found: Rows, group: str, digits: int = 3) -> pd.DataFrame:
    """Return the table of a group of metrics that are results."""
    return plots.score_table(means(found), GROUPS[group], names=NAMES, digits=digits)


def no_ceiling(found: Rows) -> "Markdown":
    """Say which metrics are not shown as results."""
    from IPython.display import Markdown

    return Markdown(evidence.no_ceiling(found.table, NAMES))


def checked(found: Rows) -> pd.DataFrame:
    """Say whether the controls stand where they must; empty without three seeds of them, which have no spread."""
    kept = results(found)
    enough = len(comparisons.named(found, "seed")) >= FEWEST
    return summaries.check_controls(EXPERIMENT, kept if enough else kept.iloc[:0])


def controls(found: Rows) -> "Markdown":
    """Say in how many places the controls stand as they must, and where they do not."""
    from IPython.display import Markdown

    if (places := checked(found)).empty:
        return Markdown("*Not checked: it needs controls of three seeds.*")
    said = (
        f"The positive control is not beaten in {comparisons.share(places, 'ok')} places, the negative one is beaten "
        f"in {comparisons.share(places, 'beaten')}."
    )
    lines = comparisons.odd_lines(places, METRICS, NAMES)
    return Markdown(said + "\n\n" + "\n".join(f"- {line}" for line in lines))


def controls_table(found: Rows) -> "Styler":
    """Return what the controls come to, place by place."""
    return comparisons.controls_table(checked(found), METRICS, NAMES, "cells of the data")


def takeaways(found: Rows) -> list[str]:
    """Return what the rows show, in sentences."""
    lines = [line for d in comparisons.named(found, "dataset") for line in _of_a_dataset(found, d)]
    seeds = len({row["seed"] for row in found.rows if row["status"] == "ok" and row["method"] in TRAINED})
    few = f"{'One seed is' if seeds == 1 else 'Two seeds are'} no sample of trainings: nothing is said of chance "
    return [*lines, *comparisons.failed(found), *([f"{few}between methods."] if 0 < seeds < FEWEST else [])]


def _of_a_dataset(found: Rows, d: str) -> list[str]:
    auc, spread = _values(found, d, "rf_auc")
    if "real" not in auc:
        return []
    kept, methods = results(found), comparisons.named(found, "method")
    own, learnt = kept[kept["dataset"] == d], [m for m in TRAINED if m in methods]
    both = [*learnt, *(m for m in SIMPLE if m in methods)]
    floor = f"{auc['real']:.2f} ± {spread['real']:.2f}" if np.isfinite(spread["real"]) else (
        f"{auc['real']:.2f}, without a spread,")  # fmt: skip
    mmd, _ = _values(found, d, "mmd2")
    lines = [
        f"**{d}**, can a forest tell? AUC {_listed(both, auc)}; {floor} for cells of the data.",
        f"**{d}**, distance: MMD² {_listed([*both, 'poisson', 'real'], mmd, '.4f')}.",
    ]
    for m in [m for m in learnt if m in auc]:
        words = evidence.compared(own, m, "poisson")
        lines.append(f"**{d}**, {NAMES[m]} against doing nothing (*{NAMES['poisson']}*), on the same seeds: {words}.")
    lines += [*_within(found, d, both), *_wins(found, d, own, learnt)]
    excess, _ = _values(found, d, "accuracy_excess")
    if len(excess):
        told = _listed(both, excess, "+z.2f")
        lines.append(f"**{d}**, types told by a forest, above (+) or below (−) held-out cells: {told}.")
    copies, _ = _values(found, d, "copies")
    made = [copies[m] for m in learnt if m in copies]
    if made and "bootstrap" in copies:
        lines.append(
            f"**{d}**, memory: {max(made):.1%} of the cells of a trained method copy a training cell at most; of "
            f"*bootstrap* {copies['bootstrap']:.0%} do."
        )
    return lines


def _values(found: Rows, dataset: str, metric: str) -> tuple[pd.Series, pd.Series]:
    """Return the mean of each method that has the metric, and its sd where there are three seeds."""
    own = means(found)
    own = own[(own["dataset"] == dataset) & (own["metric"] == metric)].dropna(subset=["mean"]).set_index("method")
    return own["mean"], own["sd"].where(own["n"] >= FEWEST)


def _listed(methods: Sequence[str], values: pd.Series, form: str = "z.2f") -> str:
    return ", ".join(f"{NAMES.get(m, m)} {values[m]:{form}}" for m in methods if m in values)


def _ceilings(found: Rows, dataset: str) -> pd.DataFrame:
    table = found.table
    return evidence.ceilings(table[table["dataset"] == dataset]).set_index("metric")


def _within(found: Rows, d: str, methods: Sequence[str]) -> list[str]:
    """Return what is said of the correlations within types."""
    within, _ = _values(found, d, "corr_within_pearson")
    if len(within):
        told = _listed([*methods, "permuted", "real"], within)
        return [
            f"**{d}**, what genes do together within types (r): {told}. Methods with independent genes stay near 0 by "
            "construction."
        ]
    if "corr_within_pearson" not in (low := _ceilings(found, d)).index:
        return []
    both = low.loc["corr_within_pearson"]
    return [
        f"**{d}**, what genes do together within types: **no result**. Cells of the data reach {both['real']:z.2f}, "
        f"permuted ones {both['against']:z.2f}, which is not clearly more."
    ]


def _wins(found: Rows, d: str, own: pd.DataFrame, learnt: Sequence[str]) -> list[str]:
    """Return on how many metrics a trained network is better than a negative binomial per type."""
    wins, judged = [], [name for name, metric in METRICS.items() if metric.judged]
    for m in learnt:
        if both := [x for x in judged if paired.differences(own, m, "nb_per_type", x)]:
            won = sum(bool(evidence.surpassed(own, m, ["nb_per_type"], x)) for x in both)
            wins.append(f"{NAMES[m]} on {won} of {len(both)}")
    which = "metrics with a ceiling" if _ceilings(found, d)["clear"].notna().any() else "judged metrics"
    return [
        f"**{d}**, {which} on which a trained network is better than a negative binomial per type: {', '.join(wins)}. "
        "They overlap, so this is no count of independent wins."
    ] if wins else []  # fmt: skip
