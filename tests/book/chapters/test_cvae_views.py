"""What the chapter on the CVAE says of its rows: tables, effects and sentences follow the numbers."""

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from scgen_book import experiments, results
from scgen_book.chapters.cvae import effects, figures, maps, scores, tables
from scgen_book.chapters.cvae.takeaways import takeaways
from scgen_book.experiments import arrays
from scgen_book.experiments.cvae import defects, first_steps, gene_order, realism, variations, views
from scgen_book.experiments.rows import Rows

OF_CELL = {
    "dataset": None, "label_key": None, "transpose": False, "more_datasets": None, "model_path": None,
    "variants": ["repaired", "faithful"], "seed": 0, "seeds": [0], "fast": True, "edition": "own", "rows": None,
    "out": None,
}  # fmt: skip
PANEL = {"rf_auc": 0.9, "mmd2": 0.1, "sd_ratio": 0.8, "corr_pearson": 0.7, "library_median": 900, "zeros_median": 0.2}
TRUTH = {"profile, r": 0.9, "differences between types, r": 0.5}
ENDING = {"reconstruction, test cells": 8.0, "kl, test cells": 0.5, "active dimensions of z": 1, "loss, test cells": 9}


@pytest.fixture(scope="module")
def values():
    return experiments.complete("cvae", OF_CELL)


def row(method, found, experiment=realism.EXPERIMENT, kept=None, seed=0):
    role = experiment.methods[method].role
    return {
        "experiment": experiment.name, "dataset": "umi11", "method": method, "role": role, "seed": seed,
        "variant": experiment.methods[method].variant, "status": "ok", "reason": None, "duration_s": 0.0, "claims": {},
        "scores": dict(found), "arrays": arrays.packed(kept or {}),
    }  # fmt: skip


def made(values, **auc):
    """Rows of a run in which the AUC of a method may be another one."""
    side = {"cells a side": 100.0}
    found = [row(name, side | PANEL | TRUTH | {"rf_auc": auc.get(name, 0.8)}) for name in realism.BASELINES]
    found.append(row(realism.TEST, side | {"library_median": 950, "zeros_median": 0.25, "logistic_accuracy": 0.99}))
    drawn = {variations.named(name, kind): 10.0 for name in ("library", "zeros") for kind in variations.OF_Z}
    for variant in ("repaired", "faithful"):
        own = side | PANEL | TRUTH | ENDING | {"rf_auc": auc.get(variant, 0.95)}
        for kind in realism.KINDS[variant == "repaired" :]:
            own |= {f"{name}, {kind}": value for name, value in (PANEL | TRUTH).items()}
        whole = own | drawn | {"changed after saving": 0} if variant == "repaired" else _faithful(own | drawn)
        found.append(row(variant, whole, kept={"epochs": [1, 2], "padding": [0.5, 0.25]}))
    return Rows(realism.EXPERIMENT, found)


def _faithful(own):
    return own | {name: 5.0 for name in variations.METRICS if name not in own} | {"spread": 0.2, "library": 650.0}


def rows_of(module, found):
    return Rows(module.EXPERIMENT, [row(name, own, module.EXPERIMENT) for name, own in found.items()])


@pytest.fixture
def measured(values):
    sides = {"V6": (144, 100), "V7": (212, 198), "V8": (3, 0)}
    of = rows_of(defects, {name: dict(zip(("released", "otherwise"), x, strict=True)) for name, x in sides.items()})
    orders = rows_of(gene_order, {"repaired, mean": {"loss, test cells": 8.5}})
    return effects.Measured(made(values), orders, of, values)


def test_cells_that_a_model_draws_otherwise_are_methods_of_their_own(values):
    found = scores.scores(made(values), values)
    assert {"faithful, prior z", "faithful, posterior z", "repaired, posterior z"} < set(found["method"])
    assert set(found["metric"]) == {*PANEL, "logistic_accuracy"}
    assert set(scores.scores(made(values), values, scores.TRUTH)["metric"]) == set(TRUTH)


def test_takeaways_follow_the_numbers(values):
    lines = takeaways(made(values), values)
    assert lines[0].startswith("**Scale**: 2 epochs of umi11 are about 20 updates")
    assert lines[1].startswith("One seed is no sample")
    text = "\n".join(lines)
    assert "AUC 0.95 for repaired, 0.95 for faithful (0.90 for repaired with posterior z); 0.80 for a negative" in text
    assert "**umi11**, repaired against NB per type, on the same seeds: not better" in text
    assert "depth: median library size 900 repaired, 900 faithful, 950 held-out; zeros 20% repaired" in text
    other = "\n".join(takeaways(made(values, repaired=0.6), values))
    assert "0.60 for repaired" in other
    assert "repaired against NB per type, on the same seeds: better" in other


