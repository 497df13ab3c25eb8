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

from scgen_lib.data import load, readers, sources
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
    with pytest.raises(DataError, match=r"text in 1 columns \(first: 'kind'\).*labels=NAME"):
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
    with pytest.raises(DataError, match="got no integers: they look log-transformed or normalised"):
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
    with pytest.raises(DataError, match=r"one barcodes.tsv .* got 0"):
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
    with pytest.raises(DataError, match=f"{name}, got what cannot be read .* whole"):
        load(path)


def test_another_kind_of_file_is_refused(tmp_path):
    (tmp_path / "mine.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match=r"expected \.h5ad, .* got mine.xlsx"):
        load(tmp_path / "mine.xlsx")
    with pytest.raises(DataError, match="no such file"):
        load(tmp_path / "absent.h5ad")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["X"] = X
    with pytest.raises(DataError, match=r"expected a 10x \.h5 file in other.h5, got what cannot be read"):
        load(tmp_path / "other.h5")


def test_only_tables_can_be_transposed(tmp_path):
    with pytest.raises(ParameterError, match="expected transpose with"):
        load(write_loom(tmp_path / "mine.loom"), transpose=True)
    with pytest.raises(ParameterError, match="expected transpose with"):
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
    with pytest.raises(DataError, match="below 2³¹, got 7e"):
        load(tmp_path / "huge.h5ad")


def test_transcripts_get_their_symbols_once(tmp_path):
    path = tmp_path / "refFlat.txt.gz"
    with gzip.open(path, "wt") as file:
        file.write("Xkr4\tNM_1\tchr1\t-\nSox17\tNM_2\tchr1\t-\nSox17\tNM_2\tchrX\t+\nSox17\tNM_3\tchr1\t-\n")
    assert sources.transcript_symbols(path).to_dict() == {"NM_1": "Xkr4", "NM_2": "Sox17", "NM_3": "Sox17"}
    columns = "bin name chrom strand txStart txEnd cdsStart cdsEnd exonCount exonStarts exonEnds score name2 a b c"
    header = "#" + "\t".join(columns.split()) + "\n"
    rows = "".join(
        "\t".join(["0", f"NM_{i}", *"x" * 10, name, *"xxx"]) + "\n" for i, name in enumerate(["Xkr4", "Sox17"])
    )
    for text in (header + rows, rows):
        path = tmp_path / "refGene.txt"
        path.write_text(text)
        assert sources.transcript_symbols(path).to_dict() == {"NM_0": "Xkr4", "NM_1": "Sox17"}
    other = tmp_path / "other.txt"
    other.write_text("one column\n")
    for wrong in (other, tmp_path / "absent.txt"):
        with pytest.raises(DataError, match="expected a table of gene symbols and transcript ids"):
            sources.transcript_symbols(wrong)


def test_a_file_that_is_locked_or_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    annotated().write_h5ad(tmp_path / "a.h5ad")
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)
    with (tmp_path / "a.h5ad").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(
            DataError, match=r"a\.h5ad, got 'Resource temporarily unavailable' from the system: another program has"
        ):
            load(tmp_path / "a.h5ad")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "a.csv")

    write_table(tmp_path / "a.csv", ",")
    monkeypatch.setattr(readers, "_table", refuse)
    monkeypatch.setitem(readers._READERS, refuse, ("a table", ()))
    monkeypatch.setattr(readers, "_reader", lambda path: refuse)
    with pytest.raises(
        DataError, match=r"a\.csv, got 'Permission denied' from the system: see to it that you may read"
    ):
        load(tmp_path / "a.csv")


ODD = ["0001", "1.10", "nan"]


@pytest.mark.parametrize("transpose", [False, True])
def test_names_and_labels_of_a_table_are_the_texts_of_the_file(tmp_path, transpose):
    table = pd.DataFrame(X.astype(object), ODD, ["NA", "None", "01", "g"])
    table["kind"] = ["01", "NA", ""]
    (table.T if transpose else table).to_csv(tmp_path / "odd.csv")
    adata = load(tmp_path / "odd.csv", transpose=transpose, labels="kind")
    assert list(adata.obs_names) == ODD
    assert list(adata.var_names) == ["NA", "None", "01", "g"]
    assert list(adata.obs["cell_type"].cat.categories) == ["01", "NA"]
    assert list(adata.obs["cell_type"].isna()) == [False, False, True]
    np.testing.assert_array_equal(dense(adata), X)
    adata.write_h5ad(tmp_path / "again.h5ad")
    again = load(tmp_path / "again.h5ad")
    assert list(again.obs_names) == ODD
    assert list(again.var_names) == list(adata.var_names)
    assert list(again.obs["cell_type"].cat.categories) == ["01", "NA"]


