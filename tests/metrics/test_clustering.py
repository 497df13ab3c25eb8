import numpy as np
import pandas as pd
import pytest

from scgen_lib.data import splatter
from scgen_lib.errors import DataError
from scgen_lib.metrics import clustering

CHANCE = ("ari", "ami")


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    labels = np.repeat(["T", "B", "NK"], 60)
    return rng.normal(0, 1, (180, 4)) + np.repeat([[0], [8], [16]], 60, axis=0), labels


def test_any_relabelling_scores_one():
    labels = np.repeat(["a", "b", "c"], [5, 20, 3])
    scores = clustering.clustering_scores(labels, pd.Categorical(labels).rename_categories(["z", "x", "y"]))
    assert set(scores) == {"nmi", "ari", "ami", "homogeneity", "completeness", "v_measure", "accuracy"}
    assert all(type(score) is float for score in scores.values())
    assert list(scores.values()) == pytest.approx([1] * 7, abs=1e-12)  # rounding of the logarithms


def test_random_labels_score_zero_where_adjusted_for_chance():
    rng = np.random.default_rng(0)
    scores = clustering.clustering_scores(rng.integers(0, 5, 5000), rng.integers(0, 5, 5000))
    assert max(abs(scores[name]) for name in CHANCE) < 0.01  # sd about 0.0005 at 5000 cells
    assert scores["nmi"] > 0


def test_v_measure_is_the_arithmetic_nmi_and_splitting_keeps_homogeneity():
    labels, clusters = np.repeat([0, 1], 10), np.repeat([0, 1, 2, 3], 5)
    scores = clustering.clustering_scores(labels, clusters)
    assert scores["v_measure"] == pytest.approx(scores["nmi"], abs=1e-12)
    assert scores["homogeneity"] == pytest.approx(1)
    assert scores["completeness"] == pytest.approx(0.5)
    assert scores["accuracy"] == pytest.approx(0.5)
    # entropies ln 2 and ln 4: the geometric mean is smaller than the arithmetic one, so NMI is larger
    geometric = clustering.clustering_scores(labels, clusters, average_method="geometric")["nmi"]
    assert geometric == pytest.approx(1 / np.sqrt(2))
    assert scores["nmi"] == pytest.approx(2 / 3)


def test_gaps_and_lengths_are_refused():
    with pytest.raises(DataError, match="without gaps"):
        clustering.clustering_scores([0, 1, None], [0, 1, 1])
    with pytest.raises(DataError, match="without gaps"):
        clustering.clustering_scores([0.0, np.nan], [0, 1])
    with pytest.raises(DataError, match="3 labels and 2 clusters"):
        clustering.clustering_scores([0, 1, 2], [0, 1])


def test_silhouette_follows_its_definition(blobs):
    points, labels = np.array([[0.0], [1.0], [5.0], [7.0]]), ["x", "x", "y", "y"]
    a, b = np.array([1, 1, 2, 2]), np.array([6, 5, 4.5, 6.5])
    assert clustering.silhouette(points, labels) == pytest.approx(((b - a) / np.maximum(a, b)).mean())
    assert clustering.silhouette(*blobs) > 0.7


def test_silhouette_of_a_subsample_is_close_and_repeatable(blobs):
    whole, part = clustering.silhouette(*blobs), clustering.silhouette(*blobs, max_cells=90)
    assert part == clustering.silhouette(*blobs, max_cells=90)
    assert part != clustering.silhouette(*blobs, seed=1, max_cells=90)
    assert part == pytest.approx(whole, abs=0.05)  # widths have an sd of about 0.1, so 0.01 for the mean of 90


def test_silhouette_refuses_what_has_no_meaning(blobs):
    points, labels = blobs
    with pytest.raises(DataError, match="two labels or more"):
        clustering.silhouette(points, ["T"] * 180)
    with pytest.raises(DataError, match="NaN"):
        clustering.silhouette(np.where(points > 1, np.nan, points), labels)


def test_kmeans_recovers_separate_groups_with_mean_and_sd(blobs):
    table = clustering.kmeans_scores(*blobs, seeds=range(3))
    assert list(table.columns) == ["mean", "sd"]
    assert (table["mean"] > 0.999).all()
    assert (table["sd"] < 1e-9).all()


def test_silhouettes_of_known_groups_fall_with_dropout():
    adata = splatter.preset("dca_g2_fig2", batch_cells=(300,), light=True)
    true, observed = (clustering.embed(x) for x in (adata.layers["true_counts"], adata.X))
    assert set(true) == {"pc2", "pc10", "tsne"}
    for space in true:
        assert clustering.silhouette(true[space], adata.obs["group"]) > clustering.silhouette(
            observed[space], adata.obs["group"]
        )
    again = clustering.embed(adata.X, spaces=["pc2"])
    np.testing.assert_array_equal(again["pc2"], observed["pc2"])


def test_tsne_takes_the_iterations_asked_for_and_separates_blobs(blobs):
    x, labels = blobs
    short, default = clustering.tsne(x, iterations=250), clustering.tsne(x)
    assert clustering.silhouette(short, labels) > 0.3
    np.testing.assert_array_equal(default, clustering.tsne(x, iterations=1000))
    assert not np.array_equal(short, default)
    coarse = clustering.tsne(x, angle=1.0)
    assert clustering.silhouette(coarse, labels) > 0.3
    assert not np.array_equal(coarse, default)
