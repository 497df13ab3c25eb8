"""Every experiment of the chapter on DCA: its rows stand alone, and say what belongs to a claim."""

import numpy as np
import pytest

from scgen_book import experiments, provenance, results
from scgen_book.batch import editions
from scgen_book.batch import rows as batch_rows
from scgen_book.experiments import arrays, rows
from scgen_book.experiments.dca import cases, cells, defects, figure2, students, students_repaired
from scgen_book.experiments.dca.calls import COLUMNS
from scgen_book.experiments.protocol import NotApplicable
from scgen_lib.models.dca import DCA
from scgen_lib.settings import chosen

OWN, TWO, SIX, COURSE = "pbmc68k_reduced", "dca_g2_fig2", "dca_g6_fig2", "dca_student"


@pytest.mark.parametrize(
    ("name", "dataset", "method"),
    [
        ("dca.cells", OWN, "DCA, repaired"),
        ("dca.heldout", OWN, "DCA, faithful"),
        ("dca.figure2", TWO, "zinb, repaired"),
        ("dca.likelihoods", TWO, "nb"),
        ("dca.students", COURSE, "IV"),
        ("dca.students_repaired", COURSE, "BN, ridge 0.05"),
        ("dca.defects", COURSE, "C2"),
    ],
)
def test_a_row_of_every_experiment_has_finite_values_of_its_metrics(computed, name, dataset, method):
    found = computed(name, dataset, method)
    assert found["status"] == "ok", found["reason"]
    assert found["scores"]
    assert found["scores"].keys() <= experiments.get(name).metrics.keys()
    missing = {metric for metric, value in found["scores"].items() if value is None}
    # no model has diverged, and at this size all zeros may be dropouts
    undefined = ("first epoch", "AUC", "average precision", "called dropouts", "precision")
    assert all(metric.startswith(undefined) for metric in missing), missing
    assert all(np.isfinite(x).all() for x in arrays.unpacked(found["arrays"]).values() if x.dtype.kind == "f")
    known = {claim.id for claim in results.claims("eraslan2019")}
    assert set(found["claims"].values()) <= known


def test_the_quick_edition_asks_for_rows_whose_other_seeds_the_record_has():
    folder = provenance.ROOT / "workflow" / "editions"
    quick, full = (editions.read_edition(folder / f"{name}.yml")["dca"]["parameters"] for name in ("quick", "full"))
    for name in ("dca.figure2", "dca.heldout", "dca.likelihoods", "dca.students_repaired"):
        assert batch_rows.settings(name, quick) == batch_rows.settings(name, full), name


def test_the_claims_of_figure_2_and_of_the_students_have_their_rows(computed):
    of = {(m, d): computed("dca.figure2", d, m)["claims"] for m, d in (("zinb", TWO), ("mse", TWO), ("observed", SIX))}
    assert of["zinb", TWO] == {"silhouette": "dca.fig2.g2.zinb", "epochs": "dca.fig2.g2.epochs"}
    assert of["mse", TWO] == {"silhouette": "dca.fig2.g2.mse"}
    assert of["observed", SIX] == {"silhouette": "dca.fig2.g6.observed"}
    # the repaired network is judged by the same claim, as another variant
    repaired = computed("dca.figure2", TWO, "zinb, repaired")
    assert (repaired["claims"]["silhouette"], repaired["variant"]) == ("dca.fig2.g2.zinb", "repaired")
    assert "epochs" not in repaired["claims"]
    # what is taken apart belongs to no claim, nor does a simulation of other groups
    assert figure2.claims({"method": "zinb, logarithm", "scores": {"groups": 2.0}}) == {}
    assert figure2.claims({"method": "zinb", "scores": {"groups": 3.0}}) == {}
    assert students.claims({"method": "I"})["first epoch with a non-finite loss"] == "dca.student.I.nan_epoch"
    assert students.claims({"method": "III"}) == {
        name: f"dca.student.III.{name}" for name in ("precision", "recall", "distance")
    }


@pytest.mark.parametrize("name", ["figure2", "likelihoods", "students", "students_repaired"])
def test_a_part_that_is_not_asked_for_has_no_rows_and_says_so(values, name):
    other = "B" if name.startswith("students") else "A"
    for asked in ({"parts": []}, {"parts": None, "dataset": "mine.h5ad"}):
        found = rows.run(f"dca.{name}", values | asked)
        assert not found
        assert found.reason == f"part {other} was not asked for in this run (parameter parts)"
    tasks = experiments.get(f"dca.{name}").asked(values | {"parts": [other]})
    assert tasks


