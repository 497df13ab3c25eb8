import shutil

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

from scgen_lib import cli

#: The smallest nets, trained as little as can be.
SMALL = {
    "cvae": ["--filters", "2", "--hidden", "2", "--epochs", "1"],
    "db_aae": ["--hidden", "4,3", "--latent-dim", "2", "--disc-hidden", "2", "--epochs", "1"],
    "dca": ["--hidden", "4,2,4", "--epochs", "1"],
    "dr_a": ["--hidden", "4", "--disc-hidden", "4", "--latent-dim", "2", "--batch-size", "16", "--epochs", "1"],
    "scgan": ["--gen-layers", "4", "--critic-layers", "4", "--latent-dim", "2", "--batch-size", "16", "--steps", "1"],
}


@pytest.fixture
def scgen(capfd):
    """Run the command as a terminal does: exit code, standard output, and what is said beside it."""

    def run(*arguments):
        capfd.readouterr()
        code = cli.main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def small():
    return SMALL


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A user's files: 40 cells × 15 genes, of which one cell and one gene have no count."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(0)
    x = rng.poisson(rng.gamma(2, 2, (2, 15))[np.arange(40) % 2])
    x[3], x[:, 4] = 0, 0
    obs = pd.DataFrame({"kind": pd.Categorical(["B", "NK"] * 20), "n": np.arange(40)}, [f"c{i}" for i in range(40)])
    var = pd.DataFrame({"long": [f"gene {i}" for i in range(15)]}, [f"g{i}" for i in range(15)])
    cells = anndata.AnnData(sp.csr_matrix(x, dtype="float32"), obs, var, uns={"mine": {"a": 1}})
    cells.obsm["X_mine"] = np.ones((40, 2))
    cells.write_h5ad(folder / "counts.h5ad")
    logs = cells.copy()
    logs.layers["counts"] = logs.X
    logs.X = logs.X.log1p()
    logs.raw = logs.copy()
    logs.write_h5ad(folder / "logs.h5ad")
    umis = logs.copy()
    umis.layers["umis"] = umis.layers.pop("counts")
    umis.write_h5ad(folder / "umis.h5ad")
    raw = logs.copy()
    raw.X = raw.layers.pop("counts")
    raw.raw = raw.copy()
    raw.X = raw.X.log1p()
    raw.layers["scaled"] = raw.X * 2
    raw.write_h5ad(folder / "raw.h5ad")
    raw[:, :9].write_h5ad(folder / "few_of_raw.h5ad")
    alone = logs.copy()
    del alone.layers["counts"], alone.raw
    alone.write_h5ad(folder / "no_counts.h5ad")
    table = pd.DataFrame(x, obs.index, var.index)
    table.to_csv(folder / "counts.csv")
    table.T.to_csv(folder / "genes_by_cells.tsv.gz", sep="\t")
    table.assign(kind=obs["kind"]).to_csv(folder / "labelled.csv")
    table.iloc[:, :9].to_csv(folder / "few_genes.csv")
    (folder / "damaged.h5ad").write_bytes((folder / "counts.h5ad").read_bytes()[:3000])
    with h5py.File(folder / "counts.loom", "w") as loom:
        loom["matrix"] = x.T
        loom["row_attrs/Gene"], loom["col_attrs/CellID"] = np.array(var.index, "S"), np.array(obs.index, "S")
    (folder / "tenx").mkdir()
    scipy.io.mmwrite(folder / "tenx" / "matrix.mtx", sp.coo_matrix(x.T))
    (folder / "tenx" / "barcodes.tsv").write_text("\n".join(obs.index))
    (folder / "tenx" / "genes.tsv").write_text("".join(f"E{name}\t{name}\n" for name in var.index))
    for genome in ("hg19", "mm10"):
        shutil.copytree(folder / "tenx", folder / "two" / genome)
    return folder


@pytest.fixture(scope="session")
def saved(files):
    """A file of a trained model by name, and what was written with it."""
    made = {}

    def of(verb, model, *options):
        if (verb, model) not in made:
            out, keras = files / f"{verb}_{model}.h5ad", files / f"{verb}_{model}.keras"
            arguments = [verb, model, files / "counts.h5ad", out, "--save", keras, *SMALL[model], *options]
            assert cli.main([str(argument) for argument in arguments]) == 0
            made[verb, model] = keras, out
        return made[verb, model]

    return of


@pytest.fixture(scope="module", autouse=True)
def _small(eager):
    pass
