"""What the comparison of denoisers says follows from its rows."""

import pytest

from scgen_book import record
from scgen_book.chapters import denoising
from scgen_book.experiments.denoising.cases import DenoisingSettings
from scgen_lib.data import registry

SETTINGS = DenoisingSettings(max_cells=60, genes=40).values()


def scores(value, **others):
    metrics = ("mcv_mse", "mcv_poisson", "mse", "mse_dropped", "mse_cell", "mse_means")
    return dict.fromkeys(metrics, value) | {"ari": [1 - v for v in value], "spurious": value} | others


@pytest.fixture
def found(made_up):
    return made_up("denoising", {
        "splat_g6": {
            "observed": scores([0.5, 0.6, 0.7]), "gene_mean": scores([0.4, 0.4, 0.5]), "knn": scores([0.3, 0.3, 0.3]),
            "dca_zinb": scores([0.2, 0.2, 0.3]), "db_aae_faithful": scores([0.8, 0.9, 0.9], mcv_mse=[0.1, 0.1, 0.1]),
            "scvi": "Not installed: the package scvi, which is an optional extra.", "truth": scores([0.0, 0.0, 0.0]),
        },
        "pbmc": {
            "observed": {"mcv_mse": [0.4], "mcv_poisson": [1.0]}, "dca_zinb": {"mcv_mse": [0.5], "mcv_poisson": [0.9]},
        },
    }, SETTINGS)  # fmt: skip


def test_every_group_of_metrics_is_told():
    assert denoising.rules().data["judged by"].nunique() == len(denoising.GROUPS)
    assert all(title in denoising.meanings().data for title in denoising.TITLES.values())
    assert set(denoising.MODELS) <= set(denoising.NAMES)
    # values are recorded under the variants that the methods are run with
    of = {name: denoising.EXPERIMENT.methods[name].variant for name in denoising.MODELS}
    assert of == {name: variant for name, (_, variant) in denoising.MODELS.items()}


def test_data_sets_are_described_and_one_that_is_not_at_hand_has_its_reason():
    given = {"datasets": ["splat_g2", "absent.h5ad"], "methods": [], "seeds": [0], "seed": 0, "max_cells": 60}
    table = denoising.described(given | {"genes": 40}).data.set_index("data")
    assert table.loc["splat_g2", ["cells", "genes"]].tolist() == ["60", "40"]
    assert table.loc["splat_g2", "known"] == "counts before dropout, means, cell types"
    assert table.loc["splat_g2", "zeros that are dropouts"].endswith("%")
    assert table.loc["absent.h5ad", "known"].startswith("not at hand: ")
    assert table.loc["absent.h5ad", "cells"] == "–"


def test_a_data_set_of_the_record_is_not_fetched_to_be_described(made_up, tmp_path, monkeypatch):
    kept = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: kept)
    monkeypatch.setattr(registry, "present", lambda name: name != "rnamix_celseq2")
    values = {"datasets": ["splat_g2"], "methods": ["observed"], "seeds": [0], "seed": 0, "max_cells": 60, "genes": 40}
    errors = {name: {"observed": {"mse": [1.0, 2.0, 3.0]}} for name in ("splat_g6_nodrop", "rnamix_celseq2")}
    for row in made_up("denoising", errors, DenoisingSettings(genes=30, max_cells=50).values()).rows:
        kept.add(row, 1.0, {"batch": "made up"})
    table = denoising.described(values | {"edition": "quick"}).data.set_index("data")
    assert table["cells"].tolist() == ["60", "50", "–"]
    assert table.loc["rnamix_celseq2", "known"] == "of the record; its files are not on this machine"
    assert denoising.described(values).data["data"].tolist() == ["splat_g2"]


def test_trainings_that_are_shorter_than_the_published_ones_are_named(found, made_up):
    told = denoising.counted(found).data
    assert told.startswith("21 rows, 20 of them scored, 10.5 minutes of work; 3 seeds. ")
    assert "3 seeds. DCA: at most 300 epochs; DB-AAE: 20 or 200 epochs, widths 1024, 512, 512." in told
    short = DenoisingSettings(dca_epochs=9).values()
    told = denoising.counted(made_up("denoising", {"a": {"pca": {"mse": [0.1]}}}, short)).data
    assert "**one seed, so no spread**: with fewer than three" in told
    assert told.endswith("**small stand-ins for the published trainings**.")


