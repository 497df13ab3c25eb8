"""Cells and genes of an opened file are those of the file that was read, and stay where they are."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scgen_lib.data import checks, open_backed, selected, stored, writing
from scgen_lib.data.stored import Stored

N, G = 60, 9


@pytest.fixture
def cells():
    x = np.random.default_rng(0).poisson(1.0, (N, G)).astype("float32")
    x[7], x[:, 2] = 0, 0
    made = ad.AnnData(
        sp.csr_matrix(x),
        obs=pd.DataFrame({"kind": pd.Categorical(["A", "B"] * (N // 2))}, index=[f"c{i}" for i in range(N)]),
        var=pd.DataFrame({"length": np.arange(G)}, index=[f"g{j}" for j in range(G)]),
        layers={"counts": sp.csr_matrix(x), "dense": np.log1p(x)},
        obsm={"X_pca": np.arange(2 * N).reshape(N, 2)},
        varm={"loadings": np.arange(G)[:, None]},
        uns={"about": {"name": "small"}},
    )
    made.raw = made.copy()
    return made


@pytest.fixture
def backed(cells, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(stored, "BLOCK_BYTES", 500)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    return open_backed(tmp_path / "cells.h5ad")


def dense(x):
    x = x.to_memory() if isinstance(x, Stored) else x
    return x.toarray() if sp.issparse(x) else np.asarray(x)


def assert_same(found, expected):
    assert found.shape == expected.shape
    pd.testing.assert_frame_equal(found.obs, expected.obs)
    pd.testing.assert_frame_equal(found.var, expected.var)
    for left, right in ((found.X, expected.X), (found.raw.X, expected.raw.X)):
        np.testing.assert_array_equal(dense(left), dense(right))
    for name in ("counts", "dense"):
        np.testing.assert_array_equal(dense(found.layers[name]), dense(expected.layers[name]))
    np.testing.assert_array_equal(found.obsm["X_pca"], expected.obsm["X_pca"])
    np.testing.assert_array_equal(found.varm["loadings"], expected.varm["loadings"])
    assert found.uns["about"]["name"] == "small"


SELECTIONS = {
    "all": (slice(None), slice(None)),
    "a mask and an order": (np.arange(N) % 3 > 0, np.array([5, 0, 8])),
    "an order and a slice": (np.array([40, 2, 17]), slice(2, 6)),
}


@pytest.mark.parametrize("selection", SELECTIONS)
def test_what_is_selected_is_that_of_memory_and_stays_on_disk(cells, backed, selection, tmp_path):
    rows, genes = SELECTIONS[selection]
    found, expected = selected(backed, rows, genes), cells[rows, genes].copy()
    assert all(isinstance(x, Stored) for x in (found.X, found.raw.X, *found.layers.values()))
    assert_same(found, expected)
    # of what was selected
    assert_same(selected(found, slice(1, 3), [1, 0]), expected[1:3, [1, 0]].copy())
    # in memory it is a copy as any other
    assert_same(selected(cells, rows, genes), expected)
    # a view reads what is asked of it, as that of any opened file
    np.testing.assert_array_equal(dense(found[[2, 1], [0, 2]].layers["counts"]), dense(expected.X)[[2, 1]][:, [0, 2]])
    writing.write(found, tmp_path / "out.h5ad")
    written = ad.read_h5ad(tmp_path / "out.h5ad")
    assert_same(written, expected)
    assert sp.issparse(written.X)
    assert not sp.issparse(written.layers["dense"])


def test_a_selection_that_is_small_is_read(cells, backed, monkeypatch):
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", N * 3 * 4)
    found = selected(backed, slice(None), [4, 5, 6])
    assert sp.issparse(found.X)
    assert isinstance(found.layers["dense"], np.ndarray)
    assert_same(found, cells[:, [4, 5, 6]].copy())


def test_empty_cells_and_genes_are_dropped_without_reading_the_others(cells, backed):
    found, expected = checks.drop_empty(backed), checks.drop_empty(cells)
    assert isinstance(found.layers["counts"], Stored)
    assert_same(found, expected)
    assert found.uns["dropped"] == expected.uns["dropped"] == {"cells": 1, "genes": 1}
