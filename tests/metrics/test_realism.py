import numpy as np
import pytest
import scipy.sparse as sp

from scgen_lib.data import splatter
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import realism

CHEAP = {"trees": 30, "folds": 4, "repeats": 1, "permutations": 20}
CONTROLS = ["real", "bootstrap", "permuted", "poisson"]


def correlated(n_cells, seed, n_genes=120):
    """Counts of two labels with programmes of genes within each label, deep enough for their correlation to be seen."""
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(0)
    labels = rng.choice(["a", "b"], n_cells, p=[0.6, 0.4])
    level = {label: fixed.gamma(1.0, 3.0, n_genes) for label in "ab"}
    programmes = fixed.choice(4, n_genes)
    activity = np.exp(rng.normal(0, 0.7, (n_cells, 4)))
    mean = np.stack([level[label] for label in labels]) * activity[:, programmes]
    return realism.Cells(rng.poisson(mean * rng.gamma(8, 1 / 8, (n_cells, 1))), labels)


@pytest.fixture(scope="module")
def train():
    return correlated(500, 1)


@pytest.fixture(scope="module")
def test():
    return correlated(200, 2)


@pytest.fixture(scope="module")
def table(train, test):
    collapsed = realism.Cells(np.repeat(test.counts[:20], 10, axis=0), np.repeat(test.labels[:20], 10))
    nb = realism.Cells(realism.parametric(train, test.labels), test.labels)
    return realism.score(train, test, {"nb": nb, "collapsed": collapsed}, seeds=range(2), min_cells=40, **CHEAP)


@pytest.fixture(scope="module")
def means(table):
    return realism.summary(table)["mean"].unstack("method")


def test_controls_are_ordered(means):
    for metric in ("rf_auc", "mmd2"):
        assert means.loc[metric, "real"] < means.loc[metric, "permuted"] < means.loc[metric, "poisson"], metric
    for metric in ("knn_mix", "lisi_mean"):
        assert means.loc[metric, "real"] > means.loc[metric, "permuted"] > means.loc[metric, "poisson"], metric
    assert 0.35 < means.loc["rf_auc", "real"] < 0.65
    assert means.loc["corr_within_rms", "real"] < 0.8 * means.loc["corr_within_rms", ["permuted", "poisson"]].min()
    # genes are independent within labels after permutation; 6,000 pairs of genes make this mean exact to about 0.05
    assert means.loc["corr_within_pearson", "real"] > 0.7
    assert abs(means.loc["corr_within_pearson", "permuted"]) < 0.15


def test_a_memorising_and_a_collapsed_simulator_are_found_out(means):
    assert means.loc["copies", "bootstrap"] == 1
    assert means.loc["nn_train", "bootstrap"] < 1e-3
    assert means.loc["copies", ["real", "permuted", "nb"]].max() == 0
    assert means.loc["nn_train", "real"] == pytest.approx(1, abs=0.15)
    assert means.loc["distinct", "collapsed"] <= 0.1
    assert means.loc["distinct", ["real", "nb"]].min() == 1


def test_table_names_method_metric_space_and_size_of_every_score(table):
    assert list(table.columns) == ["seed", "method", "metric", "value", "space", "n_real", "n_fake"]
    assert list(table["method"].unique()) == [*CONTROLS, "nb", "collapsed", "test"]
    assert (table[["n_real", "n_fake"]] == 200).all(axis=None)
    assert not table.duplicated(["seed", "method", "metric"]).any()
    assert set(table["space"]) == {"log", "pc50", "counts"}
    assert table["value"].dtype == float
    full = table[table["method"] != "test"].groupby(["seed", "method"])["metric"].agg(set)
    assert all(metrics == full.iloc[0] for metrics in full)
    held_out = table[table["method"] == "test"]
    assert set(held_out["metric"]) == {"forest_accuracy", "forest_f1", "logistic_accuracy", "logistic_f1"}
    summary = realism.summary(table)
    assert list(summary.columns) == ["mean", "sd", "n"]
    one = table.query("method == 'nb' and metric == 'mmd2'")["value"]
    assert summary.loc[("nb", "mmd2"), "sd"] == pytest.approx(one.std())


def test_scores_repeat_with_the_seed(train, test, table):
    settings = CHEAP | {"min_cells": 40}
    again = realism.score(train, test, {}, seeds=[1], **settings)
    first = table[(table["seed"] == 1) & table["method"].isin([*CONTROLS, "test"])].reset_index(drop=True)
    np.testing.assert_array_equal(first["value"], again["value"])
    assert list(first["metric"]) == list(again["metric"])
    value = table.query("method == 'real' and metric == 'rf_auc'")["value"]
    assert value.nunique() == 2
    assert np.ptp(value) < 0.2  # standard error of an area under the curve of 200 cells a side is 0.03


