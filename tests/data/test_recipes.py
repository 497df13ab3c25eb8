"""Every published format on a tiny file of the same build, every registered set on the real files where they lie."""

import io
import os
import tarfile
import zipfile
from types import SimpleNamespace

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import rdata
import xarray as xr
from rdata.conversion import to_r
from scipy import sparse
from scipy.io import savemat

from scgen_lib import data
from scgen_lib.data import registry, sources

X = np.array([[0, 3, 0], [2, 0, 9]])
TRUTH = np.array([[1, 3, 0], [2, 4, 9]])
CELLS = ["c1", "c2"]
GENES = ["g1", "g2", "g3"]
REAL = os.environ.get("SCGEN_DATA_DIR")
# cells of every class, as counted in the published files
SIZES = {
    "zeisel": [939, 290, 235],
    "zeisel_full": [939, 820, 399, 290, 235, 224, 98],
    "zeisel_720": [948, 820, 390, 290, 198, 175, 98, 60, 26],
    "zeisel_groups12": [390, 290],
    "zeisel_toy": [59, 55, 43, 29, 14],
    "pbmc68k": [21975, 14112, 11445, 5859, 3817, 3306, 3126, 2793, 1865, 262, 19],
    "pbmc3k": [697, 483, 480, 344, 271, 162, 155, 32, 14],
    "pbmc4k": [1292, 702, 606, 459, 450, 332, 295, 135],
    "baron_mouse": [894, 275, 218, 191, 139, 47, 41, 36, 14, 10, 8, 7, 6],
    "baron_human": [2042, 2030, 956, 797, 500, 245, 232, 192, 168],
    "goolam": [64, 32, 16, 6, 6],
    "treutlein": [41, 13, 12, 11, 3],
    "splatter_g2": [1022, 978],
    "sc_celseq2": [112, 81, 81],
    "sc_dropseq": [86, 70, 69],
    "zeisel_4000": [948, 820, 390, 290, 198, 175, 98, 60, 26],
    "paul_full": [373, 329, 300, 246, 186, 180, 173, 167, 164, 153, 124, 69, 68, 63, 43, 31, 30, 22, 9],
    "paul": [1095, 559, 369, 216, 186, 167, 68],
    "fetal_brain": [633, 556, 348, 332, 325, 292, 290, 259, 256, 228, 207, 159, 97, 95, 79, 76, 71, 66],
}


def dense(x):
    return x.toarray() if sparse.issparse(x) else x


def frame(x=X, cells=CELLS, genes=GENES, **first):
    return pd.concat([pd.DataFrame(first, index=cells), pd.DataFrame(x, index=cells, columns=genes)], axis=1)


def matrix(x, rows, columns):
    """An R matrix with names of rows and columns."""
    return xr.DataArray(x, dims=["dim_0", "dim_1"], coords={"dim_0": rows, "dim_1": columns})


def write_rda(path, **content):
    def named(array, converter):
        # R lays matrices down by columns
        values = converter.convert_to_r_object(array.to_numpy().ravel(order="F"))
        names = [array[dim].to_numpy() for dim in array.dims]
        attributes = converter.convert_to_r_attributes({"dim": np.array(array.shape, np.int32), "dimnames": names})
        return to_r.build_r_object(values.info.type, value=values.value, attributes=attributes)

    rdata.write_rda(path, content, constructor_dict={**to_r.DEFAULT_CLASS_MAP, xr.DataArray: named})


def dgc(x, rows, columns):
    """What rdata gives for an R sparse matrix, which it can read but not write."""
    x = sparse.csc_matrix(x)
    return SimpleNamespace(
        i=x.indices, p=x.indptr, x=x.data.astype(float), Dim=x.shape, Dimnames=[np.array(rows), np.array(columns)]
    )


def tar(path, name, text):
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))


