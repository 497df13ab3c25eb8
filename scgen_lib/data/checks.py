"""The one place that refuses bad input: counts, names and labels.

Every refusal is a `DataError` of one sentence: what was expected, what came (how often, and where first), what to do.
Sparse matrices stay sparse in every check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgen_lib.data.opened import selected
from scgen_lib.data.stored import Stored, are_counts, kept_on_disk
from scgen_lib.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from anndata import AnnData
    from scipy.sparse import csr_matrix, spmatrix

    Matrix = np.ndarray | csr_matrix | Stored


def check_counts(
    x: np.ndarray | spmatrix | Stored,
    var_names: Sequence[str] | None = None,
    obs_names: Sequence[str] | None = None,
    *,
    allow_empty: bool = False,
) -> Matrix:
    """Return ``x`` if it holds raw counts: finite non-negative integers, of any numeric dtype.

    Parameters
    ----------
    x
        Cells × genes, dense, sparse or on disk.
    var_names, obs_names
        Names for the messages; positions stand in for them where they are missing.
    allow_empty
        Whether genes without any count and cells without any count may stand.

    Returns
    -------
    ndarray, csr_matrix or Stored
        The same values, dense as an array, sparse as CSR, on disk as `Stored`. What arithmetic has left beside an
        integer is that integer, see `rounded`; `x` itself stays as it is.
    """
    from scipy import sparse

    if not isinstance(x, Stored):
        x = sparse.csr_matrix(x) if sparse.issparse(x) else np.asarray(x)
    if len(x.shape) != 2 or 0 in x.shape:
        raise DataError(
            f"expected a matrix of cells × genes, got the shape {x.shape}: check that the filters left cells and genes"
        )
    if x.dtype.kind not in "biuf":
        raise DataError(f"expected counts as numbers, got the dtype {x.dtype}: convert them to a numeric type")
    if not (x.sums.clean if isinstance(x, Stored) else are_counts(_values(x))):
        x = _by_rules(x, var_names, obs_names)
    if not allow_empty:
        _refuse_empty(x, var_names, obs_names)
    return x


def _by_rules(x: Matrix, var_names: Sequence[str] | None, obs_names: Sequence[str] | None) -> Matrix:
    """Refuse what are no counts by the first rule that is broken, or return the integers behind them."""

    def refuse(rule: Callable[[np.ndarray], np.ndarray], expected: str, what: str, remedy: str) -> None:
        number, first = 0, ""
        for start, block in _blocks(x):
            values = _values(block)
            bad = rule(values)
            if not number and bad.any():
                row, column = _first(block, bad)
                value, cell = values.flat[np.argmax(bad)], _name(obs_names, start + row)
                first = f"{value:g} in cell {cell}, gene {_name(var_names, column)}"
            number += np.count_nonzero(bad)
        if number:
            raise DataError(
                f"expected {expected}, got {number} of {x.shape[0] * x.shape[1]} entries that {what} (first: {first}): "
                f"{remedy}"
            )

    if x.dtype.kind == "f":
        refuse(np.isnan, "finite counts", "are NaN", "fill them at their source or remove their cells or genes")
        refuse(np.isinf, "finite counts", "are infinite", "remove their cells or genes")
        x = _rounded(x)
    refuse(
        lambda values: values < 0,
        "non-negative counts",
        "are negative",
        "give raw counts, not scaled or centred values",
    )
    # natural logarithms of counts, also of depth-normalised ones, stay below 25
    most, fractions, values = 0.0, 0, 0
    for _, block in _blocks(x):
        found = _values(block)
        most = max(most, found.max(initial=0))
        fractions, values = fractions + np.count_nonzero(found != np.rint(found)), values + np.count_nonzero(found)
    remedy = f"this looks {'log-transformed' if most < 25 else 'normalised'}, give raw counts"
    if fractions * 2 < values:
        remedy = "most are integers, so round them if they are estimates of counts (RSEM, Salmon)"
    refuse(lambda v: v != np.rint(v), "integer counts", "are no integers", remedy)
    return x


def _rounded(x: Matrix) -> Matrix:
    """Return the integers behind a matrix of floats where `rounded` finds them in all of it, else `x`."""
    from scipy import sparse

    if not isinstance(x, Stored):
        whole = rounded(_values(x))
        if whole is None:
            return x
        return sparse.csr_matrix((whole, x.indices, x.indptr), x.shape) if sparse.issparse(x) else whole
    blocks = [(near_integers(block.data), np.rint(block.data).any()) for _, block in x.blocks()]
    if not (all(near for near, _ in blocks) and any(found for _, found in blocks)):
        return x
    return x.map(lambda block: sparse.csr_matrix((np.rint(block.data) + 0.0, block.indices, block.indptr), block.shape))


def rounded(values: np.ndarray) -> np.ndarray | None:
    """Return the integers behind floats that differ from them by no more than arithmetic leaves; None for others.

    A count that went through a logarithm and back, or through a text, comes back as 2.9999998. Logarithms and
    normalised values lie anywhere between two integers, and shares would all become 0. Integers come back themselves.
    """
    whole = np.rint(values)
    if (whole == values).all():
        return values
    # -0.0 is a negative number to some formats
    return whole + 0.0 if near_integers(values) and whole.any() else None


def near_integers(values: np.ndarray) -> bool:
    """Say whether floats differ from integers by no more than arithmetic leaves."""
    whole = np.rint(values)
    return bool((np.abs(values - whole) <= np.clip(1e-6 * np.abs(whole), 1e-3, 0.1)).all())


def check_names(adata: AnnData, file: str | None = None) -> None:
    """Refuse duplicate cell names and duplicate gene names; the message names the `file` that they come from."""
    for what, axis, names in (("cell", "obs", adata.obs_names), ("gene", "var", adata.var_names)):
        if not names.is_unique:
            again = names[names.duplicated()]
            unique = f"adata.{axis}_names_make_unique()"
            remedy = f"rename them, for example with {unique}"
            if file is not None:
                remedy = (
                    f"rename them there, or in Python: adata = scanpy.read({file!r}), {unique} and "
                    "adata.write_h5ad(NEW), and give the new file"
                )
            raise DataError(
                f"expected every {what} name once, got {len(again)} that repeat an earlier one (first: {again[0]!r}): "
                f"{remedy}"
            )


def texts(labels: Sequence) -> pd.Categorical:
    """Return labels as categories that are texts, in the order that they have, without unused ones.

    A class that is a number in some cells and a text in others (0 and "0", as a concatenation leaves them) is one
    class. An empty text is no label.
    """
    import pandas as pd

    found = pd.Categorical(labels).remove_unused_categories()
    names = [str(name) for name in found.categories]
    kept = pd.Index([name for name in dict.fromkeys(names) if name], dtype=str)
    # the code -1 of cells without a label takes the last place
    codes = np.append(kept.get_indexer(names), -1)[found.codes]
    return pd.Categorical.from_codes(codes, categories=kept, ordered=found.ordered)


def check_labels(adata: AnnData, key: str = "cell_type", min_classes: int = 2) -> pd.Categorical:
    """Return the labels of all cells, in a column of ``adata.obs``, as `texts`.

    A column that is absent, a cell without a label and fewer classes than ``min_classes`` are refused.
    """
    if key not in adata.obs:
        have = ", ".join(map(str, adata.obs.columns)) or "no column at all"
        raise DataError(
            f"expected labels in obs[{key!r}], got an obs with {have}: name the column of the labels, for example with "
            "load(..., labels=NAME)"
        )
    labels = texts(adata.obs[key])
    missing = labels.isna()
    if missing.any():
        raise DataError(
            f"expected a label for every cell, got none for {missing.sum()} of {len(missing)} in obs[{key!r}] (first: "
            f"cell {adata.obs_names[missing.argmax()]!r}): drop them with adata[adata.obs[{key!r}].notna()].copy()"
        )
    if len(labels.categories) < min_classes:
        have = ", ".join(map(repr, labels.categories)) or "none"
        raise DataError(
            f"expected at least {min_classes} classes in obs[{key!r}], got {have}: choose another column or more cells"
        )
    return labels


def scoring(labels: Sequence, min_cells: int = 5, min_classes: int = 2) -> tuple[np.ndarray, str | None]:
    """Decide on which cells their labels can be scored, and say why not where they cannot.

    To be called when no cell is dropped any more: what scores a chapter by its labels takes the cells of the mask, and
    goes on as without labels where there is a reason.

    Parameters
    ----------
    labels
        Label of each cell, (N,); missing where it has none.
    min_cells
        Cells that a class needs; smaller classes are left out.
    min_classes
        Classes that are needed.

    Returns
    -------
    tuple of ndarray and str or None
        Mask of the cells with a label that scores, (N,) bool, and None; or no cell at all, and the reason in words
        without a full stop.
    """
    import pandas as pd

    classes = pd.Series(texts(labels))
    sizes = classes.value_counts()
    large = sizes.index[sizes >= min_cells]
    mask, none = classes.isin(large).to_numpy(), np.zeros(len(classes), bool)
    if not len(sizes):
        return none, "the cells have no labels"
    if len(large) < min_classes:
        return none, (
            f"the labels have {len(sizes)} classes, of which {len(large)} with {min_cells} cells or more, but a score "
            f"needs {min_classes}"
        )
    if len(large) == mask.sum() > 1:
        return none, f"each of the {len(large)} classes is a single cell"
    return mask, None


def check_label_key(key: str, *own: str) -> None:
    """Refuse, as a `ParameterError`, labels in a column of ``obs`` that the caller writes, and so would overwrite."""
    if key in own:
        raise ParameterError(
            f"expected labels in a column of their own, got obs[{key!r}], which is written here: rename yours with "
            f"adata.obs.rename(columns={{{key!r}: 'my_{key}'}})"
        )


def label_codes(adata: AnnData, key: str, known: Sequence[str], what: str = "classes") -> np.ndarray:
    """Return the place of each cell's label among those `known` from a training: (N,) int.

    Another label than these is refused; the message calls them `what`.
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


