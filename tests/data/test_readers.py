import errno
import fcntl
import gzip
import io
import os

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from scipy.io import mmwrite

from scgen_lib.data import load, readers
from scgen_lib.errors import DataError, ParameterError

X = np.array([[0, 3, 0, 1], [2, 0, 0, 0], [0, 0, 7, 0]], dtype=np.int32)
CELLS = ["c1", "c2", "c3"]
GENES = ["g1", "g2", "g3", "g4"]
IDS = ["ENSG1", "ENSG2", "ENSG3", "ENSG4"]


def dense(adata, layer="counts"):
    x = adata.layers[layer]
    return x.toarray() if sparse.issparse(x) else x


def check(adata, genes=GENES):
    assert list(adata.obs_names) == CELLS
    assert list(adata.var_names) == genes
    np.testing.assert_array_equal(dense(adata), X)
    assert adata.layers["counts"].dtype == np.int32
    assert (adata.layers["counts"] != adata.X).sum() == 0
    assert adata.X is not adata.layers["counts"]


def annotated(x=X, **obs):
    return AnnData(x, obs=pd.DataFrame(obs, index=CELLS), var=pd.DataFrame(index=GENES))


def write_table(path, sep, transpose=False, extra=None):
    table = pd.DataFrame(X, index=CELLS, columns=GENES)
    for name, values in (extra or {}).items():
        table[name] = values
    (table.T if transpose else table).to_csv(path, sep=sep)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", ".tsv.gz"])
@pytest.mark.parametrize("transpose", [False, True])
def test_tables_are_read_either_way_round(tmp_path, suffix, transpose):
    path = write_table(tmp_path / f"mine{suffix}", "\t" if "tsv" in suffix else ",", transpose)
    adata = load(path, transpose=transpose)
    check(adata)
    about = adata.uns["dataset"]
    assert (about["name"], about["source"], about["simulated"]) == ("mine", [path.name], False)
    assert len(about["sha256"][0]) == 64


@pytest.mark.parametrize("transpose", [False, True])
def test_the_labels_of_a_table_are_no_gene(tmp_path, transpose):
    path = write_table(tmp_path / "mine.csv", ",", transpose, {"kind": ["a", "b", "a"]})
    adata = load(str(path), transpose=transpose, labels="kind")
    check(adata)
    assert list(adata.obs["cell_type"]) == ["a", "b", "a"]
    assert adata.obs["cell_type"].dtype == "category"


def test_numbered_labels_become_texts_in_numerical_order(tmp_path):
    annotated(kind=[10, 9, 10]).write_h5ad(tmp_path / "mine.h5ad")
    labels = load(tmp_path / "mine.h5ad", labels="kind").obs["cell_type"]
    assert list(labels.cat.categories) == ["9", "10"]
    assert list(labels) == ["10", "9", "10"]


def test_a_table_as_r_writes_it_has_no_name_above_the_cells(tmp_path):
    write_table(tmp_path / "mine.tsv", "\t")
    text = (tmp_path / "mine.tsv").read_text().lstrip("\t")
    (tmp_path / "mine.tsv").write_text(text)
    check(load(tmp_path / "mine.tsv"))


def test_text_in_a_table_is_refused_naming_the_column(tmp_path):
    path = write_table(tmp_path / "mine.csv", ",", extra={"kind": ["a", "b", "a"]})
    with pytest.raises(DataError, match=r"1 columns hold text \(first: 'kind'\).*labels=NAME"):
        load(path)
    with pytest.raises(DataError, match=r"obs\['nope'\]"):
        load(write_table(tmp_path / "plain.csv", ","), labels="nope")


def test_repeated_genes_of_a_table_are_refused_not_renamed(tmp_path):
    (tmp_path / "mine.csv").write_text(",g1,g1\nc1,1,2\nc2,3,0\n")
    with pytest.raises(DataError, match=r"every gene name once.*'g1'.*make_unique"):
        load(tmp_path / "mine.csv")


