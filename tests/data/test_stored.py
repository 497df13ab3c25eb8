"""Counts that stay on disk tell what they tell in memory, and no more of them is held than asked for."""

import tracemalloc

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

from scgen_lib import preprocess
from scgen_lib.data import checks, open_backed, stored
from scgen_lib.data.stored import Stored
from scgen_lib.errors import DataError, InputError
from scgen_lib.variable_genes import seurat_dispersions

N, G = 150, 12
# float64 sums in another order, kept as float32
CLOSE = {"rtol": 1e-6, "atol": 1e-12}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks of a few cells, and nothing so small that it is read at once."""
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(stored, "BLOCK_BYTES", 1500)


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    x = rng.poisson(rng.gamma(1, 2, (N, 1)) * rng.gamma(1, 1, (1, G))).astype("float32")
    x[:, 0] += 1
    return sp.csr_matrix(x)


def annotated(x):
    return ad.AnnData(
        x,
        obs=pd.DataFrame(index=[f"c{i}" for i in range(x.shape[0])]),
        var=pd.DataFrame(index=[f"g{j}" for j in range(x.shape[1])]),
    )


@pytest.fixture
def on_disk(tmp_path):
    """Write a matrix in one of several ways, and open it."""

    def on_disk(x, kind="h5ad"):
        path = tmp_path / f"cells.{'zarr' if kind == 'zarr' else 'h5ad'}"
        if kind == "zarr":
            annotated(x).write_zarr(path)
            return open_backed(path)
        annotated(x.toarray() if kind == "dense" else x).write_h5ad(
            path, compression="gzip" if kind == "compressed" else None
        )
        return open_backed(path) if kind == "dense" else ad.read_h5ad(path, backed="r")

    return on_disk


KINDS = pytest.mark.parametrize("kind", ["h5ad", "compressed", "zarr", "dense"])
INDICES = {
    "a slice": slice(20, 90),
    "every fifth": slice(None, None, 5),
    "a mask": np.arange(N) % 3 == 0,
    "any order, with repeats": np.random.default_rng(1).integers(0, N, 200),
    "far apart": np.array([149, 0, 70]),
    "none": np.array([], int),
}


@KINDS
@pytest.mark.parametrize("index", INDICES)
def test_rows_are_those_of_the_matrix(counts, on_disk, kind, index):
    rows = INDICES[index]
    found = Stored(on_disk(counts, kind).X)[rows]
    assert found.shape == counts[rows].shape
    np.testing.assert_array_equal(found.read().toarray(), counts[rows].toarray())
    # rows of rows, and a function of them
    again = found.map(lambda x: x[:, :3] * 2, 3)[::-1]
    np.testing.assert_array_equal(again.read().toarray(), counts[rows][::-1, :3].toarray() * 2)


def test_blocks_are_the_matrix_piece_by_piece(counts, on_disk):
    whole = Stored(on_disk(counts).X)
    starts, blocks = zip(*whole.blocks(), strict=True)
    assert len(blocks) > 5
    np.testing.assert_array_equal(starts, np.cumsum([0, *(block.shape[0] for block in blocks[:-1])]))
    np.testing.assert_array_equal(sp.vstack(blocks).toarray(), counts.toarray())


@KINDS
def test_statistics_are_those_of_the_whole(counts, on_disk, kind):
    found = checks.get_counts(on_disk(counts, kind), stored=True)
    assert isinstance(found, Stored)
    for axis in (0, 1):
        # sums of integers are exact
        np.testing.assert_array_equal(checks.totals(found, axis), checks.totals(counts, axis))
    np.testing.assert_array_equal(preprocess.mean_log_factorial(found), preprocess.mean_log_factorial(counts))
    for size_factor in ("total_median", "none"):
        for zscore in ("gene", "global"):
            of = preprocess.Standardiser(size_factor, zscore)
            left, right = (of.fit(x).get_config() for x in (found, counts))
            np.testing.assert_allclose(left["mean"], right["mean"], **CLOSE)
            np.testing.assert_allclose(left["sd"], right["sd"], **CLOSE)
    for method in ("sparse", "dense"):
        left, right = (preprocess.UnitScaler(method).fit(x) for x in (found, counts))
        assert left.get_config() == right.get_config()
        np.testing.assert_array_equal(
            *(np.asarray(sp.csr_matrix(x).todense()) for x in (left(found).read(), right(counts)))
        )
    np.testing.assert_array_equal(preprocess.highest_variance(found, 5), preprocess.highest_variance(counts, 5))


def test_statistics_of_rows_in_any_order_are_those_of_the_rows(counts, on_disk):
    rows = np.random.default_rng(0).permutation(N)[:100]
    found, kept = Stored(on_disk(counts).X)[rows], counts[rows].toarray()
    np.testing.assert_array_equal(found.sums.cells, kept.sum(axis=1))
    np.testing.assert_array_equal(found.sums.genes, kept.sum(axis=0))
    np.testing.assert_array_equal(found.extremes(), [kept.min(axis=0), kept.max(axis=0)])
    np.testing.assert_allclose(found.moments(), [kept.mean(axis=0), (kept**2).mean(axis=0)], **CLOSE)


@pytest.mark.parametrize("n_hvg", [None, 5])
def test_logarithms_are_those_of_the_whole(counts, on_disk, n_hvg):
    found = checks.get_counts(on_disk(counts), stored=True)
    left, right = (preprocess.LogNormaliser(n_hvg=n_hvg).fit(x) for x in (found, counts))
    assert left.get_config() == right.get_config()
    np.testing.assert_array_equal(left(found).read().toarray(), right(counts).toarray())


def test_the_kth_count_of_cells_that_have_it(on_disk):
    full = sp.csr_matrix(np.random.default_rng(0).poisson(9.0, (N, G)) + 1.0)
    found = Stored(on_disk(full).X)
    np.testing.assert_array_equal(preprocess.size_factors(found, "kth"), preprocess.size_factors(full, "kth"))


def test_dispersions_are_those_of_scanpy():
    rng = np.random.default_rng(0)
    x = rng.poisson(rng.gamma(1, 2, (1, 300)) * rng.gamma(2, 0.5, (100, 300))).astype("float64")
    x[:, 0], x[:, 1] = 0, 3  # a gene without counts, and a constant one
    logs = ad.AnnData(np.log1p(x))
    sc.pp.highly_variable_genes(logs, flavor="seurat", n_top_genes=20)
    found = seurat_dispersions(x.mean(axis=0), x.var(axis=0, ddof=1))
    # the logarithm and back
    np.testing.assert_allclose(found, logs.var["dispersions_norm"], rtol=1e-6)


BAD = {
    "NaN": lambda x: (x, np.nan),
    "infinite": lambda x: (x, np.inf),
    "negative": lambda x: (x, -2.0),
    "an estimate": lambda x: (x, 1.5),
    "logarithms": lambda x: (np.log1p(x), 0.3),
    "normalised": lambda x: (x * 1234.56, 0.3),
    "an empty cell": lambda x: (x * (np.arange(N) != 77)[:, None], None),
    "an empty gene": lambda x: (x * (np.arange(G) != 3), None),
}


@pytest.mark.parametrize("kind", ["h5ad", "dense"])
@pytest.mark.parametrize("bad", BAD)
def test_what_is_refused_in_memory_is_refused_in_the_same_words(counts, on_disk, bad, kind):
    x, value = BAD[bad](counts.toarray().astype("float64"))
    if value is not None:
        x[90:120:3, 0] = value
    x = sp.csr_matrix(x)
    with pytest.raises(DataError) as said:
        checks.get_counts(annotated(x))
    with pytest.raises(DataError) as on_file:
        checks.get_counts(on_disk(x, kind), stored=True)
    assert str(on_file.value) == str(said.value)


def test_what_arithmetic_left_beside_integers_is_rounded(counts, on_disk):
    off = counts.copy()
    off.data = np.expm1(np.log1p(off.data.astype("float64"))) + 1e-9
    np.testing.assert_array_equal(checks.get_counts(on_disk(off), stored=True).read().toarray(), counts.toarray())


def test_what_fits_is_read_and_what_others_ask_for_too(counts, on_disk, monkeypatch):
    cells = on_disk(counts)
    assert sp.issparse(checks.get_counts(cells))
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", N * G * 4)
    assert sp.issparse(checks.get_counts(cells, stored=True))
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", N * G * 4 - 1)
    assert isinstance(checks.get_counts(cells, stored=True), Stored)


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_a_file_is_opened_with_its_layers_on_disk(counts, tmp_path, ending):
    cells = annotated(counts)
    cells.layers["counts"], cells.layers["by_gene"], cells.layers["dense"] = counts, counts.tocsc(), counts.toarray()
    cells.obsm["X_pca"], cells.uns["about"] = np.ones((N, 2)), {"name": "small"}
    path = tmp_path / f"cells.{ending}"
    getattr(cells, "write_zarr" if ending == "zarr" else "write_h5ad")(path)
    found = open_backed(path)
    assert list(found.obs_names) == list(cells.obs_names)
    assert found.uns["about"]["name"] == "small"
    assert found.obsm["X_pca"].shape == (N, 2)
    for values in (found.X, found.layers["counts"], found.layers["dense"]):
        assert stored.on_disk(values)
        np.testing.assert_array_equal(Stored(values).read().toarray(), counts.toarray())
    # columns cannot be read as rows
    assert sp.issparse(found.layers["by_gene"])


def test_a_file_of_something_else_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected an .h5ad or .zarr of AnnData, got .*no.h5ad"):
        open_backed(tmp_path / "no.h5ad")
    with h5py.File(tmp_path / "else.h5ad", "w") as file:
        file["obs"] = np.ones(3)
    with pytest.raises(InputError, match=r"expected an .h5ad or .zarr of AnnData"):
        open_backed(tmp_path / "else.h5ad")


def test_a_pass_holds_blocks_and_not_the_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "BLOCK_BYTES", 1 << 18)
    rng = np.random.default_rng(0)
    x = sp.random(20_000, 200, 0.2, format="csr", dtype="float32", random_state=0)
    x.data[:] = rng.integers(1, 9, x.nnz)
    annotated(x).write_h5ad(tmp_path / "cells.h5ad")
    size, cells = x.data.nbytes + x.indices.nbytes, ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    del x
    tracemalloc.start()
    found = checks.get_counts(cells, stored=True, allow_empty=True)
    preprocess.Standardiser().fit(found)
    preprocess.mean_log_factorial(found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # some arrays of a value a cell, and some times a block
    assert peak < size / 2