def test_the_page_shows_the_record_where_it_has_the_seeds_and_follows_its_numbers(values, in_record, monkeypatch):
    book = values | {"fast": False, "edition": "quick", "more_datasets": [], "min_test_cells": 10}
    own = made(values)
    for found in own.rows:
        found["settings"] = {"epochs": 8, "score_cells": 100}
    in_record([], {})
    assert scores.shown(own, book)[0] is own
    assert scores.shown(own, values)[1] == values
    said, bars, tabled = [], [], []
    monkeypatch.setattr(figures.plots, "score_bars", lambda table, *of, **how: bars.append(table) or _Drawn())
    monkeypatch.setattr(tables, "display", tabled.append)
    for auc in (0.75, 0.5):
        kept = made(values, repaired=auc, real=0.5).rows
        both = [*kept, *(found | {"dataset": "pbmc68k_reduced"} for found in kept)]
        in_record(both, {"epochs": 100, "score_cells": None})
        shown, page = scores.shown(own, book)
        assert (page["epochs"], page["seeds"], page["more_datasets"]) == (100, [0, 1, 2], ["pbmc68k_reduced"])
        said.append("\n".join(takeaways(shown, page)))
        figures.aucs(shown, page)
        tables.all_scores(shown, page)
    for words, table, auc in zip(said, bars, ("0.75", "0.50"), strict=True):
        assert f"(3 seeds), can a forest tell? AUC {auc} for repaired" in words
        assert "**pbmc68k_reduced**, depth" in words
        assert "One seed is no sample" not in words
        assert table.set_index("method").loc["repaired", ["mean", "n"]].tolist() == [float(auc), 3]
    assert tabled[0].data.startswith("**umi11**, 100 cells a side; models: 3 seeds, controls: 3.")
    label = realism.SHOWN["rf_auc"].label
    assert [table.loc[label, "repaired"] for table in tabled[1::4]] == ["0.75 ± 0", "0.5 ± 0"]


class _Drawn:
    figure = None


def test_data_sets_of_the_record_stand_beside_the_default_data_of_an_edition_alone(values, in_record):
    book = values | {"fast": False, "edition": "quick", "more_datasets": []}
    in_record([row("poisson", PANEL) | {"dataset": "pbmc68k_reduced"}], {})
    assert scores.datasets(book) == ["umi11", "pbmc68k_reduced"]
    assert scores.datasets(book | {"edition": "own"}) == ["umi11"]
    assert scores.datasets(book | {"dataset": "mine.h5ad"}) == ["mine.h5ad"]


def test_the_first_steps_say_how_many_seeds_are_of_the_record():
    of = [
        row("faithful", {"running loss": x}, first_steps.EXPERIMENT, seed=k) for k, x in enumerate((3400, 3300, 3500))
    ]
    alone = tables.start(Rows(first_steps.EXPERIMENT, of[:1])).data
    assert alone.startswith("Running loss after 18 steps: 3,400 over 1 seed, from 3,400 to 3,400;")
    both = tables.start(Rows(first_steps.EXPERIMENT, of[:1], recorded=of)).data
    assert both.startswith(
        "Running loss after 18 steps: 3,400 ± 100 over 3 seeds (2 of them of the record), from 3,300"
    )


def test_without_rows_only_the_scale_is_said(values):
    assert len(takeaways(Rows(realism.EXPERIMENT, [], "none"), values)) == 1


def test_a_training_that_failed_is_named_where_its_figures_and_tables_would_stand(values):
    broken = row("faithful", {}) | {"status": "gap", "reason": "a value is no longer finite"}
    rows = Rows(realism.EXPERIMENT, [broken, *(x for x in made(values).rows if x["variant"] is None)])
    for view in (figures.losses, figures.images, figures.latent, tables.endings):
        assert view(rows, values).data == "*Not shown: a value is no longer finite.*"
    for view in (maps.Maps(rows, values).figure, maps.Maps(rows, values).named):
        assert rows.show(view).data == "*Not shown: a value is no longer finite.*"
    assert "no model was trained on these data" in "\n".join(takeaways(rows, values))


