"""The full sets on small files of their formats; the registered sizes are those of the small files."""

import functools
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.io import mmwrite

from scgen_lib.errors import DataError

GROUPS = np.repeat([1, 2, 3], [30, 40, 10])
CELLS = [f"1772071015_C{i:02}" for i in range(len(GROUPS))]
CLASSES = np.where(GROUPS == 1, "interneurons", np.where(np.arange(80) < 50, "pyramidal SS", "pyramidal CA1"))
GENES = ["Tspan12", "Mar-01", "Tshz1", "Mar-02", "Fnbp1l", "Mar-01", "Mar-02"]


@pytest.fixture(scope="module")
def counts():
    """Cells × genes of which a cell's total, but no single gene, tells how much RNA it had."""
    rng = np.random.default_rng(0)
    return rng.poisson(rng.lognormal(0, 1, (len(CELLS), 1)) * rng.lognormal(1, 1, (1, len(GENES))))


def write_header(path, totals, cells=CELLS):
    lines = {
        "tissue": ["sscortex"] * len(cells),
        "group": GROUPS[: len(cells)],
        "total mRNA mol": totals,
        "well": [1] * len(cells),
        "sex": [1] * len(cells),
        "age": [21] * len(cells),
        "diameter": [9.5] * len(cells),
        "cell_id": cells,
        "level1class": CLASSES[: len(cells)],
    }
    path.write_text("".join("\t".join(map(str, [name, *values])) + "\n" for name, values in lines.items()))


def dense(x):
    return x.toarray() if sparse.issparse(x) else x


def check_classes(adata, order=slice(None)):
    assert list(adata.obs_names) == list(np.array(CELLS)[order])
    assert list(adata.obs["group"]) == list(GROUPS[order].astype(str))
    assert list(adata.obs["level1class"]) == list(CLASSES[order])
    assert adata.obs["group"].dtype == "category"
    assert adata.obs["level1class"].dtype == "category"


ZEISEL_720 = ("sub_set-720.mtx", "labels.txt", "zeisel_header_only.txt")


def selected(x, groups=GROUPS, totals=None, field=None):
    """Write the authors' matrix, cells × genes, with the labels beside it as floats of 18 decimals."""

    def write(matrix, labels, header):
        mmwrite(matrix, x, field=field, symmetry="general")
        np.savetxt(labels, groups)
        write_header(header, 10 * x.sum(axis=1) + 5 if totals is None else totals)

    return write


@pytest.mark.parametrize("field", ["integer", "real"])
@pytest.mark.parametrize("layout", [sparse.coo_matrix, np.asarray])
def test_the_selected_genes_get_cells_groups_and_classes_from_the_annotation(load, counts, layout, field):
    adata = load(
        "zeisel_720", selected(layout(counts), totals=10 * counts.sum(1), field=field), *ZEISEL_720, shape=(80, 7)
    )
    np.testing.assert_array_equal(dense(adata.layers["counts"]), counts)
    check_classes(adata)
    assert list(adata.obs["cell_type"]) == list(adata.obs["group"])
    assert list(adata.var_names) == [f"gene_{i}" for i in range(1, 8)]


def test_selected_genes_whose_cells_stand_in_another_order_are_refused(load, counts):
    # within the groups, so that the groups alone could not tell
    order = np.concatenate(
        [np.random.default_rng(1).permutation(np.flatnonzero(group == GROUPS)) for group in (1, 2, 3)]
    )
    write = selected(counts[order], totals=10 * counts.sum(1))
    with pytest.raises(
        DataError, match=r"sub_set-720\.mtx in the order of .* of -?0\.\d\d within .*: remove .*fetch it again"
    ):
        load("zeisel_720", write, *ZEISEL_720, shape=(80, 7))


