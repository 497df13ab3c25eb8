"""Which genes vary most, from their moments."""

from typing import Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from scgen_lib.data.stored import Stored
from scgen_lib.errors import ParameterError


def highest_variance(
    counts: np.ndarray | sp.csr_matrix | Stored, n_genes: int, on: Literal["log", "counts"] = "log"
) -> np.ndarray:
    """Positions of the genes of highest variance, in the order of the file: (n_genes,) int.

    Parameters
    ----------
    counts
        Raw counts, cells × genes (N, G); CSR stays sparse.
    n_genes
        How many genes, at most G; DR-A takes 720.
    on
        Scale of the variance, which the release does not tell: ``log``, log2(c + 1), or ``counts``.
    """
    if on not in ("log", "counts"):
        raise ParameterError(f"expected the scale 'log' or 'counts', got {on!r}: choose one of the two")
    if not 1 <= n_genes <= counts.shape[1]:
        raise ParameterError(f"expected 1 to {counts.shape[1]} genes, got {n_genes}: ask for fewer")

    def scaled(x: np.ndarray | sp.csr_matrix) -> np.ndarray | sp.csr_matrix:
        if on == "counts":
            return x.astype("float64")
        x = x.astype("float32")
        logs = np.log2((x.data if sp.issparse(x) else x) + 1).astype("float64")
        return sp.csr_matrix((logs, x.indices, x.indptr), x.shape) if sp.issparse(x) else logs

    if isinstance(counts, Stored):
        mean, square = counts.map(scaled).moments()
    else:
        values = scaled(counts)
        square = values.multiply(values) if sp.issparse(values) else values**2
        mean, square = (np.asarray(m.mean(axis=0)).ravel() for m in (values, square))
    return np.sort(np.argsort(mean**2 - square, kind="stable")[:n_genes])


def seurat_dispersions(mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Dispersion of every gene, standardised among the genes of its bin of means: (G,) float64, NaN without any.

    Twenty bins of ln(1 + mean); a gene alone in its bin has 1. As `scanpy.pp.highly_variable_genes` with the flavour
    ``seurat`` has it.

    Parameters
    ----------
    mean, variance
        Of the cells' normalised counts, not their logarithms, (G,); the variance with ddof 1.

    References
    ----------
    Satija et al. 2015, https://doi.org/10.1038/nbt.3192
    """
    mean = np.where(mean == 0, 1e-12, mean)
    with np.errstate(divide="ignore"):
        dispersion = np.log(np.where(variance == 0, np.nan, variance) / mean)
    bins = pd.cut(np.log1p(mean), bins=20)
    groups = pd.Series(dispersion).groupby(bins, observed=True)
    centre, spread = groups.transform("mean"), groups.transform("std")
    alone = spread.isna()
    return ((dispersion - centre.mask(alone, 0.0)) / spread.mask(alone, centre)).to_numpy()
