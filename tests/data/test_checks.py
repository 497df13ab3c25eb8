import anndata as ad
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
        (np.nan, "finite counts, got 1 of 12 entries that are NaN"),
        (np.inf, "1 of 12 entries that are infinite"),
        (-2.0, "1 of 12 entries that are negative (first: -2"),
        (1.5, "1 of 12 entries that are no integers (first: 1.5"),
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
    with pytest.raises(DataError, match=r"every cell, got none in 1 of 4 \(first: 'c1'\).*drop_empty"):
        checks.check_counts(layout(x), None, ["c0", "c1", "c2", "c3"])
    assert checks.check_counts(layout(x), allow_empty=True).sum() == x.sum()
    x = COUNTS.copy()
    x[:, 2] = 0
    with pytest.raises(DataError, match=r"every gene, got none in 1 of 3 \(first: number 2\)"):
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
    with pytest.raises(DataError, match=f"every {what} name once, got 1 that repeat.*'x'.*_names_make_unique"):
        checks.check_names(adata)
    checks.check_names(annotated())


def test_labels_come_back_without_unused_categories():
    adata = annotated(labels=pd.Categorical(["a", "b", "a", "b"], categories=["a", "b", "unused"]))
    labels = checks.check_labels(adata)
    assert list(labels.categories) == ["a", "b"]
    assert list(labels) == ["a", "b", "a", "b"]


def test_absent_missing_and_too_few_labels_are_refused():
    adata = annotated(labels=["a", None, "b", None])
    with pytest.raises(DataError, match=r"got none for 2 of 4 in obs\['cell_type'\] \(first: cell 'c1'\)"):
        checks.check_labels(adata)
    with pytest.raises(DataError, match=r"obs\['kind'\], got an obs with cell_type"):
        checks.check_labels(adata, "kind")
    with pytest.raises(DataError, match=r"at least 2 classes.*got 'a'"):
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
    with pytest.raises(DataError, match="got neither"):
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
    with pytest.raises(DataError, match="got zeros in all 4 cells × 3 genes"):
        checks.drop_empty(annotated(np.zeros((4, 3))))


def test_codes_follow_the_order_of_the_training_and_another_label_is_refused():
    adata = annotated()
    assert checks.label_codes(adata, "cell_type", ["b", "c", "a"]).tolist() == [2, 0, 2, 0]
    with pytest.raises(DataError, match=r"expected the types of the training \(a, c\), got 'b': drop these cells"):
        checks.label_codes(adata, "cell_type", ["a", "c"], "types")


@pytest.mark.parametrize("layout", LAYOUTS[:3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_arithmetic_leaves_beside_integers_is_rounded_and_the_input_stays(layout, dtype):
    x = COUNTS.astype(dtype)
    x[0, 1], x[1, 0] = 3 - 1e-6, 2 + 2e-7
    given = layout(x)
    checked = checks.check_counts(given)
    np.testing.assert_array_equal(checked.toarray() if sparse.issparse(checked) else checked, COUNTS)
    assert checked.dtype == dtype
    np.testing.assert_array_equal(given.toarray() if sparse.issparse(given) else given, x)


def test_noise_around_zero_is_no_negative_count():
    x = COUNTS.astype(float)
    x[0, 0], x[1, 1] = -1e-7, 1e-7
    assert checks.check_counts(x).min() == 0


def test_large_counts_are_rounded_by_what_their_digits_allow():
    large = np.array([[300_000.03, 2.0]])
    assert checks.check_counts(large).tolist() == [[300_000, 2]]
    with pytest.raises(DataError, match="no integers"):
        checks.check_counts(np.array([[300.03, 2.0]]))


def test_shares_are_not_rounded_to_nothing():
    with pytest.raises(DataError, match="no integers"):
        checks.check_counts(COUNTS / 1e5)


def test_estimated_counts_are_told_from_logarithms():
    x = np.pad(COUNTS, ((0, 0), (0, 3)), constant_values=4).astype(float)
    x[2, 1] = 5.25
    with pytest.raises(DataError, match="most are integers, so round them if they are estimates"):
        checks.check_counts(x)


def test_classes_that_are_numbers_in_some_cells_and_texts_in_others_are_one():
    labels = checks.check_labels(annotated(labels=[0, "0", 1, "1"]))
    assert list(labels) == ["0", "0", "1", "1"]
    assert list(labels.categories) == ["0", "1"]


def test_labels_stay_texts_in_their_order_and_an_empty_one_is_none():
    assert list(checks.texts([10, 9, 10]).categories) == ["9", "10"]
    labels = checks.texts(["nan", "", None, "NA"])
    assert list(labels.categories) == ["NA", "nan"]
    assert list(labels.isna()) == [False, True, True, False]
    stages = pd.Categorical(["b", "a"], categories=["b", "unused", "a"], ordered=True)
    assert list(checks.texts(stages).categories) == ["b", "a"]
    assert checks.texts(stages).ordered


def test_counts_on_disk_are_read(tmp_path):
    for name, x in (("sparse", sparse.csr_matrix(COUNTS)), ("dense", COUNTS)):
        annotated(x).write_h5ad(tmp_path / f"{name}.h5ad")
        backed = ad.read_h5ad(tmp_path / f"{name}.h5ad", backed="r")
        counts = checks.get_counts(backed)
        np.testing.assert_array_equal(counts.toarray() if sparse.issparse(counts) else counts, COUNTS)
        assert checks.drop_empty(backed).shape == COUNTS.shape
        backed.file.close()


def test_the_layers_are_named_where_x_holds_no_counts():
    adata = annotated(np.log1p(COUNTS))
    adata.layers["raw_counts"] = COUNTS
    with pytest.raises(DataError, match=r"into layers\['counts'\] \(there are the layers 'raw_counts'\)"):
        checks.get_counts(adata)


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (["T"] * 37 + ["B"] * 3, "the labels have 2 classes, of which 1 with 5 cells or more, but a score needs 2"),
        (["T"] * 20 + [None] * 20, "the labels have 1 classes, of which 1 with 5"),
        ([f"t{i // 3}" for i in range(39)], "the labels have 13 classes, of which 0 with 5"),
        ([None, ""] * 20, "the cells have no labels"),
    ],
)
def test_labels_that_do_not_score_say_why(labels, reason):
    mask, said = checks.scoring(labels)
    assert said.startswith(reason)
    assert len(mask) == len(labels)
    assert not mask.any()


def test_labels_score_on_the_cells_of_large_classes():
    labels = pd.Series(["A"] * 6 + ["B"] * 5 + ["C"] * 4 + [None] * 5).sample(frac=1, random_state=0)
    mask, said = checks.scoring(labels)
    assert said is None
    assert set(labels[mask]) == {"A", "B"}
    assert mask.sum() == 11
    assert checks.scoring(labels, min_cells=1)[0].sum() == 15
    # k-means and silhouettes need a class of two cells
    assert "a single cell" in checks.scoring(["a", "b", "c"], min_cells=1)[1]
