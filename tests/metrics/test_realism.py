import numpy as np
import pytest
import scipy.sparse as sp

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import realism


def test_forest_cannot_tell_halves_and_can_tell_a_shift(train):
    x = realism.log(train.counts)
    settings = {"trees": 50, "repeats": 1}
    assert 0.35 <= realism.rf_auc(x[:250], x[250:], **settings)["rf_auc"] <= 0.65
    assert realism.rf_auc(x[:250], x[250:] + 5 * x.std(axis=0), **settings)["rf_auc"] > 0.99
    with pytest.raises(DataError, match="as many of each"):
        realism.rf_auc(x[:100], x[100:])


def test_gene_moments_follow_their_definition():
    x = np.array([[0.0, 2.0, 0.0], [1.0, 4.0, 0.0]])
    curves = realism.gene_curves(sp.csr_matrix(x))
    assert curves["mean"].tolist() == [0.5, 3, 0]
    assert curves["variance"].tolist() == [0.5, 2, 0]
    assert curves["zeros"].tolist() == [0.5, 0, 1]
    scores = realism.per_gene(x, x + np.array([1, 1, 0]))
    assert scores["mean_rmse"] == pytest.approx(1)  # the third gene is zero everywhere and does not count
    assert scores["genes_dropped"] == 1
    assert scores["variance_rmse"] == 0
    assert scores["mean_pearson"] == pytest.approx(1)


def test_depth_is_not_judged_where_it_is_not_modelled(test):
    normalised = test.counts / test.counts.sum(axis=1, keepdims=True) * 2e4
    scores = realism.per_cell(test.counts, normalised.astype(np.float32))
    assert np.isnan(scores["library_ks"])
    assert np.isnan(scores["library_w1"])
    assert scores["detected_ks"] == scores["detected_w1"] == 0
    shifted = realism.per_cell(test.counts, test.counts * 1000)
    assert shifted["library_ks"] == 1
    assert shifted["library_median"] == 1000 * np.median(test.counts.sum(axis=1))


def test_correlation_agreement_needs_genes_that_vary(test):
    x = realism.log(test.counts)
    assert realism.corr_agreement(x, x, range(30))["corr_pearson"] == pytest.approx(1)
    still = x.copy()
    still[:, :10] = 1.0
    found = realism.corr_agreement(x, still, range(30), test.labels, test.labels, min_cells=10)
    assert found["corr_pearson"] == pytest.approx(1)
    assert found["n_clusters"] == 2
    assert np.isnan(realism.corr_agreement(x, np.ones_like(x), range(30))["corr_pearson"])
    assert np.isnan(realism.corr_agreement(x, x, range(30), test.labels, test.labels, 500)["corr_within_pearson"])


def test_genes_are_chosen_on_the_training_cells():
    x = np.array([[9.0, 1.0, 0.0, 5.0], [9.0, 1.0, 4.0, 7.0]])
    assert realism.top_genes(x, 2).tolist() == [0, 3]
    assert realism.top_genes(x, 2, by="variance").tolist() == [2, 3]
    with pytest.raises(ParameterError, match="mean or variance"):
        realism.top_genes(x, 2, by="dispersion")


def test_space_is_fixed_on_the_training_cells(train, test):
    x = realism.log(train.counts)
    space = realism.Space.fit(x, n=10)
    assert space(x).shape == (500, 10)
    np.testing.assert_allclose(
        abs(space(x)).mean(axis=0), abs(realism.Space.fit(sp.csr_matrix(x), n=10)(x)).mean(axis=0)
    )
    # centred on the training cells, not on the cells it is given
    np.testing.assert_allclose(space(x).mean(axis=0), 0, atol=1e-8)
    assert abs(space(realism.log(test.counts[test.labels == "a"])).mean(axis=0)).max() > 0.5
