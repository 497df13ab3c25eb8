"""The experiments of the chapter on DB-AAE: a row of each stands alone, at test size."""

import anndata
import numpy as np
import pytest

from scgen_book import claims, experiments
from scgen_book.experiments import arrays, rows
from scgen_book.experiments.db_aae import batch_size, cells, defects, denoising, molecules, search, sets
from scgen_book.experiments.db_aae.chapter import CHAPTER
from scgen_book.experiments.protocol import NotApplicable
from scgen_lib.models.db_aae import DBAAE

REPAIRED = "DB-AAE, repaired"


@pytest.fixture
def row(values):
    """Compute a row of an experiment of the chapter."""

    def compute(name, dataset, method, seed=0, **given):
        experiment = experiments.get(f"db_aae.{name}")
        found = experiments.row(experiment, dataset, method, seed, experiments.settings_of(experiment, values | given))
        assert found["status"] == "ok", found["reason"]
        return found

    return compute


@pytest.mark.parametrize(
    ("name", "dataset", "method", "metric"),
    [
        ("sets", "splat_g2", "the data", "unseen_32"),
        ("search", "splat_g6", search.SHUFFLED, "best"),
        ("batch_size", "splat_g6", REPAIRED, "found"),
        ("molecules", "splat_g2", "gene mean", "poisson"),
        ("parts", "splat_g6", "repaired, B by the held-out error", "kept"),
        ("defects", "splat_g6", "D13", "otherwise"),
    ],
)
def test_a_row_has_its_metrics(row, name, dataset, method, metric):
    found = row(name, dataset, method)
    assert np.isfinite(found["scores"][metric])
    known = {claim.id for claim in claims.claims("ko2024")}
    assert set(found["claims"].values()) <= known


def test_a_trained_model_is_judged_by_all_that_can_be_asked(row):
    found = row("denoising", "splat_g6", REPAIRED)
    for metric in ("fit", "mse_dropped", "ari", "markers, group 3"):
        assert metric in found["scores"], metric
    assert found["claims"] == {"mse_dropped": "db_aae.sim.g6.db_aae", "mse": "db_aae.sim.g6.db_aae.all"}
    kept = arrays.unpacked(found["arrays"])
    assert len(kept["history.loss"]) == found["scores"]["epochs"] == 1
    assert kept["tsne"].shape == (len(kept["labels"]), 2)
    assert kept["violins_groups"].shape == (len(kept["of_groups"]), len(kept["genes_groups"]))
    assert "umap" not in kept  # at test size
    # another seed has no pictures, and the controls are no models
    assert row("denoising", "splat_g6", "gene mean", 1)["arrays"] == {}
    assert "ari" not in row("denoising", "splat_g6", "gene mean")["scores"]


def test_the_order_is_asked_of_data_that_have_one(row):
    found = row("denoising", "splat_path", "true counts")
    assert found["scores"]["r2_curve"] > row("denoising", "splat_path", "observed")["scores"]["r2_curve"]
    assert len(arrays.unpacked(found["arrays"])["time"]) == len(arrays.unpacked(found["arrays"])["stages"])
    assert "r2_curve" not in row("denoising", "splat_g6", "observed")["scores"]


@pytest.mark.parametrize(
    ("dataset", "method", "variant", "metric", "claim"),
    [
        ("splat_g2", "DCA", None, "mse_dropped", "db_aae.sim.g2.dca"),
        ("splat_g8", REPAIRED, "repaired", "mse", "db_aae.sim.g8.db_aae.all"),
        ("splat_g8_nodrop", REPAIRED, "repaired", "mse", None),
        ("splat_g2", "10 PCs", None, "mse", None),
        ("goolam", "observed", None, "r2_curve", "db_aae.goolam.r2.observed"),
        ("splat_path", "observed", None, "r2_curve", None),
        ("baron_mouse", REPAIRED, "repaired", "ari", "db_aae.baron.ari.db_aae"),
        ("baron_mouse", "DCA", None, "ari", None),
    ],
)
def test_claims_are_those_of_the_paper(dataset, method, variant, metric, claim):
    found = {"dataset": dataset, "method": method, "variant": variant, "scores": {metric: 1.0}}
    assert denoising.claims(found).get(metric) == claim


def test_the_batch_size_is_the_one_given_or_found_or_the_usual_one(values, monkeypatch):
    monkeypatch.setattr(search, "found", lambda *_: type("Search", (), {"best": 48}))
    assert search.batch_size("splat_g6", "repaired", values) == 48
    assert search.batch_size("splat_g6", "repaired", values | {"batch_size": 24}) == 24
    assert search.batch_size("splat_g6", "repaired", values | {"tune": False}) == 32
    assert search.batch_size("splat_g2", "repaired", values) == 32
    assert search.batch_size("splat_g2", "repaired", values | {"tune_all": True}) == 48
    assert batch_size.usual(20) == 20