def test_parts_are_asked_for_with_the_default_data_set_alone(values):
    assert cases.refuse_unless("A", values) is None
    with pytest.raises(NotApplicable, match="part B was not asked for"):
        cases.refuse_unless("B", values | {"parts": ["A"]})


def test_the_repaired_network_is_trained_at_its_seeds_alone(values):
    asked = values | {"fig2_datasets": [TWO, SIX], "fig2_seeds": [4, 5], "fig2_repaired_seeds": [5]}
    tasks = figure2.asked(asked)
    assert {(d, s) for d, m, s in tasks if m == "zinb, repaired"} == {(TWO, 5), (SIX, 5)}
    assert {(d, s) for d, m, s in tasks if m == "zinb"} == {(TWO, 4), (TWO, 5), (SIX, 4), (SIX, 5)}
    assert [(d, s) for d, m, s in tasks if m == "nb"] == [(TWO, 4)]
    # None: at all of them; without the variant at none
    everywhere = figure2.asked(asked | {"fig2_repaired_seeds": None})
    assert len([m for _, m, _ in everywhere if m == "zinb, repaired"]) == 4
    assert not [m for _, m, _ in figure2.asked(asked | {"variants": ["faithful"]}) if m in figure2.APART]


def test_all_rows_that_are_asked_for_have_a_method_and_their_settings(values):
    values = values | {"fast": False, "tutorial_seeds": [0], "scaling_cells": 1000, "fig9_dataset": "paul_full"}
    plan, complete = experiments.plan("dca", values), experiments.complete("dca", values)
    assert {name for name, *_ in plan} == set(experiments.chapter("dca").experiments)
    for (name, _, method, _), settings in plan.items():
        assert method in experiments.get(name).methods
        assert settings == {key: complete[key] for key in settings}
    # what decides the embedding of Figure 2 decides no other row
    assert {n for (n, *_), s in plan.items() if "tsne_angle" in s} == {"dca.figure2", "dca.tutorial"}


def test_the_test_size_of_the_test_size_is_the_same(values):
    once = experiments.complete("dca", values)
    assert experiments.complete("dca", once) == once
    assert once["likelihoods"] == ["nb", "zinb-conddisp"]
    assert once["without_bn"] is False


def test_a_model_of_the_notebook_is_scored_without_another_training(computed, values):
    experiment = experiments.get("dca.cells")
    settings = experiments.settings_of(experiment, values)
    adata = cases.own(OWN, settings)
    model = DCA.variant("repaired", seed=0, **chosen(DCA, settings)).fit(adata, **chosen(DCA.fit, settings))
    made = experiments.row(experiment, OWN, "DCA, repaired", 0, settings, answer=model.denoise(adata))
    own = computed("dca.cells", OWN, "DCA, repaired")
    assert made["scores"] == own["scores"]
    assert made["arrays"] == own["arrays"]


def test_labels_that_do_not_score_and_a_truth_that_is_unknown_are_said(computed):
    observed = computed("dca.cells", OWN, "observed")
    assert observed["scores"].keys() == set(cells.OF_TYPES)
    perfect = computed("dca.cells", OWN, "perfect")
    assert (perfect["status"], perfect["reason"]) == ("gap", "the true counts of these data are not known")
    # a simulation without groups has a truth and no types
    simulated = computed("dca.cells", COURSE, "perfect")
    assert simulated["scores"]["mse"] == 0
    truth = computed("dca.cells", COURSE, "gene mean")
    assert set(cells.OF_TRUTH) <= truth["scores"].keys()


def test_molecules_are_held_out_and_the_controls_bound_the_losses(computed):
    none, perfect = (computed("dca.heldout", OWN, method)["scores"] for method in ("none", "perfect"))
    assert perfect["MCV MSE"] < 1e-9 < none["MCV MSE"]
    assert perfect["MCV Poisson"] < none["MCV Poisson"]


