"""DB-AAE taken apart: one defect put back, or one addition taken back, at a time, and judged by all measures there are.

A model's name says what it is; a defect is a pair of names, the code's way and the other one.
"""

from collections.abc import Mapping, Sequence

import anndata
import numpy as np
import pandas as pd

from scgen_book.comparisons import paired
from scgen_book.comparisons.protocol import Metric
from scgen_lib.data import checks
from scgen_lib.metrics import denoising
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.settings import arguments

REPAIRED, FAITHFUL, FROM_MEANS = "repaired", "faithful", "faithful, started at the means"
DESCRIBED = "what the description asks for, alone"
RELEASED = {name: a.option.released for name, a in arguments(DBAAE).items() if a.deviates}
# Defects of every training, put back by one argument of the repaired model; the others are of a search (D3, D4, D17) or
# of few cells (D5, D18).
PUT_BACK = {
    arguments(DBAAE)[name].option.finding: {name: RELEASED[name]}
    for name in ("disc_output", "latent_mode", "shuffle", "start_at_means")
}
MEASURES = {
    "kept": Metric("error of the reconstruction", "lower"),
    "dropped": Metric("error at the dropped entries", "lower"),
    "all": Metric("error over all entries", "lower"),
}
Models = dict[str, tuple[dict, dict]]
Pairs = dict[str, tuple[str, str]]


def models(trial_epochs: int, few: int, short: int, long: int, choices: Sequence[int] = ()) -> tuple[Models, Pairs]:
    """Return what is trained, and which two of it tell what a defect costs.

    Parameters
    ----------
    trial_epochs
        Epochs of a trial of the search (D17).
    few, short, long
        Number of cells, and the epochs that the code and the repaired model give to so few (D18).
    choices
        Batch sizes that three searches choose: the released one, one by the accuracy of D in the trained model, and one
        by its held-out error; empty without these.

    Returns
    -------
    models
        Name → arguments of `DBAAE`, beside those of the repaired model, and of its training, where "few" is a number of
        cells.
    pairs
        Defect → names of the code's way and of the other one.
    """
    back = {key: f"{REPAIRED}, {key} put back" for key in PUT_BACK}
    slow, usual = "D17: a trial's epochs, step size 2e-5", "D17: a trial's epochs"
    early, late = (f"D18: {few} cells, {n} epochs" for n in (short, long))
    added = ("latent_mode", "shuffle", "start_at_means", "epochs_of_few")
    made: Models = {
        REPAIRED: ({}, {}),
        **{back[key]: (options, {}) for key, options in PUT_BACK.items()},
        DESCRIBED: ({name: RELEASED[name] for name in added}, {}),
        FAITHFUL: (RELEASED, {}),
        FROM_MEANS: (RELEASED | {"start_at_means": True}, {}),
        "faithful, RMSprop of Keras 3": (RELEASED | {"optimizer": "RMSprop-keras3"}, {}),
        slow: ({"learning_rate": RELEASED["tune_learning_rate"]}, {"epochs": trial_epochs}),
        usual: ({}, {"epochs": trial_epochs}),
        early: ({}, {"few": few, "epochs": short}),
        late: ({}, {"few": few, "epochs": long}),
    }
    pairs = {key: (name, REPAIRED) for key, name in back.items()}
    pairs |= {"D17": (slow, usual), "D18": (early, late), "D20": ("faithful, RMSprop of Keras 3", FAITHFUL)}
    if choices:
        chosen = [f"{REPAIRED}, B = {size}" for size in choices]
        made |= {name: ({}, {"batch_size": size}) for name, size in zip(chosen, choices, strict=True)}
        pairs |= {"D3": (chosen[0], chosen[1]), "D4": (chosen[1], chosen[2])}
    return made, pairs


