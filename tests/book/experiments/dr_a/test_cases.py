"""The cells of DR-A's chapter: genes, split, labels, and what is refused."""

import anndata
import numpy as np
import pytest

from scgen_book import experiments
from scgen_book.experiments.dr_a import cases
from scgen_lib.data import registry
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.preprocess import legacy_split


def test_the_split_is_that_of_the_released_code_and_serves_every_seed(mine, values):
    case, other = (cases.prepare(mine, seed, values()) for seed in (0, 5))
    train, test = legacy_split(60)
    assert (case.train.tolist(), case.test.tolist()) == (train.tolist(), test.tolist())
    assert case is other
    assert case.cells.shape == (60, 20)
    assert case.judged == "cell types"
    assert len(case.test_labels) == len(test)
    np.testing.assert_array_equal(case.logs, np.log2(case.counts + 1))


def test_the_labels_that_are_asked_for_are_judged(mine, values, tmp_path):
    cells = anndata.read_h5ad(mine)
    cells.obs["group"], cells.obs["level1class"] = cells.obs["cell_type"], np.where(np.arange(60) % 2, "x", "y")
    cells.write_h5ad(tmp_path / "both.h5ad")
    found = cases.prepare(str(tmp_path / "both.h5ad"), 0, values(label_set="level1"))
    assert list(found.labels) == ["group9", "level1"]
    assert found.judged == "level1"
    assert found.test_labels.nunique() == 2


def test_cells_without_labels_are_not_judged_and_ask_for_one_seed(mine, values, tmp_path):
    cells = anndata.read_h5ad(mine)
    del cells.obs["cell_type"]
    cells.write_h5ad(tmp_path / "bare.h5ad")
    case = cases.prepare(str(tmp_path / "bare.h5ad"), 0, values())
    assert (case.judged, case.unscored) == (None, "the cells have no labels")
    asked = cases.asked_for(case, values(seeds=[3, 4]))
    assert (asked["seeds"], asked["baselines"]) == ([3], [])
    assert cases.asked_for(cases.prepare(mine, 0, values()), values(seeds=[3, 4]))["seeds"] == [3, 4]
    with pytest.raises(
        DataError, match="expected two classes and more than 16 training cells, got 48 cells and 0 sets"
    ):
        cases.prepare_further(str(tmp_path / "bare.h5ad"), 0, values())


def test_a_mini_batch_is_smaller_than_the_training_cells(mine, values):
    with pytest.raises(ParameterError, match=r"expected batch_size from 2 to 47, .* got 48"):
        cases.prepare(mine, 0, values(batch_size=48))


def test_the_columns_of_the_own_file_are_not_those_of_further_data(mine, values, tmp_path):
    cells = anndata.read_h5ad(mine)
    cells.obs["mine"] = np.where(np.arange(60) % 2, "x", "y")
    cells.write_h5ad(tmp_path / "own.h5ad")
    own = str(tmp_path / "own.h5ad")
    settings = values(dataset=own, labels="mine")
    assert cases.prepare(own, 0, settings).test_labels.nunique() == 2
    assert cases.prepare_further(own, 0, settings).test_labels.nunique() == 2
    assert cases.prepare_further(mine, 0, settings).test_labels.nunique() == 3


def test_names_of_the_released_code_are_the_authors_matrices(monkeypatch):
    monkeypatch.setattr(cases.data, "load", lambda name, **own: (name, own))
    for name, selected in cases.SELECTED.items():
        assert registry.DATASETS[selected].genes == 720
        assert cases.load(name, labels=None) == (selected, {})


def test_zeisel_is_the_authors_matrix_or_the_same_cells_with_more_genes(monkeypatch):
    there = set()

    def fetch(file):
        if file.key not in there:
            raise DataError(f"expected {file.name}, got none.")

    monkeypatch.setattr(cases.registry, "fetch", fetch)
    monkeypatch.setattr(cases.data, "load", lambda name, **own: (name, own))
    assert cases.stands_for("mine.h5ad") == "mine.h5ad"
    assert cases.load("mine.h5ad", labels="type") == ("mine.h5ad", {"labels": "type"})
    assert cases.load("Zeisel") == ("zeisel_full", {})
    # a row names the data that it is of
    for name in ("zeisel_4000", "zeisel_720"):
        there |= {file.key for file in cases.registry.DATASETS[name].sources}
        assert cases.stands_for("Zeisel") == name


def test_the_test_size_is_smaller(values):
    found = experiments.complete("dr_a", values(fast=True, z_dims=[2, 10], z_dim=10, seeds=[4, 5], unguarded=3))
    assert (found["epoch"], found["z_dims"], found["seeds"], found["unguarded"]) == (2, [10], [4], 1)
