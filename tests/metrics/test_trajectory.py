import numpy as np
import pytest
import scipy.sparse as sp

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import trajectory

ORDER = ["early", "middle", "late"]
METHODS = ["dpt", "curve", "pc1"]


@pytest.fixture(scope="module")
def arc():
    """Cells along a bent line of 40 genes, their true times and three stages."""
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 1, 150))
    plane = np.column_stack([5 * time, 8 * (time - 0.5) ** 2])
    loadings, _ = np.linalg.qr(rng.normal(size=(40, 2)))
    x = 3 + plane @ loadings.T + rng.normal(0, 0.05, (150, 40))
    return x, time, np.array(ORDER)[np.digitize(time, [1 / 3, 2 / 3])]


# diffusion is compiled for seconds
@pytest.mark.parametrize("method", [pytest.param(name, marks=[pytest.mark.slow] * (name == "dpt")) for name in METHODS])
def test_order_of_a_bent_line_is_found(arc, method):
    x, time, _ = arc
    points = trajectory.components(x)
    found = trajectory.pseudotime(points, 0, method=method)
    assert found.shape == (150,)
    assert found.min() >= 0
    scores = trajectory.ordering_scores(found, time)
    assert scores["spearman"] > 0.97
    # no ties, but of cells that share a corner of the curve
    assert scores["pos"] == pytest.approx(scores["kendall"], abs=1e-3)
    np.testing.assert_array_equal(found, trajectory.pseudotime(points, 0, method=method))
    other = trajectory.pseudotime(points, 0, method=method, seed=1)
    # the graph of 150 cells is exact, so another seed only starts the diffusion map elsewhere
    np.testing.assert_allclose(other, found, atol=1e-3 * found.max())


def test_principal_curve_measures_arc_length_where_a_component_cannot(arc):
    x, time, _ = arc
    rotated = trajectory.components(x) @ np.eye(10)
    length = np.concatenate([[0], np.cumsum(np.hypot(np.diff(5 * time), np.diff(8 * (time - 0.5) ** 2)))])
    curve = trajectory.pseudotime(rotated, 0, method="curve")
    assert np.corrcoef(curve, length)[0, 1] > 0.999
    assert curve.max() == pytest.approx(length[-1], rel=0.05)
    assert trajectory.ordering_scores(curve, length)["r2"] > trajectory.ordering_scores(rotated[:, 0], length)["r2"]


@pytest.mark.parametrize("method", METHODS)
def test_the_root_and_not_the_score_decides_the_direction(arc, method):
    x, time, _ = arc
    points = trajectory.components(x)
    backwards = trajectory.pseudotime(points, 149, method=method)
    scores = trajectory.ordering_scores(backwards, time)
    assert max(scores["spearman"], scores["kendall"], scores["pos"]) < -0.8
    forwards = trajectory.ordering_scores(trajectory.pseudotime(points, 0, method=method), time)
    assert scores["r2"] == pytest.approx(forwards["r2"], abs=0.1)


def test_scores_of_a_hand_made_order_with_ties():
    time, stages = [0.1, 0.3, 0.2, 0.3], ["a", "a", "b", "c"]
    scores = trajectory.ordering_scores(time, stages, ["a", "b", "c"])
    # pairs of different stages: (1,3)+ (1,4)+ (2,3)- (2,4)tie (3,4)+; ties in time: one pair, in stage: one
    assert scores["pos"] == pytest.approx((3 - 1) / 5)
    assert scores["kendall"] == pytest.approx((3 - 1) / 5)
    ranks = np.corrcoef([1, 3.5, 2, 3.5], [1.5, 1.5, 3, 4])[0, 1]
    assert scores["spearman"] == pytest.approx(ranks)
    assert scores["r2"] == pytest.approx(np.corrcoef(time, [1, 1, 2, 3])[0, 1] ** 2)
    assert (scores["n"], scores["n_excluded"]) == (4, 0)


