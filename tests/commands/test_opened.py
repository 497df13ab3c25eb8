"""Commands on files whose counts stay on disk, and results that are written block by block."""

import shutil
import subprocess
import sys

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scgen_lib import training
from scgen_lib.commands import cells as of_file
from scgen_lib.data import stored
from scgen_lib.data.stored import Stored
from scgen_lib.models.scgan import cells as of_scgan
from scgen_lib.training import loop


@pytest.fixture
def large(monkeypatch):
    """Call it, and every file from then on is too large to be read; blocks are of a few cells."""

    def large():
        monkeypatch.setattr(of_file, "OPENED_BYTES", 0)
        monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
        monkeypatch.setattr(stored, "BLOCK_BYTES", 500)

        def read(*_, **__):
            pytest.fail("a file was read")

        monkeypatch.setattr(anndata, "read_h5ad", read)
        return read_again

    read_again = anndata.read_h5ad
    return large


def dense(x):
    return x.toarray() if sp.issparse(x) else np.asarray(x)


def assert_same(left, right):
    """Hold two files to the same values, and nothing the one has and the other has not."""
    pd.testing.assert_frame_equal(left.obs, right.obs)
    pd.testing.assert_frame_equal(left.var, right.var)
    np.testing.assert_array_equal(dense(left.X), dense(right.X))
    for part in ("layers", "obsm", "varm"):
        names = [{name for name in getattr(of, part) if name} for of in (left, right)]
        assert names[0] == names[1]
        for name in names[0]:
            np.testing.assert_array_equal(dense(getattr(left, part)[name]), dense(getattr(right, part)[name]), name)
    assert set(left.uns) == set(right.uns)
    for name in left.uns:
        assert str(left.uns[name]) == str(right.uns[name]), name
    assert (left.raw is None) == (right.raw is None)
    if left.raw is not None:
        np.testing.assert_array_equal(dense(left.raw.X), dense(right.raw.X))
        pd.testing.assert_frame_equal(left.raw.var, right.raw.var)


def both(scgen, large, tmp_path, *words):
    """Give one command twice, with the file read and opened, and return what was written and said."""
    first, second = tmp_path / "read.h5ad", tmp_path / "opened.h5ad"
    told = [scgen(*[first if word == "OUT" else word for word in words])]
    read = large()
    told.append(scgen(*[second if word == "OUT" else word for word in words]))
    assert [code for code, _, _ in told] == [0, 0], told
    assert told[0][1].replace("read.h5ad", "opened.h5ad") == told[1][1]
    assert told[0][2] == told[1][2]
    return read(first), read(second)


# One result, read or opened ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("counts.h5ad", []),
        ("logs.h5ad", []),
        ("umis.h5ad", ["--layer", "umis"]),
        ("raw.h5ad", []),
        ("few_of_raw.h5ad", []),
        ("counts.h5ad", ["--only-genes", "g9,g2", "--dtype", "float16", "--layer-out", "less"]),
    ],
)
def test_denoised_cells_are_the_same_whether_a_file_is_read_or_opened(
    files, saved, scgen, large, tmp_path, name, options
):
    model, _ = saved("denoise", "dca")
    read, opened = both(scgen, large, tmp_path, "denoise", "dca", "--model", model, files / name, "OUT", *options)
    assert_same(read, opened)
    assert opened.n_obs == 39  # one cell has no count


@pytest.mark.parametrize(
    ("verb", "model", "options"),
    [
        ("denoise", "db_aae", ["--min-cells", "39"]),
        ("denoise", "cvae", ["--labels", "kind"]),
        ("embed", "dr_a", ["--genes", "10"]),
    ],
)
def test_every_model_makes_the_same_of_a_file_that_is_opened(
    files, saved, scgen, large, tmp_path, verb, model, options
):
    file, _ = saved(verb, model, *options)
    more = options if "--labels" in options else []
    read, opened = both(scgen, large, tmp_path, verb, model, "--model", file, files / "logs.h5ad", "OUT", *more)
    assert_same(read, opened)


