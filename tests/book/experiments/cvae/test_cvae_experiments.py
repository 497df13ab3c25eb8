"""The experiments of the chapter on the CVAE: which rows are asked for, and what one row of each holds at toy size."""

import anndata
import numpy as np
import pytest

from scgen_book import claims, experiments
from scgen_book.experiments import arrays, rows
from scgen_book.experiments.cvae import cases, defects, first_steps, gene_order, realism, sizes, trained, truth
from scgen_book.experiments.protocol import NotApplicable
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import panel
from scgen_lib.metrics.controls import Cells, parametric
from scgen_lib.models.cvae import CVAE
from scgen_lib.settings import chosen

pytestmark = pytest.mark.usefixtures("eager")

OF_CELL = {
    "dataset": None, "label_key": None, "transpose": False, "more_datasets": None, "model_path": None,
    "variants": ["repaired", "faithful"], "seed": 0, "seeds": [0], "fast": True, "edition": "own", "rows": None,
    "out": None, "num_dots": 100, "target_counts": None, "out_path": None,
}  # fmt: skip


def values(**changes):
    found = experiments.complete("cvae", OF_CELL | {"filters": 4, "hidden": 4} | changes)
    return found | {"epochs": 1, "forest_trees": 10, "embedding_dots": 3} | {
        name: value for name, value in changes.items() if name in ("epochs", "by_type", "min_test_cells", "score_cells")
    }  # fmt: skip


