"""Molecular cross-validation: judge a denoiser by molecules it has not seen (Batson, Royer and Webber 2019)."""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
import scipy.sparse as sp

from scgen_lib.data.checks import check_counts
from scgen_lib.errors import ParameterError
from scgen_lib.metrics.arrays import Matrix, dense, log_normalise


def gene_mean(counts: Matrix) -> np.ndarray:
    """Predict every entry by its gene's mean share of a cell, times the size factor of the cell.

    Raw counts, cells × genes → means on their scale, float64; 0 for an empty cell.
    """
    counts = dense("counts", counts).astype(np.float64)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.where(totals > 0, totals, 1)
    return totals * shares[totals[:, 0] > 0].mean(axis=0) if totals.any() else counts


def thin(counts: Matrix, p: float = 0.9, seed: int = 0) -> tuple[Matrix, Matrix]:
    """Split every count binomially into molecules to train on and molecules held out.

    Parameters
    ----------
    counts
        Raw counts, cells × genes; CSR stays CSR.
    p
        Probability that a molecule goes to training, in (0, 1).
    seed
        Seed of the draws.

    Returns
    -------
    tuple of two ndarray or csr_matrix, int64
        Training and held-out counts, which sum to `counts` exactly.
    """
    if not 0 < p < 1:
        raise ParameterError(f"expected p in (0, 1), got {p!r}: give such")
    counts = check_counts(counts, allow_empty=True)
    whole = counts.astype(np.int64)
    rng = np.random.default_rng(seed)
    if not sp.issparse(whole):
        train = rng.binomial(whole, p)
        return train, whole - train
    drawn = rng.binomial(whole.data, p)
    place = (whole.indices, whole.indptr)
    parts = tuple(sp.csr_matrix((data, *place), whole.shape, copy=True) for data in (drawn, whole.data - drawn))
    for part in parts:
        part.eliminate_zeros()
    return parts


def mcv_mse(estimate: Matrix, test: Matrix) -> float:
    """Compute the mean squared error of held-out counts after scaling every cell to 10,000 and ln(1 + x).

    Parameters
    ----------
    estimate
        Denoised training counts Y, cells × genes, on any scale of counts.
    test
        Held-out counts, cells × genes. Cells without any stay zero.
    """
    y, x = (log_normalise(part, 1e4, allow_empty=True) for part in (estimate, test))
    x = dense("test", x)
    return float(np.square(x - dense("estimate", y, x)).mean())


def mcv_poisson(prediction: Matrix, test: Matrix) -> float:
    """Compute the Poisson loss mean(Y' - X ln(Y' + 1e-6)), lowest where the prediction is the mean.

    Parameters
    ----------
    prediction
        Predicted means Y' of the held-out counts, cells × genes; values below 0 count as 0.
    test
        Held-out counts X, cells × genes; what is no count, as with swapped arguments, is refused.
    """
    test = dense("test", check_counts(test, allow_empty=True)).astype(np.float64)
    mean = np.maximum(dense("prediction", prediction, test), 0)
    return float((mean - test * np.log(mean + 1e-6)).mean())


def mcv(
    denoise: Callable[[Matrix], Matrix], counts: Matrix, p: float = 0.9, seeds: Iterable[int] = range(3)
) -> pd.DataFrame:
    """Judge a denoiser without any truth, by molecular cross-validation.

    Parameters
    ----------
    denoise
        Function from training counts to denoised values on the scale of the training counts, both cells × genes. A
        normalised mean must be multiplied by the size factors of the thinned counts first.
    counts
        Raw counts, cells × genes, dense or CSR.
    p
        Share of the molecules that is trained on, in (0, 1).
    seeds
        Seed of each thinning; three or more.

    Returns
    -------
    DataFrame
        Columns seed, method, mse and poisson; methods "denoised" and the controls "none" (training counts), "gene_mean"
        and "perfect" (the held-out counts themselves, MSE 0).

    Notes
    -----
    Batson, Royer and Webber 2019, doi:10.1101/786269. The mean is judged, not the variance: a denoiser that smooths
    away differences between cells may win.
    """
    rows = []
    for seed in seeds:
        train, test = thin(counts, p, seed)
        answers = {
            "denoised": denoise(train.copy()),
            "none": train,
            "gene_mean": gene_mean(train),
            "perfect": test * (p / (1 - p)),
        }
        for method, y in answers.items():
            y = dense(method, y, train)
            rows.append((seed, method, mcv_mse(y, test), mcv_poisson(y * ((1 - p) / p), test)))
    return pd.DataFrame(rows, columns=["seed", "method", "mse", "poisson"])
