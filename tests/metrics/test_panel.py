import numpy as np
import pytest
import scipy.sparse as sp

from scgen_lib.data import splatter
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import conditional, controls, mixing, panel, realism
from scgen_lib.metrics.controls import Cells

CHEAP = {"trees": 30, "folds": 4, "repeats": 1, "permutations": 20}
CONTROLS = ["real", "bootstrap", "permuted", "poisson"]


@pytest.fixture(scope="module")
def table(train, test):
    collapsed = Cells(np.repeat(test.counts[:20], 10, axis=0), np.repeat(test.labels[:20], 10))
    nb = Cells(controls.parametric(train, test.labels), test.labels)
    return panel.score(train, test, {"nb": nb, "collapsed": collapsed}, seeds=range(2), min_cells=40, **CHEAP)


@pytest.fixture(scope="module")
def means(table):
    return panel.summary(table)["mean"].unstack("method")


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
    summary = panel.summary(table)
    assert list(summary.columns) == ["mean", "sd", "n"]
    one = table.query("method == 'nb' and metric == 'mmd2'")["value"]
    assert summary.loc[("nb", "mmd2"), "sd"] == pytest.approx(one.std())


def test_scores_repeat_with_the_seed(train, test, table):
    settings = CHEAP | {"min_cells": 40}
    again = panel.score(train, test, {}, seeds=[1], **settings)
    first = table[(table["seed"] == 1) & table["method"].isin([*CONTROLS, "test"])].reset_index(drop=True)
    np.testing.assert_array_equal(first["value"], again["value"])
    assert list(first["metric"]) == list(again["metric"])
    value = table.query("method == 'real' and metric == 'rf_auc'")["value"]
    assert value.nunique() == 2
    assert np.ptp(value) < 0.2  # standard error of an area under the curve of 200 cells a side is 0.03


def test_sparse_cells_score_as_dense_ones(train, test):
    settings = CHEAP | {"trees": 5, "seeds": [0], "n": 60, "min_cells": 10}
    sparse = [Cells(sp.csr_matrix(cells.counts), cells.labels) for cells in (train, test)]
    a, b = panel.score(train, test, {}, **settings), panel.score(*sparse, {}, **settings)
    exact = ~a["metric"].isin(["rf_auc", "rf_auc_sd"]) & ~a["metric"].str.startswith("forest")
    # components agree to rounding, at which a split of a tree may turn over
    np.testing.assert_allclose(a["value"][exact], b["value"][exact], rtol=1e-5, atol=1e-7)
    assert (a["n_real"] == 60).all()


def test_cells_without_labels_score_what_needs_none(train, test):
    found = panel.score(Cells(train.counts), Cells(test.counts), {}, seeds=[0], n=40, **CHEAP)
    assert not found["metric"].str.contains("forest|logistic|reverse|markers").any()
    assert set(found["method"]) == set(CONTROLS)
    assert {"rf_auc", "mmd2", "sd_ratio", "corr_pearson"} <= set(found["metric"])


def test_labels_are_scored_each_for_itself(train, test):
    settings = CHEAP | {"trees": 5, "folds": 2, "seeds": [0]}
    found = panel.score_by_label(train, test, {"again": test}, min_cells=100, **settings)
    assert set(found["label"]) == {"a"}  # 40 % of 200 cells are fewer than 100
    assert found["n_real"].iloc[0] == (test.labels == "a").sum()
    assert found.query("method == 'again' and metric == 'mean_rmse'")["value"].item() == 0
    assert panel.score_by_label(train, test, {}, min_cells=1000).empty
    with pytest.raises(DataError, match="labels on every side, got none of more"):
        panel.score_by_label(train, test, {"more": Cells(test.counts)})


def test_scoring_refuses_what_cannot_be_compared(train, test):
    empty = test.counts.copy()
    empty[3] = 0
    with pytest.raises(ParameterError, match="got 'real'"):
        panel.score(train, test, {"real": test})
    with pytest.raises(DataError, match=r"120 genes of the training cells, got 7 of few"):
        panel.score(train, test, {"few": Cells(test.counts[:, :7])})
    with pytest.raises(DataError, match="5 to 200 cells a side, got an n of 400"):
        panel.score(train, test, {}, n=400)
    settings = CHEAP | {"trees": 5, "folds": 2, "seeds": [0]}
    with pytest.raises(DataError, match="empty"):
        panel.score(train, test, {"empty": Cells(empty)}, **settings)
    kept = panel.score(train, test, {"empty": Cells(empty)}, allow_empty=True, **settings)
    assert kept["value"].notna().any()


def test_controls_of_sparse_cells_may_be_empty():
    counts = np.random.default_rng(0).poisson(0.05, (120, 40))
    counts = counts[counts.sum(axis=1) > 0]
    assert (controls.controls(Cells(counts), 30)[0]["permuted"].counts.sum(axis=1) == 0).any()
    found = panel.score(Cells(counts[30:]), Cells(counts[:30]), {}, seeds=[0], **CHEAP)
    assert found.groupby("method").size().nunique() == 1


@pytest.mark.slow
def test_simulated_groups_reproduce_the_order_of_the_controls():
    adata = splatter.preset("dca_student", batch_cells=(300,), n_genes=200, seed=2)
    rows = np.random.default_rng(0).permutation(300)
    parts = [Cells(np.asarray(adata.X)[chosen]) for chosen in (rows[:200], rows[200:])]
    found = panel.score(*parts, {}, seeds=[0], allow_empty=True, **CHEAP)
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
        lambda bad, good: mixing.mmd2(good, bad, 1.0),
        lambda bad, good: mixing.bandwidth(bad),
        lambda bad, good: mixing.knn_mix(good, bad),
        lambda bad, good: mixing.lisi(good, bad),
        lambda bad, good: mixing.nn_train(good, good, bad),
        lambda bad, good: conditional.label_fidelity(good, [0, 1] * 10, bad, [0, 1] * 10),
        lambda bad, good: conditional.marker_table(bad, [0, 1] * 10),
        lambda bad, good: conditional.diversity(good, [0, 1] * 10, bad, [0, 1] * 10),
        lambda bad, good: conditional.distinct(bad),
        lambda bad, good: controls.permute(bad),
        lambda bad, good: controls.parametric(Cells(bad)),
        lambda bad, good: controls.controls(Cells(bad), 5),
        lambda bad, good: controls.as_counts(bad, [10]),
        lambda bad, good: panel.score(Cells(good), Cells(bad), {}, n=5),
    ],
)
def test_values_that_are_not_finite_are_refused(call, value):
    good = np.random.default_rng(0).poisson(5, (20, 6)).astype(float)
    bad = good.copy()
    bad[1, 1] = value
    with pytest.raises(DataError, match="finite"):
        call(bad, good)