def test_a_label_that_is_a_number_at_first_is_a_text_in_all_bands_of_a_wide_table(tmp_path):
    # pandas types a table of this width in bands of 512 rows
    n, names = 600, [f"g{i}" for i in range(2000)]
    table = pd.DataFrame(
        np.ones((n, 2000), int), [f"{i:05d}" for i in range(550)] + [f"x{i}" for i in range(50)], names
    )
    table.assign(kind=["0", "1"] * 275 + ["0", "B cell"] * 25).to_csv(tmp_path / "wide.csv")
    adata = load(tmp_path / "wide.csv", labels="kind")
    assert list(adata.obs["cell_type"].cat.categories) == ["0", "1", "B cell"]
    assert list(adata.obs_names[[0, 511, 549]]) == ["00000", "00511", "00549"]


def test_genes_of_a_10x_folder_may_be_called_nan(tmp_path):
    folder = write_mtx(tmp_path / "sample", 2, False)
    (folder / "genes.tsv").write_text(
        "".join(f"{i}\t{s}\n" for i, s in zip(IDS, ["nan", "NA", "None", "g4"], strict=True))
    )
    check(load(folder), ["nan", "NA", "None", "g4"])


def test_transcripts_of_a_gene_called_na_keep_it(tmp_path):
    (tmp_path / "flat.txt").write_text("nan\tNM_1\tchr1\nNA\tNM_2\tchr1\n\tNM_3\tchr1\n")
    assert sources.transcript_symbols(tmp_path / "flat.txt").to_dict() == {"NM_1": "nan", "NM_2": "NA"}


def test_a_table_of_genes_by_cells_keeps_a_gene_called_nan():
    _, genes, cells = sources.genes_by_cells(io.StringIO("gene\tc1\tc2\nnan\t1\t2\nNA\t0\t3\n"), "\t", "mine")
    assert genes == ["nan", "NA"]
    assert list(cells) == ["c1", "c2"]


@pytest.mark.parametrize(("name", "sep"), [("semi.csv", ";"), ("tab.csv", "\t"), ("comma.tsv", ","), ("UP.TSV", "\t")])
@pytest.mark.parametrize("suffix", ["", ".csv", ".GZ"])
def test_a_table_is_split_by_what_separates_its_names_whatever_its_suffix(tmp_path, name, sep, suffix):
    path = write_table(tmp_path / "table", sep)
    content = path.read_bytes()
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(gzip.compress(content) if suffix == ".GZ" else content)
    check(load(path))


def test_a_table_without_a_separator_or_with_ragged_lines_is_refused_as_that(tmp_path):
    for text, said in (
        ("cell g1 g2\nc1 1 2\n", "separated by commas, semicolons or tabs in the first line of mine.csv"),
        ("cell,g1,g2\nc1,1\n", "got 3 in the header and 2 in the next line"),
        ("cell,g1,g2\n", "got a header alone"),
    ):
        (tmp_path / "mine.csv").write_text(text)
        with pytest.raises(DataError, match=said):
            load(tmp_path / "mine.csv")


def test_text_in_a_table_of_genes_by_cells_is_refused_naming_the_row(tmp_path):
    path = write_table(tmp_path / "mine.csv", ",", True, {"kind": ["a", "b", "a"]})
    with pytest.raises(DataError, match=r"text in 1 rows \(first: 'kind'\).*labels=NAME"):
        load(path, transpose=True)


def test_a_loom_as_anndata_writes_it_is_read(tmp_path):
    with h5py.File(tmp_path / "ad.loom", "w") as file:
        file["matrix"] = X.T
        file["row_attrs/var_names"], file["col_attrs/obs_names"] = np.array(GENES, "S"), np.array(CELLS, "S")
    check(load(tmp_path / "ad.loom"))


def test_the_content_of_an_hdf5_file_decides_not_its_suffix(tmp_path):
    annotated().write_h5ad(tmp_path / "a.h5ad")
    check(load((tmp_path / "a.h5ad").rename(tmp_path / "a.h5")))
    check(load(write_10x_h5(tmp_path / "b.h5ad", 3)))
    check(load(write_loom(tmp_path / "c.h5")))


def test_features_of_another_type_are_genes_if_they_say_so_and_else_are_named(tmp_path):
    folder = write_mtx(tmp_path / "sample", 3, False)
    features = folder / "features.tsv"
    features.write_text(features.read_text().replace("Gene Expression", "Gene"))
    check(load(folder))
    features.write_text(features.read_text().replace("Gene\n", "Peaks\n"))
    path = write_10x_h5(tmp_path / "mine.h5", 3)
    with h5py.File(path, "a") as file:
        file["matrix/features/feature_type"][:] = np.array(["Peaks"] * 4, "S")
    for source in (folder, path):
        with pytest.raises(DataError, match="type 'Gene Expression', got 'Peaks'"):
            load(source)


def test_what_macos_leaves_beside_a_file_is_not_taken_for_it(tmp_path):
    folder = write_mtx(tmp_path / "sample", 3, False)
    (folder / "._matrix.mtx").write_bytes(b"\0")
    before = readers.sha256(folder)
    check(load(folder))
    (folder / ".DS_Store").write_bytes(b"\0")
    assert readers.sha256(folder) == before