def test_a_zarr_is_opened(files, saved, scgen, large, tmp_path):
    model, first = saved("denoise", "dca")
    anndata.read_h5ad(files / "counts.h5ad").write_zarr(tmp_path / "counts.zarr")
    read = large()
    code, _, beside = scgen("denoise", "dca", "--model", model, tmp_path / "counts.zarr", tmp_path / "out.h5ad")
    assert code == 0, beside
    np.testing.assert_array_equal(read(tmp_path / "out.h5ad").layers["dca"], read(first).layers["dca"])
    code, _, beside = scgen("embed", "dca", tmp_path / "counts.zarr", tmp_path / "x.h5ad", "--transpose")
    assert (code, beside.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("verb", "model", "options"), [("denoise", "dca", []), ("embed", "dr_a", ["--genes", 10]), ("denoise", "dense", [])]
)
def test_a_training_on_disk_is_that_in_memory_where_the_order_of_cells_is(
    files, small, scgen, large, tmp_path, monkeypatch, verb, model, options
):
    for module in (training, loop):
        monkeypatch.setattr(module, "shuffling", lambda x: training.shuffled)
    file = files / "counts.h5ad"
    if model == "dense":
        cells, model, file = anndata.read_h5ad(file), "dca", tmp_path / "dense.h5ad"
        cells.X = cells.X.toarray()
        cells.write_h5ad(file)
    if model == "dr_a":
        # which draws with repeats in memory, and walks through a file
        large()
        code, said, beside = scgen(verb, model, file, tmp_path / "out.h5ad", *small[model], *options)
        assert code == 0, beside
        assert "39 cells × 15 genes, codes of 2 numbers" in said
        assert "Uses 39 of 40 cells and 10 of 15 genes: what has counts, the genes by variance (--genes).\n" in beside
        return
    outs = [tmp_path / f"{name}.h5ad" for name in ("first", "second")]
    assert scgen(verb, model, file, outs[0], *small[model], *options)[0] == 0
    read = large()
    code, _, beside = scgen(verb, model, file, outs[1], *small[model], *options)
    assert code == 0, beside
    left, right = map(read, outs)
    # statistics of genes, summed in another order, can differ in the last bit
    np.testing.assert_allclose(right.layers[model], left.layers[model], rtol=1e-4)
    np.testing.assert_array_equal(dense(right.layers["counts"]), dense(left.layers["counts"]))
    assert right.uns["dropped"] == {"cells": 1, "genes": 1}


def test_cells_are_simulated_of_a_file_that_is_opened(files, small, scgen, large, tmp_path):
    read = large()
    for model, more, line in (
        ("cvae", [], "Uses 39 of 40 cells"),
        ("scgan", ["--min-genes", 3], "Uses 39 of 40 cells and 14 of 15 genes: what passes --min-genes"),
    ):
        out = tmp_path / f"{model}.h5ad"
        code, _, beside = scgen(
            "simulate", model, files / "counts.h5ad", out, "--labels", "kind", "--cells", 4, *small[model], *more
        )
        assert code == 0, beside
        assert line in beside
        assert read(out).obs["kind"].tolist() == ["B", "B", "NK", "NK"]


def test_scgan_reads_a_file_for_clusters_alone(files, small, scgen, large, tmp_path, monkeypatch):
    # so few cells and genes have no clusters
    monkeypatch.setattr(of_scgan, "cluster", lambda x, *_, **__: pd.Categorical(["0", "1"] * 20)[: x.shape[0]])
    read, line = large(), "Reads the counts of 40 cells into memory, which their clusters need.\n"
    given = ["simulate", "scgan", files / "counts.h5ad", tmp_path / "out.h5ad", *small["scgan"], "--min-genes", 3]
    for more, reads in ((["--no-conditional"], False), (["--resolution", 0.5], True)):
        code, said, beside = scgen(*given, "--cells", 4, *more)
        assert code == 0, beside
        assert (line in beside) == reads
        assert "4 cells × 14 genes" in said
        assert read(tmp_path / "out.h5ad").layers["counts"].shape == (4, 14)


# What is opened ------------------------------------------------------------------------------------------------------


def test_the_largest_matrix_of_a_file_decides(files, monkeypatch):
    def loaded(name):
        given = {"labels": None, "transpose": False, "genome": None}
        return of_file.load(str(files / name), **given).layers["counts"]

    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(of_file, "OPENED_BYTES", 40 * 15 * 4)
    assert not isinstance(loaded("counts.h5ad"), Stored)
    monkeypatch.setattr(of_file, "OPENED_BYTES", 40 * 15 * 4 - 1)
    # also that of raw, beside 9 genes
    assert isinstance(loaded("counts.h5ad"), Stored)
    assert isinstance(loaded("few_of_raw.h5ad"), Stored)