def check(adata, types=("a", "b"), cells=CELLS, genes=GENES):
    assert list(adata.obs_names) == list(cells)
    assert list(adata.var_names) == list(genes)
    np.testing.assert_array_equal(dense(adata.layers["counts"]), X)
    assert list(adata.obs["cell_type"]) == list(types)
    assert adata.obs["cell_type"].dtype == "category"


def test_r_list_of_matrices_and_vectors(load):
    def write(path):
        content = {
            "count.matrix.large": matrix(X.T.astype(np.int32), GENES, ["Xc1", "Xc2"]),
            "labels": np.array(["a", "b"]),
            "library.size": matrix(np.array([[10.0], [20.0]]), CELLS, ["n"]),
            "cell.size": matrix(np.array([[1.5], [2.5]]), CELLS, ["n"]),
            "ercc.matrix": pd.DataFrame(
                {"Xc1": np.array([5, 6], np.int32), "Xc2": np.array([7, 8], np.int32)}, index=pd.RangeIndex(1, 3)
            ),
            "trueMol": np.array([4.5, 9.0]),
        }
        write_rda(path, zeisel=content)

    adata = load("zeisel", write, "zeisel.rda")
    check(adata)
    np.testing.assert_array_equal(adata.obsm["ercc"], [[5, 6], [7, 8]])
    np.testing.assert_array_equal(adata.uns["ercc_molecules"], [4.5, 9.0])


def test_r_matrix_of_logarithms_gives_its_counts_back(load):
    def write(path):
        content = {
            "in_X": matrix(np.log10(1.0 + X.T), GENES, CELLS),
            "true_labs": matrix(np.array([[2], [1]], np.int32), CELLS, ["l"]),
        }
        write_rda(path, ZeiselAmit=content)

    adata = load("zeisel_groups12", write, "amit.RData")
    check(adata, ["2", "1"], ["cell_1", "cell_2"], ["gene_1", "gene_2", "gene_3"])
    assert list(adata.obs["cell_type"].cat.categories) == ["1", "2"]


def test_matlab_matrix_of_logarithms_takes_names_and_groups_of_the_annotation(load):
    def write(matrix, header):
        savemat(matrix, {"zeisel_data": np.log1p(X.T.astype(float))})
        names = ["tissue", "group", "total mRNA mol", "well", "sex", "age", "diameter", "cell_id", "level1class"]
        rows = [["x", "y"], *[["1", "2"]] * 6, CELLS, ["a", "b"]]
        header.write_text("".join("\t".join([n, *v]) + "\n" for n, v in zip(names, rows, strict=True)))

    check(load("zeisel_4000", write, "data.mat", "header.txt"), ["1", "2"], genes=["gene_1", "gene_2", "gene_3"])


def test_old_h5ad_of_counts_takes_its_clusters_for_types(load):
    def write(path):
        obs = pd.DataFrame({"paul15_clusters": ["a", "b"]}, index=CELLS)
        anndata.AnnData(X.astype("float32"), obs=obs, var=pd.DataFrame(index=GENES)).write_h5ad(path)

    check(load("paul_full", write, "paul.h5ad"))


def test_r_factor_of_stages_is_ordered_and_spike_ins_are_marked(load):
    def write(path):
        label = pd.Categorical(["4cell", "16cell"], categories=["16cell", "4cell"])
        write_rda(path, Goolam={"data": matrix(X.T.astype(np.int32), ["g1", "g2", "ERCC-1"], CELLS), "label": label})

    adata = load("goolam", write, "goolam.rda")
    check(adata, ["4cell", "16cell"], genes=["g1", "g2", "ERCC-1"])
    assert list(adata.obs["cell_type"].cat.categories) == ["4cell", "16cell"]
    assert adata.obs["cell_type"].cat.ordered
    assert list(adata.var["spike_in"]) == [False, False, True]


def test_r_sparse_matrix_of_genes_by_cells(load, monkeypatch):
    content = {"counts": dgc(X.T, GENES, CELLS), "types": np.array(["a", "b"])}
    monkeypatch.setattr(sources, "rda", lambda path: content[path.stem])
    check(load("paul", lambda *paths: [path.touch() for path in paths], "counts.rda", "types.rda"))


