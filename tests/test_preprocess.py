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
from scgen_lib.preprocess import LogNormaliser, Standardiser, mean_log_factorial, size_factors


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