def test_r2_does_not_depend_on_scale_or_direction():
    rng = np.random.default_rng(1)
    time, stages = rng.uniform(size=50), rng.integers(1, 6, 50)
    expected = trajectory.ordering_scores(time, stages)["r2"]
    assert trajectory.ordering_scores(7 - 3 * time, stages)["r2"] == pytest.approx(expected)


def test_ordering_score_of_stages_is_one_where_no_stage_is_broken():
    scores = trajectory.ordering_scores([0.1, 0.2, 0.4, 0.5, 0.8], ["a", "a", "b", "b", "c"], ["a", "b", "c"])
    assert scores["pos"] == pytest.approx(1)
    assert scores["kendall"] < 1  # tau-b charges the ties of the stages


def test_lineages_are_scored_apart_and_weighted_by_cells():
    time = np.array([1.0, 2, 3, 4, 4, 3, 2, 1, 0])
    stages, lineages = np.array([1.0, 2, 3, 4, 1, 2, 3, 4, 5]), ["up"] * 4 + ["down"] * 5
    assert trajectory.ordering_scores(time, stages, lineages=lineages)["spearman"] == pytest.approx((4 - 5) / 9)
    assert trajectory.ordering_scores(time, stages, lineages=lineages)["r2"] == pytest.approx(1)


def test_cells_that_the_graph_does_not_reach_are_counted_and_left_out(arc):
    x, time, _ = arc
    points = trajectory.components(x)
    points = np.vstack([points, points[:30] + 1000])
    found = trajectory.pseudotime(points, 0)
    assert np.isinf(found).sum() == 30
    scores = trajectory.ordering_scores(found, np.concatenate([time, time[:30]]))
    assert (scores["n"], scores["n_excluded"]) == (150, 30)
    assert scores["spearman"] > 0.97
    nothing = trajectory.ordering_scores(np.full(5, np.inf), np.arange(5.0))
    assert nothing["n_excluded"] == 5
    assert np.isnan(nothing["spearman"])


def test_components_take_the_genes_of_highest_variance_whatever_the_storage():
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, (40, 6)) * [0.1, 5, 0.1, 4, 3, 0.1] * (rng.random((40, 6)) > 0.2)
    chosen = trajectory.components(x, 2, n_genes=3)
    np.testing.assert_allclose(chosen, trajectory.components(x[:, [1, 3, 4]], 2), atol=1e-8)
    np.testing.assert_allclose(trajectory.components(sp.csr_matrix(x), 2, n_genes=3), chosen, atol=1e-8)


def test_root_is_the_middle_of_the_first_stage():
    points = np.array([[0.0], [1.0], [5.0], [2.0]])
    assert trajectory.medoid(points, ["a", "a", "b", "a"], "a") == 1
    with pytest.raises(DataError, match="none of 'z'"):
        trajectory.medoid(points, ["a", "a", "b", "a"], "z")


def test_bad_input_is_refused(arc):
    x, time, stages = arc
    bad = x.copy()
    bad[0, 0] = np.nan
    with pytest.raises(DataError, match="finite"):
        trajectory.components(bad)
    with pytest.raises(DataError, match="1 are NaN"):
        trajectory.ordering_scores([np.nan, 1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="2 for 3 stages"):
        trajectory.ordering_scores([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="got 'late'"):
        trajectory.ordering_scores(time, stages, ORDER[:2])
    with pytest.raises(DataError, match="stages that are numbers"):
        trajectory.ordering_scores(time, stages)
    with pytest.raises(ParameterError, match="among dpt, curve, pc1"):
        trajectory.pseudotime(x, 0, method="slingshot")
    with pytest.raises(ParameterError, match="rows 0 to 149"):
        trajectory.pseudotime(x, 150)
    with pytest.raises(DataError, match="ten cells"):
        trajectory.pseudotime(x[:9], 0)