def test_r_sparse_matrix_with_labels_for_some_of_the_cells(load, monkeypatch):
    content = {"counts": dgc(X.T, GENES, ["c1-1", "c2-1"]), "meta": pd.DataFrame({"classified": ["b"]}, index=["c2"])}
    monkeypatch.setattr(sources, "rda", lambda path: content[path.stem])
    adata = load("pbmc3k", lambda *paths: [path.touch() for path in paths], "counts.rda", "meta.rda")
    assert adata.obs["cell_type"].isna().tolist() == [True, False]
    assert adata.obs["cell_type"].tolist()[1] == "b"


def test_r_sparse_matrices_of_cells_by_genes_with_repeated_symbols(load, monkeypatch):
    samples = pd.DataFrame({"barcode": ["k1"], "celltype": pd.Categorical(["a"]), "subpop": pd.Categorical(["s"])})
    content = {
        "counts": dgc(X[:1], ["c1"], GENES),
        "samples": samples,
        "counts_test": dgc(X[1:], ["c2"], GENES),
        "samples_test": samples.assign(celltype=pd.Categorical(["b"])),
        "genes": pd.DataFrame({"ensembl": ["E1", "E2", "E3"], "symbol": ["g1", "g1", "g3"]}),
    }
    monkeypatch.setattr(sources, "rda", lambda path: content)
    adata = load("pbmc_facs", lambda path: path.touch(), "facs.RData")
    check(adata, genes=["g1", "g1-1", "g3"])
    assert list(adata.obs["split"]) == ["train", "test"]
    assert list(adata.var["gene_ids"]) == ["E1", "E2", "E3"]
    assert "1 gene names repeat in the source" in adata.uns["dataset"]["note"]


def test_hdf5_with_numbered_classes_proteins_and_names(load):
    def write(path, names):
        with h5py.File(path, "w") as file:
            file["X"], file["Y"], file["ADT_X"] = X.astype(np.float32), np.array([10.0, 9.0]), np.ones((2, 10))
        savemat(names, {"citeseq_names": np.array([["a"], ["b"]], dtype=object)})

    unnamed = {"cells": ["cell_1", "cell_2"], "genes": ["gene_1", "gene_2", "gene_3"]}
    adata = load("cbmc_citeseq", write, "cite.h5", "names.mat")
    check(adata, **unnamed)
    assert adata.obsm["protein"].shape == (2, 10)
    assert list(adata.obs["cluster"].cat.categories) == ["9", "10"]

    adata = load("scdcc", lambda path: write(path, path.with_suffix(".mat")), "cite.h5")
    check(adata, ["10", "9"], **unnamed)


def test_zipped_tables_of_two_mice_meet_on_their_common_genes(load):
    def write(*paths):
        for path, cell, genes, kind in zip(paths, range(2), (GENES, [*GENES, "g4"]), "ab", strict=True):
            x = np.append(X[cell], [7])[None, : len(genes)]
            table = frame(x, [CELLS[cell]], genes, barcode=["k"], assigned_cluster=[kind])
            table.to_csv(path, compression={"method": "zip", "archive_name": "mouse.csv"})

    adata = load("baron_mouse", write, "m1.zip", "m 2.zip")
    check(adata)
    assert list(adata.obs["mouse"]) == ["1", "2"]


def test_zipped_table_with_labels_last(load):
    table = frame().assign(label=["a", "b"], sampleID=[1, 2])
    adata = load("baron_human", lambda path: table.to_csv(path, compression={"method": "zip"}), "baron.zip")
    check(adata)
    assert list(adata.obs["donor"]) == [1, 2]


