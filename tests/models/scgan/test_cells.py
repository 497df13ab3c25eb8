"""Filters, clusters and splits of scGAN's cells."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from anndata import AnnData

from scgen_lib.data import open_backed, stored
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.models.scgan.cells import SPLIT, cluster, process, scaled, stratified_split


@pytest.fixture(scope="module")
def adata():
    """300 cells × 60 genes of three classes; ten empty cells, five empty genes."""
    rng = np.random.default_rng(0)
    labels = rng.choice(["B", "T", "NK"], 300, p=[0.6, 0.3, 0.1])
    profile = rng.gamma(0.5, 6.0, (3, 60))
    counts = rng.poisson(profile[pd.Categorical(labels).codes])
    counts[:10], counts[:, :5] = 0, 0
    cells = AnnData(sp.csr_matrix(counts.astype("float32")), obs={"cell_type": pd.Categorical(labels)})
    cells.obs_names = [f"c{i}" for i in range(300)]
    cells.var_names = [f"g{i}" for i in range(60)]
    return cells


def test_cells_are_filtered_scaled_and_split(adata):
    cells = process(adata, test_cells=0.3, valid_cells=20)
    assert cells.uns["scgan"]["cells"] == {"train": 290 - 87 - 20, "valid": 20, "test": 87}
    assert cells.uns["scgan"]["dropped"]["cells"] == 10
    assert cells.uns["scgan"]["dropped"]["genes"] >= 5
    assert sp.issparse(cells.X)
    assert cells.X.dtype == np.float32
    np.testing.assert_allclose(cells.X.sum(axis=1), 20000, rtol=1e-6)
    counts = adata[cells.obs_names, cells.var_names].X
    assert (cells.layers["counts"] != counts).nnz == 0
    np.testing.assert_array_equal(cells.obs["scgan_total"], np.asarray(counts.sum(axis=1)).ravel())
    train = cells.obs["cell_type"][cells.obs["scgan_split"] == "train"].value_counts(normalize=True)
    assert list(cells.uns["scgan"]["prior"]) == pytest.approx(train[cells.obs["cell_type"].cat.categories].to_list())


def test_processed_cells_can_be_written_whatever_their_classes_are_called(adata, tmp_path):
    # no key of an HDF5 file holds a slash
    named = adata.copy()
    named.obs["cell_type"] = named.obs["cell_type"].cat.rename_categories({"T": "CD4+/CD25 T Reg"})
    cells = process(named, min_class_size=40)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    read = anndata.read_h5ad(tmp_path / "cells.h5ad")
    assert list(read.obs["cell_type"]) == list(cells.obs["cell_type"])
    np.testing.assert_array_equal(read.uns["scgan"]["prior"], cells.uns["scgan"]["prior"])


def test_filters_take_cells_first_and_genes_by_the_cells_that_are_left():
    counts = np.zeros((4, 3))
    counts[0, 0] = 5  # one gene: goes, and with it the second cell of gene 0
    counts[1:, 1:] = 1
    counts[1, 0] = 1
    cells = AnnData(counts, obs={"cell_type": list("aabb")})
    kept = process(cells, min_genes=2, min_cells=2, test_cells=0)
    assert kept.shape == (3, 2)


def test_processing_is_idempotent_and_does_not_depend_on_the_order_of_the_genes(adata):
    once = process(adata)
    again = process(once)
    assert (once.X != again.X).nnz == 0
    assert list(once.obs["scgan_split"]) == list(again.obs["scgan_split"])
    reverse = process(adata[:, ::-1].copy())
    assert list(once.obs["scgan_split"]) == list(reverse.obs["scgan_split"])
    np.testing.assert_array_equal(once.X.toarray(), reverse[:, once.var_names].X.toarray())


def test_variable_genes_are_chosen_by_training_cells_and_scaled_to_the_library_size(adata):
    cells = process(adata, n_top_genes=12)
    # of so few genes several tie with the twelfth
    assert 12 <= cells.n_vars <= 16
    np.testing.assert_allclose(cells.X.sum(axis=1), 20000, rtol=1e-6)
    spoilt = process(adata)
    test = spoilt.obs_names[spoilt.obs["scgan_split"] == "test"]
    changed = adata.copy()
    x = changed.X.toarray()
    x[changed.obs_names.get_indexer(test)] = np.roll(x[changed.obs_names.get_indexer(test)], 7, axis=0)
    changed.X = sp.csr_matrix(x)
    assert list(process(changed, n_top_genes=12).var_names) == list(cells.var_names)


@pytest.mark.parametrize("options", [{}, {"n_top_genes": 20}, {"min_class_size": 40, "min_genes": 20, "min_cells": 50}])
def test_cells_on_disk_stay_there_and_are_those_in_memory(adata, tmp_path, monkeypatch, options):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr(stored, "BLOCK_BYTES", 5000)
    opened = open_backed(tmp_path / "cells.h5ad")
    read = process(adata, **options)
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
    found = process(opened, **options)
    assert isinstance(found.layers["counts"], stored.Stored)
    assert found.X is None
    pd.testing.assert_frame_equal(found.obs, read.obs)
    pd.testing.assert_frame_equal(found.var, read.var)
    assert str(found.uns["scgan"]) == str(read.uns["scgan"])
    assert (found.layers["counts"].to_memory() != read.layers["counts"]).nnz == 0
    assert opened.X is not None


def test_clusters_of_cells_on_disk_are_those_in_memory(adata, tmp_path, monkeypatch):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    options = {"resolution": 0.3, "label_key": "clusters"}
    read = process(adata, **options)
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
    found = process(open_backed(tmp_path / "cells.h5ad"), **options)
    assert found.obs["clusters"].tolist() == read.obs["clusters"].tolist()
    assert isinstance(found.layers["counts"], stored.Stored)


def test_small_classes_are_dropped_and_named(adata):
    smallest = adata.obs["cell_type"].value_counts()
    cells = process(adata, min_class_size=int(smallest["NK"]) + 1)
    assert cells.uns["scgan"]["dropped"]["classes"] == ["NK"]
    assert set(cells.obs["cell_type"].cat.categories) == {"B", "T"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_genes": 100}, "lower min_genes and min_cells"),
        ({"min_class_size": 1000}, "expected a class with 1000 cells"),
        ({"label_key": "nothing"}, "nothing"),
    ],
)
def test_nothing_left_is_an_error(adata, options, message):
    with pytest.raises(DataError, match=message):
        process(adata, **options)


def test_logarithms_are_refused(adata):
    logs = adata.copy()
    logs.X = logs.X.log1p()
    with pytest.raises(DataError, match="log-transformed"):
        process(logs)


def test_a_cell_without_counts_cannot_be_scaled():
    with pytest.raises(DataError, match="got none in 1 of 2"):
        scaled(np.array([[1.0, 2.0], [0.0, 0.0]]), 10.0)


# The split -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("valid", "test"), [(20, 30), (0.1, 0.2), (0, 1), (7, 0), (93, 3)])
def test_parts_have_their_sizes_and_every_class_its_share(valid, test):
    labels = np.repeat(["a", "b", "c"], [61, 29, 10])
    part = stratified_split(labels, valid, test)
    sizes = {name: int((part == name).sum()) for name in SPLIT}
    wanted = {name: round(s * 100) if s < 1 else s for name, s in (("valid", valid), ("test", test))}
    assert sizes == {"train": 100 - sum(wanted.values()), **wanted}
    for name, n in (("a", 61), ("b", 29), ("c", 10)):
        assert abs((part[labels == name] == "test").sum() - n * wanted["test"] / 100) < 1


def test_the_released_split_rounds_down():
    labels = np.repeat(["a", "b", "c"], [61, 29, 10])
    part = stratified_split(labels, 5, 5, round_down=True)
    assert {c: int((part[labels == c] == "valid").sum()) for c in "abc"} == {"a": 3, "b": 1, "c": 0}


def test_the_split_follows_the_seed():
    labels = np.repeat(["a", "b"], 50)
    assert (stratified_split(labels, 10, 10) == stratified_split(labels, 10, 10)).all()
    assert (stratified_split(labels, 10, 10) != stratified_split(labels, 10, 10, seed=1)).any()


@pytest.mark.parametrize(("valid", "test"), [(60, 60), (100, 0), (-1, 0), (2.5, 0), (float("nan"), 0)])
def test_impossible_parts_are_refused(valid, test):
    with pytest.raises(ParameterError, match="cells"):
        stratified_split(["a"] * 100, valid, test)


def test_clusters_are_found_and_numbered_by_size(adata):
    full = adata[10:]
    found = cluster(full.X, 0.15)
    assert (pd.crosstab(found, full.obs["cell_type"].to_numpy()) > 0).sum().sum() == 3
    sizes = found.value_counts()
    assert list(sizes.index) == ["0", "1", "2"]
    assert sizes.is_monotonic_decreasing
    cells = process(adata, resolution=0.15, label_key="cluster")
    assert list(cells.obs["cluster"]) == list(cluster(cells.layers["counts"], 0.15))
    with pytest.raises(ParameterError, match=r"expected resolution to be float, in \(0, 5\], got 0"):
        cluster(full.X, 0)