def scores(model: DBAAE, cells: anndata.AnnData) -> dict[str, float]:
    """Score a fitted model on cells that it has not seen.

    Returns
    -------
    dict of float
        `MEASURES`, as mean squared errors of ln(1 + counts per 10,000): "kept" against the input, and where the layer
        "true_counts" is there "dropped" and "all" against that; "genes at 0", the share of genes that are 0 in every
        output, and "error in genes at 0", their share of the error against the input.
    """
    denoised, x = model.denoise(cells), model.normalised(cells)
    squared, idle = (denoised - x) ** 2, denoised.max(axis=0) == 0
    found = {
        "kept": squared.mean(),
        "genes at 0": idle.mean(),
        "error in genes at 0": squared[:, idle].sum() / squared.sum(),
    }
    if "true_counts" in cells.layers:
        own = cells[:, model.genes]
        observed = checks.get_counts(own, allow_empty=True)
        against = denoising.truth_scores(model.denoise_counts(cells), own.layers["true_counts"], observed)
        found |= {"dropped": against["mse_dropped"], "all": against["mse"]}
    return {name: float(value) for name, value in found.items()}


def values(parts: pd.DataFrame, method: str, metric: str) -> list[float]:
    """One score of a model by seed; `parts` has columns method, seed, metric and value."""
    return parts.loc[parts["method"].eq(method) & parts["metric"].eq(metric), "value"].tolist()


def differ(parts: pd.DataFrame, pair: Sequence[str]) -> dict[str, list[float]]:
    """By measure the first model's score less the second one's, seed by seed; measures without one are left out."""
    if pair[0] == pair[1]:
        return {m: [0.0] * len(own) for m in MEASURES if (own := values(parts, pair[0], m))}
    found = {metric: paired.differences(parts, *pair, metric) for metric in MEASURES}
    return {metric: difference for metric, difference in found.items() if difference}


def standing(parts: pd.DataFrame, method: str, *others: str) -> str:
    """Say how a model differs from others by each of `MEASURES`, and whether these agree."""
    if others == (method,):
        return f"both are the same here ({method})"
    return paired.standing(parts, method, others, MEASURES, form=".4f")


def idle(parts: pd.DataFrame, method: str) -> str:
    """Say how many genes a model decodes to 0 in every cell, and what share of its error is in them."""
    share, error = (np.mean(values(parts, method, name)) for name in ("genes at 0", "error in genes at 0"))
    return f"{method}: {share:.0%} of the genes at 0 in every cell, with {error:.0%} of the error of the reconstruction"


def harm(parts: pd.DataFrame, pairs: Pairs) -> str:
    """Say by each measure which defect that is put back costs most, and on which of them the measures disagree."""
    costs = {key: differ(parts, pairs[key]) for key in PUT_BACK}
    told = []
    for metric in costs["D1"]:
        most = max(costs, key=lambda key: np.mean(costs[key][metric]))
        rise = costs[most][metric]
        words = f"{paired.said(rise, '.4f')} by {most}" if np.mean(rise) > 0 else "rises by none"
        told.append(f"{MEASURES[metric].label}: {words}")
    split = [key for key, cost in costs.items() if len({np.mean(difference) > 0 for difference in cost.values()}) > 1]
    end = f" **The measures disagree** on whether there is harm in {', '.join(split)}." if split else ""
    return f"{'; '.join(told)}.{end}"


def stands(table: pd.DataFrame, method: str, by: Mapping[str, Metric], form: str = ".3f") -> str:
    """Say a method's scores on one data set, and how they differ from all others' on the same seeds.

    Parameters
    ----------
    table
        Columns method, seed, and one for each metric of `by`, of one data set.
    method
        Name in the table.
    by
        Metrics; those that the table lacks are passed over.
    form
        Format of the numbers.
    """
    long = table.melt(["method", "seed"], [name for name in by if name in table], "metric").dropna()
    own = long[long["method"] == method].groupby("metric")["value"].mean()
    said = "; ".join(f"{rule.label} {own[name]:{form}}" for name, rule in by.items() if name in own)
    others = [name for name in dict.fromkeys(long["method"]) if name != method]
    differ = paired.standing(long, method, others, by, form=form)
    return f"{method}: {said}." + (f" Differences on the same seeds: {differ}" if differ else "")
