"""Which zeros are called dropouts, and what is filled in: the scores of part B."""

from collections.abc import Mapping

import anndata
import numpy as np

from scgen_book.experiments.dca import cases
from scgen_book.experiments.protocol import Metric
from scgen_lib.metrics import denoising

COLUMNS = {
    "n_predicted": Metric("zeros called dropouts", "higher", judged=False),
    "n_dropout": Metric("dropouts", "higher", judged=False),
    "precision": Metric("precision", "higher"),
    "recall": Metric("recall", "higher"),
    "rate before": Metric("share of missing counts before", "lower", judged=False),
    "rate after": Metric("share of missing counts after", "lower", judged=False),
    "distance": Metric("distance to the truth", "lower"),
    "ratio": Metric("distance over that of the observed counts", "lower"),
}


def judge(
    values: Mapping[str, np.ndarray], cells: anndata.AnnData, rule: str, rounding: str, threshold: float
) -> dict[str, float]:
    """Score one model on one set of cells.

    Parameters
    ----------
    values
        "mean", and "dropout" or "posterior" as the rule asks for, (N, G) each.
    cells
        With true counts.
    rule
        "prior" or "posterior": the probability above `threshold` that calls a zero a dropout.
    rounding
        Of filled means.

    Returns
    -------
    dict of float
        `COLUMNS` and what else ``denoising.detection`` and ``denoising.distance`` give.
    """
    observed, truth = cases.both(cells)
    probability = values["dropout" if rule == "prior" else "posterior"]
    filled = denoising.fill(observed, values["mean"], probability > threshold, rounding)
    rates = denoising.dropout_rates(truth, filled, observed)
    return {
        **denoising.detection(probability, observed, truth, threshold),
        **denoising.distance(truth, filled, observed),
        "rate before": rates["before"],
        "rate after": rates["after"],
    }
