"""The one place that refuses bad input: counts, names and labels.

Every refusal is a `DataError` of one sentence: what was expected, what came (how often, and where first), what to do.
Sparse matrices stay sparse in every check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgen_lib.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix, spmatrix

    Matrix = np.ndarray | csr_matrix


def check_counts(
    x: np.ndarray | spmatrix,
    var_names: Sequence[str] | None = None,
    obs_names: Sequence[str] | None = None,
    *,
    allow_empty: bool = False,
) -> Matrix:
    """Return ``x`` if it holds raw counts: finite non-negative integers, of any numeric dtype.

    Parameters
    ----------
    x
        Cells × genes, dense or sparse.
    var_names, obs_names
        Names for the messages; positions stand in for them where they are missing.
    allow_empty
        Whether genes without any count and cells without any count may stand.

    Returns
    -------
    ndarray or csr_matrix
        The same values, dense as an array, sparse as CSR.

    Raises
    ------
    DataError
        For anything else than a matrix of raw counts.
    """
    from scipy import sparse

    x = sparse.csr_matrix(x) if sparse.issparse(x) else np.asarray(x)
    if x.ndim != 2 or 0 in x.shape:
        raise DataError(
            f"Expected a matrix of cells × genes, but it has the shape {x.shape}: check that the filters left "
            "cells and genes."
        )
    values = x.data if sparse.issparse(x) else x
    if values.dtype.kind not in "biuf":
        raise DataError(
            f"Expected counts as numbers, but they are of dtype {values.dtype}: convert them to a numeric type."
        )

    def refuse(bad: np.ndarray, expected: str, what: str, remedy: str) -> None:
        if not bad.any():
            return
        row, column = _first(x, bad)
        value = values.flat[np.argmax(bad)]
        raise DataError(
            f"Expected {expected}, but {np.count_nonzero(bad)} of {x.shape[0] * x.shape[1]} entries {what} (first: "
            f"{value:g} in cell {_name(obs_names, row)}, gene {_name(var_names, column)}): {remedy}."
        )

    if values.dtype.kind == "f":
        refuse(np.isnan(values), "finite counts", "are NaN", "fill them at their source or remove their cells or genes")
        refuse(np.isinf(values), "finite counts", "are infinite", "remove their cells or genes")
    if values.dtype.kind in "if":
        refuse(values < 0, "non-negative counts", "are negative", "give raw counts, not scaled or centred values")
    if values.dtype.kind == "f":
        # natural logarithms of counts, also of depth-normalised ones, stay below 25
        kind = "log-transformed" if values.size and values.max() < 25 else "normalised"
        refuse(values != np.rint(values), "integer counts", "are no integers", f"this looks {kind}, give raw counts")
    if not allow_empty:
        _refuse_empty(x, var_names, obs_names)
    return x


def check_names(adata: AnnData) -> None:
    """Refuse duplicate cell names and duplicate gene names.

    Raises
    ------
    DataError
        Naming the first duplicate.
    """
    for what, axis, names in (("cell", "obs", adata.obs_names), ("gene", "var", adata.var_names)):
        if not names.is_unique:
            again = names[names.duplicated()]
            raise DataError(
                f"Expected every {what} name once, but {len(again)} repeat an earlier one (first: {again[0]!r}): "
                f"rename them, for example with adata.{axis}_names_make_unique()."
            )


def check_labels(adata: AnnData, key: str = "cell_type", min_classes: int = 2) -> pd.Categorical:
    """Return the labels of all cells, without unused categories.

    Parameters
    ----------
    key
        Column of ``adata.obs``.
    min_classes
        Smallest number of classes that serves.

    Raises
    ------
    DataError
        If the column is absent, a cell has no label, or there are fewer classes than ``min_classes``.
    """
    import pandas as pd

    if key not in adata.obs:
        have = ", ".join(map(str, adata.obs.columns)) or "no column at all"
        raise DataError(
            f"Expected labels in obs[{key!r}], but obs has {have}: name the column of the labels, for example with "
            "load(..., labels=NAME)."
        )
    labels = pd.Categorical(adata.obs[key]).remove_unused_categories()
    missing = labels.isna()
    if missing.any():
        raise DataError(
            f"Expected a label for every cell, but {missing.sum()} of {len(missing)} have none in obs[{key!r}] (first: "
            f"cell {adata.obs_names[missing.argmax()]!r}): drop them with adata[adata.obs[{key!r}].notna()].copy()."
        )
    if len(labels.categories) < min_classes:
        have = ", ".join(map(repr, labels.categories)) or "none"
        raise DataError(
            f"Expected at least {min_classes} classes in obs[{key!r}], but there is {have}: choose another column or "
            "more cells."
        )
    return labels


def label_codes(adata: AnnData, key: str, known: Sequence[str], what: str = "classes") -> np.ndarray:
    """Return the place of each cell's label among those of a training: (N,) int.

    Parameters
    ----------
    key
        Column of ``adata.obs``.
    known
        The labels of the training, in its order.
    what
        What the message calls them.

    Raises
    ------
    DataError
        If `check_labels` refuses the column, or a cell has another label.
    """
    import pandas as pd

    names = check_labels(adata, key, min_classes=1).astype(str)
    codes = pd.Index(known).get_indexer(names)
    if (codes < 0).any():
        raise DataError(
            f"expected the {what} of the training ({', '.join(known)}), got {str(names[codes.argmin()])!r}: "
            "drop these cells"
        )
    return codes


def get_counts(adata: AnnData, *, allow_empty: bool = False) -> Matrix:
    """Return the validated counts of ``adata``: ``layers["counts"]``, else ``X``.

    Parameters
    ----------
    allow_empty
        As in `check_counts`.

    Raises
    ------
    DataError
        If there are none, if the source of the data set has only log values, or as in `check_counts`.
    """
    x = adata.layers.get("counts", adata.X)
    about = adata.uns.get("dataset", {})
    if "counts" not in adata.layers and about.get("values") == "log":
        raise DataError(
            f"Expected raw counts, but the source of {about['name']} has only log values (layers['log']): choose a "
            "data set with counts, which datasets() lists."
        )
    if x is None:
        raise DataError("Expected raw counts in layers['counts'] or X, but both are absent: put them there.")
    return check_counts(x, adata.var_names, adata.obs_names, allow_empty=allow_empty)


def drop_empty(adata: AnnData) -> AnnData:
    """Return a copy without the genes and the cells that have no count at all.

    All layers and annotations follow. ``uns["dropped"]`` says how many: ``{"cells": int, "genes": int}``.

    Raises
    ------
    DataError
        As `get_counts`, and if nothing would be left.
    """
    x = get_counts(adata, allow_empty=True)
    cells, genes = totals(x, 1) > 0, totals(x, 0) > 0
    if not cells.any():
        raise DataError(f"Expected counts, but all {x.shape[0]} cells × {x.shape[1]} genes are zero: check the source.")
    kept = adata[cells, genes].copy()
    kept.uns["dropped"] = {"cells": int((~cells).sum()), "genes": int((~genes).sum())}
    return kept


def _refuse_empty(x: Matrix, var_names: Sequence[str] | None, obs_names: Sequence[str] | None) -> None:
    for what, axis, names in (("cell", 1, obs_names), ("gene", 0, var_names)):
        empty = totals(x, axis) == 0
        if empty.any():
            raise DataError(
                f"Expected at least one count in every {what}, but {empty.sum()} of {empty.size} have none (first: "
                f"{_name(names, int(empty.argmax()))}): drop them with scgen_lib.data.checks.drop_empty(adata)."
            )


def totals(x: Matrix, axis: int = 1) -> np.ndarray:
    """Sums of the cells (axis 1) or of the genes (axis 0) of a matrix (N, G), float64."""
    # float64 keeps the sums of small integer types from wrapping around
    return np.asarray(x.sum(axis=axis, dtype=np.float64)).ravel()


def _first(x: Matrix, bad: np.ndarray) -> tuple[int, int]:
    """Row and column of the first bad value, where ``bad`` has the layout of ``x`` or of its stored entries."""
    if isinstance(x, np.ndarray):
        row, column = np.unravel_index(np.argmax(bad), bad.shape)
        return int(row), int(column)
    stored = int(np.argmax(bad))
    return int(np.searchsorted(x.indptr, stored, side="right") - 1), int(x.indices[stored])


def _name(names: Sequence[str] | None, position: int) -> str:
    return f"number {position}" if names is None else repr(str(names[position]))