def test_sparse_cells_score_as_dense_ones(train, test):
    settings = CHEAP | {"trees": 5, "seeds": [0], "n": 60, "min_cells": 10}
    sparse = [realism.Cells(sp.csr_matrix(cells.counts), cells.labels) for cells in (train, test)]
    a, b = realism.score(train, test, {}, **settings), realism.score(*sparse, {}, **settings)
    exact = ~a["metric"].isin(["rf_auc", "rf_auc_sd"]) & ~a["metric"].str.startswith("forest")
    # components agree to rounding, at which a split of a tree may turn over
    np.testing.assert_allclose(a["value"][exact], b["value"][exact], rtol=1e-5, atol=1e-7)
    assert (a["n_real"] == 60).all()


def test_cells_without_labels_score_what_needs_none(train, test):
    found = realism.score(realism.Cells(train.counts), realism.Cells(test.counts), {}, seeds=[0], n=40, **CHEAP)
    assert not found["metric"].str.contains("forest|logistic|reverse|markers").any()
    assert set(found["method"]) == set(CONTROLS)
    assert {"rf_auc", "mmd2", "sd_ratio", "corr_pearson"} <= set(found["metric"])


def test_labels_are_scored_each_for_itself(train, test):
    settings = CHEAP | {"trees": 5, "seeds": [0]}
    found = realism.score_by_label(train, test, {"again": test}, min_cells=100, **settings)
    assert set(found["label"]) == {"a"}  # 40 % of 200 cells are fewer than 100
    assert found["n_real"].iloc[0] == (test.labels == "a").sum()
    assert found.query("method == 'again' and metric == 'mean_rmse'")["value"].item() == 0
    assert realism.score_by_label(train, test, {}, min_cells=1000).empty
    with pytest.raises(DataError, match="labels on every side, but more has none"):
        realism.score_by_label(train, test, {"more": realism.Cells(test.counts)})


def test_scoring_refuses_what_cannot_be_compared(train, test):
    empty = test.counts.copy()
    empty[3] = 0
    with pytest.raises(ParameterError, match="one is 'real'"):
        realism.score(train, test, {"real": test})
    with pytest.raises(DataError, match=r"120 genes of the training cells, but few has 7"):
        realism.score(train, test, {"few": realism.Cells(test.counts[:, :7])})
    with pytest.raises(DataError, match="5 to 200 cells a side, but n is 400"):
        realism.score(train, test, {}, n=400)
    with pytest.raises(DataError, match="empty"):
        realism.score(train, test, {"empty": realism.Cells(empty)}, seeds=[0], **CHEAP)
    kept = realism.score(train, test, {"empty": realism.Cells(empty)}, seeds=[0], allow_empty=True, **CHEAP)
    assert kept["value"].notna().any()


def test_controls_of_sparse_cells_may_be_empty():
    counts = np.random.default_rng(0).poisson(0.05, (120, 40))
    counts = counts[counts.sum(axis=1) > 0]
    assert (realism.controls(realism.Cells(counts), 30)[0]["permuted"].counts.sum(axis=1) == 0).any()
    found = realism.score(realism.Cells(counts[30:]), realism.Cells(counts[:30]), {}, seeds=[0], **CHEAP)
    assert found.groupby("method").size().nunique() == 1


def test_forest_cannot_tell_halves_and_can_tell_a_shift(train):
    x = realism.log(train.counts)
    settings = {"trees": 50, "repeats": 1}
    assert 0.35 <= realism.rf_auc(x[:250], x[250:], **settings)["rf_auc"] <= 0.65
    assert realism.rf_auc(x[:250], x[250:] + 5 * x.std(axis=0), **settings)["rf_auc"] > 0.99
    with pytest.raises(DataError, match="as many of each"):
        realism.rf_auc(x[:100], x[100:])


def test_permutation_keeps_every_gene_and_no_correlation(train):
    counts, labels = train
    for kind in (np.asarray, sp.csr_matrix):
        permuted = realism.permute(kind(counts), labels, seed=3)
        assert sp.issparse(permuted) == (kind is sp.csr_matrix)
        permuted = permuted.toarray() if sp.issparse(permuted) else permuted
        for label in "ab":
            assert (np.sort(permuted[labels == label], axis=0) == np.sort(counts[labels == label], axis=0)).all()
        assert (permuted != counts).any()
        within = realism.correlations(permuted[labels == "a"], range(40))[np.triu_indices(40, 1)]
        assert abs(within.mean()) < 0.02  # 780 pairs of 300 cells, sd of one 0.06


def test_poisson_and_negative_binomial_keep_the_moments_they_model(train):
    counts, labels = train
    wanted = np.repeat(["b", "a"], 4000)
    real = counts[labels == "a"]
    drawn = {
        name: realism.parametric(train, wanted, distribution=name, seed=1).toarray()[4000:]
        for name in ("nb", "poisson")
    }
    for name, cells in drawn.items():
        ratio = cells.mean(axis=0).sum() / real.mean(axis=0).sum()
        assert ratio == pytest.approx(1, abs=0.03), name  # depths vary by a third, so by 0.005 in the mean of 4,000
        assert np.corrcoef(cells.mean(axis=0), real.mean(axis=0))[0, 1] > 0.99
    variance = {name: np.median(cells.var(axis=0) / real.var(axis=0)) for name, cells in drawn.items()}
    assert variance["nb"] == pytest.approx(1, abs=0.2)
    assert variance["poisson"] < 0.8 * variance["nb"]
    depths = realism.parametric(train, ["a"] * 500, distribution="poisson", depth="median").sum(axis=1)
    assert np.std(depths) < 0.5 * np.std(real.sum(axis=1))


