import numpy as np
import pytest

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import mixing


@pytest.fixture
def clouds():
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (200, 5)), rng.normal(0, 1, (200, 5))


def naive_mmd2(x, y, m):
    def k(a, b):
        return sum(np.exp(-np.sum((a - b) ** 2) / s**2) for s in (m / 2, m, 2 * m)) / 3

    n = len(x)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j)
    yy = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j)
    xy = sum(k(a, b) for a in x for b in y)
    return (xx + yy) / (n * (n - 1)) - 2 * xy / n**2, xx / (n * (n - 1)), yy / (n * (n - 1))


def test_mmd_equals_a_double_loop_and_its_bias_the_missing_diagonal():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, (20, 3)), rng.normal(0.5, 1, (20, 3))
    expected, xx, yy = naive_mmd2(x, y, 1.7)
    found = mixing.mmd2(x, y, 1.7, permutations=0)
    assert found["mmd2"] == pytest.approx(expected, abs=1e-10)
    bias = (1 - xx) / 20 + (1 - yy) / 20
    assert found["mmd2_legacy"] / 3 - found["mmd2"] == pytest.approx(bias, abs=1e-10)
    assert np.isnan(found["mmd2_p"])


def test_mmd_does_not_depend_on_order_rotation_or_blocks(clouds, monkeypatch):
    x, y = clouds
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(5, 5)))
    value = mixing.mmd2(x, y, 2.0, permutations=0)["mmd2"]
    turned = mixing.mmd2(x[::-1] @ rotation + 3, y @ rotation + 3, 2.0, permutations=0)["mmd2"]
    assert turned == pytest.approx(value, abs=1e-10)
    monkeypatch.setattr(mixing, "ROWS_AT_ONCE", 37)
    assert mixing.mmd2(x, y, 2.0, permutations=0)["mmd2"] == pytest.approx(value, abs=1e-12)


def test_mmd_of_two_samples_of_one_distribution_is_zero_on_average():
    rng = np.random.default_rng(3)
    points = rng.gamma(2, 1, (120, 4))
    values = []
    for _ in range(200):
        order = rng.permutation(120)
        values.append(mixing.mmd2(points[order[:60]], points[order[60:]], 1.5, permutations=0)["mmd2"])
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(values) < 0


def test_permutations_find_a_shift_and_repeat_with_their_seed(clouds):
    x, y = clouds
    same, shifted = mixing.mmd2(x, y, 2.0, permutations=99), mixing.mmd2(x, y + 0.5, 2.0, permutations=99)
    assert same["mmd2_p"] > 0.05
    assert shifted["mmd2_p"] == pytest.approx(0.01)
    assert same == mixing.mmd2(x, y, 2.0, permutations=99)
    other = mixing.mmd2(x, y, 2.0, permutations=99, seed=1)
    assert other["mmd2"] == same["mmd2"]
    assert other["mmd2_p"] == pytest.approx(same["mmd2_p"], abs=0.25)  # sd of a share of 99 is 0.05 at most
    # the same points twice: no relabelling lies apart, and rounding does not decide
    assert mixing.mmd2(x, x, 2.0, permutations=50)["mmd2_p"] > 0.9


def test_p_values_of_equal_distributions_are_uniform():
    rng = np.random.default_rng(4)
    p = [mixing.mmd2(*rng.normal(size=(2, 30, 2)), 1.0, permutations=39)["mmd2_p"] for _ in range(200)]
    assert np.mean(np.array(p) <= 0.25) == pytest.approx(0.25, abs=0.1)  # 3 sd of a share of 200


def test_bandwidth_is_the_median_distance_to_neighbours():
    points = np.array([[0.0], [1.0], [3.0], [7.0]])
    # two nearest others: (1, 3), (1, 2), (2, 3), (4, 6)
    assert mixing.bandwidth(points, neighbours=2) == pytest.approx(np.median([2, 1.5, 2.5, 5]))
    cloud = np.random.default_rng(5).normal(size=(600, 3))
    assert mixing.bandwidth(cloud, max_cells=200) == pytest.approx(mixing.bandwidth(cloud), rel=0.1)
    with pytest.raises(ParameterError, match="above 0"):
        mixing.mmd2(points, points, 0)


def test_mixed_and_separate_clouds(clouds):
    x, y = clouds
    # 46 cells of each side at every place mix perfectly; independent samples leave the noise of 30 neighbours
    places = np.repeat(x[:4], 46, axis=0)
    mixed, sampled, apart = mixing.lisi(places, places), mixing.lisi(x, y), mixing.lisi(x, y + 100)
    assert mixed["lisi_mean"] > 1.9
    assert mixed["lisi_median"] > 1.9
    assert 1.8 < sampled["lisi_mean"] < mixed["lisi_mean"]
    assert apart["lisi_mean"] < 1.05
    # an edge of the cloud sees a few more of its own side
    assert mixing.knn_mix(x, y) == pytest.approx(200 / 399, abs=0.03)
    assert mixing.knn_mix(x, y + 100) == 0
    with pytest.raises(DataError, match="sides of one size"):
        mixing.knn_mix(x, y[:50])
    with pytest.raises(DataError, match="same dimensions"):
        mixing.lisi(x, y[:, :2])


def test_lisi_weights_have_the_perplexity_asked_for(clouds):
    distances = np.sort(np.random.default_rng(6).gamma(5, 3, (50, 90)), axis=1)
    weights = mixing._weights(distances, 30)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(-(weights * np.log(weights)).sum(axis=1)), 30, rtol=1e-6)
    assert (np.diff(weights, axis=1) <= 0).all()
    assert mixing._weights(np.zeros((2, 9)), 3).tolist() == np.full((2, 9), 1 / 9).tolist()


def test_nearest_training_cells_tell_copies_from_new_cells(clouds):
    x, y = clouds
    train = np.random.default_rng(7).normal(0, 1, (400, 5))
    new = mixing.nn_train(train, x, y)
    assert new["nn_train"] == pytest.approx(1, abs=0.1)
    assert new["copies"] == 0
    copied = mixing.nn_train(train, x, train[:50])
    assert copied == {"nn_train": pytest.approx(0, abs=1e-6), "nn_train_5": pytest.approx(0, abs=1e-6), "copies": 1}
    assert mixing.nn_train(train, x, y * 4)["nn_train"] > 3
