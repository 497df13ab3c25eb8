import numpy as np
import pandas as pd
import pytest

from scgen_lib.errors import DataError
from scgen_lib.metrics import designed

PROPORTIONS = np.array([[1, 0], [1, 0], [0, 1], [0.25, 0.75], [0.33, 0.33]])


def test_a_mixture_is_made_of_the_profiles_of_the_pure_samples_alone():
    counts = np.array([[8, 2], [2, 8], [1, 9], [500, 0], [500, 0]])
    truth, mixed = designed.mixture_truth(counts, PROPORTIONS)
    assert mixed.tolist() == [False, False, False, True, True]
    np.testing.assert_allclose(truth[3], [0.25 * 0.5 + 0.75 * 0.1, 0.25 * 0.5 + 0.75 * 0.9])
    np.testing.assert_allclose(truth[4], [0.3, 0.7])  # rounded proportions are brought to a sum of 1
    np.testing.assert_allclose(truth.sum(axis=1), 1)


def test_a_mixture_without_pure_samples_is_refused():
    with pytest.raises(DataError, match="pure cell of each of 2 components"):
        designed.mixture_truth(np.ones((2, 2)), PROPORTIONS[3:])


def test_proportions_are_found_where_they_are_linear_and_not_where_there_is_nothing():
    rng = np.random.default_rng(0)
    share = rng.dirichlet([1, 1, 1], 100)
    assert designed.proportions_r2(share @ rng.normal(size=(3, 4)), share) == pytest.approx(1)
    assert designed.proportions_r2(rng.normal(size=(100, 4)), share) < 0.1
    assert designed.proportions_r2(np.zeros((100, 4)), share) < 0.01


def test_spike_ins_as_added_have_no_error_and_differ_in_no_cell():
    molecules = np.array([100.0, 50.0, 1.0])
    perfect = np.outer([1, 2, 0.5, 0], molecules)  # other depths, and a cell without any
    assert designed.spike_scores(perfect, molecules) == pytest.approx({"spike_mse": 0, "spike_sd": 0})
    noisy = np.random.default_rng(0).poisson(np.outer(np.ones(500), molecules))
    captured = noisy * [1, 0.1, 1]
    few, biased = (designed.spike_scores(x, molecules) for x in (noisy, captured))
    assert 0 < few["spike_mse"] < biased["spike_mse"]
    # a spike-in of n molecules has a relative error of 1 / √n
    assert designed.spike_scores(noisy[:, :2], molecules[:2])["spike_sd"] == pytest.approx(
        (np.sqrt(1 / 100 + 1 / 50) * (50 + 100) / 150) / 2, rel=0.2
    )
    with pytest.raises(DataError, match="each of 3 spike-ins, got 2"):
        designed.spike_scores(noisy, molecules[:2])


def test_bulk_is_compared_by_rank_over_the_genes_that_both_have():
    rng = np.random.default_rng(0)
    genes = [f"g{i}" for i in range(40)]
    bulk = pd.DataFrame({"a": rng.gamma(1, 50, 30), "b": 0.0}, index=genes[:30])
    cells = rng.poisson(np.outer(np.ones(50), np.r_[bulk["a"], rng.gamma(1, 50, 10)]) / 10)
    found = designed.bulk_scores(cells, genes, bulk)
    assert found["bulk_mean"] > 0.97
    assert 0.6 < found["bulk_cell"] < found["bulk_mean"]
    perfect = np.tile(np.r_[bulk["a"], np.ones(10)], (5, 1))
    assert designed.bulk_scores(perfect, genes, bulk) == pytest.approx({"bulk_mean": 1, "bulk_cell": 1})
    with pytest.raises(DataError, match="ten genes or more with a bulk value, got 0 of 40"):
        designed.bulk_scores(cells, [f"NM_{i}" for i in range(40)], bulk)
