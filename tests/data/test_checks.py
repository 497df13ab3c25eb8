import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from scgen_lib.data import checks
from scgen_lib.errors import DataError

LAYOUTS = [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix, sparse.csr_array]
COUNTS = np.array([[0, 3, 1], [2, 0, 0], [0, 5, 4], [1, 0, 0]])


def annotated(x=COUNTS, labels=("a", "b", "a", "b")):
    names = [f"c{i}" for i in range(x.shape[0])]
    obs = pd.DataFrame({"cell_type": pd.Categorical(labels)}, index=names)
    return AnnData(x, obs=obs, var=pd.DataFrame(index=[f"g{j}" for j in range(x.shape[1])]))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.uint8, np.float64])
def test_raw_counts_pass_unchanged_and_sparse_stays_sparse(layout, dtype):
    x = layout(COUNTS.astype(dtype))
    checked = checks.check_counts(x)
    assert sparse.issparse(checked) == sparse.issparse(x)
    dense = checked.toarray() if sparse.issparse(checked) else checked
    np.testing.assert_array_equal(dense, COUNTS)
    assert checked.dtype == dtype


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.nan, "finite counts, but 1 of 12 entries are NaN"),
        (np.inf, "1 of 12 entries are infinite"),
        (-2.0, "1 of 12 entries are negative (first: -2"),
        (1.5, "1 of 12 entries are no integers (first: 1.5"),
    ],
)
def test_a_bad_value_is_named_with_number_cell_and_gene(layout, value, said):
    x = COUNTS.astype(float)
    x[2, 1] = value
    with pytest.raises(DataError) as error:
        checks.check_counts(layout(x), ["g0", "g1", "g2"], ["c0", "c1", "c2", "c3"])
    assert said in str(error.value)
    assert "in cell 'c2', gene 'g1'" in str(error.value)


def test_positions_stand_in_for_missing_names():
    with pytest.raises(DataError, match="cell number 1, gene number 0"):
        checks.check_counts(COUNTS - 3 * (np.arange(4) == 1)[:, None])


def test_the_hint_tells_logarithms_from_normalised_values():
    with pytest.raises(DataError, match="looks log-transformed"):
        checks.check_counts(np.log1p(COUNTS))
    with pytest.raises(DataError, match="looks normalised"):
        checks.check_counts(COUNTS * 1234.5)


@pytest.mark.parametrize("shape", [(0, 3), (4, 0), (0, 0)])
def test_a_matrix_without_cells_or_genes_is_refused(shape):
    with pytest.raises(DataError, match="shape"):
        checks.check_counts(np.zeros(shape))
    with pytest.raises(DataError, match="shape"):
        checks.check_counts(sparse.csr_array(shape))


def test_text_is_refused():
    with pytest.raises(DataError, match="numbers"):
        checks.check_counts(COUNTS.astype(str))


@pytest.mark.parametrize("layout", LAYOUTS[:3])
def test_empty_cells_and_genes_are_refused_unless_allowed(layout):
    x = COUNTS.copy()
    x[1] = 0
    with pytest.raises(DataError, match=r"every cell, but 1 of 4 have none \(first: 'c1'\).*drop_empty"):
        checks.check_counts(layout(x), None, ["c0", "c1", "c2", "c3"])
    assert checks.check_counts(layout(x), allow_empty=True).sum() == x.sum()
    x = COUNTS.copy()
    x[:, 2] = 0
    with pytest.raises(DataError, match=r"every gene, but 1 of 3 have none \(first: number 2\)"):
        checks.check_counts(layout(x))


def test_stored_zeros_and_narrow_integers_do_not_mislead_the_totals():
    stored = sparse.csr_matrix((np.array([0, 1]), np.array([0, 1]), np.array([0, 2])), shape=(1, 2))
    with pytest.raises(DataError, match="every gene"):
        checks.check_counts(stored)
    # 256 ones wrap around to zero in uint8
    assert checks.check_counts(np.ones((256, 2), dtype=np.uint8)).shape == (256, 2)


@pytest.mark.parametrize(("axis", "what"), [("obs_names", "cell"), ("var_names", "gene")])
def test_repeated_names_are_refused_with_the_remedy(axis, what):
    adata = annotated()
    setattr(adata, axis, ["x", "x", *(f"n{i}" for i in range(len(getattr(adata, axis)) - 2))])
    with pytest.raises(DataError, match=f"every {what} name once, but 1 repeat.*'x'.*_names_make_unique"):
        checks.check_names(adata)
    checks.check_names(annotated())


def test_labels_come_back_without_unused_categories():
    adata = annotated(labels=pd.Categorical(["a", "b", "a", "b"], categories=["a", "b", "unused"]))
    labels = checks.check_labels(adata)
    assert list(labels.categories) == ["a", "b"]
    assert list(labels) == ["a", "b", "a", "b"]


def test_absent_missing_and_too_few_labels_are_refused():
    adata = annotated(labels=["a", None, "b", None])
    with pytest.raises(DataError, match=r"2 of 4 have none in obs\['cell_type'\] \(first: cell 'c1'\)"):
        checks.check_labels(adata)
    with pytest.raises(DataError, match=r"obs\['kind'\], but obs has cell_type"):
        checks.check_labels(adata, "kind")
    with pytest.raises(DataError, match=r"at least 2 classes.*there is 'a'"):
        checks.check_labels(annotated(labels=["a"] * 4))
    assert len(checks.check_labels(annotated(labels=["a"] * 4), min_classes=1)) == 4


def test_counts_come_from_their_layer_before_x():
    adata = annotated(np.log1p(COUNTS))
    with pytest.raises(DataError, match="log-transformed"):
        checks.get_counts(adata)
    adata.layers["counts"] = COUNTS
    np.testing.assert_array_equal(checks.get_counts(adata), COUNTS)
    np.testing.assert_array_equal(checks.get_counts(annotated()), COUNTS)


def test_counts_of_nothing_at_all_are_refused():
    with pytest.raises(DataError, match="both are absent"):
        checks.get_counts(AnnData(obs=pd.DataFrame(index=["a"])))


def test_dropping_the_empty_keeps_layers_together_and_says_how_many():
    x = COUNTS.copy()
    x[1], x[:, 2] = 0, 0
    adata = annotated(sparse.csr_matrix(x))
    adata.layers["counts"] = adata.X.copy()
    adata.layers["true_counts"] = COUNTS
    kept = checks.drop_empty(adata)
    assert kept.uns["dropped"] == {"cells": 1, "genes": 1}
    assert list(kept.obs_names) == ["c0", "c2", "c3"]
    np.testing.assert_array_equal(kept.layers["true_counts"], COUNTS[[0, 2, 3]][:, :2])
    assert checks.get_counts(kept).sum() == x.sum()
    assert adata.shape == (4, 3)
    assert "dropped" not in adata.uns


def test_dropping_everything_is_refused():
    with pytest.raises(DataError, match="all 4 cells × 3 genes are zero"):
        checks.drop_empty(annotated(np.zeros((4, 3))))


def test_codes_follow_the_order_of_the_training_and_another_label_is_refused():
    adata = annotated()
    assert checks.label_codes(adata, "cell_type", ["b", "c", "a"]).tolist() == [2, 0, 2, 0]
    with pytest.raises(DataError, match=r"expected the types of the training \(a, c\), got 'b': drop these cells"):
        checks.label_codes(adata, "cell_type", ["a", "c"], "types")