def test_zip_of_a_simulation_with_truth_and_gene_parameters(load):
    def write(path):
        tables = {
            "counts": frame(),
            "truecounts": frame(TRUTH),
            "cellinfo": pd.DataFrame(
                {"Cell": CELLS, "Batch": "B", "Group": ["a", "b"], "ExpLibSize": [1.0, 2.0]}, index=CELLS
            ),
            "geneinfo": pd.DataFrame({"Gene": GENES, "GeneMean": [1.0, 2.0, 3.0]}, index=GENES),
        }
        with zipfile.ZipFile(path, "w") as archive:
            for name, table in tables.items():
                archive.writestr(f"Dataset1/{name}.csv", table.to_csv())

    adata = load("splatter_autoclass", write, "Dataset1.zip")
    check(adata)
    assert list(adata.obs["group"]) == ["a", "b"]
    np.testing.assert_array_equal(dense(adata.layers["true_counts"]), TRUTH)
    assert list(adata.var["GeneMean"]) == [1, 2, 3]


def test_gzipped_tables_of_genes_by_cells_with_metadata(load):
    def write(counts, metadata):
        frame(genes=["g1", "g2", "ERCC-1"]).T.to_csv(counts)
        pd.DataFrame({"cell_line_demuxlet": ["a", "b"], "mix": [1, 2]}, index=CELLS).to_csv(metadata)

    names = ("counts.csv.gz", "metadata.csv.gz")
    check(load("mixology_lines", write, *names), genes=["g1", "g2", "ERCC-1"])
    adata = load("mixology_rna", write, *names)
    check(adata, ["1", "2"], genes=["g1", "g2", "ERCC-1"])
    assert adata.var["spike_in"].sum() == 1


def test_tarred_text_of_genes_by_cells_with_bulk(load):
    def write(counts, assignments, *bulk):
        # R writes no name above the row names
        tar(counts, "dge.txt", frame().T.to_csv(sep=" ").removeprefix('""').lstrip(" "))
        table = pd.DataFrame({"Cell.name": ["c2", "other"], "Annotation": ["Neuron (Fetal_Brain)", "x"]})
        tar(assignments, "cells.csv", table.to_csv())
        for path in bulk:
            path.write_text("gene_id\tchr\tFPKM\nNM_1\t1\t1.5\nNM_2\t1\t2\nNM_1\t2\t0.5\n")

    adata = load("fetal_brain", write, "dge.tar.gz", "cells.tar.gz", "bulk1.expr", "bulk2.expr")
    np.testing.assert_array_equal(dense(adata.layers["counts"]), X)
    assert list(adata.obs_names) == CELLS
    assert adata.obs["cell_type"].isna().tolist() == [True, False]
    assert adata.obs["cell_type"].cat.categories.tolist() == ["Neuron"]
    assert adata.uns["bulk"].loc["NM_1"].tolist() == [2.0, 2.0]


def test_loom_takes_its_labels_from_the_header_lines(load):
    def write(loom, header):
        with h5py.File(loom, "w") as file:
            file["matrix"] = X.T
            file["row_attrs/Gene"] = np.array(GENES, dtype=h5py.string_dtype())
            file["col_attrs/CellID"] = np.array(CELLS, dtype=h5py.string_dtype())
        numbers = ["group", "total mRNA mol", "well", "sex", "age", "diameter"]
        lines = [*((name, "1", "1") for name in numbers), ("cell_id", "c2", "c1"), ("level1class", "b", "a")]
        header.write_text("\n".join("\t".join(line) for line in lines) + "\n")

    check(load("zeisel_toy", write, "toy.loom", "header.txt"))


def test_matlab_logarithms_are_no_counts_and_say_so(load):
    adata = load(
        "treutlein", lambda path: savemat(path, {"in_X": np.log1p(X), "true_labs": [[2], [1]]}), "t.mat", values="log"
    )
    assert "counts" not in adata.layers
    # stored as float32
    np.testing.assert_allclose(adata.layers["log"], np.log1p(X), rtol=1e-6)
    with pytest.raises(data.checks.DataError, match=r"only log values .* source of tiny"):
        data.checks.get_counts(adata)


