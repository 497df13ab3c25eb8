"""What DR-A's chapter takes apart: the peculiarities of the released code, and the trainings that measure them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from scgen_book.results import OWNERS

# Name in the chapter → whose it is and of which kind (see `results.Run.finding`), what the code does, the other way.
# Described are the abstract's adversarial model with dual matching, and the names of the flags.
DEFECTS = {
    "R1": ("paper", "contradicts", "the loss of D2 reaches D2 only; x̃ is never trained", "the model learns from D2"),
    "R2": ("paper", "contradicts", "D1 minimises the distance: it cooperates", "D1 resists"),
    "R1, R2": (
        "paper",
        "contradicts",
        "D1 cooperates, and nothing learns from D2",
        "both discriminators resist, and the model learns from both",
    ),
    "R3": (
        "paper",
        "numerical",
        "logits over their sum are no probabilities: with mixed signs the losses have no lower bound",
        "shares of the absolute values",
    ),
    "R4": (
        "paper",
        "numerical",
        "β = 0 drives v to 0, and √v to an infinite gradient",
        "ln v is bounded, in both variants",
    ),
    "R4, R14": (
        "paper",
        "numerical",
        "nothing bounds v from below or e^l from above",
        "ln v, ln l_v and l are bounded, in both variants",
    ),
    "R5": ("paper", "undescribed", "a count likelihood of transformed, non-integer data", "likelihood of the counts"),
    "R6": (
        "paper",
        "undescribed",
        "K ReLU units before the depth, which can die",
        "depth straight from the last hidden layer",
    ),
    "R7": (
        "paper",
        "contradicts",
        "bn never uses nor learns statistics, and switches dropout off",
        "batch normalisation",
    ),
    "R8": ("paper", "contradicts", "lam and g_iter only enter the name of the run", "both work"),
    "R9": ("paper", "contradicts", "actv changes the scale of x, not x̃, which is always a sigmoid", "x̃ follows actv"),
    "R10": ("paper", "undescribed", "the code of a cell is a random sample", "the mean"),
    "R11": (
        "stack",
        "contradicts",
        "--bn False as two words, false in the days of the code, is true where absl reads the flags",
        "false: typed parameters",
    ),
    "R13": (
        "paper",
        "undescribed",
        "s is taken over training and test cells",
        "over training cells; larger values are clipped",
    ),
    "R14": ("paper", "numerical", "the variance of the depth explodes", "ln l_v and l are bounded, in both variants"),
}
# What each is measured by, whether that is of a part of the model and no result, and the figure that shows it.
SCORE = "NMI of clusters and labels, {data}, K = {k}"
QUANTITIES = {
    "R1": ("how far training moves the weights of x̃", True, "fig-dra-moved"),
    "R2": ("AUC of the logits of D1, draws of the prior against codes", True, "fig-dra-logits"),
    "R1, R2": (SCORE, False, None),
    "R3": (SCORE, False, None),
    "R4, R14": (
        "share of trainings that end at values that are not finite, {data}, K = 2, {epochs} epochs",
        False,
        None,
    ),
    "R5": (SCORE + ", no adversary", False, None),
    "R6": ("sd over cells of the depth's mean, K = {least}", True, None),
    "R7": ("largest mean that batch normalisation has learned, {short} epochs", True, None),
    "R8": ("largest difference of a code between lam 10 and lam 1, {short} epochs", True, None),
    "R9": ("share of entries of x that x̃ cannot reach with actv lin", True, None),
    "R10": (SCORE, False, None),
    "R11": (SCORE, False, None),
    "R13": ("largest logarithm, by which the data are divided", True, None),
}
# Trainings of which the codes are compared, in words: the game, and what else the repaired model has.
MODELS = {
    "faithful": "as released",
    "described game": "the described game alone",
    "absolute": "the released game of absolute values",
    "faithful, no adversary": "no game",
    "counts": "no game, likelihood of counts",
    "repaired, no adversary": "no game, all our additions",
    "one Adam": "repaired, but for one Adam for all",
    "repaired": "repaired: described game and our additions",
}


def experiments(
    learning_rate: float, beta1: float, guards: bool = True
) -> tuple[dict[str, Mapping], dict[str, Mapping]]:
    """Return the settings of `DRA` for each experiment by its name.

    Parameters
    ----------
    learning_rate, beta1
        Of the autoencoder's Adam, which is that of the game, too, in the experiment ``one Adam``.
    guards
        Whether the faithful variant has its guards.

    Returns
    -------
    tuple of two dicts
        Those for which a few epochs are enough, and those as long as the chapter's trainings.
    """
    faithful, repaired = {"variant": "faithful", "guards": guards}, {"variant": "repaired"}
    few = faithful | {"keep": 1.0, "adversarial": None}
    with_bn = {"batchnorm": True, "adversarial": None}
    short = {
        "with D2": few,
        "without D2": few | {"dual": False},
        "lam 10": few | {"lam": 10.0},
        "bn, faithful": faithful | with_bn,
        "bn, repaired": repaired | with_bn,
        "bn and lam 10, repaired": repaired | with_bn | {"lam": 10.0},
    }
    long = {
        "described game": faithful | {"adversarial": "bce"},
        "absolute": faithful | {"adversarial": "bhattacharyya_abs"},
        "counts": faithful | {"adversarial": "none", "likelihood_input": "counts"},
        "one Adam": repaired | {"adversarial": "bce", "adv_learning_rate": learning_rate, "adv_beta1": beta1},
        "no bottleneck": faithful | {"library_bottleneck": False},
        "bn on": faithful | {"batchnorm": True},
    }
    return short, long


def summary(findings: Sequence[Mapping], notes: Mapping[str, str], missing: str) -> pd.DataFrame:
    """Return a row for each of the `DEFECTS`.

    Parameters
    ----------
    findings
        Of a `results.Run`, by the names of `DEFECTS`.
    notes
        What else was seen, by name.
    missing
        What stands where nothing was measured.
    """
    seen = {name: [] for name in DEFECTS}
    for entry in findings:
        sides = [entry["released"], entry["otherwise"]]
        text = " and ".join(f"{np.mean(side):.3g}" for side in sides)
        seeds = f" ({len(sides[0])} seeds)" if len(sides[0]) > 1 else ""
        seen[entry["name"]].append(f"{entry['quantity']}: {text}{seeds}")
    for name, note in notes.items():
        seen[name].append(note)
    return pd.DataFrame(
        [
            (name, OWNERS[owner], kind, *ways, "; ".join(seen[name]) or missing)
            for name, (owner, kind, *ways) in DEFECTS.items()
        ],
        columns=["", "whose", "kind", "what it does", "the other way", "measured, it and the other way"],
    )


def fates(without: Mapping[int, Mapping], within: Mapping[int, Mapping], said: Callable) -> pd.DataFrame:
    """Return what became of trainings of the same seeds without and with the guards.

    Parameters
    ----------
    without, within
        By seed, what a training has left: its "history", or under "ended" why it has none.
    said
        Function of a training and its seed that says in words what it reached.

    Returns
    -------
    DataFrame
        A row a seed: both in words, and of the guarded one the smallest mean variance of the codes in an epoch and the
        largest shares of entries that the guards held.
    """
    rows = []
    for seed in without:
        row = {"seed": seed}
        for name, one in (("without guards", without[seed]), ("with guards", within[seed])):
            row[name] = one.get("ended") or said(one, seed)
        if history := within[seed].get("history"):
            row["smallest mean v"] = f"{min(history['v']):.1e}"
            for name, words in (("clipped_v", "ln v"), ("clipped_l_v", "ln l_v"), ("clipped_l", "l")):
                row[f"{words} on its bounds"] = f"{max(history[name]):.1%}"
        rows.append(row)
    return pd.DataFrame(rows)
