"""How well missing counts are found and filled, against a known truth; `molecular` needs none."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics.arrays import Matrix, dense, log_normalise
from scgen_lib.metrics.molecular import gene_mean

Rounding = Literal["none", "floor", "round"]
ROUNDING = {"none": lambda x: x, "floor": np.floor, "round": np.rint}


def dropout_mask(observed: Matrix, truth: Matrix) -> np.ndarray:
    """Mark the zeros that hide a count, D = {X = 0} ∧ {T ≠ X}, of observed and true counts: bool, cells × genes.

    A zero of the truth is none, whatever the simulator flagged.
    """
    observed = dense("observed", observed)
    return (observed == 0) & (dense("truth", truth, observed) != 0)


def detection(score: Matrix, observed: Matrix, truth: Matrix, threshold: float = 0.5) -> dict[str, float]:
    """Count how many zeros a score calls dropouts, and how many of them are.

    Parameters
    ----------
    score
        Dropout score, cells × genes; a zero is called a dropout where it lies above `threshold`.
    observed, truth
        Observed and true counts, cells × genes.
    threshold
        Score above which a zero is called a dropout. It must not be chosen on the cells that are reported.

    Returns
    -------
    dict
        n_zero, n_dropout, n_predicted, n_hit (int); precision (NaN where nothing was predicted), recall (NaN without
        any dropout), f1 = 2 hits / (predicted + dropouts), prevalence = dropouts / zeros (float).
    """
    observed = dense("observed", observed)
    dropout, zero = dropout_mask(observed, truth), observed == 0
    predicted = zero & (dense("score", score, observed) > threshold)
    counts = {"n_zero": zero, "n_dropout": dropout, "n_predicted": predicted, "n_hit": predicted & dropout}
    counts = {name: int(mask.sum()) for name, mask in counts.items()}
    return counts | {
        "precision": _ratio(counts["n_hit"], counts["n_predicted"]),
        "recall": _ratio(counts["n_hit"], counts["n_dropout"]),
        "f1": _ratio(2 * counts["n_hit"], counts["n_predicted"] + counts["n_dropout"]),
        "prevalence": _ratio(counts["n_dropout"], counts["n_zero"]),
    }


def detection_curve(score: Matrix, observed: Matrix, truth: Matrix) -> dict[str, float | np.ndarray]:
    """Rank the zeros by a score and compare the ranking with the true dropouts, without a threshold.

    Parameters
    ----------
    score, observed, truth
        As in `detection`.

    Returns
    -------
    dict
        auc (of the ROC curve), average_precision, prevalence (float; the first two are NaN unless both kinds of zeros
        occur), and the arrays precision and recall of the curve, by falling recall.
    """
    observed = dense("observed", observed)
    zero = observed == 0
    dropout = dropout_mask(observed, truth)[zero]
    ranked = dense("score", score, observed)[zero]
    if dropout.all() or not dropout.any():
        share = float(dropout.mean()) if len(dropout) else float("nan")
        nothing = {"auc": float("nan"), "average_precision": float("nan"), "prevalence": share}
        return nothing | {"precision": np.array([]), "recall": np.array([])}
    precision, recall, _ = precision_recall_curve(dropout, ranked, drop_intermediate=True)
    return {
        "auc": float(roc_auc_score(dropout, ranked)),
        "average_precision": float(average_precision_score(dropout, ranked)),
        "prevalence": float(dropout.mean()),
        "precision": precision,
        "recall": recall,
    }


def fill(observed: Matrix, mean: Matrix, predicted: np.ndarray, rounding: Rounding = "none") -> np.ndarray:
    """Put the mean where a zero was called a dropout, and leave every count as it is: float64, cells × genes.

    Parameters
    ----------
    observed, mean
        Observed counts, and predicted means on the scale of the counts, cells × genes.
    predicted
        Called dropouts (bool), cells × genes; only zeros are filled.
    rounding
        none; floor as in the student reproduction, which fills means below 1 with 0; or round to the nearest integer.
    """
    if rounding not in ROUNDING:
        raise ParameterError(f"expected rounding among {', '.join(ROUNDING)}, got {rounding!r}: choose one")
    observed = dense("observed", observed)
    filled = ROUNDING[rounding](dense("mean", mean, observed).astype(np.float64))
    return np.where((observed == 0) & dense("predicted", predicted, observed).astype(bool), filled, observed)


def distance(truth: Matrix, estimate: Matrix, observed: Matrix) -> dict[str, float]:
    """Measure how far an estimate, and the observed counts, lie from the truth.

    Parameters
    ----------
    truth, estimate, observed
        True counts T, filled counts X̂ ≥ 0 and observed counts X, cells × genes.

    Returns
    -------
    dict of float
        distance ‖T - X̂‖ and origin ‖T - X‖ (Frobenius), their ratio (NaN where nothing was dropped), and
        median_abs_log, the median distance of ln(1 + X̂) from ln(1 + T) over all entries, and median_abs_log_dropout
        over the dropouts (NaN without any). The first two are ruled by the few highest genes.
    """
    observed = dense("observed", observed).astype(np.float64)
    truth, estimate = dense("truth", truth, observed), dense("estimate", estimate, observed)
    if (estimate < 0).any():
        raise DataError("expected an estimate of 0 or more, got negative values: return to the scale of counts")
    errors = np.abs(np.log1p(estimate) - np.log1p(truth))
    dropped = errors[dropout_mask(observed, truth)]
    far, origin = float(np.linalg.norm(truth - estimate)), float(np.linalg.norm(truth - observed))
    return {
        "distance": far,
        "origin": origin,
        "ratio": _ratio(far, origin),
        "median_abs_log": float(np.median(errors)),
        "median_abs_log_dropout": float(np.median(dropped)) if dropped.size else float("nan"),
    }


def dropout_rates(truth: Matrix, estimate: Matrix, observed: Matrix) -> dict[str, float]:
    """Return the share of all entries that are zero but should not be, before and after denoising, each in [0, 1].

    A falling rate is no quality: a constant positive matrix reaches 0.
    """
    observed = dense("observed", observed)
    after = dropout_mask(dense("estimate", estimate, observed), truth)
    return {"before": float(dropout_mask(observed, truth).mean()), "after": float(after.mean())}


def baselines(observed: Matrix, truth: Matrix) -> pd.DataFrame:
    """Score the answers that need no model, in the measures of `detection`, `distance` and `dropout_rates`.

    Parameters
    ----------
    observed, truth
        Observed and true counts, cells × genes.

    Returns
    -------
    DataFrame
        Rows: "nothing" (the observed counts), "all zeros, gene mean" (every zero is called a dropout and filled with
        `molecular.gene_mean`) and "perfect".
    """
    observed = dense("observed", observed)
    truth = dense("truth", truth, observed)
    answers = {
        "nothing": (np.zeros(observed.shape), observed),
        "all zeros, gene mean": (np.ones(observed.shape), gene_mean(observed)),
        "perfect": (dropout_mask(observed, truth), truth),
    }
    rows = {}
    for name, (score, mean) in answers.items():
        filled = fill(observed, mean, np.asarray(score) > 0.5)
        rates = {f"rate_{when}": rate for when, rate in dropout_rates(truth, filled, observed).items()}
        rows[name] = detection(score, observed, truth) | distance(truth, filled, observed) | rates
    return pd.DataFrame.from_dict(rows, orient="index")


def truth_scores(estimate: Matrix, truth: Matrix, observed: Matrix) -> dict[str, float]:
    """Compare denoised values with the truth after scaling every cell to 10,000 and ln(1 + x).

    Parameters
    ----------
    estimate, truth, observed
        Denoised values, noise-free means or clean counts, and observed counts, cells × genes.

    Returns
    -------
    dict of float
        mse, rmse and mae over all entries, and mse_dropped, rmse_dropped and mae_dropped over the dropouts; pearson and
        spearman over all entries, as median over cells (pearson_cell) and over genes (pearson_gene), without constant
        ones; cosine, the mean over cells. NaN where nothing is left. Over all entries, correlations are ruled
        by the means of the genes.
    """
    observed = dense("observed", observed)
    dropped = dropout_mask(observed, truth)
    y = log_normalise(dense("estimate", estimate, observed), 1e4)
    m = log_normalise(dense("truth", truth, observed), 1e4)
    scores = {}
    for suffix, error in (("", y - m), ("_dropped", (y - m)[dropped])):
        mse = float(np.square(error).mean()) if error.size else float("nan")
        mae = float(np.abs(error).mean()) if error.size else float("nan")
        scores |= {f"mse{suffix}": mse, f"rmse{suffix}": float(np.sqrt(mse)), f"mae{suffix}": mae}
    for suffix, axis in (("", None), ("_cell", 1), ("_gene", 0)):
        scores[f"pearson{suffix}"] = _correlation(y, m, axis)
        scores[f"spearman{suffix}"] = _correlation(rankdata(y, axis=axis), rankdata(m, axis=axis), axis)
    scores["cosine"] = float(np.mean((y * m).sum(1) / (np.linalg.norm(y, axis=1) * np.linalg.norm(m, axis=1))))
    return scores


def spurious_correlation(values: Matrix, groups: Sequence, quantile: float = 0.95) -> float:
    """Measure how strongly genes correlate that have nothing to do with each other.

    Parameters
    ----------
    values
        Logarithms of two genes or more after denoising, cells × genes; before it, every gene was permuted by itself
        among the cells of a group, which left no correlation within a group.
    groups
        Group of each cell.
    quantile
        Which quantile of the absolute r over the pairs of genes.

    Returns
    -------
    float
        Of Pearson's r within groups, from values less the mean of their group; 0 is best. A gene that does not vary is
        correlated with none. By chance alone its absolute value reaches about 2 / √cells.
    """
    values, codes = dense("values", values).astype(np.float64), pd.factorize(np.asarray(groups))[0]
    if values.shape[1] < 2 or len(codes) != len(values):
        raise DataError(
            f"expected two genes or more and a group a cell, got {values.shape[1]} genes, {len(values)} cells and "
            f"{len(codes)} groups: give one group for each cell"
        )
    residual = values - pd.DataFrame(values).groupby(codes).transform("mean").to_numpy()
    size = np.linalg.norm(residual, axis=0)
    # what is left of a constant is the noise of the arithmetic
    residual = np.where(size > 1e-9 * np.linalg.norm(values, axis=0), residual / np.where(size > 0, size, 1), 0)
    pairs = np.triu_indices(values.shape[1], 1)
    return float(np.quantile(np.abs(residual.T @ residual)[pairs], quantile))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")


def _correlation(y: np.ndarray, m: np.ndarray, axis: int | None) -> float:
    """Return Pearson's r over all entries, or the median of it along `axis`, without constant vectors."""
    y, m = y - y.mean(axis=axis, keepdims=True), m - m.mean(axis=axis, keepdims=True)
    size = np.sqrt((y**2).sum(axis=axis) * (m**2).sum(axis=axis))
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(size > 1e-12, (y * m).sum(axis=axis) / size, np.nan)
    return float(np.nanmedian(r)) if np.isfinite(r).any() else float("nan")