def test_one_of_several_genomes_is_to_be_chosen(tmp_path):
    path = write_10x_h5(tmp_path / "mine.h5", 2)
    with h5py.File(path, "a") as file:
        file.copy("hg19", "mm10")
    with pytest.raises(DataError, match=r"genomes of mine\.h5, hg19, mm10, got None: choose with load"):
        load(path)
    with pytest.raises(DataError, match="hg19, mm10, got 'hg38'"):
        load(path, genome="hg38")
    check(load(path, genome="mm10"))
    (tmp_path / "outs").mkdir()
    write_mtx(tmp_path / "outs" / "hg19", 2, False)
    check(load(tmp_path / "outs"))
    write_mtx(tmp_path / "outs" / "mm10", 2, False)
    with pytest.raises(DataError, match="genomes of outs, hg19, mm10"):
        load(tmp_path / "outs")
    check(load(tmp_path / "outs", genome="hg19"))
    with pytest.raises(ParameterError, match=r"expected genome with 10x files alone, got table\.csv, a table"):
        load(write_table(tmp_path / "table.csv", ","), genome="hg19")


def test_an_h5ad_whose_counts_lie_in_another_layer_names_it(tmp_path):
    logged = annotated(np.log1p(X))
    logged.layers["scaled"], logged.layers["raw_counts"] = np.log1p(X) / 2, X
    logged.write_h5ad(tmp_path / "mine.h5ad")
    with pytest.raises(DataError, match="layers are 'raw_counts', 'scaled', of which 'raw_counts' holds integers"):
        load(tmp_path / "mine.h5ad")


def test_repeated_names_of_a_file_are_refused_with_what_renames_them_there(tmp_path):
    adata = annotated()
    adata.var_names = ["g1", "g1", "g3", "g4"]
    adata.write_h5ad(tmp_path / "mine.h5ad")
    with pytest.raises(DataError, match=r"scanpy.read\('mine.h5ad'\), adata.var_names_make_unique\(\) and"):
        load(tmp_path / "mine.h5ad")


def test_an_h5ad_of_genes_by_cells_can_be_transposed(tmp_path):
    turned = annotated(kind=["a", "b", "a"]).T.copy()
    turned.layers["counts"] = turned.X.copy()
    turned.write_h5ad(tmp_path / "mine.h5ad")
    adata = load(tmp_path / "mine.h5ad", transpose=True)
    check(adata)
    assert list(adata.var.columns) == []
    assert list(adata.obs["kind"]) == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("genes", "cells", "said"),
    [
        ([f"ENSMUSG{i:011d}.2" for i in range(30)], "c", "named as genes"),
        (["Actb", "Gapdh", "mt-Nd1", *(f"x{i}" for i in range(27))], "c", "named as genes"),
        ([f"x{i}" for i in range(30)], "ACGTACGTACGTACGT-", "named as barcodes"),
    ],
)
def test_a_table_that_is_plainly_the_wrong_way_round_warns_by_name(tmp_path, genes, cells, said, recwarn):
    table = pd.DataFrame(np.arange(1, 241).reshape(30, 8), genes, [f"{cells}{i}" for i in range(8)])
    table.to_csv(tmp_path / "turned.csv")
    with pytest.warns(UserWarning, match=rf"turned.csv was read as cells × genes, but .*{said}.*transpose=True"):
        load(tmp_path / "turned.csv")
    recwarn.clear()
    assert load(tmp_path / "turned.csv", transpose=True).shape == (8, 30)
    assert not [w for w in recwarn if "transpose" in str(w.message)]


def test_few_cells_that_differ_more_than_many_genes_are_the_wrong_way_round(tmp_path, recwarn):
    rng = np.random.default_rng(0)
    abundance, depth = rng.lognormal(1, 2, 20), rng.lognormal(0, 0.3, 400)
    panel = AnnData(rng.poisson(depth[:, None] * abundance))
    panel.T.copy().write_h5ad(tmp_path / "turned.h5ad")
    with pytest.warns(UserWarning, match="no experiment gives 20 'cells' and 400 'genes'"):
        load(tmp_path / "turned.h5ad")
    recwarn.clear()
    # few deep cells of a plate
    AnnData(rng.poisson(rng.lognormal(0, 0.4, (20, 1)) * rng.lognormal(1, 2, 400))).write_h5ad(tmp_path / "plate.h5ad")
    load(tmp_path / "plate.h5ad")
    assert not [w for w in recwarn if "transpose" in str(w.message)]


def test_counts_that_went_through_a_logarithm_are_counts(tmp_path):
    annotated(np.expm1(np.log1p(X.astype(np.float32)))).write_h5ad(tmp_path / "mine.h5ad")
    check(load(tmp_path / "mine.h5ad"))
