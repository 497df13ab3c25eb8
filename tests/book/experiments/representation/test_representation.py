"""The representation comparison: held-out cells, codes that know no label, controls where they must be."""

import numpy as np
import pandas as pd
import pytest

from scgen_book import experiments
from scgen_book.experiments import rows, summaries
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.representation import cases, comparison
from scgen_lib import data
from scgen_lib.errors import DataError, ParameterError

SMALL = {
    "genes": 40, "max_cells": 150, "z_dim": 3, "test_share": 0.4, "kmeans_seeds": 2,
    "epochs": {"dr_a": 1, "dca": 1, "db_aae": 1, "cvae": 1},
}  # fmt: skip
EXPERIMENT = comparison.EXPERIMENT
DATASET = "pbmc68k_reduced"
# told the labels of the test cells, by intention
TOLD = {"labels", "cvae_told"}
BLIND = [name for name in EXPERIMENT.methods if name not in {*TOLD, "umap", "scvi"}]


@pytest.fixture(scope="module")
def case():
    return cases.prepare(DATASET, 0, SMALL)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # a hundred updates at most: one by one they take less time than their compilation
    monkeypatch.setattr(comparison, "FEW_UPDATES", 100)


@pytest.fixture(scope="module")
def unlabelled(case):
    """The same cells without any label."""
    parts = [part.copy() for part in (case.train, case.test)]
    for part in parts:
        del part.obs["cell_type"]
    return cases.Case(*parts, case.about, case.left_out)


def test_the_test_cells_are_held_out_with_every_type_in_its_share(case):
    assert not set(case.train.obs_names) & set(case.test.obs_names)
    assert case.train.n_obs + case.test.n_obs == 150 - sum(
        case.left_out[k] for k in ("too few of the type", "no count")
    )
    shares = [part.obs["cell_type"].value_counts(normalize=True) for part in (case.train, case.test)]
    assert (shares[0] - shares[1]).abs().max() < 0.03


def test_the_genes_are_chosen_by_the_training_cells():
    wild = data.load(DATASET)
    case = cases.prepare(DATASET, 0, SMALL)
    logs = np.log2(1 + wild[case.train.obs_names].to_df().to_numpy())
    chosen = wild.var_names[np.sort(np.argsort(-logs.var(axis=0))[:40])]
    assert case.train.n_vars == 40
    assert set(case.train.var_names) == set(chosen)
    assert list(case.test.var_names) == list(case.train.var_names)


def test_another_seed_is_another_split_and_the_same_seed_the_same(case):
    again, other = (cases.prepare(DATASET, seed, SMALL) for seed in (0, 1))
    assert list(again.test.obs_names) == list(case.test.obs_names)
    assert set(other.test.obs_names) != set(case.test.obs_names)


# UMAP compiles for ten seconds
@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=[pytest.mark.slow] * name.startswith("umap")) for name in BLIND]
)
def test_codes_need_no_label(unlabelled, method):
    codes = EXPERIMENT.methods[method].run(unlabelled, 0, SMALL)
    width = {"log_counts": 40, "umap_2": 2}.get(method, 3)
    assert codes.shape == (unlabelled.test.n_obs, width)
    assert np.isfinite(codes).all()


def test_the_depth_of_a_cell_moves_its_code_only_where_it_is_kept(case):
    deeper = cases.Case(case.train, case.test.copy(), case.about, case.left_out)
    deeper.test.X = deeper.test.X * 4
    for method, moves in (("pca", False), ("pca_depth", True)):
        one, other = (EXPERIMENT.methods[method].run(of, 0, SMALL) for of in (case, deeper))
        assert np.allclose(one, other, atol=1e-4) != moves


@pytest.mark.parametrize("method", sorted(TOLD))
def test_a_method_that_is_told_the_labels_cannot_do_without(unlabelled, method):
    with pytest.raises((DataError, KeyError), match="cell_type"):
        EXPERIMENT.methods[method].run(unlabelled, 0, SMALL)


def test_the_conditional_encoder_is_told_the_types_of_the_test_cells(case):
    codes = comparison.cvae_told(case, 0, SMALL)
    told = cases.Case(case.train, case.test.copy(), case.about, case.left_out)
    told.test.obs["cell_type"] = np.random.default_rng(5).permutation(case.test.obs["cell_type"])
    moved = (comparison.cvae_told(told, 0, SMALL) != codes).any(axis=1)
    changed = (told.test.obs["cell_type"].astype(str) != case.test.obs["cell_type"].astype(str)).to_numpy()
    np.testing.assert_array_equal(moved, changed)


def test_the_controls_stand_where_they_must():
    methods = ["labels", "pca", "log_counts", "chance"]
    got = rows.table(EXPERIMENT, datasets=[DATASET], methods=methods, seeds=[0, 1], settings=SMALL)
    mean = got.pivot_table(index="method", columns="metric", values="value")
    np.testing.assert_allclose(mean.loc["labels"], 1.0)
    assert (mean.drop(index="labels") < 1).all(axis=None)
    # ARI is adjusted for chance, NMI is not: of 57 cells in 7 clusters it is about a fifth
    assert mean.loc["chance", "ari"] == pytest.approx(0, abs=0.06)
    assert mean.loc["chance", "nmi"] < 0.3
    assert (mean.loc["pca"] > mean.loc["chance"] + 0.3).all()
    checked = summaries.check_controls(EXPERIMENT, got)
    assert checked["ok"].all()
    assert checked["words"].str.contains("chance is beaten by 1 of 1").all()