@pytest.mark.parametrize(
    ("x", "groups", "shape", "said"),
    [
        (lambda x: x[:79], GROUPS, (79, 7), r"for each of the 79 cells of sub_set-720\.mtx, got 80"),
        (lambda x: x, GROUPS[:79], (80, 7), r"for each of the 80 cells of sub_set-720\.mtx, got 79"),
        (lambda x: x, GROUPS[::-1], (80, 7), "expected the same groups in .*, got others"),
        (lambda x: x[:, :6], GROUPS, (80, 7), "expected 80 cells × 7 genes, got 80 × 6 in the files"),
        (
            lambda x: x + 0.5 * (np.arange(7) == 2),
            GROUPS,
            (80, 7),
            r"integer counts, .*'1772071015_C00', gene 'gene_3'",
        ),
        (lambda x: x - 99 * (np.arange(7) == 2), GROUPS, (80, 7), "non-negative counts"),
    ],
)
def test_selected_genes_that_do_not_fit_are_refused(load, counts, x, groups, shape, said):
    totals = 10 * counts.sum(axis=1)
    with pytest.raises(DataError, match=said):
        load("zeisel_720", selected(x(counts), groups, totals), *ZEISEL_720, shape=shape)


@pytest.mark.parametrize(
    "content",
    [b"<html>404: Not Found</html>\n", b"", b"%%MatrixMarket matrix coordinate integer general\n80 7 9\n1 1 2\n"],
)
def test_a_page_or_half_a_file_in_place_of_the_selected_genes_is_refused(load, counts, content):
    def write(matrix, *others):
        selected(counts)(matrix, *others)
        matrix.write_bytes(content)

    with pytest.raises(DataError, match=r"expected a Matrix Market file, got sub_set-720\.mtx \(.+\): remove /"):
        load("zeisel_720", write, *ZEISEL_720, shape=(80, 7))


ZEISEL_FULL = ("GSE60361_C1-3005-Expression.txt.gz", "zeisel_header_only.txt")


def expression(x, cells=CELLS):
    """Write the table of the series: genes × cells, tabs, `cell_id` above the genes."""

    def write(table, header):
        text = pd.DataFrame(x.T, index=pd.Index(GENES, name="cell_id"), columns=cells).to_csv(sep="\t")
        table.write_bytes(gzip.compress(text.encode()))
        write_header(header, np.arange(len(CELLS)))

    return write


def test_the_full_table_gets_its_classes_by_cell_id_and_numbers_repeated_genes(load, counts):
    order = np.random.default_rng(2).permutation(len(CELLS))
    adata = load("zeisel_full", expression(counts[order], np.array(CELLS)[order]), *ZEISEL_FULL, shape=(80, 7))
    np.testing.assert_array_equal(dense(adata.layers["counts"]), counts[order])
    check_classes(adata, order)
    assert list(adata.obs["cell_type"]) == list(adata.obs["level1class"])
    assert list(adata.var_names) == ["Tspan12", "Mar-01", "Tshz1", "Mar-02", "Fnbp1l", "Mar-01-1", "Mar-02-1"]
    assert "2 gene names repeat in the source and got a number" in adata.uns["dataset"]["note"]


def test_a_table_of_more_genes_than_a_band_keeps_their_order(load, counts, monkeypatch):
    # bands of three genes in place of 2,000
    read_csv = pd.read_csv
    monkeypatch.setattr(pd, "read_csv", lambda *args, **kwargs: read_csv(*args, **kwargs | {"chunksize": 3}))
    adata = load("zeisel_full", expression(counts), *ZEISEL_FULL, shape=(80, 7))
    np.testing.assert_array_equal(dense(adata.layers["counts"]), counts)


@pytest.mark.parametrize(
    ("x", "cells", "said"),
    [
        (lambda x: x[:79], CELLS[:79], "expected the 80 cells of .*, got 79 cells of which 79 are among them"),
        (lambda x: x, [*CELLS[:79], "other"], "got 80 cells of which 79 are among them"),
        (lambda x: x, [*CELLS[:79], CELLS[0]], "got 80 cells of which 79 are among them"),
        (lambda x: x[:, [0] * 7] / 4, CELLS, "tiny: expected integer counts"),
        (lambda x: np.where(np.arange(7) == 3, "n/d", x.astype(str)), CELLS, "number .* got text in 80 cells"),
    ],
)
def test_a_full_table_that_does_not_fit_is_refused(load, counts, x, cells, said):
    with pytest.raises(DataError, match=said):
        load("zeisel_full", expression(x(counts), cells), *ZEISEL_FULL, shape=(80, 7))


PBMC68K = ("fresh_68k_pbmc_donor_a_filtered_gene_bc_matrices.tar.gz", "zheng17_bulk_lables.txt")