def test_maps_show_held_out_and_simulated_cells_and_name_them(values, monkeypatch):
    rng, types = np.random.default_rng(0), np.array(["B", "NK"] * 6)
    kinds = ("held-out", "faithful,\nepoch 1", "repaired")
    laid_out = maps.Maps(made(values), values | {"fast": True})
    monkeypatch.setattr(maps.Maps, "cells", ({k: rng.normal(size=(12, 5)) for k in kinds}, dict.fromkeys(kinds, types)))
    assert list(laid_out.flat) == ["PCA"]
    assert {part.shape for part in laid_out.flat["PCA"].values()} == {(12, 2)}
    assert len(laid_out.figure(laid_out.rows).axes) == len(kinds)
    named = laid_out.named(laid_out.rows).data
    # those held out and those of the last model, not those in between
    assert named.count("<circle ") == 24
    assert named.count("<title>repaired: NK</title>") == 6
    assert "epoch" not in named


def test_of_each_type_as_many_cells_are_drawn_as_there_is_room_for():
    cells = anndata.AnnData(
        np.zeros((9, 2)), obs=pd.DataFrame({"cell_type": [*"aaaaaa", *"bbb"]}, index=[*"123456789"])
    )
    assert maps.held_out(cells, 4, seed=0).obs["cell_type"].value_counts().to_dict() == {"a": 4, "b": 3}


def test_effects_are_words_of_the_measured_numbers(measured):
    found = effects.effects(measured)
    assert set(found) == {f"V{k}" for k in range(1, 14)}
    assert found["V7"].startswith("M is 212 with the test cells and 198 without")
    assert found["V3"].startswith("median library size and zeros: 650 and")
    assert found["V6"].startswith("30.6% of the exported columns have no gene; largest value in them 0.5 after 1 epoch")
    assert found["V13"] == "loss of test cells (repaired) by order of the genes: file 9, mean 8.5"


def test_findings_have_both_sides_and_need_the_faithful_variant(measured, values):
    run = results.Run("cvae", parameters={}, dataset={"name": "umi11"})
    effects.findings(run, measured)
    found = {entry["name"]: (entry["released"], entry["otherwise"]) for entry in run.findings}
    assert set(found) == {"V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "V12", "V13"}
    assert found["V13"] == ([9.0], [8.5])
    assert found["V2"] == ([0.2], [5.0])
    without = Rows(realism.EXPERIMENT, [x for x in measured.realism.rows if x["method"] != "faithful"])
    run = results.Run("cvae", parameters={}, dataset={"name": "umi11"})
    effects.findings(run, measured._replace(realism=without))
    assert run.findings == []
    assert "V2" not in effects.effects(measured._replace(realism=without))


def test_tables_hold_the_methods_in_their_order(values, monkeypatch):
    rows, shown = made(values), []
    ended = tables.endings(rows, values)
    assert list(ended.index) == [("umi11", "repaired"), ("umi11", "faithful")]
    true = tables.truth(rows, values)
    assert list(true.index) == [
        "training cells", "NB per type", "repaired", "faithful", "faithful, prior z", "repaired, posterior z",
    ]  # fmt: skip
    assert list(true.columns) == list(TRUTH)
    monkeypatch.setattr(tables, "display", shown.append)
    tables.all_scores(rows, values)
    assert shown[0].data.startswith("**umi11**, 100 cells a side; models: 1 seed, controls: 1.")
    assert len(shown) == 2
    assert "not asked for" in tables.each_type(rows, values).data
    assert tables.scored_types(values).data.startswith("**umi11**: 11 of 11 types have at least 10 test cells")


def test_the_table_of_scores_leaves_out_what_has_no_value_and_names_the_test_cells(values):
    own = scores.scores(made(values), values)
    table = tables._of_data(own.drop(columns="data").assign(data="umi11"), scores.columns(values))
    assert list(table.columns[:2]) == ["test cells", "training cells"]
    assert table.loc["median library size", "test cells"] == "950"
    assert table.loc["MMD² (0 is best)", "test cells"] == "–"


def test_figures_are_drawn_or_say_why_not(values):
    rows = made(values)
    assert hasattr(figures.aucs(rows, values), "savefig")
    assert figures.drawn(rows, values, "library").data.startswith("*Not shown")
    assert figures.losses(rows, values | {"model_path": "cvae.keras"}).data.startswith("*Not shown")
    plt.close("all")


def test_what_is_kept_of_cells_comes_back_as_tables():
    kept = {"library": np.array([3.0, 4.0]), "zeros": np.array([0.5, 0.25]), "label": np.array([1, 0]),
            "labels": np.array(["A", "B"])}  # fmt: skip
    assert views.frame(kept)["label"].tolist() == ["B", "A"]
    confusion = views.confusion({"confusion": np.eye(2), "confusion_rows": ["A", "B"], "confusion_columns": ["A", "C"]})
    assert confusion.loc["A", "A"] == 1