def test_codes_that_have_collapsed_score_zero_and_do_not_fail(case):
    scores = comparison.score(case, np.ones((case.test.n_obs, 3), "float32"), 0, SMALL)
    assert scores == {"nmi": 0.0, "ari": 0.0, "silhouette": 0.0}


def test_a_method_that_fails_and_an_extra_that_is_absent_leave_their_gaps(monkeypatch):
    monkeypatch.setattr(experiments.importlib.util, "find_spec", lambda name: None)
    row = experiments.row(EXPERIMENT, DATASET, "scvi", 0, SMALL)
    assert row["status"] == "gap"
    assert "scvi" in row["reason"]
    monkeypatch.setattr(comparison.DCA, "fit", lambda *args, **kwargs: 1 / 0)
    row = experiments.row(EXPERIMENT, DATASET, "dca", 0, SMALL)
    assert row["reason"] == "ZeroDivisionError: division by zero"
    assert row["scores"] == {}


def test_a_rare_type_is_left_out_and_counted(tmp_path):
    cells = data.load("splat_g2_nodrop")[:60].copy()
    types = cells.obs["cell_type"].astype(object)
    types.iloc[:3], types.iloc[3:5] = "rare", None
    cells.obs["kind"] = pd.Categorical(types)
    del cells.obs["cell_type"]
    cells.write_h5ad(tmp_path / "own.h5ad")
    case = cases.prepare(str(tmp_path / "own.h5ad"), 0, SMALL | {"labels": "kind"})
    assert "rare" not in set(case.train.obs["cell_type"]) | set(case.test.obs["cell_type"])
    assert case.left_out == {"no label": 2, "too few of the type": 3, "no count": 0}
    assert case.train.n_obs + case.test.n_obs == 55
    with pytest.raises(NotApplicable, match="name their column with labels"):
        cases.prepare(str(tmp_path / "own.h5ad"), 0, SMALL)


def test_a_sample_keeps_every_type_in_its_share():
    case = cases.prepare("splat_g8", 0, SMALL | {"max_cells": 400})
    sizes = pd.concat([case.train.obs, case.test.obs])["cell_type"].value_counts()
    assert sizes.sum() == 400
    assert len(sizes) == 8
    assert case.left_out["above max_cells"] == 1600
    whole = data.load("splat_g8").obs["cell_type"].value_counts()
    assert (sizes - 400 * whole / whole.sum()).abs().max() <= 1
    # also where fewer cells are left out than there are types
    assert cases.prepare("splat_g8", 0, SMALL | {"max_cells": 1999}).left_out["above max_cells"] == 1


def test_a_set_without_counts_or_of_one_type_says_why(tmp_path):
    cells = data.load(DATASET)[:60].copy()
    cells.obs["cell_type"] = "one"
    cells.write_h5ad(tmp_path / "one.h5ad")
    with pytest.raises(NotApplicable, match="expected two types"):
        cases.prepare(str(tmp_path / "one.h5ad"), 0, SMALL)
    with pytest.raises(DataError, match="did you mean splat_g2"):
        cases.prepare("splat_g22", 0, SMALL)


@pytest.mark.parametrize("settings", [{"zdim": 3}, {"epochs": {"dra": 3}}])
def test_an_unknown_setting_is_refused_by_name(settings):
    with pytest.raises((TypeError, ParameterError), match=r"(argument|got) '(zdim|dra)'"):
        cases.prepare(DATASET, 0, SMALL | settings)


def test_epochs_of_a_method_that_takes_none_are_refused_before_the_first_row():
    values = experiments.complete("representation", {"datasets": ["a"], "methods": ["pca"], "seeds": [0]})
    assert list(comparison.asked(values)) == [("a", "pca", 0)]
    with pytest.raises(ParameterError, match=r"expected epochs of methods among dr_a, .* got 'pca': use one"):
        comparison.asked(values | {"epochs": {"pca": 3}})


def test_epochs_that_are_not_given_are_the_published_ones():
    chosen = cases.RepresentationSettings(epochs={"dca": 7})
    assert [chosen.epochs_of(name) for name in ("dca", "dr_a", "db_aae", "cvae")] == [7, 200, None, 20]


def test_at_test_size_what_takes_long_is_left_out():
    values = {"datasets": ["a", "b"], "methods": ["dr_a_faithful", "pca", "dca"], "seeds": [3, 4], "fast": True}
    assert list(experiments.plan("representation", values)) == [
        ("representation", "a", method, 3) for method in ("pca", "dca")
    ]


def test_where_the_labels_come_from_is_known_for_every_data_set(case):
    table = data.datasets().query("labels > 0 and genes > 0")
    assert set(cases.DESIGNED) < set(table["name"])
    assert case.truth == "read from expression"
    truths = {
        name: cases.Case(case.train, case.test, {"name": name, "simulated": simulated}, {}).truth
        for name, simulated in (("pbmc_facs", False), ("splat_g2", True), ("mine", False))
    }
    assert truths == {"pbmc_facs": "known by design", "splat_g2": "simulated", "mine": "own labels"}