def test_what_cannot_stay_on_disk_is_read_and_said(files, saved, scgen, tmp_path, monkeypatch):
    model, first = saved("denoise", "dca")
    cells = anndata.read_h5ad(files / "counts.h5ad")
    cells.T.copy().write_h5ad(tmp_path / "turned.h5ad")
    cells.X = cells.X.tocsc()
    cells.write_h5ad(tmp_path / "by_genes.h5ad")
    monkeypatch.setattr(of_file, "OPENED_BYTES", 0)
    for name, more in (("turned.h5ad", ["--transpose"]), ("by_genes.h5ad", [])):
        out = tmp_path / "out.h5ad"
        code, _, beside = scgen("denoise", "dca", "--model", model, tmp_path / name, out, *more)
        assert code == 0, beside
        assert f"Reads all of {tmp_path / name} into memory: matrices of this size stay on disk where they" in beside
        np.testing.assert_array_equal(anndata.read_h5ad(out).layers["dca"], anndata.read_h5ad(first).layers["dca"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no_counts.h5ad", "no_counts.h5ad, got no integers: they look log-transformed or normalised"),
        ("damaged.h5ad", "expected an .h5ad file in damaged.h5ad, got what cannot be read as one"),
        ("logs.h5ad --layer umis", "expected the layer 'umis' in logs.h5ad, got 'counts': name one of them"),
        ("counts.h5ad --labels type", "expected the types of the cells in the column 'type', got kind, n:"),
        ("counts.h5ad --genome mm10", "expected genome with 10x files alone"),
        ("counts.h5ad --only-genes g1,h1", "expected --only-genes of genes that the model takes, got 'h1', which is"),
        ("counts.h5ad --only-genes ,", "expected names of genes with --only-genes, got ',': name some"),
        ("counts.h5ad --only-genes g1,g1", "expected genes of the model, each once, got 'g1' twice"),
        ("logs.h5ad --layer-out counts", "expected a new name with --layer-out, got 'counts', which the cells have"),
        ("counts.h5ad --dtype float64", "'--dtype': 'float64' is not one of 'float32', 'float16'"),
    ],
)
def test_what_is_refused_of_a_file_that_is_read_is_refused_of_one_that_is_opened(
    line, said, files, saved, scgen, tmp_path, monkeypatch
):
    monkeypatch.setattr(of_file, "OPENED_BYTES", 0)
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
    model, _ = saved("denoise", "dca")
    name, *options = line.split()
    monkeypatch.chdir(files)
    code, told, beside = scgen("denoise", "dca", "--model", model, name, tmp_path / "out.h5ad", *options)
    assert (code, told) == (2, ""), beside
    assert said in beside.splitlines()[-1]
    assert not list(tmp_path.iterdir())


# Files and memory ----------------------------------------------------------------------------------------------------


def test_a_disk_without_room_is_said_before_it_is_written_to_and_keeps_what_it_has(
    files, saved, scgen, large, tmp_path, monkeypatch
):
    model, _ = saved("denoise", "dca")
    out, free = tmp_path / "out.h5ad", shutil.disk_usage(tmp_path)._replace(free=39 * 14 * 4)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    large()
    for verb in ("denoise", "embed"):
        out.write_text("older")
        if verb == "embed":
            monkeypatch.setattr(shutil, "disk_usage", lambda _: free._replace(free=100))
        code, said, beside = scgen(verb, "dca", "--model", model, files / "counts.h5ad", out)
        assert (code, said) == (1, "")
        assert beside.splitlines()[-1].startswith(f"expected to read or write {out}, got 'No space left on device'")
        assert out.read_text() == "older"
        assert list(tmp_path.iterdir()) == [out]


PEAK = """
import sys
from scgen_lib import cli

code = cli.main(sys.argv[1:])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak in this way")
def test_memory_does_not_grow_with_the_file(tmp_path):
    rng, genes = np.random.default_rng(0), 3000
    x = sp.random(20_000, genes, 0.1, format="csr", dtype="float32", random_state=0)
    x.data[:] = rng.integers(1, 9, x.nnz)
    x[17] = 0  # cells without counts are left out
    x.eliminate_zeros()
    peaks = []
    for blocks in (10, 20):
        anndata.AnnData(sp.vstack([x] * blocks, format="csr")).write_h5ad(tmp_path / "cells.h5ad")
        given = ["--hidden", "8,4,8", "--ae-type", "poisson", "--epochs", 1, "--batch-size", 512]
        given += ["--only-genes", ",".join(map(str, range(99)))]
        command = [sys.executable, "-c", PEAK, "denoise", "dca", tmp_path / "cells.h5ad", tmp_path / "out.h5ad", *given]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
        n = 20_000 * blocks - blocks
        assert done.stdout.startswith(f"{tmp_path / 'out.h5ad'}: {n:,} cells × 99 genes, denoised values in ")
        peaks.append(int(done.stderr.split()[-1]) / 2**20)
        with h5py.File(tmp_path / "out.h5ad") as file:
            assert file["layers/dca"].shape == (n, 99)
    # 2.2 and 4.5 GiB when dense, 0.5 and 0.9 as CSR: what grows is a few values a cell, and what the allocator leaves
    assert peaks[1] < peaks[0] + 0.35
    # less than the cells alone when dense, and what TensorFlow takes itself
    assert peaks[1] < 2.5