@pytest.mark.parametrize("bad", ["-1", "0.5", "", "inf"])
def test_a_table_that_holds_no_counts_is_refused_naming_file_cell_and_gene(tmp_path, bad):
    (tmp_path / "mine.csv").write_text(f",g1,g2\nc1,1,2\nc2,{bad},4\n")
    with pytest.raises(DataError, match=r"mine: .*cell 'c2', gene 'g1'"):
        load(tmp_path / "mine.csv")


def test_h5ad_prefers_the_counts_layer_then_raw_then_x(tmp_path):
    logged = annotated(np.log1p(X))
    logged.layers["counts"] = sparse.csr_matrix(X.astype(float))
    logged.write_h5ad(tmp_path / "layer.h5ad")
    check(load(tmp_path / "layer.h5ad"))

    logged = annotated(X.astype(np.float32), kind=["a", "b", "a"])
    logged.raw = logged.copy()
    logged = logged[:, :2].copy()
    logged.X = np.log1p(logged.X)
    logged.write_h5ad(tmp_path / "raw.h5ad")
    raw = load(tmp_path / "raw.h5ad", labels="kind")
    check(raw)
    assert list(raw.obs["cell_type"]) == ["a", "b", "a"]

    annotated(sparse.csr_matrix(X)).write_h5ad(tmp_path / "x.h5ad")
    check(load(tmp_path / "x.h5ad"))


def test_h5ad_without_counts_is_refused(tmp_path):
    logged = annotated(np.log1p(X))
    logged.raw = logged.copy()
    logged.write_h5ad(tmp_path / "logged.h5ad")
    with pytest.raises(DataError, match="none holds integers: they look log-transformed or normalised"):
        load(tmp_path / "logged.h5ad")


def test_nan_in_an_h5ad_is_named_as_such(tmp_path):
    x = X.astype(float)
    x[1, 2] = np.nan
    annotated(x).write_h5ad(tmp_path / "nan.h5ad")
    with pytest.raises(DataError, match=r"are NaN \(first: nan in cell 'c2', gene 'g3'"):
        load(tmp_path / "nan.h5ad")


def test_a_loaded_set_that_was_saved_still_says_what_it_is(tmp_path):
    original = load("pbmc68k_reduced")
    original.uns["dataset"]["simulated"] = True
    original.write_h5ad(tmp_path / "saved.h5ad")
    again = load(tmp_path / "saved.h5ad")
    assert (again.X != original.X).sum() == 0
    assert list(again.obs["cell_type"]) == list(original.obs["cell_type"])
    assert again.uns["dataset"]["title"] == original.uns["dataset"]["title"]
    assert again.uns["dataset"]["simulated"] is True
    assert again.uns["dataset"]["source"] == ["saved.h5ad"]


def write_10x_h5(path, version, symbols=GENES):
    x = sparse.csr_matrix(X)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else "hg19")
        for key, value in (("data", x.data), ("indices", x.indices), ("indptr", x.indptr)):
            group[key] = value
        group["shape"] = X.T.shape
        group["barcodes"] = np.array(CELLS, dtype="S")
        if version == 3:
            features = group.create_group("features")
            features["id"], features["name"] = np.array(IDS, dtype="S"), np.array(symbols, dtype="S")
            features["feature_type"] = np.array(["Gene Expression"] * 4, dtype="S")
            features["genome"] = np.array(["GRCh38"] * 4, dtype="S")
        else:
            group["genes"], group["gene_names"] = np.array(IDS, dtype="S"), np.array(symbols, dtype="S")
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_10x_h5_of_both_versions_is_read(tmp_path, version):
    adata = load(write_10x_h5(tmp_path / "mine.h5", version))
    check(adata)
    assert list(adata.var["gene_ids"]) == IDS


def test_repeated_symbols_that_ids_tell_apart_get_a_number(tmp_path):
    adata = load(write_10x_h5(tmp_path / "mine.h5", 3, ["g1", "g1", "g3", "g4"]))
    check(adata, ["g1", "g1-1", "g3", "g4"])
    assert "1 gene symbols repeat" in adata.uns["dataset"]["note"]


