"""What all metrics do to their arrays first: refuse what is not finite, and normalise."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from scgen_lib.data import checks
from scgen_lib.errors import DataError

Matrix = np.ndarray | sp.spmatrix


def finite(name: str, values: Matrix) -> Matrix:
    """Return numbers of any shape, sparse as CSR, anything else as an array; `name` is theirs in the error."""
    values = sp.csr_matrix(values) if sp.issparse(values) else np.asarray(values)
    data = values.data if sp.issparse(values) else values
    if data.dtype.kind not in "biuf":
        raise DataError(f"expected {name} as numbers, got the dtype {data.dtype}: convert it to a numeric type")
    if bad := int(np.size(data) - np.isfinite(data).sum()):
        raise DataError(f"expected {name} to be finite, got {bad} values that are NaN or infinite: leave those out")
    return values


def dense(name: str, values: Matrix, like: Matrix | None = None) -> np.ndarray:
    """Return a finite matrix as a dense array, of the shape of `like` if that is given."""
    values = finite(name, values)
    if like is not None and values.shape != like.shape:
        raise DataError(f"expected {name} in the shape {like.shape}, got {values.shape}: use the same cells and genes")
    return values.toarray() if sp.issparse(values) else values


def log_normalise(counts: Matrix, target: float | None = None, *, allow_empty: bool = False) -> Matrix:
    """Scale every cell to the same total and take ln(1 + x).

    Parameters
    ----------
    counts
        Non-negative values on the scale of counts, cells × genes; CSR stays CSR.
    target
        Total of a cell after scaling; None takes the median total.
    allow_empty
        Whether cells without any count may stand; they stay zero.

    Returns
    -------
    ndarray or csr_matrix, float64
        Logarithms, of the shape of `counts`.
    """
    counts = finite("counts", counts)
    if (counts.data if sp.issparse(counts) else counts).min(initial=0) < 0:
        raise DataError(
            "expected counts of 0 or more, got negative ones: normalise before taking logarithms or centring"
        )
    totals = checks.totals(counts)
    empty = totals == 0
    if empty.any() and not allow_empty:
        raise DataError(
            f"expected counts in every cell, got {empty.sum()} of {len(totals)} that are empty: filter them first"
        )
    scale = (np.median(totals) if target is None else target) / np.where(empty, 1, totals)
    return np.log1p(sp.csr_matrix(sp.diags(scale) @ counts) if sp.issparse(counts) else counts * scale[:, None])


def labelled(labels: Sequence, n: int) -> np.ndarray:
    """Return one label for each of n cells as an array, or refuse gaps and other numbers of labels."""
    labels = np.asarray(labels)
    if len(labels) != n or pd.isna(labels).any():
        raise DataError(f"expected a label for each of {n} cells, got {pd.notna(labels).sum()}: label every cell")
    return labels


def by_label(x_labels: Sequence, y_labels: Sequence, min_cells: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows (bool) of x and of y for each label that both have in so many cells, in the order of their names."""
    x_labels, y_labels = np.asarray(x_labels), np.asarray(y_labels)
    for label in sorted(set(x_labels) & set(y_labels), key=str):
        rows = x_labels == label, y_labels == label
        if min(part.sum() for part in rows) >= min_cells:
            yield rows