def get_counts(adata: AnnData, *, allow_empty: bool = False, stored: bool = False) -> Matrix:
    """Return the validated counts of ``adata``, as `check_counts` does: ``layers["counts"]``, else ``X``.

    Counts of a file that was opened with ``backed="r"`` are read into memory; with `stored` they stay on disk, as
    `Stored`, where they would take more than `stored.IN_MEMORY_BYTES` as dense float32.
    """
    x = adata.layers.get("counts", adata.X)
    if stored and kept_on_disk(x):
        x = Stored.of(x)
    elif hasattr(x, "to_memory"):
        x = x.to_memory()
    about = adata.uns.get("dataset", {})
    if "counts" not in adata.layers and about.get("values") == "log":
        raise DataError(
            f"expected raw counts, got only log values (layers['log']) from the source of {about['name']}: choose a "
            "data set with counts, which datasets() lists"
        )
    if x is None:
        raise DataError("expected raw counts in layers['counts'] or X, got neither: put them there")
    try:
        return check_counts(x, adata.var_names, adata.obs_names, allow_empty=allow_empty)
    except DataError as error:
        # to new versions of anndata, X is a layer without a name
        if "counts" in adata.layers or not (names := [name for name in adata.layers if name]):
            raise
        raise DataError(
            f"{error}, or put the counts into layers['counts'] (there are the layers {', '.join(map(repr, names))})"
        ) from error


