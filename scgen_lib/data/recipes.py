"""How the files of each registered data set become one AnnData: a function per recipe, named in the registry.

A recipe takes the paths of the files in the registry's order and returns cells × genes with the values in ``X``, labels
in ``obs["cell_type"]`` where there are any, and true counts in ``layers["true_counts"]`` where they are known.
"""

from __future__ import annotations

import tarfile
import zlib
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import anndata
import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import io, sparse

from scgen_lib.data import readers, sources
from scgen_lib.errors import DataError


def pbmc68k_reduced() -> AnnData:
    """68k PBMC as scanpy ships them, with the counts behind ``raw.X`` = ln(1 + 10⁴ · count / n_counts)."""
    import scanpy as sc

    adata = sc.datasets.pbmc68k_reduced()
    scale = sparse.diags_array(adata.obs["n_counts"].to_numpy(dtype=float) / 1e4)
    counts = sparse.csr_matrix(scale @ adata.raw.X.astype(float).expm1())
    adata.X = sources.rounded(counts, "pbmc68k_reduced")
    adata.raw = None
    adata.obs["cell_type"] = adata.obs["bulk_labels"]
    return adata


def pbmc68k(archive: Path, labels: Path) -> AnnData:
    """68k PBMC, all cells and genes, the labels in the order of the matrix."""
    with tarfile.open(archive) as content:
        files = {Path(entry.name).name: entry for entry in content}
        # straight from the archive: the text of the matrix alone is half a gigabyte
        adata = readers.mtx_10x(
            *(content.extractfile(files[name]) for name in ("genes.tsv", "barcodes.tsv", "matrix.mtx"))
        )
    types = pbmc68k_labels(labels)
    sources.one_each(types, labels, adata, archive)
    adata.obs["cell_type"] = types.array
    return adata


def pbmc68k_labels(path: Path) -> pd.Series:
    """Cell types of the 68k PBMC, a line each."""
    return pd.Series(path.read_text(encoding="utf-8").splitlines(), name="cell_type", dtype="category")


def pbmc_facs(path: Path) -> AnnData:
    """FACS-purified PBMC and the 100 cells that the source holds out."""
    content = sources.rda(path)
    parts = {}
    for split, end in (("train", ""), ("test", "_test")):
        x, cells, _ = sources.from_dgc(content[f"counts{end}"])
        parts[split] = AnnData(x.tocsr(), obs=content[f"samples{end}"].set_index(cells).rename(columns=str))
    adata = anndata.concat(parts, label="split")
    adata.obs = adata.obs.rename(columns={"celltype": "cell_type"}).astype({"barcode": str})
    adata.var["gene_ids"] = content["genes"]["ensembl"].to_numpy(str)
    adata.var_names = content["genes"]["symbol"].to_numpy(str)
    return adata


def pbmc3k(counts: Path, meta: Path) -> AnnData:
    """10x 3k PBMC, with the labels of the Seurat tutorial for the cells that passed its filter."""
    adata = sources.from_genes_by_cells(*sources.from_dgc(sources.rda(counts)))
    labels = sources.rda(meta)["classified"]
    labels.index = labels.index.astype(str) + "-1"
    adata.obs["cell_type"] = labels.astype(str).reindex(adata.obs_names).astype("category")
    return adata


def scdcc(path: Path) -> AnnData:
    """HDF5 with ``X`` cells × genes and ``Y`` class numbers, neither genes nor classes named."""
    with h5py.File(path) as file:
        adata = sources.unnamed(file["X"][:])
        adata.obs["cell_type"] = sources.numbered(file["Y"][:])
    return adata


def cbmc_citeseq(path: Path, names: Path) -> AnnData:
    """CITE-seq of cord blood: RNA, ten proteins, named types."""
    adata = scdcc(path)
    adata.obs["cluster"] = adata.obs.pop("cell_type")
    types = io.loadmat(names)["citeseq_names"].ravel()
    adata.obs["cell_type"] = pd.Categorical([str(entry[0]) for entry in types])
    # the source does not name the proteins: the order is inferred from the medians by cell type
    proteins = ["CD3", "CD4", "CD8", "CD45RA", "CD56", "CD16", "CD11c", "CD14", "CD19", "CD34"]
    with h5py.File(path) as file:
        adata.obsm["protein"] = pd.DataFrame(file["ADT_X"][:], index=adata.obs_names, columns=proteins)
    return adata


