"""A row of every experiment of the chapter: what it scores, what it keeps, and which rows are asked for."""

import numpy as np
import pytest

from scgen_book import claims, experiments
from scgen_book.experiments import arrays, rows
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.scgan import augmentation, cells, defects, judge, models, realism
from scgen_lib.errors import ParameterError
from scgen_lib.metrics import panel

pytestmark = pytest.mark.filterwarnings("ignore")


def row(experiment, method, values, seed=0, **options):
    settings = experiments.settings_of(experiment, values)
    return experiments.row(experiment, values["dataset"], method, seed, settings, **options)


@pytest.fixture(scope="module")
def model(values):
    case = cells.case(values["dataset"], values)
    return models.trained("repaired", 0, case, values)


@pytest.fixture(scope="module")
def visible(values, model):
    return row(realism.EXPERIMENT, "repaired", values, answer=model)


def test_the_row_of_a_model_has_its_training_its_scores_and_what_figures_draw(values, visible):
    assert visible["reason"] is None
    assert visible["variant"] == "repaired"
    scores, kept = visible["scores"], arrays.unpacked(visible["arrays"])
    assert (scores["updates of critic"], scores["updates of generator"]) == (4, 4)
    assert scores["values that differ, one seed"] == 0
    assert scores["values that differ, two seeds"] > 0
    assert 0 <= scores["rf_auc"] <= 1
    assert scores["cells"] == 30
    assert {"rf_auc, as counts", "mmd2, as counts"} <= set(scores)
    assert kept["history step"].tolist() == [1, 2, 3, 4]
    assert [name for name in kept if name.startswith("points ")] == ["points 1", "points 2", "points 3"]
    assert kept["curves"].shape == (30, 3)
    assert set(kept["classes"]) == {"B", "NK"}
    assert kept["confusion"].sum() == 40
    # as counts the cells have library sizes of their own
    assert np.ptp(kept["library, as counts"]) > 1
    assert np.ptp(kept["library"]) < 1e-3 * kept["library"].mean()


def test_a_model_that_is_trained_visibly_has_the_row_that_its_method_would_have(values, visible):
    trained = row(realism.EXPERIMENT, "repaired", values)
    for found in (trained, visible):
        found["scores"].pop("seconds", None)
    assert trained["scores"] == visible["scores"]
    assert trained["arrays"] == visible["arrays"]


@pytest.fixture(scope="module")
def own(values):
    return judge.Judge(cells.case(values["dataset"], values), 0, values)


def of_panel(score, own, min_cells):
    """What the panel says of all controls at once."""
    return score(
        own.train, own.test, {judge.PARAMETRIC: own.cells_of(judge.PARAMETRIC)}, seeds=(0,), trees=10, by="variance",
        allow_empty=True, repeats=1, permutations=100, min_cells=min_cells,
    )  # fmt: skip


@pytest.fixture(scope="module")
def of_all(own):
    return of_panel(panel.score, own, 5)


@pytest.fixture(scope="module")
def of_classes(own):
    return of_panel(panel.score_by_label, own, 10)


@pytest.mark.parametrize("name", ["real", "bootstrap", "permuted", "poisson", judge.PARAMETRIC])
def test_a_control_by_itself_scores_what_the_panel_of_all_says(values, of_all, name):
    found = row(realism.EXPERIMENT, name, values)
    told = of_all[of_all["method"] == name].set_index("metric")["value"]
    scored = {metric: value for metric, value in found["scores"].items() if metric != "cells" and value is not None}
    assert scored == {metric: told[metric] for metric in scored}
    assert set(told.dropna().index) == set(scored)
    assert found["variant"] is None


@pytest.mark.parametrize("name", ["real", "poisson", judge.PARAMETRIC])
def test_a_class_by_itself_scores_what_the_panel_of_all_says(values, own, of_classes, name):
    told = of_classes[of_classes["method"] == name].pivot_table(index="label", columns="metric", values="value")
    found = own.by_class(name)
    assert found["classes"].tolist() == told.index.tolist() == ["B", "NK"]
    assert found["by class"].tolist() == told[list(judge.BY_CLASS)].to_numpy().tolist()
    few = judge.Judge(own.case, 0, values | {"min_test_cells": 21})
    assert few.by_class(name) == {}
    assert judge.Judge(own.case, 0, values | {"by_class": False}).by_class(name) == {}


def test_the_test_cells_have_what_classifiers_say_and_the_points_of_the_figure(values):
    found = row(realism.EXPERIMENT, "test", values)
    assert {"logistic_accuracy", "forest_accuracy"} < set(found["scores"])
    assert "rf_auc" not in found["scores"]
    assert arrays.unpacked(found["arrays"])["points"].shape[0] == 40


def test_a_model_without_expression_keeps_its_training_and_is_not_compared(values, model):
    own = judge.Judge(cells.case(values["dataset"], values), 0, values)
    made = own.generated(model).copy()
    made.X[5:] = 0
    assert not own.usable(made)
    assert own.drawn(made).counts.shape[0] == 5


