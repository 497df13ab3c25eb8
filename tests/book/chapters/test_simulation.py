"""What the comparison of simulators says follows from its rows."""

import pytest

from scgen_book.chapters import simulation
from scgen_book.experiments.simulation.comparison import EXPERIMENT, METRICS

VALUES = {
    "datasets": ["blood"],
    "methods": ["real"],
    "seeds": [0],
    "control_seeds": [0, 1, 2],
    "gan_variant": "repaired",
}


def scores(auc, **others):
    return {"rf_auc": auc, "mmd2": [a / 100 for a in auc], "n_cells": [120.0] * len(auc), "n_genes": [80.0]} | others


@pytest.fixture
def found(made_up):
    return made_up("simulation", {
        "blood": {
            "real": scores([0.5, 0.52, 0.49], corr_within_pearson=[0.1, 0.0, 0.2], copies=[0.0, 0.0, 0.0]),
            "cvae_repaired": scores([0.8], accuracy_excess=[0.05], copies=[0.0]), "scgan": scores([0.97]),
            "cscgan": "expected types of cells for cscGAN, got none",
            "nb_per_type": scores([0.9], accuracy_excess=[-0.1]),
            "bootstrap": scores([0.5, 0.5, 0.5], copies=[1.0, 1.0, 1.0]),
            "permuted": scores([0.6, 0.6, 0.6], corr_within_pearson=[0.1, 0.1, 0.1]),
            "poisson": scores([0.95, 0.96, 0.95]),
        },
    })  # fmt: skip


def test_every_figure_is_of_metrics_that_there_are_and_every_name_of_a_method():
    assert {metric for metrics in simulation.FIGURES.values() for metric in metrics} <= set(METRICS)
    assert set(simulation.NAMES) <= set(EXPERIMENT.methods)
    assert set(simulation.TRAINED + simulation.SIMPLE) <= set(EXPERIMENT.methods)
    table = simulation.rules().data.set_index("metric")
    assert table.loc[METRICS["rf_auc"].label, "to beat"] == "Poisson (one depth)"
    assert table.loc[METRICS["f1"].label].tolist()[1:] == ["reported, not judged", "–"]
    assert simulation.models({"gan_variant": "faithful"})["cscgan"] == ("cscgan", "faithful")


def test_a_metric_without_a_ceiling_is_no_result(found, monkeypatch):
    assert "corr_within_pearson" not in set(simulation.results(found)["metric"])
    assert METRICS["corr_within_pearson"].label in simulation.no_ceiling(found).data
    drawn = []
    monkeypatch.setattr(simulation.plots, "comparison_dots", lambda *of, **how: drawn.append(of))
    assert found.show(simulation.dots, "discrimination") is None
    ((means, metrics),) = drawn
    assert list(metrics) == list(simulation.FIGURES["discrimination"])
    assert "corr_within_pearson" not in set(means["metric"])
    assert simulation.sizes(found).loc["blood", [METRICS["n_cells"].label, METRICS["n_genes"].label]].tolist() == [
        "120",
        "80",
    ]
    table = simulation.scores(found, "discrimination", 2)
    assert table.loc[("blood", "cells of the data"), METRICS["rf_auc"].label] == "0.50 ± 0.02 (3)"
    assert table.loc[("blood", "cscGAN"), METRICS["rf_auc"].label] == "not run"


def test_rows_and_trainings_are_counted_and_simulated_cells_are_named(found):
    told = simulation.counted(found, VALUES | {"datasets": ["pbmc68k_reduced", "splat_g6"]}).data
    assert "trained methods and baselines on 1 seed, the controls on 3." in told
    assert "*splat_g6*: **simulated by Splat**" in told
    assert "a critic that sees 0.01 x and statistics of momentum 0.99, both ours (released: 1 and 0.999)" in told
    assert "**A small stand-in for the published training**" in told
    told = simulation.counted(found, VALUES | {"gan_variant": "faithful", "gan_steps": 1_000_000}).data
    assert told.endswith("a critic that sees 1 x and statistics of momentum 0.999, both as released.")


def test_controls_of_fewer_than_three_seeds_check_nothing(found, made_up):
    told = simulation.controls(found).data
    assert told.startswith("The positive control is not beaten in ")
    assert simulation.controls_table(found).data["best"].iloc[0] == "CVAE (repaired)"
    few = made_up("simulation", {"blood": {"real": scores([0.5]), "scgan": scores([0.9]), "poisson": scores([0.6])}})
    assert simulation.controls(few).data == "*Not checked: it needs controls of three seeds.*"


def test_the_takeaways_follow_from_the_numbers(found, made_up):
    lines = simulation.takeaways(found)
    assert lines[0] == (
        "**blood**, can a forest tell? AUC CVAE (repaired) 0.80, scGAN 0.97, NB per type 0.90; 0.50 ± 0.02 for cells "
        "of the data."
    )
    assert lines[2].startswith("**blood**, CVAE (repaired) against doing nothing (*Poisson (one depth)*), on the same")
    assert ": better: AUC" in lines[2]
    assert ": not better: AUC" in lines[3]
    assert "**no result**. Cells of the data reach 0.10, permuted ones 0.10" in lines[4]
    assert "metrics with a ceiling on which a trained network is better than a negative binomial" in lines[5]
    assert "CVAE (repaired) on 3 of 3, scGAN on 0 of 2" in lines[5]
    assert lines[6].endswith("held-out cells: CVAE (repaired) +0.05, NB per type -0.10.")
    assert (
        "memory: 0.0% of the cells of a trained method copy a training cell at most; of *bootstrap* 100% do" in lines[7]
    )
    assert lines[8] == f"**Gaps**: 1 of {len(found)} rows could not be scored, see above."
    assert lines[9].startswith("One seed is no sample of trainings")
    assert len(lines) == 10
    lost = made_up("simulation", {"blood": {"real": "no counts", "scgan": "no counts"}})
    assert simulation.takeaways(lost) == ["**Gaps**: 2 of 2 rows could not be scored, see above."]