def matrix_text(x):
    text = io.BytesIO()
    mmwrite(text, sparse.coo_matrix(x), field="integer", symmetry="general")
    return text.getvalue()


def zipped(path, content):
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)


def tarred(path, content, kind="gz"):
    with tarfile.open(path, f"w:{kind}") as archive:
        for name, text in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))


def bare(path, content):
    path.write_bytes(list(content.values())[-1])


def gzipped(path, content):
    path.write_bytes(gzip.compress(list(content.values())[-1]))


@pytest.mark.parametrize("pack", [zipped, tarred, functools.partial(tarred, kind="xz"), bare, gzipped])
def test_selected_genes_of_any_archive_get_their_classes(load, counts, pack):
    # a Mac writes such a twin beside every file
    content = {"__MACOSX/data/._sub_set-720.mtx": b"Mac OS X", "data/sub_set-720.mtx": matrix_text(counts)}

    def write(archive, labels):
        pack(archive, content)
        np.savetxt(labels, GROUPS)

    adata = load("selected_720", write, "sub_set-720.archive", "labels.txt", shape=(80, 7))
    np.testing.assert_array_equal(dense(adata.layers["counts"]), counts)
    assert list(adata.obs["cell_type"]) == list(GROUPS.astype(str))
    assert list(adata.obs.columns) == ["cell_type"]


def test_selected_genes_that_come_in_two_parts_say_which_is_which(load, counts):
    def write(train, train_labels, test, test_labels):
        zipped(train, {"a.mtx": matrix_text(counts[:50])})
        zipped(test, {"b.mtx": matrix_text(counts[50:])})
        np.savetxt(train_labels, GROUPS[:50])
        np.savetxt(test_labels, GROUPS[50:])

    adata = load("selected_720", write, "train", "train.txt", "test", "test.txt", shape=(80, 7))
    np.testing.assert_array_equal(dense(adata.layers["counts"]), counts)
    assert list(adata.obs["cell_type"]) == list(GROUPS.astype(str))
    assert adata.obs["split"].tolist() == ["train"] * 50 + ["test"] * 30
    assert adata.obs_names.is_unique


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"notes.txt": b"nothing"}, r"one file \.mtx in sub_set-720\.archive, got 0 \(1 files in all\)"),
        ({"a.mtx": b"", "b.mtx": b""}, r"one file \.mtx in sub_set-720\.archive, got 2"),
        ({"a.mtx": b"<html>"}, r"a Matrix Market file, got sub_set-720\.archive \(.+\): remove /.* and fetch it again"),
    ],
)
def test_an_archive_without_its_matrix_is_refused(load, content, said):
    def write(archive, labels):
        zipped(archive, content)
        np.savetxt(labels, GROUPS)

    with pytest.raises(DataError, match=said):
        load("selected_720", write, "sub_set-720.archive", "labels.txt", shape=(80, 7))


def test_half_an_archive_of_selected_genes_is_refused(load, counts):
    def write(archive, labels):
        gzipped(archive, {"a.mtx": matrix_text(counts)})
        archive.write_bytes(archive.read_bytes()[:-100])
        np.savetxt(labels, GROUPS)

    with pytest.raises(DataError, match=r"a Matrix Market file, got sub_set-720\.archive"):
        load("selected_720", write, "sub_set-720.archive", "labels.txt", shape=(80, 7))


def test_classes_of_selected_genes_are_as_many_as_their_cells(load, counts):
    def write(archive, labels):
        zipped(archive, {"a.mtx": matrix_text(counts)})
        np.savetxt(labels, GROUPS[:79])

    with pytest.raises(DataError, match=r"for each of the 80 cells of sub_set-720\.archive, got 79"):
        load("selected_720", write, "sub_set-720.archive", "labels.txt", shape=(80, 7))


