import numpy as np
import pytest

from scgen_lib.data import splatter
from scgen_lib.metrics import denoising, molecular, smoothing


@pytest.fixture(scope="module")
def simulated():
    cells = splatter.preset("splat_g2_nodrop", batch_cells=(80,), n_genes=60, seed=1, de_prob=0.5)
    return cells.X, cells.layers["base_cell_means"], cells.obs["group"].to_numpy()


@pytest.mark.parametrize("smooth", [smoothing.low_rank, smoothing.neighbour_mean])
def test_a_smoother_keeps_totals_and_comes_nearer_to_the_means(simulated, smooth):
    counts, means, _ = simulated
    y = smooth(counts)
    assert y.min() >= 0
    np.testing.assert_allclose(y.sum(axis=1), counts.sum(axis=1))
    before, after = (denoising.truth_scores(x, means, counts)["mse"] for x in (counts, y))
    assert after < 0.7 * before


def test_all_components_give_the_counts_back(simulated):
    counts = simulated[0]
    np.testing.assert_allclose(smoothing.low_rank(counts, 60), counts, atol=1e-6)


def test_one_neighbour_is_the_cell_itself_and_all_of_them_are_the_gene_mean(simulated):
    counts = simulated[0]
    np.testing.assert_allclose(smoothing.neighbour_mean(counts, 1), counts)
    np.testing.assert_allclose(smoothing.neighbour_mean(counts, 1000), molecular.gene_mean(counts))


def test_neighbours_are_of_the_same_group_where_groups_lie_apart():
    counts = np.repeat([[40, 0, 10], [0, 40, 10]], 20, axis=0) + np.eye(40, 3, dtype=int)
    y = smoothing.neighbour_mean(counts, 5, components=2)
    assert y[:20, 1].max() < 1
    assert y[20:, 0].max() < 1


def test_an_empty_cell_stays_empty(simulated):
    counts = simulated[0].copy()
    counts[3] = 0
    for smooth in (smoothing.low_rank, smoothing.neighbour_mean):
        assert (smooth(counts)[3] == 0).all()
