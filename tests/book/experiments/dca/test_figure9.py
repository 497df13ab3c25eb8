"""Figure 9 and the tutorial as rows: which are asked for, what they score, and which claims they speak of."""

import anndata
import numpy as np
import pandas as pd
import pytest

from scgen_book import claims, experiments
from scgen_book.experiments.dca import figure9, tutorial
from scgen_book.experiments.protocol import NotApplicable


@pytest.fixture
def blood(tmp_path):
    """Cells in which two genes repress each other, in a file; of the first ten neither gene was detected."""
    rng = np.random.default_rng(0)
    fate = rng.random(60)
    means = np.stack([9 * fate, 9 * (1 - fate), *np.full((6, 60), 5.0)], axis=1)
    counts = rng.poisson(means).astype("float32")
    counts[:10, :2] = 0
    genes = pd.DataFrame(index=["Gata1", "Sfpi1", *(f"g{i}" for i in range(6))])
    path = tmp_path / "blood.h5ad"
    anndata.AnnData(counts, var=genes).write_h5ad(path)
    return str(path), counts


def settings(**changes):
    values = experiments.complete("dca", {"epochs": 2, "hidden_size": [4, 2, 4]} | changes)
    return experiments.settings_of(figure9.EXPERIMENT, values)


def test_observed_counts_are_scored_over_all_cells_and_over_those_with_neither_gene(blood):
    path, counts = blood
    row = experiments.row("dca.figure9", path, "observed", 0, settings())
    x = np.log1p(counts[:, :2])
    assert row["scores"]["r, all cells"] == pytest.approx(np.corrcoef(x.T)[0, 1], abs=1e-6)
    assert row["scores"]["cells with neither"] == 10
    # all of them are equal: there is no correlation
    assert "r, cells with neither" not in row["scores"]
    assert row["claims"] == {"r, all cells": "dca.fig9.observed"}


def test_a_denoised_row_has_both_correlations_with_their_claims_and_keeps_both_genes(blood):
    row = experiments.row("dca.figure9", blood[0], "nb-conddisp", 0, settings())
    assert row["claims"] == {
        "r, all cells": "dca.fig9.nb_conddisp",
        "r, cells with neither": "dca.fig9.nb_conddisp.zero_cells",
    }
    assert all(-1 <= row["scores"][name] <= 1 for name in row["claims"])
    assert {claims.claim(name).dataset for name in row["claims"].values()} == {"paul_full"}
    kept = experiments.arrays.unpacked(row["arrays"])
    assert kept["genes"].shape == (60, 2)
    assert kept["neither"].sum() == 10


def test_cells_without_the_genes_are_a_gap_with_its_reason(tmp_path):
    path = tmp_path / "cells.h5ad"
    names = pd.DataFrame(index=["Gata1", "b", "c"])
    anndata.AnnData(np.ones((20, 3), "float32") + np.eye(20, 3, dtype="float32"), var=names).write_h5ad(path)
    row = experiments.row("dca.figure9", str(path), "observed", 0, settings())
    assert (row["status"], row["reason"]) == ("gap", "these cells have no gene Sfpi1")


def test_neither_is_run_unless_asked_for():
    values = experiments.complete("dca", {"dataset": "pbmc68k_reduced", "tutorial_seeds": []})
    with pytest.raises(NotApplicable, match="parameter fig9_dataset"):
        figure9.EXPERIMENT.asked(values)
    with pytest.raises(NotApplicable, match="parameter tutorial_seeds"):
        tutorial.EXPERIMENT.asked(values)
    values |= {"fig9_dataset": "paul_full", "fig9_seeds": [3], "tutorial_seeds": [0, 1]}
    assert figure9.EXPERIMENT.asked(values) == [("paul_full", name, 3) for name in ("observed", "nb", "nb-conddisp")]
    assert len(tutorial.EXPERIMENT.asked(values)) == 2 * 4 * 2


@pytest.mark.parametrize(("dataset", "groups"), zip(tutorial.DATASETS, (2, 6), strict=True))
def test_the_tutorial_speaks_of_its_own_claims(dataset, groups):
    for method, name in tutorial.CLAIMED.items():
        (found,) = tutorial.claims({"method": method, "scores": {"groups": groups}}).values()
        assert found == f"dca.tutorial.g{groups}.{name}"
        assert claims.claim(found).dataset == dataset
    assert tutorial.claims({"method": "nb", "scores": {"groups": groups}}) == {}