def test_kinds_are_the_variants_with_unscaled_and_scgan_where_they_say_anything(values):
    assert models.kinds(values) == ["repaired", "unscaled"]
    assert models.kinds(values | {"variants": ["faithful"]}) == ["faithful"]
    assert models.kinds(values | {"critic_input_scale": 1.0, "bn_momentum": 0.999}) == ["repaired"]
    assert models.kinds(values | {"unconditional": True, "fast": True}) == ["repaired", "scGAN"]
    with pytest.raises(ParameterError, match="critic_input_scale"):
        models.kinds(values | {"variants": ["faithful"], "critic_input_scale": 0.5})


def test_models_differ_in_what_their_kind_says(values):
    assert models.new("repaired", 3, values).critic_input_scale == 0.01
    assert models.new("unscaled", 3, values).critic_input_scale == 1.0
    assert models.new("faithful", 3, values).extra_critic_updates == 1
    plain = models.new("scGAN", 3, values | {"variants": ["faithful"], "gen_norm": "layernorm"})
    assert (plain.conditional, plain.gen_norm, plain.seed) == (False, "batchnorm", 3)


def test_controls_are_asked_for_at_three_seeds_at_least(values):
    tasks = realism.asked(values | {"seeds": [4]})
    assert {s for _, method, s in tasks if method == "real"} == {4, 5, 6}
    assert {s for _, method, s in tasks if method == "repaired"} == {4}
    assert {s for _, _, s in realism.asked(values | {"seeds": [4], "fast": True})} == {4}
    assert {s for _, _, s in realism.asked(values | {"seeds": [4], "control_seeds": [2, 4]})} == {4, 2}
    assert {s for _, _, s in realism.asked(values | {"seeds": [4], "control_seeds": []})} == {4}


def test_every_claim_of_a_row_is_one_of_the_paper():
    scores = {f"{metric}, {name}": 1.0 for metric in ("penalty", "critic") for name in ("start", "50k", "end")}
    scores |= {"rf_auc": 0.5, "cells": 1000}
    of = {"scores": scores, "settings": {"n_top_genes": 1000, "conditional": False}}
    found = {method: realism.claims(of | {"method": method}) for method in ("faithful", "real", "poisson")}
    assert found["faithful"]["rf_auc"] == "scgan.grounded.auc"
    assert found["real"]["rf_auc"] == "scgan.grounded.auc.control"
    assert "rf_auc" not in found["poisson"]
    ids = [name for one in found.values() for name in one.values()]
    ids += [augmentation.claims({"method": way})["F1"] for way in augmentation.CLAIMED]
    for name in ids:
        assert claims.claim(name).id == name
    assert "rf_auc" not in realism.claims(of | {"method": "real", "scores": scores | {"cells": 999}})


def test_ways_of_helping_a_class_are_rows_over_all_shares(values):
    values = values | {"augment_shares": [0.2, 0.5]}
    found = {way: row(augmentation.EXPERIMENT, way, values) for way in (*augmentation.WAYS, augmentation.ALL)}
    assert {way: one["reason"] for way, one in found.items() if one["reason"]} == {}
    kept = arrays.unpacked(found[augmentation.GENERATED]["arrays"])
    assert kept["share"].tolist() == [0.2, 0.5]
    assert kept["cells"].tolist() == [6, 15]
    assert found[augmentation.GENERATED]["scores"]["F1"] == pytest.approx(kept["F1"].mean())
    assert arrays.unpacked(found[augmentation.ALL]["arrays"])["cells"].tolist() == [30]


def test_augmentation_says_why_there_is_none(values):
    for none in ({"augment_steps": 0}, {"conditional": False}):
        with pytest.raises(NotApplicable, match="conditional model"):
            augmentation.asked(values | none)
    with pytest.raises(ParameterError, match="augment_class to be one of B, NK, got 'T'"):
        cells.rare(cells.case(values["dataset"], values), {"augment_class": "T"})


def test_deviations_are_measured_both_ways(values):
    found = rows.run("scgan.defects", values)
    assert found.wide["method"].tolist() == list(defects.DEFECTS)
    released, otherwise = (found.wide.set_index("method")[side] for side in ("released", "otherwise"))
    assert (released["C2"], otherwise["C2"]) == (1e-4, 1e-3)
    assert (released["C5"], otherwise["C5"]) == (0, 1)
    assert (released["C3"], otherwise["C3"]) == (2 * 8 + 2, 2 * 8 + 8 + 1)
    assert released["C8"] <= otherwise["C8"] == 40
    assert (released["C9"], otherwise["C9"]) == (32, 40)


def test_folders_of_a_training_are_those_of_out_and_of_an_earlier_run(values, tmp_path):
    assert models.folders("repaired", 0, values) == ({}, [])
    with pytest.raises(ParameterError, match="resume_from"):
        models.folders("repaired", 0, values | {"resume_from": str(tmp_path)})
    options, watch = models.folders("repaired", 0, values | {"out": str(tmp_path)})
    assert options["checkpoint"] == tmp_path / "checkpoints" / "repaired-0.npz"
    assert len(watch) == 1
    options["checkpoint"].touch()
    models.folders("repaired", 0, values | {"resume_from": str(tmp_path), "out": str(tmp_path)})
    assert options["checkpoint"].exists()
    models.folders("repaired", 0, values | {"out": str(tmp_path)})
    assert not options["checkpoint"].exists()
