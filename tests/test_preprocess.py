"""Transforms of counts against scanpy, and the size factors of every version."""

import json

import anndata
import numpy as np
import pytest
import scanpy as sc
import scipy.sparse as sp
import tensorflow as tf
from scipy.special import gammaln

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.preprocess import (
    LogNormaliser,
    Standardiser,
    UnitScaler,
    highest_variance,
    legacy_split,
    mean_log_factorial,
    size_factors,
)


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    x = rng.poisson(rng.gamma(2, 3, (1, 30)) * rng.lognormal(0, 0.3, (50, 1))).astype("float32")
    x[:, 7] = 0
    return x


def transform(standardiser, x):
    return standardiser(tf.constant(x), tf.constant(standardiser.factors(x)[:, None])).numpy()


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_equals_scanpy(counts, kind):
    reference = anndata.AnnData(counts.copy())
    sc.pp.normalize_total(reference)
    sc.pp.log1p(reference)
    sc.pp.scale(reference)
    got = transform(Standardiser().fit(kind(counts)), counts)
    # float32 on both sides
    np.testing.assert_allclose(got, reference.X, rtol=1e-5, atol=1e-5)


def test_genes_have_mean_0_and_sd_1_and_constant_genes_are_0(counts):
    z = transform(Standardiser().fit(counts), counts)
    varying = np.arange(30) != 7
    np.testing.assert_allclose(z[:, varying].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(z[:, varying].std(0, ddof=1), 1, atol=1e-5)
    assert (z[:, 7] == 0).all()


def test_size_factors_have_median_1_and_follow_the_training_cells(counts):
    assert np.median(size_factors(counts, "total_median")) == pytest.approx(1)
    standardiser = Standardiser().fit(counts)
    np.testing.assert_allclose(standardiser.factors(counts[:5] * 2), standardiser.factors(counts[:5]) * 2, rtol=1e-6)


def test_kth_size_factor_is_the_lower_median_count_and_refuses_zero(counts):
    np.testing.assert_allclose(size_factors(counts, "kth"), np.sort(counts, axis=1)[:, 14])
    sparse_cell = counts.copy()
    sparse_cell[3, :20] = 0
    with pytest.raises(DataError, match="got 0 for 1 of 50 cells with size_factor='kth'"):
        size_factors(sparse_cell, "kth")


def test_a_cell_without_counts_is_refused(counts):
    counts[4] = 0
    with pytest.raises(DataError, match="remove empty cells"):
        size_factors(counts, "total_median")


def test_global_zscore_uses_one_mean_and_sd(counts):
    z = transform(Standardiser(zscore="global").fit(counts), counts)
    assert z.mean() == pytest.approx(0, abs=1e-5)
    assert z.std(ddof=1) == pytest.approx(1, abs=1e-5)
    assert np.abs(z.mean(0)).max() > 0.1


@pytest.mark.parametrize(
    ("zscore", "size_factor", "depends"), [("gene", "total_median", False), ("batch", "batch_total", True)]
)
def test_only_batch_statistics_make_a_cell_depend_on_its_mates(counts, zscore, size_factor, depends):
    standardiser = Standardiser(size_factor=size_factor, zscore=zscore).fit(counts)
    factor = standardiser.factors(counts)[:, None]
    alone = standardiser(tf.constant(counts[:10]), tf.constant(factor[:10])).numpy()[:5]
    others = standardiser(tf.constant(counts[:30]), tf.constant(factor[:30])).numpy()[:5]
    assert np.allclose(alone, others, atol=1e-6) is not depends


def test_config_keeps_every_bit(counts):
    standardiser = Standardiser().fit(counts)
    copy = Standardiser.from_config(json.loads(json.dumps(standardiser.get_config())))
    assert np.array_equal(copy.mean, standardiser.mean)
    assert np.array_equal(copy.sd, standardiser.sd)
    assert copy.median == standardiser.median


def test_log_factorial_is_the_mean_over_genes_dense_or_sparse(counts):
    expected = gammaln(counts.astype(float) + 1).mean(1)
    np.testing.assert_allclose(mean_log_factorial(counts), expected, rtol=1e-6)
    np.testing.assert_allclose(mean_log_factorial(sp.csr_matrix(counts)), expected, rtol=1e-6)


# Logarithms of DB-AAE ------------------------------------------------------------------------------------------------


def test_logarithms_are_those_of_scanpy_with_its_variable_genes(counts):
    counts[:, 3] = 0
    counts[:2, 3] = 5  # detected in two cells: no gene for the totals either
    reference = anndata.AnnData(counts.copy())
    sc.pp.filter_genes(reference, min_cells=3)
    sc.pp.normalize_total(reference, target_sum=1e4)
    sc.pp.log1p(reference)
    sc.pp.highly_variable_genes(reference, flavor="seurat", n_top_genes=12)
    reference = reference[:, reference.var["highly_variable"]]
    for kind in (np.asarray, sp.csr_matrix):
        normaliser = LogNormaliser(n_hvg=12).fit(kind(counts))
        got = normaliser(kind(counts))
        assert sp.issparse(got) is (kind is sp.csr_matrix)
        assert got.dtype == np.float32
        assert [str(i) for i in normaliser.genes] == list(reference.var_names)
        np.testing.assert_allclose(got.toarray() if sp.issparse(got) else got, reference.X, rtol=1e-5)


def test_cells_sum_to_the_target_before_variable_genes_are_chosen(counts):
    logs = LogNormaliser().fit(counts)(counts)
    np.testing.assert_allclose(np.expm1(logs.astype(float)).sum(1), 1e4, rtol=1e-5)
    assert logs.min() >= 0
    assert logs.max() <= 9.2104
    chosen = LogNormaliser(n_hvg=5).fit(counts)(counts)
    assert (np.expm1(chosen).sum(1) < 9e3).all()
    # one gene that has it all: the bound is reached, up to float32
    alone = np.zeros((4, 30), "float32")
    alone[:, 5] = 7
    assert LogNormaliser().fit(alone)(alone).max() == pytest.approx(np.log(10_001), rel=1e-6)


def test_genes_that_tie_with_the_last_variable_one_do_not_add_to_their_number(counts):
    twins = np.hstack([counts[:, :10]] * 2)
    chosen = LogNormaliser(min_cells=1, n_hvg=5).fit(twins)
    assert len(chosen.genes) == 5
    assert chosen.genes == sorted(chosen.genes)


def test_new_cells_are_transformed_with_the_genes_of_the_training(counts):
    normaliser = LogNormaliser(n_hvg=10).fit(counts)
    np.testing.assert_allclose(normaliser(counts[:1]), normaliser(counts)[:1], rtol=1e-6)


@pytest.mark.parametrize("n_hvg", [None, 12])
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_inverse_gives_the_counts_back(counts, kind, n_hvg):
    normaliser = LogNormaliser(n_hvg=n_hvg).fit(kind(counts))
    logs = normaliser(counts)
    back = normaliser.inverse(logs, kind(counts))
    np.testing.assert_allclose(back, counts[:, normaliser.genes], rtol=1e-4, atol=1e-4)
    # a shortfall of all logarithms alike is taken out of the total
    np.testing.assert_allclose(normaliser.inverse(logs * 0.9, counts).sum(1), back.sum(1), rtol=1e-5)
    assert not normaliser.inverse(np.zeros_like(logs), counts).any()


def test_genes_and_cells_that_cannot_be_used_are_refused(counts):
    with pytest.raises(ParameterError, match="n_hvg from 1 to the 29 genes"):
        LogNormaliser(n_hvg=30).fit(counts)
    with pytest.raises(DataError, match="got none of 30"):
        LogNormaliser(min_cells=51).fit(counts)
    empty = counts.copy()
    empty[4] = 0
    with pytest.raises(DataError, match="got none in 1 of 50 cells"):
        LogNormaliser().fit(counts)(empty)


def test_chosen_genes_survive_json(counts):
    normaliser = LogNormaliser(n_hvg=12).fit(counts)
    copy = LogNormaliser(**json.loads(json.dumps(normaliser.get_config())))
    np.testing.assert_array_equal(copy(counts), normaliser(counts))


def test_legacy_split_is_that_of_the_released_code():
    train, test = legacy_split(3005)
    assert (len(train), len(test)) == (2404, 601)
    assert train[:5].tolist() == [1827, 361, 1852, 2231, 1654]
    assert test[:5].tolist() == [673, 1201, 2690, 424, 325]
    assert sorted([*train, *test]) == list(range(3005))
    # cells per group of the published label file, which is sorted by group
    group = np.repeat(np.arange(9), [290, 390, 948, 820, 98, 175, 198, 26, 60])
    assert np.bincount(group[test]).tolist() == [49, 72, 206, 165, 15, 36, 45, 2, 11]


@pytest.mark.parametrize(("n", "train"), [(44_808, 35_846), (68_579, 54_863), (73_233, 58_586), (156_049, 124_839)])
def test_legacy_split_takes_four_fifths_rounded_down(n, train):
    assert len(legacy_split(n)[0]) == train


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
@pytest.mark.parametrize("method", ["sparse", "dense"])
def test_unit_scaler_fills_the_unit_interval(counts, kind, method):
    scaler = UnitScaler(method).fit(kind(counts))
    x = scaler(kind(counts))
    assert sp.issparse(x) == (kind is sp.csr_matrix and method == "sparse")
    x = x.toarray() if sp.issparse(x) else x
    assert x.dtype == np.float32
    if method == "sparse":
        np.testing.assert_allclose(x, np.log2(counts + 1) / np.log2(counts.max() + 1), rtol=1e-6)
        assert x.max() == 1
    else:
        varying = np.arange(30) != 7
        assert (x[:, varying].max(0) == 1).all()
        assert (x.min(0) == 0).all()
        assert (x[:, 7] == 0).all()


def test_unit_scaler_clips_new_cells_only_where_told(counts):
    for method in ("sparse", "dense"):
        assert UnitScaler(method).fit(counts)(counts * 2).max() > 1
        assert UnitScaler(method, clip=True).fit(counts)(counts * 2).max() == 1
    np.testing.assert_allclose(UnitScaler(unit=False, clip=True).fit(counts)(counts), np.log2(counts + 1), rtol=1e-6)


def test_unit_scaler_survives_its_file(counts):
    for method in ("sparse", "dense"):
        scaler = UnitScaler(method, clip=True).fit(counts)
        again = UnitScaler.from_config(json.loads(json.dumps(scaler.get_config())))
        np.testing.assert_array_equal(again(counts), scaler(counts))


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_genes_of_highest_variance_stand_in_the_order_of_the_file(counts, kind):
    for on, values in (("log", np.log2(counts + 1)), ("counts", counts)):
        best = highest_variance(kind(counts), 10, on)
        assert (np.diff(best) > 0).all()
        assert set(best) == set(np.argsort(values.var(axis=0))[-10:])
    with pytest.raises(ParameterError, match="expected 1 to 30 genes, got 31"):
        highest_variance(counts, 31)
    with pytest.raises(ParameterError, match="'log' or 'counts'"):
        highest_variance(counts, 3, "raw")


NARROW = [np.float16, np.uint8, np.int8, np.int16, np.uint16]


def deep(dtype):
    """Cells whose totals, and genes whose totals, exceed what small types can hold."""
    counts = np.random.default_rng(0).integers(1, 120, (700, 900))
    return counts.astype(dtype)


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("layout", [np.asarray, sp.csr_matrix])
def test_sums_are_those_of_the_counts_whatever_their_type(dtype, layout):
    if dtype == np.float16 and layout is not np.asarray:
        pytest.skip("SciPy has no sparse half-precision numbers")
    narrow, wide = layout(deep(dtype)), deep(np.int64)
    np.testing.assert_array_equal(size_factors(narrow, "total_median"), size_factors(wide, "total_median"))
    fitted, expected = (Standardiser().fit(x) for x in (narrow, wide))
    assert fitted.median == expected.median
    np.testing.assert_allclose(fitted.mean, expected.mean, rtol=1e-6)
    fitted, expected = (LogNormaliser(target_sum=1e4).fit(x) for x in (narrow, wide))
    logs = expected(wide)
    np.testing.assert_allclose(fitted.inverse(logs, narrow), expected.inverse(logs, wide), rtol=1e-6)