def test_dispersion_of_a_negative_binomial_is_found():
    rng = np.random.default_rng(0)
    mean, inverse = np.tile([1.0, 5.0, 20.0], 50), np.repeat([0.1, 0.5], 75)
    counts = rng.poisson(rng.gamma(1 / inverse, mean * inverse, (4000, 150)))
    drawn = realism.parametric(realism.Cells(counts), depth="median", seed=1).toarray()
    np.testing.assert_allclose(drawn.mean(axis=0), mean, rtol=0.1)
    found = (drawn.var(axis=0) - drawn.mean(axis=0)) / drawn.mean(axis=0) ** 2
    for expected in (0.1, 0.5):
        # shares of a cell are smoothed by its own library size, which takes a little of the spread
        assert np.median(found[inverse == expected]) == pytest.approx(expected, rel=0.15)


def test_simulators_refuse_labels_they_have_not_seen(train):
    with pytest.raises(DataError, match="none has 'z'"):
        realism.parametric(train, ["a", "z"])
    with pytest.raises(DataError, match="fewer than the 500 training cells"):
        realism.controls(train, 500)
    with pytest.raises(ParameterError, match="distribution"):
        realism.parametric(train, distribution="zip")


def test_controls_leave_out_the_real_sample(train):
    cells, fixed = realism.controls(train, 120, seed=4)
    assert list(cells) == CONTROLS
    assert all(part.counts.shape == (120, 120) and len(part.labels) == 120 for part in cells.values())
    assert len(fixed) == 380
    held = {row.tobytes() for row in cells["real"].counts}
    assert not held & {row.tobytes() for row in train.counts[fixed]}
    again, _ = realism.controls(train, 120, seed=4)
    for name in CONTROLS:
        assert abs(again[name].counts - cells[name].counts).sum() == 0


def test_generated_values_become_counts_of_training_depths():
    values = np.array([[1.0, 3.0, 0.0], [2.0, 2.0, 4.0], [0.0, 0.0, 0.0]])
    counts = realism.as_counts(values, [80])
    assert counts.tolist() == [[20, 60, 0], [20, 20, 40], [0, 0, 0]]
    assert (realism.as_counts(sp.csr_matrix(values), [80]).toarray() == counts).all()
    depths = realism.as_counts(np.ones((500, 4)), [40, 4000]).sum(axis=1)
    assert set(depths) == {40, 4000}
    with pytest.raises(DataError, match="negative"):
        realism.as_counts(-values, [80])


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


def test_simulated_groups_reproduce_the_order_of_the_controls():
    adata = splatter.preset("dca_student", batch_cells=(300,), n_genes=200, seed=2)
    rows = np.random.default_rng(0).permutation(300)
    parts = [realism.Cells(np.asarray(adata.X)[chosen]) for chosen in (rows[:200], rows[200:])]
    found = realism.score(*parts, {}, seeds=[0], allow_empty=True, **CHEAP)
    mmd = found[found["metric"] == "mmd2"].set_index("method")["value"]
    assert mmd["real"] < mmd["permuted"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    "call",
    [
        lambda bad, good: realism.log(bad),
        lambda bad, good: realism.Space.fit(bad),
        lambda bad, good: realism.rf_auc(good, bad),
        lambda bad, good: realism.per_gene(good, bad),
        lambda bad, good: realism.per_cell(good, bad),
        lambda bad, good: realism.corr_agreement(good, bad, [0, 1, 2]),
        lambda bad, good: realism.top_genes(bad),
        lambda bad, good: realism.mmd2(good, bad, 1.0),
        lambda bad, good: realism.bandwidth(bad),
        lambda bad, good: realism.knn_mix(good, bad),
        lambda bad, good: realism.lisi(good, bad),
        lambda bad, good: realism.nn_train(good, good, bad),
        lambda bad, good: realism.label_fidelity(good, [0, 1] * 10, bad, [0, 1] * 10),
        lambda bad, good: realism.marker_table(bad, [0, 1] * 10),
        lambda bad, good: realism.diversity(good, [0, 1] * 10, bad, [0, 1] * 10),
        lambda bad, good: realism.distinct(bad),
        lambda bad, good: realism.permute(bad),
        lambda bad, good: realism.parametric(realism.Cells(bad)),
        lambda bad, good: realism.controls(realism.Cells(bad), 5),
        lambda bad, good: realism.as_counts(bad, [10]),
        lambda bad, good: realism.score(realism.Cells(good), realism.Cells(bad), {}, n=5),
    ],
)
def test_values_that_are_not_finite_are_refused(call, value):
    good = np.random.default_rng(0).poisson(5, (20, 6)).astype(float)
    bad = good.copy()
    bad[1, 1] = value
    with pytest.raises(DataError, match="finite"):
        call(bad, good)