def drop_empty(adata: AnnData) -> AnnData:
    """Return a copy without the genes and the cells that have no count at all; what is large on disk stays there.

    All layers and annotations follow. ``uns["dropped"]`` says how many: ``{"cells": int, "genes": int}``.
    """
    x = get_counts(adata, allow_empty=True, stored=True)
    cells, genes = totals(x, 1) > 0, totals(x, 0) > 0
    if not cells.any():
        raise DataError(f"expected counts, got zeros in all {x.shape[0]} cells × {x.shape[1]} genes: check the source")
    kept = selected(adata, cells, genes)
    kept.uns["dropped"] = {"cells": int((~cells).sum()), "genes": int((~genes).sum())}
    return kept


def _refuse_empty(x: Matrix, var_names: Sequence[str] | None, obs_names: Sequence[str] | None) -> None:
    for what, axis, names in (("cell", 1, obs_names), ("gene", 0, var_names)):
        empty = totals(x, axis) == 0
        if empty.any():
            raise DataError(
                f"expected at least one count in every {what}, got none in {empty.sum()} of {empty.size} (first: "
                f"{_name(names, int(empty.argmax()))}): drop them with scgen_lib.data.checks.drop_empty(adata)"
            )


def totals(x: Matrix, axis: int = 1) -> np.ndarray:
    """Sums of the cells (axis 1) or of the genes (axis 0) of a matrix (N, G), float64."""
    if isinstance(x, Stored):
        return x.sums.cells if axis else x.sums.genes
    # float64 keeps the sums of small integer types from wrapping around
    return np.asarray(x.sum(axis=axis, dtype=np.float64)).ravel()


def _values(x: np.ndarray | csr_matrix) -> np.ndarray:
    """Values of a matrix, without the zeros that a sparse one leaves out."""
    return x if isinstance(x, np.ndarray) else x.data


def _blocks(x: Matrix) -> Iterator[tuple[int, np.ndarray | csr_matrix]]:
    yield from x.blocks() if isinstance(x, Stored) else [(0, x)]


def _first(x: np.ndarray | csr_matrix, bad: np.ndarray) -> tuple[int, int]:
    """Row and column of the first bad value, where ``bad`` has the layout of ``x`` or of its stored entries."""
    if isinstance(x, np.ndarray):
        row, column = np.unravel_index(np.argmax(bad), bad.shape)
        return int(row), int(column)
    stored = int(np.argmax(bad))
    return int(np.searchsorted(x.indptr, stored, side="right") - 1), int(x.indices[stored])


def _name(names: Sequence[str] | None, position: int) -> str:
    return f"number {position}" if names is None else repr(str(names[position]))