def write_mtx(folder, version, gz, prefix="", antibody=False):
    folder.mkdir()
    x = np.hstack([X, [[9], [9], [9]]]) if antibody else X
    genes = pd.DataFrame({"id": IDS + ["CD3"] * antibody, "name": GENES + ["CD3"] * antibody})
    if version == 3:
        genes["type"] = ["Gene Expression"] * 4 + ["Antibody Capture"] * antibody
    stream = io.BytesIO()
    mmwrite(stream, sparse.coo_matrix(x.T))
    files = {
        "matrix.mtx": stream.getvalue(),
        "barcodes.tsv": "\n".join(CELLS).encode(),
        "features.tsv" if version == 3 else "genes.tsv": genes.to_csv(sep="\t", header=False, index=False).encode(),
    }
    for name, content in files.items():
        target = folder / f"{prefix}{name}{'.gz' if gz else ''}"
        target.write_bytes(gzip.compress(content) if gz else content)
    return folder


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("gz", [False, True])
@pytest.mark.parametrize("prefix", ["", "GSM1_"])
def test_10x_folders_are_read_whatever_their_version_and_names(tmp_path, version, gz, prefix):
    adata = load(write_mtx(tmp_path / "sample", version, gz, prefix))
    check(adata)
    assert list(adata.var["gene_ids"]) == IDS
    assert adata.uns["dataset"]["name"] == "sample"


def test_antibodies_of_a_10x_folder_are_left_out(tmp_path):
    check(load(write_mtx(tmp_path / "sample", 3, True, antibody=True)))


def test_a_bare_folder_name_in_the_working_folder_is_read(tmp_path, monkeypatch):
    write_mtx(tmp_path / "sample", 3, True)
    monkeypatch.chdir(tmp_path)
    check(load("sample"))


def test_a_10x_folder_that_lacks_a_file_is_refused(tmp_path):
    folder = write_mtx(tmp_path / "sample", 3, True)
    (folder / "barcodes.tsv.gz").unlink()
    with pytest.raises(DataError, match=r"one barcodes.tsv .* there are 0"):
        load(folder)


def write_loom(path, genes=GENES, **row_attrs):
    with h5py.File(path, "w") as file:
        file["matrix"] = X.T
        for key, value in {"Gene": genes, **row_attrs}.items():
            file[f"row_attrs/{key}"] = np.array(value, dtype=h5py.string_dtype())
        file["col_attrs/CellID"] = np.array(CELLS, dtype="S")
        file["col_attrs/Kind"] = np.array(["a", "b", "a"], dtype=h5py.string_dtype())
    return path


def test_loom_is_turned_to_cells_by_genes(tmp_path):
    adata = load(write_loom(tmp_path / "mine.loom"), labels="Kind")
    check(adata)
    assert list(adata.obs["cell_type"]) == ["a", "b", "a"]
    repeated = load(write_loom(tmp_path / "repeated.loom", ["g1", "g1", "g3", "g4"], Accession=IDS))
    check(repeated, ["g1", "g1-1", "g3", "g4"])
    with pytest.raises(DataError, match="every gene name once"):
        load(write_loom(tmp_path / "no_ids.loom", ["g1", "g1", "g3", "g4"]))


def test_a_loom_without_cell_names_is_refused(tmp_path):
    path = write_loom(tmp_path / "mine.loom")
    with h5py.File(path, "a") as file:
        del file["col_attrs/CellID"]
    with pytest.raises(DataError, match="CellID"):
        load(path)


@pytest.mark.parametrize("name", ["a.h5ad", "b.h5", "c.loom", "d.csv.gz"])
def test_a_truncated_file_is_refused_by_name(tmp_path, name):
    path = tmp_path / name
    if name == "a.h5ad":
        annotated().write_h5ad(path)
    elif name == "b.h5":
        write_10x_h5(path, 3)
    elif name == "c.loom":
        write_loom(path)
    else:
        write_table(path, ",")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=f"{name} could not be read .* whole"):
        load(path)


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "mine.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match=r"Expected \.h5ad, .* but mine.xlsx is none"):
        load(tmp_path / "mine.xlsx")
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "absent.h5ad")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["X"] = X
    with pytest.raises(DataError, match=r"other.h5 could not be read as a 10x \.h5 file"):
        load(tmp_path / "other.h5")