def settings(experiment, **changes):
    return experiments.settings_of(experiment, values(**changes))


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A file of two types of cells whose true means are known."""
    rng = np.random.default_rng(0)
    types = np.repeat(["B", "A"], [70, 50])
    means = np.where(types[:, None] == "A", rng.gamma(2, 2, 30), rng.gamma(2, 2, 30))
    cells = anndata.AnnData(rng.poisson(means).astype("float32"))
    cells.layers["counts"], cells.layers[truth.LAYER] = cells.X.copy(), means
    cells.obs["cell_type"] = types
    path = tmp_path_factory.mktemp("toy") / "toy.h5ad"
    cells.write_h5ad(path)
    return str(path)


@pytest.fixture(scope="module")
def of_toy(toy):
    """Settings of a row of the toy cells."""
    return lambda experiment, **changes: settings(experiment, dataset=toy, **changes)


@pytest.fixture(scope="module")
def case(toy, of_toy):
    return cases.prepare(toy, 3, of_toy(realism.EXPERIMENT))


@pytest.fixture(scope="module")
def faithful(toy, of_toy):
    return experiments.row(realism.EXPERIMENT, toy, "faithful", 3, of_toy(realism.EXPERIMENT, by_type=True))


def test_a_run_trains_on_the_default_data_and_on_others_and_draws_controls_of_three_seeds():
    run = cases.trainings(values(fast=False))
    assert (run.main, run.datasets) == ("umi11", ["umi11", "pbmc68k_reduced"])
    assert (run.variants, run.apart, run.seeds) == (["repaired", "faithful"], ["squared error"], [0])
    assert run.controls == [0, 1, 2]
    assert cases.trainings(values(dataset="pbmc68k_reduced", fast=False)).datasets == ["pbmc68k_reduced"]
    assert cases.trainings(values(decoder_likelihood="poisson", variants=["repaired"], fast=False)).apart == []
    assert cases.trainings(values(seeds=[4, 7], fast=False)).controls == [4, 7, 8]


def test_the_seeds_of_the_controls_can_be_asked_for():
    assert cases.trainings(values(control_seeds=[0], fast=False)).controls == [0]
    assert cases.trainings(values(seeds=[4], control_seeds=[0, 4], fast=False)).controls == [4, 0]
    steps = first_steps.asked(values(control_seeds=[0], fast=False))
    assert steps == [("umi11", "faithful", 0)]


def test_what_a_variant_refuses_is_refused_before_any_training():
    with pytest.raises(ParameterError, match="decoder_likelihood"):
        rows.run("cvae.realism", values(decoder_likelihood="nb"))


def test_numbers_of_cells_are_refused_before_any_training():
    with pytest.raises(ParameterError, match="expected types among A, B in target_counts, got 'C'"):
        cases.check_target({"C": 1}, ["A", "B"])
    with pytest.raises(ParameterError, match="at least one cell"):
        cases.check_target({"A": 0}, ["A", "B"])
    cases.check_target(None, ["A"])
    cases.check_target({"A": 1, "B": 0}, ["A", "B"])


def test_the_cells_are_split_by_type_and_read_once(case, toy, of_toy):
    cells = case.cells
    assert cells.shape == (120, 30)
    assert cells.obs["train"].sum() == 72
    assert case.target == {"B": 28, "A": 20}
    assert list(cells.obs["cell_type"].cat.categories) == ["B", "A"]
    assert cells.uns["dataset"]["untyped"] is None
    assert cases.load(toy, of_toy(defects.EXPERIMENT)) is cells
    assert cases.prepare(toy, 3, of_toy(realism.EXPERIMENT, min_test_cells=25)).kept == ["B"]


def test_cells_without_types_are_of_one(tmp_path, case):
    path = tmp_path / "untyped.h5ad"
    anndata.AnnData(case.counts.toarray() if hasattr(case.counts, "toarray") else case.counts).write_h5ad(path)
    cells = cases.load(str(path), settings(defects.EXPERIMENT, dataset=str(path)))
    assert set(cells.obs["cell_type"]) == {"cell"}
    assert cells.uns["dataset"]["untyped"]


def test_further_data_that_cannot_be_had_are_named_and_the_main_data_are_needed(toy):
    found, missing = cases.load_all(values(dataset=toy) | {"more_datasets": ["no_such_file.h5ad"]})
    assert list(found) == [toy]
    assert "no_such_file" in missing["no_such_file.h5ad"]
    with pytest.raises(DataError):
        cases.load_all(values(dataset="no_such_file.h5ad"))


def test_every_method_scores_as_all_of_them_at_once_do(case, toy, of_toy):
    wanted = of_toy(realism.EXPERIMENT)
    nb = Cells(parametric(case.train, case.test.labels, seed=3), case.test.labels)
    at_once = panel.score(
        case.train, case.test, {"NB per type": nb}, seeds=(3,), n=case.cells_a_side, trees=10, repeats=1,
        permutations=100, by="variance", min_cells=wanted["min_test_cells"] // 2, allow_empty=True,
    ).set_index(["method", "metric"])["value"]  # fmt: skip
    for method in (realism.TEST, *realism.BASELINES):
        scores = experiments.row(realism.EXPERIMENT, toy, method, 3, wanted)["scores"]
        known = {name: value for name, value in at_once[method].items() if np.isfinite(value)}
        assert known.items() <= scores.items()


def test_a_trained_model_is_scored_drawn_otherwise_and_drawn_for_figures_in_one_row(faithful):
    assert faithful["status"] == "ok", faithful["reason"]
    scores, kept = faithful["scores"], arrays.unpacked(faithful["arrays"])
    assert set(realism.COLLAPSE) < set(scores)
    assert {"rf_auc", "rf_auc, prior z", "rf_auc, posterior z", "profile, r", "library, N(1, 4²)"} < set(scores)
    # a saved model simulates the same, and a larger factor makes more counts
    assert scores["changed after saving"] == 0
    assert scores["sum, factor 260"] > scores["sum"]
    assert scores["library, rounded"] >= scores["library"]
    assert kept["image_input"].shape == kept["image_reconstruction"].shape == (8, 8)
    assert len(kept["history_kl"]) == len(kept["epochs"]) == 1
    assert kept["points_1"].shape[0] == len(kept["types_1"]) == len(kept["types"]) == 3 * 2
    assert kept["auc"].shape == kept["auc, prior z"].shape == kept["auc_types"].shape
    assert len(kept["library"]) == kept["confusion"].sum()


def test_a_model_made_before_gives_the_row_of_one_that_is_trained(case, faithful, toy, of_toy):
    wanted = of_toy(realism.EXPERIMENT, by_type=True)
    model = CVAE.faithful(seed=3, **chosen(CVAE, wanted))
    watch = trained.watch(model, wanted)
    model.fit(case.cells, train=case.in_train, callbacks=[watch], **chosen(CVAE.fit, wanted))
    made = trained.Trained("faithful", model, watch.all())
    again = experiments.row(realism.EXPERIMENT, toy, "faithful", 3, wanted, answer=made)
    timed = set(again["scores"]) - set(realism.variations.TIMES)
    assert {name: again["scores"][name] for name in timed} == {name: faithful["scores"][name] for name in timed}
    assert again["arrays"] == faithful["arrays"]


def test_cells_simulated_before_a_kill_are_found_again(tmp_path, case, of_toy):
    wanted = of_toy(realism.EXPERIMENT) | {"snapshot_epochs": [1, 2], "epochs": 2}
    with experiments.state(tmp_path / "state"):
        first = trained.train(case, "repaired", 3, wanted).snapshots
        again = trained.watch(first, wanted).all()  # of a session that has not trained
    assert list(first) == list(again) == [1, 2]
    assert (first[1].layers["counts"] != again[1].layers["counts"]).nnz == 0


def test_types_that_are_too_small_leave_a_model_without_scores_and_controls_without_a_row(toy, of_toy):
    wanted = of_toy(realism.EXPERIMENT, min_test_cells=40)
    control = experiments.row(realism.EXPERIMENT, toy, "real", 0, wanted)
    assert control["status"] == "gap"
    assert control["reason"].startswith("no type has 40 test cells or more")
    model = experiments.row(realism.EXPERIMENT, toy, "repaired", 0, wanted)["scores"]
    assert "kl, test cells" in model
    assert "rf_auc" not in model


def test_a_saved_model_is_scored_alone_and_nothing_is_trained(tmp_path, case, toy, of_toy):
    wanted = of_toy(realism.EXPERIMENT)
    path = tmp_path / "cvae.keras"
    trained.train(case, "faithful", 3, wanted).model.save(path)
    given = values(model_path=str(path), dataset=toy, seed=3)
    run = cases.trainings(given)
    assert (run.variants, run.seeds, run.apart) == (["faithful"], [3], [])
    tasks = realism.asked(given)
    assert (toy, "faithful", 3) in tasks
    assert not any(method == "repaired" for _, method, _ in tasks)
    row = experiments.row(realism.EXPERIMENT, toy, "faithful", 3, experiments.settings_of(realism.EXPERIMENT, given))
    assert row["status"] == "ok", row["reason"]
    assert "rf_auc, prior z" in row["scores"]
    assert "sum" not in row["scores"]
    for experiment in (gene_order, first_steps, defects):
        with pytest.raises(NotApplicable):
            experiment.asked(given)
    with pytest.raises(NotApplicable, match="no data in this run"):
        realism.asked(values(model_path=str(path)))


def test_profiles_of_the_true_means_agree_with_themselves_and_need_a_truth(case):
    true = Cells(case.cells.layers[truth.LAYER], case.types)
    kept = np.isin(case.types, case.kept)
    assert truth.agreement(case, true.take(np.flatnonzero(kept))) == pytest.approx(
        {"profile, r": 1, "differences between types, r": 1}
    )
    cells = case.cells.copy()
    del cells.layers[truth.LAYER]
    assert truth.agreement(cases.Case(cells, case.kept, 0, case.settings), true) == {}


def test_other_orders_of_the_genes_are_asked_for_where_there_are_any(toy, of_toy):
    given = values(fast=False, gene_orders=["file", "mean"], gene_order="file")
    assert gene_order.asked(given) == [("umi11", "repaired, mean", 0)]
    with pytest.raises(NotApplicable, match="gene_orders"):
        gene_order.asked(values())
    row = experiments.row(gene_order.EXPERIMENT, toy, "repaired, mean", 0, of_toy(gene_order.EXPERIMENT))
    assert row["scores"]["loss, test cells"] > 0, row["reason"]


def test_the_start_of_the_training_is_seen_by_several_seeds_and_only_where_the_genes_fit(monkeypatch, toy, of_toy):
    assert [seed for *_, seed in first_steps.asked(values(fast=False))] == [0, 1, 2]
    with pytest.raises(NotApplicable, match="not run at this size"):
        first_steps.asked(values())
    monkeypatch.setattr(first_steps, "SIDE", 12)
    monkeypatch.setattr(first_steps, "STEPS", 2)
    row = experiments.row(first_steps.EXPERIMENT, toy, "faithful", 0, of_toy(first_steps.EXPERIMENT))
    # an output of ½ everywhere
    assert row["scores"]["running loss"] == pytest.approx(12**2 / 4, rel=0.2)
    monkeypatch.setattr(first_steps, "SIDE", 4)
    row = experiments.row(first_steps.EXPERIMENT, toy, "faithful", 1, of_toy(first_steps.EXPERIMENT))
    assert row["reason"] == "30 genes do not fit into 4 × 4 pixels"


def test_sizes_are_the_published_ones():
    wanted = settings(sizes.EXPERIMENT)
    row = experiments.row(sizes.EXPERIMENT, "no data", "weights", 0, wanted)
    assert row["scores"] == {"encoder": 917412, "decoder": 586465, "all": 1503877}
    for claim_id in row["claims"].values():
        assert claims.claim(claim_id).value == row["scores"][claim_id.rpartition(".")[2]]
    assert ("pbmc68k", "image", 0) in sizes.asked(values(dataset="pbmc68k", fast=False))
    assert ("pbmc68k", "image", 0) not in sizes.asked(values(dataset="pbmc68k"))
    if sizes.at_hand(values()):
        row = experiments.row(sizes.EXPERIMENT, "pbmc68k_labels", "split", 0, wanted)
        assert row["scores"] == {"train": 41147, "test": 27432, "repeats": 5, "steps": 1286}


def test_every_claim_of_a_row_is_known():
    for name in (*(entry[0] for entry in sizes.CLAIMS.values()), "cvae.loss.step18"):
        assert claims.claim(name)


def test_defects_without_a_training_are_measured_both_ways(toy, of_toy):
    measured = {
        name: experiments.row(defects.EXPERIMENT, toy, name, 0, of_toy(defects.EXPERIMENT))["scores"]
        for name in defects.DEFECTS
    }
    assert measured["V6"] == {"released": 64, "otherwise": 30}
    assert measured["V7"]["released"] >= measured["V7"]["otherwise"] > 1
    assert measured["V8"] == {"released": 2, "otherwise": 0}
    assert [name for _, name, _ in defects.asked(values())] == ["V6", "V7", "V8"]
    assert "Keras" in defects.fractional(4, 3)
