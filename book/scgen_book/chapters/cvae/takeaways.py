"""What a run of the chapter on the CVAE shows, in sentences that its numbers decide."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from scgen_book.chapters.cvae import scores, tables
from scgen_book.experiments import evidence
from scgen_book.experiments.cvae import cases, realism
from scgen_book.experiments.rows import Rows

#: Metrics that are said where they can tell anything, with their words.
SAID = {
    "sd_ratio": "spread within a type, 1 is right",
    "corr_pearson": "agreement of gene–gene correlations, all types",
}


def takeaways(rows: Rows, values: Mapping[str, Any]) -> list[str]:
    """Return the sentences of what a run shows, in Markdown.

    Parameters
    ----------
    rows
        Of ``cvae.realism``.
    values
        All parameters of the chapter.
    """
    run, lines = cases.trainings(values), []
    if run.main and not values["model_path"]:
        steps = -(-int(cases.load(run.main, values).obs["train"].sum()) // values["batch_size"])
        lines.append(
            f"**Scale**: {values['epochs']} epochs of {run.main} are about {values['epochs'] * steps:,} updates; a "
            "single epoch of the published data has 1,286."
        )
    found = scores.scores(rows, values)
    names = [name for name in scores.judged(values) if name in set(found["data"])]
    for name in names:
        if cases.load(name, values).uns["dataset"].get("simulated"):
            lines.append(f"**{name}** is simulated itself: nothing in its lines is about real cells.")
        own = found[found["data"] == name].drop(columns="data")
        lines += _of_data(name, own, tables.collapse(rows), run)
    if len(run.seeds) < 3 and names:
        few = "One seed is" if len(run.seeds) == 1 else "Two seeds are"
        lines.insert(1, f"{few} no sample: nothing is said of the spread of trainings.")
    return lines


def _of_data(name: str, own: pd.DataFrame, collapse: pd.DataFrame, run: cases.Trainings) -> list[str]:
    """Return the sentences of one data set."""
    of = scores.by_method(own, "mean")
    variants = [variant for variant in run.variants if variant in of]
    said = ["real", "NB per type", realism.TEST, f"{run.variants[0]}, posterior z"]
    of = of.reindex(columns=list(dict.fromkeys([*of.columns, *said])))  # a gap is said as nan
    if not variants:
        return [f"**{name}**: no model was trained on these data in this run."]
    lines = [_auc(name, of, variants, run), *_against(name, own, run)]
    lines.append(_collapse(name, collapse[collapse["data"] == name], run))
    telling = set(evidence.results_only(own)["metric"])
    lines += [_of_metric(name, of, variants, metric) for metric in SAID if metric in telling]
    return [*lines, _depth(name, of, variants)]


def _auc(name: str, of: pd.DataFrame, variants: list[str], run: cases.Trainings) -> str:
    auc, seeds, best = of.loc["rf_auc"], len(run.seeds), run.variants[0]
    return (
        f"**{name}** ({seeds} seed{'s' * (seeds > 1)}), can a forest tell? AUC "
        + ", ".join(f"{auc[v]:.2f} for {v}" for v in variants)
        + f" ({auc[f'{best}, posterior z']:.2f} for {best} with posterior z); {auc['NB per type']:.2f} for a negative "
        f"binomial of each type, {auc['real']:.2f} for training cells."
    )


def _against(name: str, own: pd.DataFrame, run: cases.Trainings) -> list[str]:
    """Return the comparisons on the same seeds: with controls, of what is asked for, of what we added."""
    best, pairs = run.variants[0], []
    for control in ("poisson", "NB per type"):
        pairs.append((f"{best} against {control}, on the same seeds", best, control))
    if "faithful" in run.variants:
        words = "what the description asks for (z from the prior, against faithful)"
        pairs.append((words, "faithful, prior z", "faithful"))
    if {"faithful", "repaired"} <= set(run.variants):
        words = "what we added, all of it (repaired against faithful with prior z)"
        pairs.append((words, "repaired", "faithful, prior z"))
    if run.apart:
        words = "the likelihood of counts alone (repaired against the same with squared error)"
        pairs.append((words, "repaired", cases.APART))
    return [f"**{name}**, {words}: {evidence.compared(own, one, other)}." for words, one, other in pairs]


def _collapse(name: str, collapse: pd.DataFrame, run: cases.Trainings) -> str:
    kl, active = list(realism.COLLAPSE)[1:]
    means = collapse.groupby("variant")[[kl, active]].mean()
    each = [
        f"{v}: KL {means.loc[v, kl]:.2g} nats, {means.loc[v, active]:.2g} active dimensions"
        for v in [*run.variants, *run.apart] if v in means.index
    ]  # fmt: skip
    return f"**{name}**, is z used? {'; '.join(each)}."


def _of_metric(name: str, of: pd.DataFrame, variants: list[str], metric: str) -> str:
    values = of.loc[metric]
    return (
        f"**{name}**, {SAID[metric]}: {', '.join(f'{values[v]:z.2f} {v}' for v in variants)}, "
        f"{values['NB per type']:z.2f} NB per type, {values['real']:z.2f} training cells."
    )


def _depth(name: str, of: pd.DataFrame, variants: list[str]) -> str:
    library, zeros = of.loc["library_median"], of.loc["zeros_median"]
    return (
        f"**{name}**, depth: median library size {', '.join(f'{library[v]:,.0f} {v}' for v in variants)}, "
        f"{library[realism.TEST]:,.0f} held-out; zeros {', '.join(f'{zeros[v]:.0%} {v}' for v in variants)}, "
        f"{zeros[realism.TEST]:.0%} held-out."
    )