def test_figures_and_tables_are_of_the_data_sets_that_have_a_truth(found, monkeypatch):
    drawn = []
    monkeypatch.setattr(denoising.plots, "comparison_dots", lambda means, metrics, **of: drawn.append((metrics, of)))
    assert found.show(denoising.dots, "simulated", "mse", "mse_cell") is None
    assert (list(drawn[0][0]), drawn[0][1]["datasets"]) == (["mse", "mse_cell"], ["splat_g6"])
    assert found.show(denoising.dots, "molecules") is None
    assert (list(drawn[1][0]), drawn[1][1]["datasets"]) == (["mcv_mse", "mcv_poisson"], ["splat_g6", "pbmc"])
    assert found.show(denoising.dots, "designed").data == "*No data set of this run has such a truth.*"
    assert len(drawn) == 2
    table = denoising.scores(found, "molecules", 2)
    assert table.loc[("splat_g6", "DCA (ZINB)"), denoising.METRICS["mcv_mse"].label] == "0.23 ± 0.06 (3)"
    assert denoising.scores(found, "designed") is None


def test_held_out_molecules_are_held_against_the_truth(found, made_up):
    table = denoising.agreement(found).set_index("truth")
    row = table.loc[denoising.METRICS["mse"].label]
    assert row["methods"] == 5
    assert row["rank correlation, Poisson loss"] == pytest.approx(1)
    # one method is the worst by the truth and the best by the squared error
    assert row["rank correlation, squared error"] == pytest.approx(0)
    assert (row["best by the Poisson loss"], row["best by the truth"]) == ("DCA (ZINB)", "DCA (ZINB)")
    few = made_up("denoising", {"a": {"pca": scores([0.1]), "knn": scores([0.2])}})
    assert denoising.agreement_table(few).data == "*Not computed: it takes a simulation and four methods.*"


def test_controls_are_told_place_by_place(found, made_up):
    told = denoising.controls(found).data
    assert told.startswith("The truth is not beaten in 8 of 8 places, doing nothing is beaten in ")
    wrong = made_up("denoising", {"a": {"observed": {"mse": [0.1]}, "knn": {"mse": [0.2]}, "truth": {"mse": [0.3]}}})
    told = denoising.controls(wrong).data
    label = denoising.METRICS["mse"].label
    assert f"- **a**, {label}: *nearest cells* (0.2) **beats the truth** (0.3)." in told
    assert (
        f"- **a**, {label}: doing nothing is **not beaten**; the best of the others is *nearest cells* (0.2)." in told
    )
    table = denoising.controls_table(wrong).data
    assert table.loc[0, ["observed", "best", "its value", "truth"]].tolist() == [0.1, "nearest cells", 0.2, 0.3]


def test_the_takeaways_follow_from_the_numbers(found, made_up):
    lines = denoising.takeaways(found)
    assert lines[0].startswith("**splat_g6**, nearer to the truth than gene means, measure by measure: ")
    assert "DCA (ZINB) −0.200" in lines[0]
    assert "DB-AAE" not in lines[0]
    (unrelated,) = [line for line in lines if "unrelated genes" in line]
    assert unrelated.endswith(
        "observed 0.60, gene mean 0.43, nearest cells 0.30, DCA (ZINB) 0.23, DB-AAE (faithful) 0.87; 0 is right."
    )
    assert next(line for line in lines if line.startswith("**pbmc**, better than doing nothing")).endswith(
        "held-out molecules: squared error of ln(1 + x): none. **The measures disagree** on DCA (ZINB)."
    )
    assert "**Truth by design**: no such data set in this run; the paper edition has them." in lines
    other = {
        "observed": scores([0.1, 0.1, 0.1]),
        "gene_mean": scores([0.1, 0.1, 0.1]),
        "dca_zinb": scores([0.9, 0.8, 0.9]),
    }
    lines = denoising.takeaways(made_up("denoising", {"splat_g6": other}))
    assert "DCA" not in lines[0]
    assert denoising.takeaways(made_up("denoising", {"a": {"pca": "no counts"}})) == [
        "**Truth by design**: no such data set in this run; the paper edition has them."
    ]
