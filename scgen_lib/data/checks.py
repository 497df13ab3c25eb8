"""The one place that refuses bad input: counts, names and labels.

Every refusal is a `DataError` of one sentence: what was expected, what came (how often, and where first), what to do.
Sparse matrices stay sparse in every check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scgen_lib.errors import DataError, ParameterError

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
        The same values, dense as an array, sparse as CSR. What arithmetic has left beside an integer is that integer,
        see `rounded`; `x` itself stays as it is.
    """
    from scipy import sparse

    x = sparse.csr_matrix(x) if sparse.issparse(x) else np.asarray(x)
    if x.ndim != 2 or 0 in x.shape:
        raise DataError(
            f"expected a matrix of cells × genes, got the shape {x.shape}: check that the filters left cells and genes"
        )
    values = x.data if sparse.issparse(x) else x
    if values.dtype.kind not in "biuf":
        raise DataError(f"expected counts as numbers, got the dtype {values.dtype}: convert them to a numeric type")

    def refuse(bad: np.ndarray, expected: str, what: str, remedy: str) -> None:
        if not bad.any():
            return
        row, column = _first(x, bad)
        value = values.flat[np.argmax(bad)]
        raise DataError(
            f"expected {expected}, got {np.count_nonzero(bad)} of {x.shape[0] * x.shape[1]} entries that {what} "
            f"(first: {value:g} in cell {_name(obs_names, row)}, gene {_name(var_names, column)}): {remedy}"
        )

    if values.dtype.kind == "f":
        refuse(np.isnan(values), "finite counts", "are NaN", "fill them at their source or remove their cells or genes")
        refuse(np.isinf(values), "finite counts", "are infinite", "remove their cells or genes")
        whole = rounded(values)
        if whole is not None and whole is not values:
            x = sparse.csr_matrix((whole, x.indices, x.indptr), x.shape) if sparse.issparse(x) else whole
            values = whole
    if values.dtype.kind in "if":
        refuse(values < 0, "non-negative counts", "are negative", "give raw counts, not scaled or centred values")
    if values.dtype.kind == "f":
        fractions = values != np.rint(values)
        # natural logarithms of counts, also of depth-normalised ones, stay below 25
        kind = "log-transformed" if values.size and values.max() < 25 else "normalised"
        remedy = f"this looks {kind}, give raw counts"
        if np.count_nonzero(fractions) * 2 < np.count_nonzero(values):
            remedy = "most are integers, so round them if they are estimates of counts (RSEM, Salmon)"
        refuse(fractions, "integer counts", "are no integers", remedy)
    if not allow_empty:
        _refuse_empty(x, var_names, obs_names)
    return x


def rounded(values: np.ndarray) -> np.ndarray | None:
    """Return the integers behind floats that differ from them by no more than arithmetic leaves; None for others.

    A count that went through a logarithm and back, or through a text, comes back as 2.9999998. Logarithms and
    normalised values lie anywhere between two integers, and shares would all become 0. Integers come back themselves.
    """
    whole = np.rint(values)
    off = np.abs(values - whole)
    if not off.any():
        return values
    near = off <= np.clip(1e-6 * np.abs(whole), 1e-3, 0.1)
    # -0.0 is a negative number to some formats
    return whole + 0.0 if near.all() and whole.any() else None


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


def get_counts(adata: AnnData, *, allow_empty: bool = False) -> Matrix:
    """Return the validated counts of ``adata``, as `check_counts` does: ``layers["counts"]``, else ``X``.

    Counts of a file that was opened with ``backed="r"`` are read into memory.
    """
    x = adata.layers.get("counts", adata.X)
    x = x.to_memory() if hasattr(x, "to_memory") else x
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


def doubt_orientation(adata: AnnData) -> str | None:
    """Say why a file that was read as cells × genes is plainly genes × cells, in words; None where it may be right.

    Cells that are named as genes, genes that are named as barcodes, more genes than any annotation has, or, among few
    cells and many genes, cells that differ more in depth than genes in abundance, which no experiment gives.
    """
    for names, what, kind, pattern in (
        (adata.obs_names, "cells", "genes", _GENE),
        (adata.var_names, "genes", "barcodes", _BARCODE),
    ):
        told = np.asarray(names.astype(str).str.fullmatch(pattern), bool)
        if told.sum() > 2 and told.mean() > 0.01:
            return f"{told.sum()} of its {len(told)} {what!r} are named as {kind} (first: {names[told.argmax()]!r})"
    if adata.n_vars > 10 * adata.n_obs:
        spread = [np.log1p(totals(check_counts(adata.X, allow_empty=True), axis)).std() for axis in (1, 0)]
        if adata.n_vars > 100_000 or (adata.n_obs > 9 and spread[0] > 2 * spread[1]):
            return f"no experiment gives {adata.n_obs} 'cells' and {adata.n_vars} 'genes' of such totals"
    return None


# Ids of genes, families of symbols and single ones that nearly all data sets have; barcodes of droplets.
_GENE = (
    r"(?i:ENS[A-Z]{0,6}G\d{11}(\.\d+)?|FBgn\d{7}|WBGene\d{8}|MT-(ND|CO|CYB|ATP)\w*|RP[LS]A?\d+\w{0,3}|LINC\d{5}|"
    r"ZNF\d+|ZFP\d+|TMEM\d+[A-Z]?|SLC\d+A\d+|C\d+orf\d+|[0-9A-Z]{5,}RIK|HLA-[A-Z0-9]+|EEF1A1|EEF2|ACTB|ACTG1|GAPDH|"
    r"B2M|MALAT1|TMSB4X|TMSB10|FTL1?|FTH1|TPT1|UBC|HSP90A[AB]1|PTPRC|CD3[DEG]|CD8[AB]1?|CD14|CD19|CD34|CD74|CD79[AB]|"
    r"MS4A1|LYZ[12]?|NKG7|GNLY|PPBP|IL7R|FCGR3A|FCER1A|S100A\d+|CST3|EPCAM|VIM|COL1A[12]|GFAP|APOE|INS[12]?|GCG|SST)"
)
_BARCODE = r"[ACGT]{12,}([-_.]\w+)?"


def drop_empty(adata: AnnData) -> AnnData:
    """Return a copy without the genes and the cells that have no count at all.

    All layers and annotations follow. ``uns["dropped"]`` says how many: ``{"cells": int, "genes": int}``.
    """
    x = get_counts(adata, allow_empty=True)
    cells, genes = totals(x, 1) > 0, totals(x, 0) > 0
    if not cells.any():
        raise DataError(f"expected counts, got zeros in all {x.shape[0]} cells × {x.shape[1]} genes: check the source")
    kept = adata[cells, genes]
    kept = kept.to_memory() if kept.isbacked else kept.copy()
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
