"""Transforms of counts against scanpy, and the size factors of every version."""

import json

import anndata
import numpy as np
import pytest
import scanpy as sc
import scipy.sparse as sp
import tensorflow as tf
from scipy.special import gammaln

from scgen_lib.errors import DataError
from scgen_lib.preprocess import Standardiser, mean_log_factorial, size_factors


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
