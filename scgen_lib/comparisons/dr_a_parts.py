"""What DR-A's chapter takes apart: the peculiarities of the released code, and the trainings that measure them."""

from collections.abc import Mapping

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