def test_only_tables_can_be_transposed(tmp_path):
    with pytest.raises(ParameterError, match="transpose serves"):
        load(write_loom(tmp_path / "mine.loom"), transpose=True)
    with pytest.raises(ParameterError, match="transpose serves"):
        load("pbmc68k_reduced", transpose=True)


def test_counts_are_sparse_where_most_are_zero_and_dense_elsewhere(tmp_path):
    assert sparse.issparse(load(write_table(tmp_path / "sparse.csv", ",")).layers["counts"])
    annotated(X + 1).write_h5ad(tmp_path / "dense.h5ad")
    assert isinstance(load(tmp_path / "dense.h5ad").layers["counts"], np.ndarray)


def test_true_counts_of_a_saved_simulation_are_checked_too(tmp_path):
    adata = annotated()
    adata.layers["true_counts"] = X + 1.0
    adata.write_h5ad(tmp_path / "good.h5ad")
    np.testing.assert_array_equal(load(tmp_path / "good.h5ad").layers["true_counts"], X + 1)
    adata.layers["true_counts"][0, 0] = 0.5
    adata.write_h5ad(tmp_path / "bad.h5ad")
    with pytest.raises(DataError, match=r"no integers \(first: 0.5 in cell 'c1', gene 'g1'"):
        load(tmp_path / "bad.h5ad")


def test_counts_beyond_32_bits_are_refused_not_wrapped(tmp_path):
    annotated(X.astype(float) * 1e9).write_h5ad(tmp_path / "huge.h5ad")
    with pytest.raises(DataError, match="below 2³¹, but the largest is 7e"):
        load(tmp_path / "huge.h5ad")


def test_transcripts_get_their_symbols_once(tmp_path):
    path = tmp_path / "refFlat.txt.gz"
    with gzip.open(path, "wt") as file:
        file.write("Xkr4\tNM_1\tchr1\t-\nSox17\tNM_2\tchr1\t-\nSox17\tNM_2\tchrX\t+\nSox17\tNM_3\tchr1\t-\n")
    assert readers.transcript_symbols(path).to_dict() == {"NM_1": "Xkr4", "NM_2": "Sox17", "NM_3": "Sox17"}
    columns = "bin name chrom strand txStart txEnd cdsStart cdsEnd exonCount exonStarts exonEnds score name2 a b c"
    header = "#" + "\t".join(columns.split()) + "\n"
    rows = "".join(
        "\t".join(["0", f"NM_{i}", *"x" * 10, name, *"xxx"]) + "\n" for i, name in enumerate(["Xkr4", "Sox17"])
    )
    for text in (header + rows, rows):
        path = tmp_path / "refGene.txt"
        path.write_text(text)
        assert readers.transcript_symbols(path).to_dict() == {"NM_0": "Xkr4", "NM_1": "Sox17"}
    other = tmp_path / "other.txt"
    other.write_text("one column\n")
    for wrong in (other, tmp_path / "absent.txt"):
        with pytest.raises(DataError, match="Expected a table of gene symbols and transcript ids"):
            readers.transcript_symbols(wrong)


def test_a_file_that_is_locked_or_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    annotated().write_h5ad(tmp_path / "a.h5ad")
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    with (tmp_path / "a.h5ad").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(
            DataError, match=r"a\.h5ad, but .* 'Resource temporarily unavailable': another program has locked"
        ):
            load(tmp_path / "a.h5ad")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a.csv")

    write_table(tmp_path / "a.csv", ",")
    monkeypatch.setattr(readers, "_table", refuse)
    monkeypatch.setitem(readers._SAID, refuse, "a table")
    monkeypatch.setattr(readers, "_reader", lambda path: refuse)
    with pytest.raises(
        DataError, match=r"a\.csv, but the system says 'Permission denied': see to it that you may read"
    ):
        load(tmp_path / "a.csv")