def zeisel(path: Path) -> AnnData:
    """Three classes of mouse cortex, with the ERCC spike-ins and their true molecule numbers."""
    content = sources.rda(path)
    counts = content["count.matrix.large"]
    cells = [name.removeprefix("X") for name in counts["dim_1"].to_numpy()]
    adata = sources.from_genes_by_cells(counts.to_numpy(), counts["dim_0"].to_numpy(), cells)
    adata.obs["cell_type"] = pd.Categorical(content["labels"])
    adata.obs["library_size"] = content["library.size"].to_numpy()
    adata.obs["cell_size"] = content["cell.size"].to_numpy()
    adata.obsm["ercc"] = content["ercc.matrix"].to_numpy(np.int32).T
    adata.uns["ercc_molecules"] = content["trueMol"]
    return adata


def zeisel_4000(path: Path, header: Path) -> AnnData:
    """All cells of mouse cortex and the genes detected in most of them, counts behind ln(1 + count)."""
    x = sparse.csr_matrix(io.loadmat(path)["zeisel_data"].T)  # before the copies that the next steps make
    adata = sources.unnamed(sources.rounded(x.expm1(), path.name))
    annotation = zeisel_annotation(header)
    sources.one_each(annotation, header, adata, path)
    adata.obs = _zeisel_classes(annotation)
    adata.obs["cell_type"] = adata.obs["group"]
    return adata


def zeisel_groups12(path: Path) -> AnnData:
    """Mouse cortex, groups 1 (interneurons) and 2, counts behind log10(1 + count)."""
    content = sources.rda(path)
    adata = sources.unnamed(sources.rounded(10 ** content["in_X"].to_numpy().T - 1, path.name))
    adata.obs["cell_type"] = sources.numbered(content["true_labs"].to_numpy())
    return adata


def zeisel_toy(path: Path, header: Path) -> AnnData:
    """200 cells of mouse cortex, level-1 classes by cell id."""
    adata = readers.read(path)
    annotation = zeisel_annotation(header)
    adata.obs["cell_type"] = annotation["level1class"].reindex(adata.obs_names).astype("category")
    return adata


def zeisel_720(matrix: Path, labels: Path, header: Path) -> AnnData:
    """The 720 genes that the authors of DR-A selected, the cells in the order of the annotation.

    Whether the cells of the matrix stand in the order of the annotation its content has to show: the molecules of
    these genes follow the cell's total, which the annotation states.
    """
    annotation, again = zeisel_annotation(header), f"remove {matrix} and fetch it again"
    adata = sources.unnamed(_selected_genes(matrix))
    groups = sources.numbered(np.loadtxt(labels))
    sources.one_each(groups, labels, adata, matrix)
    sources.one_each(groups, labels, annotation, header)
    if list(groups) != list(annotation["group"].astype(str)):
        raise DataError(f"expected the same groups in {labels.name} and {header.name}, got others: fetch both again")
    totals = {"here": np.asarray(adata.X.sum(axis=1)).ravel(), "stated": annotation["total_mRNA_mol"].to_numpy()}
    ranks = pd.DataFrame(totals).groupby(np.asarray(groups)).rank(pct=True)
    # within the groups: about 0.9 for 720 genes of these cells, about 0 in another order
    if not (agreement := ranks.corr().loc["here", "stated"]) > 0.5:
        raise DataError(
            f"expected the cells of {matrix.name} in the order of {header.name}, got a rank correlation of their "
            f"totals with the stated ones of {agreement:.2f} within the groups: {again}"
        )
    adata.obs = _zeisel_classes(annotation)
    adata.obs["cell_type"] = adata.obs["group"]
    return adata


