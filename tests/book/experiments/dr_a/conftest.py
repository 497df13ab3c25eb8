import anndata
import numpy as np
import pytest

from scgen_book import experiments, notebooks, parameters

TINY = {
    "epoch": 1, "n_l": 1, "batch_size": 16, "X_dim": 20, "g_h_l1": 8, "g_h_l2": 8, "g_h_l3": 8, "g_h_l4": 8,
    "d_h_l1": 6, "kmeans_seeds": 2, "kmeans_n_init": 1, "z_dim": 2, "seeds": [0, 1], "port": False,
}  # fmt: skip


@pytest.fixture(scope="session")
def mine(tmp_path_factory):
    """A file of 60 cells × 25 genes of three types."""
    rng = np.random.default_rng(0)
    types = np.arange(60) % 3
    means = rng.gamma(2, 2, (3, 25))
    cells = anndata.AnnData(rng.poisson(means[types]).astype("float32"))
    cells.obs["cell_type"] = np.array(["a", "b", "c"])[types]
    path = tmp_path_factory.mktemp("data") / "mine.h5ad"
    cells.write_h5ad(path)
    return str(path)


@pytest.fixture(scope="session")
def values(mine):
    """All parameters of the chapter at a tiny size, others on request."""

    def of(**given):
        spec = parameters.declared("dr_a") | parameters.from_notebook(notebooks.path("dr_a"))
        return experiments.complete("dr_a", parameters.check({"dataset": mine} | TINY | given, spec))

    return of