def test_the_squared_error_network_is_mapped_back_in_two_ways(computed):
    figure, path = (computed("dca.figure2", TWO, method) for method in ("mse", "mse, one path"))
    # only what is on the path of the others is compared with the true counts
    assert "dropped" not in figure["scores"]
    assert path["scores"]["dropped"] > 0
    assert figure["scores"]["silhouette"] != path["scores"]["silhouette"]
    case = figure2.prepare(TWO, 0, {"max_cells": 60})
    case.means["mse"] = np.log1p(case.observed)
    assert np.allclose(figure2._as_in_the_figure(case, 0, {}).matrix, case.observed + 1)
    assert np.allclose(figure2._on_one_path(case, 0, {}).matrix, case.observed)


def test_some_differences_are_taken_apart_on_two_groups_alone(computed):
    gap = computed("dca.figure2", SIX, "zinb, Keras 3")
    assert gap["reason"] == "this difference is taken apart on two groups alone"


def test_the_controls_of_figure_2_bound_its_errors(computed):
    true, observed = (computed("dca.figure2", TWO, method)["scores"] for method in ("true", "observed"))
    assert true["dropped"] == true["all"] == 0 < observed["all"] < observed["dropped"]
    assert true["silhouette"] > observed["silhouette"]
    assert true["r, all entries"] == pytest.approx(1)
    assert observed["r, dropped entries"] is None


def test_students_are_judged_at_three_marks_on_both_parts(computed):
    assert students.marks(300) == (100, 200, 300)
    assert students.named("recall", "validation", 3) == "recall"
    assert students.named("recall", "test", 1) == "recall, test, 1/3"
    fourth, third = (computed("dca.students", COURSE, kind)["scores"] for kind in ("IV", "III"))
    judged = {students.named("recall", part, n) for part in ("test", "validation") for n in (1, 2, 3)}
    assert judged <= third.keys()
    assert any(fourth[students.named(name, "test", 1)] != fourth[students.named(name, "test", 3)] for name in COLUMNS)
    both_ways = {name for both in students.BOTH_WAYS.values() for name in both}
    assert both_ways <= fourth.keys()
    assert not both_ways & third.keys()
    assert fourth["error in training mode"] != fourth["error in inference mode"]
    kept = arrays.unpacked(computed("dca.students", COURSE, "IV")["arrays"])
    assert kept["largest_mean"].shape == (3,)


def test_the_controls_of_part_b_need_no_model(computed):
    nothing, zeros, perfect = (
        computed("dca.students_repaired", COURSE, method)["scores"] for method in students_repaired.CONTROLS
    )
    assert nothing["recall"] == 0
    assert zeros["recall"] == perfect["recall"] == perfect["precision"] == 1
    assert perfect["distance"] == perfect["distance, test"] == 0 < nothing["distance"]
    assert nothing["ratio"] == 1


def test_without_batch_normalisation_only_where_it_is_asked_for(values):
    names = {m for _, m, _ in students_repaired.asked(values | {"without_bn": True})}
    assert {"no BN, ridge 0", "no BN, ridge 0.05"} < names
    assert not [m for _, m, _ in students_repaired.asked(values | {"without_bn": False}) if m.startswith("no BN")]


def test_the_cells_of_part_b_are_split_and_the_genes_are_those_of_the_first_part(values):
    parts = cases.split(COURSE, 0, values)
    assert list(parts["test"].var_names) == list(parts["validation"].var_names)
    assert parts["test"].n_obs > parts["validation"].n_obs
    assert not set(parts["test"].obs_names) & set(parts["validation"].obs_names)
    assert (parts["test"].layers["counts"].sum(0) > 0).all()


def test_defects_are_measured_both_ways(computed):
    sides = {name: computed("dca.defects", COURSE, name)["scores"] for name in ("C1", "C2", "C3", "C9")}
    assert sides["C1"]["released"] > 0.9
    assert sides["C2"]["released"] > 1 > 1e-3 > sides["C2"]["otherwise"]
    assert sides["C3"]["released"] > 0 == sides["C3"]["otherwise"]
    # no gradient reaches the weights of the loop that steps too early
    assert sides["C9"]["released"] == 0 < sides["C9"]["otherwise"]
    own = computed("dca.defects", OWN, "C15")["scores"]
    assert own["released"] < own["otherwise"]


def test_defects_of_the_students_are_measured_with_part_b_alone(values):
    names = [m for _, m, _ in defects.asked(values | {"parts": []})]
    assert names == ["S2", "C15"]
    assert [m for _, m, _ in defects.asked(values | {"models": ["I"]})] == ["S2", "C15", "C1", "C2", "C3"]