def write_archive(path, x, symbols):
    """Write a sample of Cell Ranger 1, genes × cells, the way the archive of the 68k PBMC is built."""
    matrix = io.BytesIO()
    mmwrite(matrix, sparse.coo_matrix(x.T), field="integer", symmetry="general")
    genes = "".join(f"ENSG{i:011}\t{symbol}\n" for i, symbol in enumerate(symbols))
    cells = "".join(f"BARCODE{i}-1\n" for i in range(x.shape[0]))
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for folder in ("filtered_matrices_mex", "filtered_matrices_mex/hg19"):
            entry = tarfile.TarInfo(folder)
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
        for name, text in {"barcodes": cells, "genes": genes}.items():
            entry = tarfile.TarInfo(f"filtered_matrices_mex/hg19/{name}.tsv")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
        entry = tarfile.TarInfo("filtered_matrices_mex/hg19/matrix.mtx")
        entry.size = matrix.tell()
        matrix.seek(0)
        archive.addfile(entry, matrix)


def test_the_archive_of_a_10x_sample_gets_its_labels_in_the_order_of_the_matrix(load, counts):
    types = [f"CD{i % 3}+" for i in range(80)]

    def write(archive, labels):
        write_archive(archive, counts, GENES)
        labels.write_text("\n".join(types) + "\n")

    adata = load("pbmc68k", write, *PBMC68K, shape=(80, 7))
    np.testing.assert_array_equal(dense(adata.layers["counts"]), counts)
    assert list(adata.obs["cell_type"]) == types
    assert list(adata.obs_names[:2]) == ["BARCODE0-1", "BARCODE1-1"]
    assert list(adata.var_names[:6]) == ["Tspan12", "Mar-01", "Tshz1", "Mar-02", "Fnbp1l", "Mar-01-1"]
    assert adata.var["gene_ids"].iloc[-1] == "ENSG00000000006"


def test_labels_that_are_not_as_many_as_the_cells_of_the_archive_are_refused(load, counts):
    def write(archive, labels):
        write_archive(archive, counts, GENES)
        labels.write_text("CD34+\n" * 79)

    with pytest.raises(DataError, match=r"label in zheng17_bulk_lables\.txt for each of the 80 cells .* got 79"):
        load("pbmc68k", write, *PBMC68K, shape=(80, 7))


LOAD_AND_MEASURE = """
import json, re, sys
import anndata, scipy.io, scipy.sparse
from scgen_lib import data
from scgen_lib.data import recipes, registry

about = json.loads(sys.argv[1])
for key, digits in about["files"].items():
    registry.FILES[key] = registry.File(key, "MIT", "http://localhost", sha256=digits)
registry.DATASETS["big"] = registry.Dataset(
    "big", "t", tuple(about["files"]), *about["shape"], 2, "counts", "a", "c", "pbmc68k"
)


def memory(what):
    # the peak of getrusage would be that of the process that started this one, where that is the larger
    return 1024 * int(re.search(rf"{what}:\\s+(\\d+) kB", open("/proc/self/status").read()).group(1))


before = memory("VmRSS")
adata = data.load("big")
print(json.dumps({"peak": memory("VmHWM") - before, "nnz": adata.X.nnz, "dtype": str(adata.X.dtype)}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process in /proc")
def test_the_memory_for_an_archive_goes_with_its_counts_not_with_its_size(tmp_path):
    """A third of the cells of the 68k PBMC and all their genes at a twentieth of their share of counts."""
    cells, genes, per_cell = 22_000, 32_738, 30
    rng = np.random.default_rng(0)
    columns = np.sort(rng.integers(0, genes // per_cell, (cells, per_cell)) + genes // per_cell * np.arange(per_cell))
    x = sparse.csr_matrix(
        (rng.integers(1, 9, columns.size), columns.ravel(), np.arange(cells + 1) * per_cell), shape=(cells, genes)
    )
    folder = tmp_path / "big"
    folder.mkdir()
    write_archive(folder / PBMC68K[0], x, (f"g{i}" for i in range(genes)))
    (folder / PBMC68K[1]).write_text("a\nb\n" * (cells // 2))
    files = {f"big/{name}": hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in PBMC68K}
    run = subprocess.run(
        [sys.executable, "-c", LOAD_AND_MEASURE, json.dumps({"files": files, "shape": x.shape})],
        capture_output=True, text=True, check=True, env={"SCGEN_DATA_DIR": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    found = json.loads(run.stdout.splitlines()[-1])
    assert (found["nnz"], found["dtype"]) == (x.nnz, "int32")
    # 15 MB for names and buffers and 25 bytes a count here, with room for other versions; dense int32 would take 2.9 GB
    assert found["peak"] < 80e6 + 60 * x.nnz