def _selected_genes(archive: Path) -> sparse.csr_matrix:
    """Counts of the 720 genes that the authors of DR-A selected."""
    try:
        with sources.only_member(archive, ".mtx") as matrix:
            return sparse.csr_matrix(readers.matrix_market(matrix))
    except (ValueError, TypeError, OverflowError, OSError, EOFError, zlib.error, BadZipFile, tarfile.TarError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(
            f"expected a Matrix Market file, got {archive.name} ({reason}): remove {archive} and fetch it again"
        ) from error


def selected_720(*files: Path) -> AnnData:
    """The 720 genes that the authors of DR-A selected of other data: a matrix and its labels, or such pairs in turn."""
    parts, classes = (
        [_selected_genes(archive) for archive in files[::2]],
        [np.loadtxt(labels) for labels in files[1::2]],
    )
    for part, archive, stated, labels in zip(parts, files[::2], classes, files[1::2], strict=True):
        sources.one_each(stated, labels, range(part.shape[0]), archive)
    adata = sources.unnamed(sparse.vstack(parts, format="csr"))
    adata.obs["cell_type"] = sources.numbered(np.concatenate(classes))
    if len(parts) > 1:
        adata.obs["split"] = np.repeat(["train", "test"], [part.shape[0] for part in parts])
    return adata


def zeisel_full(counts: Path, header: Path) -> AnnData:
    """All genes of mouse cortex and hippocampus, the annotation by cell id."""
    adata = sources.from_genes_by_cells(*sources.genes_by_cells(counts, "\t", counts.name))
    annotation = zeisel_annotation(header)
    if set(adata.obs_names) != set(annotation.index):
        known = adata.obs_names.isin(annotation.index).sum()
        raise DataError(
            f"expected the {len(annotation)} cells of {header.name} in {counts.name}, got {adata.n_obs} cells of which "
            f"{known} are among them: remove both and fetch them again"
        )
    adata.obs = _zeisel_classes(annotation.loc[adata.obs_names])
    adata.obs["cell_type"] = adata.obs["level1class"]
    return adata


def _zeisel_classes(annotation: pd.DataFrame) -> pd.DataFrame:
    """The annotation with its two sets of labels, the 9 groups and the 7 level-1 classes, as categories."""
    return annotation.astype({"group": str}).astype(dict.fromkeys(["group", "level1class"], "category"))


def zeisel_annotation(header: Path) -> pd.DataFrame:
    """Annotation of all 3,005 cells: the header lines as columns, cell ids as index."""
    rows = [line.split("\t") for line in header.read_text(encoding="utf-8").splitlines() if line.strip()]
    # the labels stand behind the name of their line, one column in
    table = pd.DataFrame({row[0].strip().replace(" ", "_"): row[1:] for row in rows if len(row) > 1})
    numbers = ["group", "total_mRNA_mol", "well", "sex", "age"]
    return table.set_index("cell_id").astype(dict.fromkeys(numbers, int) | {"diameter": float})


def baron_mouse(*paths: Path) -> AnnData:
    """Both mice on their common genes."""
    mice = {str(number): _baron(path) for number, path in enumerate(paths, 1)}
    adata = anndata.concat(mice, label="mouse", join="inner")
    adata.obs["cell_type"] = adata.obs.pop("assigned_cluster").astype("category")
    return adata


def _baron(path: Path) -> AnnData:
    table = pd.read_csv(path, index_col=0)
    obs = pd.DataFrame({name: table.pop(name) for name in ("barcode", "assigned_cluster")})
    return AnnData(sparse.csr_matrix(table.to_numpy()), obs=obs, var=pd.DataFrame(index=table.columns))


def baron_human(path: Path) -> AnnData:
    """Human islets, with the donor."""
    table = pd.read_csv(path, index_col=0)
    obs = pd.DataFrame({"cell_type": table.pop("label"), "donor": table.pop("sampleID")}, dtype="category")
    return AnnData(table.to_numpy(), obs=obs, var=pd.DataFrame(index=table.columns))


def goolam(path: Path) -> AnnData:
    """Mouse embryos, the stages as ordered categories."""
    content = sources.rda(path)
    adata = sources.from_genes_by_cells(
        content["data"].to_numpy(), *(content["data"][dim].to_numpy() for dim in ("dim_0", "dim_1"))
    )
    stages = ["2cell", "4cell", "8cell", "16cell", "blast"]
    adata.obs["cell_type"] = pd.Categorical(content["label"], categories=stages, ordered=True)
    return sources.with_spike_ins(adata)


def treutlein(path: Path) -> AnnData:
    """Mouse lung, log values."""
    content = io.loadmat(path)
    adata = sources.unnamed(content["in_X"])
    adata.obs["cell_type"] = sources.numbered(content["true_labs"])
    return adata


def splatter_pair(observed: Path, truth: Path) -> AnnData:
    """Two simulations that differ in dropout only."""
    tables = [pd.read_csv(path, index_col=0) for path in (observed, truth)]
    groups, true_groups = (table.pop(table.columns[0]) for table in tables)
    x, t = tables
    if not (x.index.equals(t.index) and x.columns.equals(t.columns) and (groups == true_groups).all()):
        raise DataError(
            f"expected the same cells and genes in {observed.name} and {truth.name}, got others: fetch both again"
        )
    obs = pd.DataFrame({"group": groups, "cell_type": groups}, dtype="category")
    return AnnData(x.to_numpy(), obs=obs, var=pd.DataFrame(index=x.columns), layers={"true_counts": t.to_numpy()})


def splatter_autoclass(path: Path) -> AnnData:
    """One simulation with true counts, base means, outlier and DE factors (``var``)."""
    with ZipFile(path) as archive:
        x, t, obs, var = (
            pd.read_csv(archive.open(f"Dataset1/{name}.csv"), index_col=0)
            for name in ("counts", "truecounts", "cellinfo", "geneinfo")
        )
    obs = obs.loc[x.index, ["Group", "ExpLibSize"]].rename(columns={"Group": "group", "ExpLibSize": "exp_lib_size"})
    obs["group"] = obs["cell_type"] = obs["group"].astype("category")
    return AnnData(
        x.to_numpy(),
        obs=obs,
        var=var.loc[x.columns].drop(columns="Gene"),
        layers={"true_counts": t.loc[x.index, x.columns].to_numpy()},
    )


def mixology_lines(counts: Path, metadata: Path) -> AnnData:
    """Three cell lines, labelled by genotype."""
    return _mixology(counts, metadata, "cell_line_demuxlet")


def mixology_rna(counts: Path, metadata: Path) -> AnnData:
    """Mixed RNA of three cell lines, labelled by mix."""
    return _mixology(counts, metadata, "mix")


def _mixology(counts: Path, metadata: Path, label: str) -> AnnData:
    table, obs = (pd.read_csv(path, index_col=0) for path in (counts, metadata))
    obs = obs.loc[table.columns].assign(cell_type=lambda frame: frame[label].astype(str).astype("category"))
    adata = AnnData(table.to_numpy().T, obs=obs, var=pd.DataFrame(index=table.index))
    return sources.with_spike_ins(adata)


def paul(counts: Path, labels: Path) -> AnnData:
    """Mouse myeloid progenitors."""
    adata = sources.from_genes_by_cells(*sources.from_dgc(sources.rda(counts)))
    adata.obs["cell_type"] = pd.Categorical(sources.rda(labels))
    return adata


def paul_full(path: Path) -> AnnData:
    """Mouse myeloid progenitors with all genes that were kept."""
    adata = readers.read(path)
    adata.obs["cell_type"] = adata.obs["paul15_clusters"].astype("category")
    return adata


def c_elegans(path: Path) -> AnnData:
    """Embryos with their age, log values."""
    content = sources.rda(path)
    values = content["g"]
    adata = sources.from_genes_by_cells(values.to_numpy(), *(values[dim].to_numpy() for dim in ("dim_0", "dim_1")))
    adata.obs = content["p"].set_index("sname").loc[adata.obs_names, ["age", "accession"]]
    adata.obs = adata.obs.rename(columns=str)
    return adata


def fetal_brain(counts: Path, assignments: Path, *bulk: Path) -> AnnData:
    """Fetal brain, with the annotation by cell name and the bulk replicates in ``uns["bulk"]``."""
    with tarfile.open(counts) as archive:
        table = sources.genes_by_cells(archive.extractfile(archive.next()), " ", counts.name)
    adata = sources.from_genes_by_cells(*table)
    with tarfile.open(assignments) as archive:
        table = pd.read_csv(
            archive.extractfile(archive.next()), index_col="Cell.name", usecols=["Cell.name", "Annotation"]
        )
    types = table["Annotation"].reindex(adata.obs_names).str.removesuffix("(Fetal_Brain)").str.strip()
    adata.obs["cell_type"] = types.astype("category")
    # a RefSeq id that lies at several places has a row for each
    fpkm = [pd.read_csv(path, sep="\t").groupby("gene_id")["FPKM"].sum() for path in bulk]
    adata.uns["bulk"] = pd.concat(fpkm, axis=1, keys=[f"replicate_{i}" for i in range(1, len(bulk) + 1)])
    return adata