def test_a_search_is_made_once_in_a_process_and_its_trials_are_found_in_its_folder(values, tmp_path, monkeypatch):
    given = values | {"tune_dir": str(tmp_path), "seed": 5}
    first = search.found("splat_g6", "faithful", given)
    assert search.found("splat_g6", "faithful", given | {"n_pcs": 3}) is first  # nothing that decides a search
    search._found.cache_clear()  # another process
    monkeypatch.setattr(DBAAE, "_train", lambda *_, **__: pytest.fail("trained again"))
    assert search.found("splat_g6", "faithful", given).curve.equals(first.curve)
    key = [experiments.key("db_aae.search", "splat_g6", search.RELEASED, 0, settings) for settings in (values, given)]
    assert key[0] != key[1]
    given["seed"] = values["seed"]
    assert experiments.key("db_aae.search", "splat_g6", search.RELEASED, 0, given) == key[0]


def test_the_model_that_a_notebook_has_trained_is_scored_as_the_row_would_be(values):
    adata = cells.load("splat_g6", 0, values)
    model = cells.model("repaired", adata, 0, values)
    model.fit(adata.copy(), **cells.fit_options(values, search.batch_size("splat_g6", "repaired", values)))
    task = ("splat_g6", REPAIRED, 0)
    settings = experiments.settings_of(denoising.EXPERIMENT, values)
    answer = denoising.answer(model, adata, "repaired", 16)
    (made,) = rows.computed(denoising.EXPERIMENT, [task], settings, made={task: answer})
    (own,) = rows.computed(denoising.EXPERIMENT, [task], settings)
    assert made["scores"] == own["scores"]
    assert made["arrays"] == own["arrays"]


def test_without_a_search_or_real_data_there_is_a_reason(values):
    for experiment in (search.EXPERIMENT, batch_size.EXPERIMENT):
        with pytest.raises(NotApplicable, match="no search"):
            experiment.asked(values | {"tune": False})
    with pytest.raises(NotApplicable, match="no real data set"):
        molecules.asked(values)
    assert {name for name, _, _ in molecules.asked(values | {"real_sets": ["goolam"]})} == {"goolam"}


def test_every_row_that_is_asked_for_has_a_method(values):
    whole = values | {"fast": False, "simulations": None, "ordered": None, "real_sets": None, "markers": None}
    for name in CHAPTER.experiments:
        experiment = experiments.get(name)
        asked = list(experiment.asked(whole))
        assert {method for _, method, _ in asked} <= set(experiment.methods)
        assert len(asked) == len(set(asked))
    of = sets.chosen(whole)
    assert of.real == list(sets.REAL)
    assert of.ordered == ["splat_path", "goolam"]
    assert of.markers == "baron_mouse"
    # without a known truth there are no controls that need one
    assert {m for d, m, _ in denoising.asked(whole) if d == "treutlein"} == {"observed", "DCA", *cells.VARIANTS}


def test_a_file_of_ones_own_is_judged_by_molecules_and_in_the_order_of_its_labels(values, tmp_path):
    rng = np.random.default_rng(0)
    mine = anndata.AnnData(rng.poisson(3.0, (60, 30)).astype("float32"))
    mine.obs["stage"] = np.repeat(["a", "b", "c"], 20)
    mine.write_h5ad(tmp_path / "mine.h5ad")
    given = {"dataset": str(tmp_path / "mine.h5ad"), "simulations": None, "ordered": None, "real_sets": None,
             "markers": None}  # fmt: skip
    of = sets.chosen(values | given)
    assert (of.truth, of.real, of.ordered, of.markers) == ([], [given["dataset"]], [], given["dataset"])
    mine.obs["cell_type"] = mine.obs["stage"].astype("category").cat.as_ordered()
    mine.write_h5ad(tmp_path / "ordered.h5ad")
    given["dataset"] = str(tmp_path / "ordered.h5ad")
    assert sets.chosen(values | given).ordered == [given["dataset"]]
    assert cells.of_file(given["dataset"]) == "ordered"
    assert cells.of_file("goolam") == "goolam"


def test_markers_are_counted_with_both_thresholds(values):
    given = values | {"fast": False, "max_cells": 200}
    adata = cells.load("splat_g6", 0, given)
    genes = cells.normaliser(adata, given).genes
    marked = denoising.markers.Marked("splat_g6", adata, genes, given)
    found = marked.scores(marked.observed)
    for group in denoising.markers.GROUPS:
        assert found[f"loose, {group}"] >= found[f"markers, {group}"] > 0
        assert found[f"first, {group}"] == 20
    assert len(marked.of_classes) == 7
    assert np.all(np.diff([np.sum(marked.groups == group) for group in denoising.markers.GROUPS]) <= 0)


def test_what_is_no_number_of_a_deviation_is_kept_in_words(row):
    kept = arrays.unpacked(row("defects", "splat_g6", "D15")["arrays"])
    assert kept["numbers"].tolist() == [0, 3]
    assert kept["words"][0] == "IndentationError"
    assert "batch size of 9" in arrays.unpacked(row("defects", "splat_g6", "D5")["arrays"])["words"][0]
    assert set(defects.EXPERIMENT.methods) == {method for _, method, _ in defects.asked({"dataset": "x", "seed": 0})}
