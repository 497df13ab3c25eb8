"""What DR-A's chapter takes apart: the trainings that measure the deviations of the released code."""

from collections.abc import Callable, Mapping

import pandas as pd

# What each deviation is measured by, whether that is of a part of the model and no result, and its figure.
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


def changed(variant: str, **changes: object) -> dict[str, object]:
    """Return the arguments of `DRA.variant` for a variant with other settings, released ones included."""
    return {"name": variant, **changes} | ({"except_for": [*changes]} if variant == "faithful" else {})


# Arguments of `DRA.variant` for each experiment: those for which a few epochs are enough, and those as long as the
# chapter's trainings.
SHORT = {
    "with D2": changed("faithful", keep=1.0),
    "without D2": changed("faithful", keep=1.0, dual="none"),
    "bn, faithful": changed("faithful", batchnorm=True),
    "bn, repaired": changed("repaired", batchnorm=True, adversarial="bce"),
    "bn and lam 10, repaired": changed("repaired", batchnorm=True, adversarial="bce", lam=10.0),
}
LONG = {
    "described game": changed("faithful", adversarial="bce", dual="matching"),
    "absolute": changed("faithful", adversarial="bhattacharyya_abs"),
    "counts": changed("faithful", adversarial="none", likelihood_input="counts"),
    "one Adam": changed("repaired", adversarial="bce", adv_learning_rate=None, adv_beta_1=None),
    "no bottleneck": changed("faithful", library_bottleneck=False),
    "bn on": changed("faithful", batchnorm=True),
}


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