def test_r_time_course_of_logarithms_keeps_the_ages(load):
    def write(path):
        ages = pd.DataFrame({"sname": CELLS, "age": [-50.0, 0.0], "accession": ["G1", "G2"]}, dtype=object).astype(
            {"age": float}
        )
        write_rda(path, Cel_embryo={"g": matrix(np.log1p(X.T), GENES, CELLS), "p": ages})

    adata = load("c_elegans", write, "embryo.RData", values="log")
    assert list(adata.obs["age"]) == [-50, 0]
    np.testing.assert_allclose(adata.layers["log"], np.log1p(X), rtol=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="SCGEN_DATA_DIR is not set: the real files are not at hand")
@pytest.mark.parametrize("name", [name for name, entry in registry.DATASETS.items() if entry.recipe])
def test_the_real_files_hold_what_the_registry_says(name):
    entry = registry.DATASETS[name]
    if absent := [file.name for file in entry.sources if not (entry.shipped or registry.local_file(file))]:
        pytest.skip(f"SCGEN_DATA_DIR holds no {', '.join(absent)}")
    adata = data.load(name)
    assert adata.shape == (entry.cells, entry.genes)
    if entry.labels:
        sizes = adata.obs["cell_type"].value_counts().tolist()
        assert len(sizes) == entry.labels
        assert sizes == SIZES.get(name, sizes)
    assert adata.obs_names.is_unique
    assert adata.var_names.is_unique
    if entry.values == "log":
        with pytest.raises(data.checks.DataError, match="only log values"):
            data.checks.get_counts(adata)
        return
    kept = data.checks.drop_empty(adata)
    assert name != "pbmc68k" or kept.n_vars == 20_387
    assert data.checks.get_counts(kept).sum() == adata.layers["counts"].sum()
    if "true_counts" in adata.layers:
        # dropout only takes counts away: what is left equals the truth
        seen, truth = dense(adata.layers["counts"]), dense(adata.layers["true_counts"])
        assert (seen[seen > 0] == truth[seen > 0]).all()
        assert 0.05 < np.mean(seen != truth) < 0.65


@pytest.mark.skipif(REAL is None, reason="SCGEN_DATA_DIR is not set: the real files are not at hand")
def test_the_real_tables_of_labels_hold_what_their_source_says():
    annotation = data.zeisel_annotation()
    assert annotation.shape == (3005, 9)
    assert annotation["level1class"].value_counts().to_dict() == {
        "pyramidal CA1": 939,
        "oligodendrocytes": 820,
        "pyramidal SS": 399,
        "interneurons": 290,
        "endothelial-mural": 235,
        "astrocytes_ependymal": 224,
        "microglia": 98,
    }
    labels = registry.fetch(registry.FILES["zeisel-2015/labels.txt"])
    np.testing.assert_array_equal(np.loadtxt(labels), annotation["group"])
    assert list(data.load("zeisel").obs["cell_type"]) == list(
        annotation.loc[data.load("zeisel").obs_names, "level1class"]
    )

    types = data.pbmc68k_labels()
    assert len(types) == 68_579
    assert types.value_counts()["Dendritic"] == 1_865
    assert types.nunique() == 11


@pytest.mark.skipif(REAL is None, reason="SCGEN_DATA_DIR is not set: the real files are not at hand")
def test_the_real_transcripts_name_the_genes_of_the_bulk_of_fetal_brain():
    if registry.local_file(registry.DATASETS["refseq_mm9"].sources[0]) is None:
        pytest.skip("mm9_refseq.ucsc is not under SCGEN_DATA_DIR")
    symbols = data.refseq_mm9()
    assert len(symbols) == 26_946
    assert symbols["NM_011441"] == "Sox17"
    cells = data.load("fetal_brain")
    transcripts = cells.uns["bulk"].index
    assert (len(transcripts), transcripts.isin(symbols.index).sum()) == (19_568, 19_503)
    assert cells.var_names.isin(symbols[transcripts.intersection(symbols.index)]).sum() == 13_243
