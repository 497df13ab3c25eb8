"""Simulators beside their controls, on a small file of labelled cells and on the same without labels."""

import anndata
import numpy as np
import pandas as pd
import pytest

from scgen_book import experiments
from scgen_book.experiments import rows, summaries
from scgen_book.experiments.protocol import NEGATIVE, POSITIVE
from scgen_book.experiments.simulation import cases, comparison
from scgen_book.experiments.simulation.comparison import EXPERIMENT, GROUPS, METRICS
from scgen_lib.errors import ParameterError
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.scgan import ScGAN

pytestmark = pytest.mark.usefixtures("eager")

TINY = {
    "min_class_size": 20, "min_test_cells": 20, "forest_trees": 20, "repeats": 1, "permutations": 20,
    "cvae_epochs": 1, "gan_steps": 1, "gan_batch_size": 16, "gan_layers": [8, 16],
}  # fmt: skip
CHEAP = ["real", "nb_per_type", "poisson_per_type", "splatter", "bootstrap", "permuted", "poisson"]
TRAINED = ["cvae_faithful", "cvae_repaired", "scgan", "cscgan"]
# what only cells of named types can have
OF_TYPES = {*GROUPS["types"], "corr_within_pearson", "corr_within_rms"}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Counts of two types of cells with programmes of genes within each; the second file has no types."""
    rng = np.random.default_rng(0)
    types = rng.choice(["a", "b"], 400, p=[0.6, 0.4])
    level = {name: rng.gamma(1.0, 3.0, 60) for name in "ab"}
    activity = np.exp(rng.normal(0, 0.7, (400, 4)))
    mean = np.stack([level[name] for name in types]) * activity[:, rng.choice(4, 60)]
    counts = rng.poisson(mean * rng.gamma(8, 1 / 8, (400, 1)))
    folder = tmp_path_factory.mktemp("cells")
    cells = anndata.AnnData(counts.astype("int32"), obs=pd.DataFrame({"kind": types}, index=np.arange(400).astype(str)))
    cells.write_h5ad(folder / "typed.h5ad")
    del cells.obs["kind"]
    cells.write_h5ad(folder / "plain.h5ad")
    return {name: str(folder / f"{name}.h5ad") for name in ("typed", "plain")}


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def table(file, methods, seeds=(0,), **changes):
    settings = TINY | ({"labels": "kind"} if "typed" in file else {}) | changes
    return rows.table(EXPERIMENT, datasets=[file], methods=methods, seeds=seeds, settings=settings)


@pytest.fixture(scope="module")
def scored(files):
    return table(files["typed"], [*CHEAP, *TRAINED])


@pytest.fixture(scope="module")
def values(scored):
    return scored.pivot_table(index="metric", columns="method", values="value")


def test_every_simulator_of_the_comparison_is_there_between_its_controls():
    assert set(EXPERIMENT.methods) == {*CHEAP, *TRAINED}
    roles = {name: method.role for name, method in EXPERIMENT.methods.items()}
    assert [name for name, role in roles.items() if role == POSITIVE] == ["real"]
    assert {n for n, role in roles.items() if role == NEGATIVE} == {"bootstrap", "permuted", "poisson"}
    judged = [metric for metric in METRICS.values() if metric.judged]
    assert all(set(metric.negative) <= set(roles) for metric in judged)


def test_every_method_is_scored_in_a_row_of_its_own(scored, values):
    assert scored["reason"].isna().all(), scored["reason"].dropna().unique()
    assert list(scored["method"].unique()) == [*CHEAP, *TRAINED]
    assert set(values.index) == set(METRICS)
    assert (values.loc["n_cells"] == 120).all()
    assert (values.loc["n_types"] == 2).all()


def test_the_controls_stand_where_they_must(values):
    for metric in ("rf_auc", "mmd2"):
        assert values.loc[metric, "real"] < values.loc[metric, "poisson"], metric
    # correlations of some fifty cells a type are off by 0.14, so that even real cells agree no better than this
    assert values.loc["corr_within_pearson", "real"] > 0.4
    assert abs(values.loc["corr_within_pearson", "permuted"]) < 0.2
    assert values.loc["copies", "bootstrap"] == 1
    assert values.loc["copies", ["real", "permuted", "poisson"]].max() == 0
    assert abs(values.loc["nn_train", "real"] - 1) < 0.2


def test_a_metric_asks_for_the_control_that_it_can_find_out(scored):
    lines = summaries.check_controls(EXPERIMENT, scored).set_index("metric")
    assert lines.loc["copies", "words"] == "no method beats real; bootstrap is beaten by 7 of 7"
    assert "permuted" in lines.loc["corr_within_pearson", "words"]
    assert "poisson is beaten" in lines.loc["rf_auc", "words"]
    assert set(lines.index) == {name for name, metric in METRICS.items() if metric.judged}


def test_types_are_judged_by_what_real_cells_of_the_type_are_told_as(values):
    own = values.loc["accuracy"] - values.loc["accuracy_excess"]
    assert len(set(own.dropna().round(9))) == 1
    assert own["real"] == pytest.approx(1, abs=0.1)


def test_cells_without_types_are_spared_what_needs_types(values):
    assert values.loc[[*OF_TYPES, "sd_ratio"], "scgan"].isna().all()
    assert values.loc[[*OF_TYPES, "sd_ratio"], "nb_per_type"].notna().all()


def test_cells_of_a_fixed_depth_are_scored_as_they_come_and_as_counts(values):
    assert np.isnan(values.loc["library_ks", "cscgan"])
    assert values.loc["mmd2", "cscgan"] != values.loc["mmd2_counts", "cscgan"]
    counted = [*CHEAP, "cvae_repaired"]
    for metric in ("rf_auc", "mmd2"):
        assert (values.loc[metric, counted] == values.loc[f"{metric}_counts", counted]).all()


def test_the_same_seed_gives_the_same_scores(files, values):
    again = table(files["typed"], ["splatter", "cscgan"]).pivot_table(index="metric", columns="method", values="value")
    pd.testing.assert_frame_equal(again, values.loc[again.index, again.columns], check_names=False)


def test_without_types_the_unconditional_methods_run_and_cscgan_says_why_not(files):
    got = table(files["plain"], ["real", "nb_per_type", "splatter", "cvae_repaired", "cscgan"])
    gaps = summaries.gaps(got)
    assert gaps["method"].tolist() == ["cscgan"]
    assert "types of cells for cscGAN" in gaps["reason"].iloc[0]
    assert not set(got.loc[got["method"] == "real", "metric"]) & OF_TYPES


def test_a_training_that_fails_leaves_a_gap_and_the_others_stay(files, monkeypatch):
    def fail(self, *args, **kwargs):
        raise MemoryError("no room for an image")

    monkeypatch.setattr(CVAE, "fit", fail)
    got = table(files["typed"], ["cvae_repaired", "poisson"])
    assert summaries.gaps(got)["reason"].tolist() == ["MemoryError: no room for an image"]
    lost = got[got["method"] == "cvae_repaired"]
    assert set(lost["metric"]) == set(METRICS)
    assert got.loc[got["method"] == "poisson", "value"].notna().all()


def test_an_absent_data_set_is_a_gap_of_every_method():
    got = table("absent.h5ad", ["real", "poisson"])
    assert len(summaries.gaps(got)) == 2


def test_no_method_is_told_which_types_the_held_out_cells_have(files):
    settings = TINY | {"labels": "kind"}
    case = cases.prepare(files["typed"], 0, settings)
    other = cases.prepare(files["typed"], 0, settings)
    other.reference.test = other.reference.test._replace(labels=np.repeat("b", len(other.wanted)))
    for name in ("nb_per_type", "splatter"):
        first, second = (EXPERIMENT.methods[name].run(x, 0, settings).cells for x in (case, other))
        assert (first.counts != second.counts).nnz == 0
        assert list(first.labels) == list(case.wanted) == list(second.labels)


def test_splat_gives_its_genes_the_names_of_genes_of_like_rank(files):
    case = cases.prepare(files["typed"], 0, TINY | {"labels": "kind"})
    made = comparison.splat(case, 0, {}).cells
    for name in "ab":
        real = np.asarray(case.train.counts[case.train.labels == name].mean(axis=0)).ravel()
        drawn = np.asarray(made.counts[np.asarray(made.labels) == name].mean(axis=0)).ravel()
        # ranks agree but for the noise of some fifty cells
        assert np.corrcoef(np.argsort(np.argsort(real)), np.argsort(np.argsort(drawn)))[0, 1] > 0.9
        assert drawn.sum() == pytest.approx(real.sum(), rel=0.3)


@pytest.mark.parametrize(("asked", "genes"), [(None, 60), (1000, 60), (40, 40)])
def test_as_many_variable_genes_are_kept_as_asked_for_or_all_there_are(files, asked, genes):
    case = cases.prepare(files["typed"], 0, TINY | {"labels": "kind", "n_top_genes": asked})
    assert case.cells.n_vars == case.reference.test.counts.shape[1] == genes


@pytest.mark.parametrize(("variant", "scale", "momentum"), [("faithful", 1.0, 0.999), ("repaired", 0.01, 0.99)])
def test_a_faithful_gan_trains_with_the_values_of_the_release(files, monkeypatch, variant, scale, momentum):
    trained, fit = [], ScGAN.fit
    monkeypatch.setattr(ScGAN, "fit", lambda self, *args, **of: trained.append(fit(self, *args, **of)) or self)
    of = {"gan_variant": variant, "gan_input_scale": 0.01, "gan_momentum": 0.99}
    got = table(files["typed"], ["scgan", "cscgan"], **of)
    assert got["reason"].isna().all(), got["reason"].dropna().unique()
    for model in trained:
        assert model.values() == ScGAN.variant(variant, **model.values()).values()
        assert (model.slope_epsilon == 0, model.critic_input_scale) == (variant == "faithful", scale)
        assert {norm.momentum for norm in model.net.norms} == {momentum}
    assert len(trained) == 2


ASKED = {
    "datasets": ["a", "b"],
    "methods": ["scgan", "real", "splatter", "poisson"],
    "seeds": [0],
    "control_seeds": [1, 0],
}


def test_the_controls_have_seeds_of_their_own():
    tasks = comparison.asked(experiments.complete("simulation", ASKED))
    assert tasks[:8] == [(d, m, 0) for d in "ab" for m in ASKED["methods"]]
    assert tasks[8:] == [(d, m, 1) for d in "ab" for m in ("real", "poisson")]
    assert comparison.asked(experiments.complete("simulation", ASKED | {"control_seeds": []})) == tasks[:8]


def test_at_test_size_networks_that_compile_for_long_are_left_out_unless_nothing_else_is_asked_for():
    def asked(**given):
        return [task[2] for task in experiments.plan("simulation", ASKED | {"fast": True} | given)]

    assert asked() == ["real", "splatter", "poisson"]
    assert asked(methods=["scgan"]) == ["scgan"]


def test_what_is_not_legal_is_refused_by_name():
    with pytest.raises(TypeError, match="argument 'gan_step'"):
        cases.prepare("splat_g6", 0, {"gan_step": 3})
    with pytest.raises(
        ParameterError, match=r"expected gan_lr to be the first and the last step size, got \[0.1\]: give"
    ):
        comparison.asked(experiments.complete("simulation", ASKED | {"gan_lr": [0.1]}))
