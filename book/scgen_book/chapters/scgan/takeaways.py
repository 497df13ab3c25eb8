"""What the run shows, in sentences that follow from its numbers by rule."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scgen_book import markdown
from scgen_book.chapters.scgan.figures import helped
from scgen_book.chapters.scgan.scores import Scores
from scgen_book.experiments import evidence
from scgen_book.experiments.rows import Rows
from scgen_book.experiments.scgan.augmentation import ALL
from scgen_book.experiments.scgan.cells import Case, rare
from scgen_book.experiments.scgan.judge import PARAMETRIC
from scgen_book.experiments.scgan.models import ours

FRAMES = ("real", "permuted", "poisson", PARAMETRIC)


def takeaways(realism: Rows, augmentation: Rows, case: Case, values: Mapping[str, Any]) -> list[str]:
    """Return what the run shows, one sentence or few each.

    Parameters
    ----------
    realism, augmentation
        Rows of these experiments.
    case
        The cells.
    values
        All parameters of the chapter.
    """
    scores = Scores(realism, values)
    lines = [_training(scores)] if scores.kinds else []
    lines += _scale(scores, case)
    lines += [*_framed(scores), *_against(scores), *_classes(scores), *_together(scores)] if scores.usable else []
    lines.append("**Library size** is not modelled: every generated cell has the same total.")
    if augmentation:
        said, full = evidence.augmented(_ways(augmentation)), augmentation.values(ALL, "F1").mean()
        name = markdown.escape(rare(case, values))
        lines.append(f"**Augmentation** of {name}: {said} With all of its cells: {full:.2f}.")
    return lines


def _ways(rows: Rows) -> pd.DataFrame:
    """Return F1 by way of helping and seed, and by share where rows have kept it, as the record does not."""
    if any(row["arrays"] for row in rows.rows):
        return helped(rows)
    table = rows.wide.rename(columns={"method": "way"})
    return table.loc[table["way"] != ALL, ["seed", "way", "F1"]]


def _training(scores: Scores) -> str:
    of = scores.by_method()
    ends = "; ".join(
        f"slope {of.loc['slope, last block', kind]:.2f} and penalty {of.loc['penalty, last block', kind]:.2g} "
        f"in the {kind} critic"
        for kind in scores.kinds
    )
    return (
        f"**Training**, after {scores.values['steps']:,} steps: {ends}. A slope of 1 is asked for: the farther from "
        "it, the less its loss is a distance."
    )


def _scale(scores: Scores, case: Case) -> list[str]:
    lines, seeds, steps = [], len(scores.values["seeds"]), scores.values["steps"]
    if seeds < 3:
        few = "One seed is" if seeds == 1 else "Two seeds are"
        lines.append(f"{few} no sample: nothing is said of the spread of trainings.")
    if steps < 1_000_000 or scores.values["dataset"] != "pbmc68k":
        lines.append(
            f"**Not tested at this scale**: realism as published and the gain by augmentation. Here are {steps:,} "
            f"steps on {case.about['name']}; in the paper 1,000,000 on the 68k PBMC."
        )
    return lines


def _framed(scores: Scores) -> list[str]:
    of, lines = scores.by_method(), []
    for metric, words, form in (
        ("rf_auc", "**Can a forest tell?** AUC", ".2f"),
        ("mmd2", "**Distance** (MMD²):", ".4f"),
    ):
        models, controls = (
            ", ".join(f"{of.loc[metric, name]:{form}} {name}" for name in names) for names in (scores.kinds, FRAMES)
        )
        lines.append(f"{words} {models}; controls: {controls}.")
    return lines


def _against(scores: Scores) -> list[str]:
    best, table = scores.best, scores.table
    lines = [
        f"**{best} against {control}**, on the same seeds: {evidence.compared(table, best, control)}."
        for control in ("poisson", PARAMETRIC, "permuted")
    ]
    if {"unscaled", "faithful"} <= set(scores.kinds):
        added = ours(scores.values)
        lines.append(
            "**What the parameter file asks for** (unscaled against faithful): "
            f"{evidence.compared(table, 'unscaled', 'faithful')}. **What we added** (input scale "
            f"{added['critic_input_scale']:g} and momentum {added['bn_momentum']:g}; repaired against unscaled): "
            f"{evidence.compared(table, 'repaired', 'unscaled')}."
        )
    return lines


def _classes(scores: Scores) -> list[str]:
    of, best = scores.by_method(), scores.best
    if "logistic_accuracy" not in of.index:
        return []
    typical, real = of.loc["logistic_accuracy", [best, "test"]]
    words = (
        f"**Class on demand**: a classifier finds the wanted class in {typical:.0%} of the {best} cells and in "
        f"{real:.0%} of the real test cells"
    )
    words += "; generated cells are the more typical ones" if typical > real else ""
    if "sd_ratio" in scores.results:
        words += f". Spread within a class, 1 is right: {of.loc['sd_ratio', best]:.2f}"
    return [f"{words}."]


def _together(scores: Scores) -> list[str]:
    of, best, lines = scores.by_method(), scores.best, []
    for metric, words in {"corr_pearson": "over all classes", "corr_within_pearson": "within classes"}.items():
        if metric in scores.results and np.isfinite(of.loc[metric].get(best, np.nan)):
            lines.append(
                f"**What genes do together**, agreement of correlations {words}: {of.loc[metric, best]:.2f} "
                f"({of.loc[metric, 'permuted']:.2f} permuted, {of.loc[metric, 'real']:.2f} real)."
            )
    return lines
