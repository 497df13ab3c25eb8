"""A small data set of two classes with counts, and the parameters of a chapter at toy size."""

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from scgen_book import experiments

TOY = {
    "label_key": "type", "transpose": False, "fast": False, "seed": 0, "seeds": [0], "rows": None, "out": None,
    "variants": ["repaired"], "gen_layers": [8], "critic_layers": [8], "critic_input_scale": None, "bn_momentum": None,
    "latent_dim": 4, "steps": 4, "summary_every": 1, "save_every": 4, "plot_every": 1, "batch_size": 16,
    "lr_initial": 1e-3, "lr_final": 1e-4,
    "critic_iters": 1, "min_class_size": 5, "min_genes": 1, "min_cells": 1, "forest_trees": 10, "min_test_cells": 10,
    "augment_steps": 2, "augment_shares": [0.2], "test_cells": 0.4, "n_generate": None,
}  # fmt: skip


@pytest.fixture(scope="session")
def file(tmp_path_factory):
    rng = np.random.default_rng(0)
    means = rng.gamma(1.0, 3.0, (2, 30))
    types = np.repeat([0, 1], 50)
    cells = anndata.AnnData(
        sp.csr_matrix(rng.poisson(means[types]).astype("float32")),
        obs=pd.DataFrame({"type": np.array(["B", "NK"])[types]}, index=[f"cell{i}" for i in range(100)]),
    )
    path = tmp_path_factory.mktemp("cells") / "mine.h5ad"
    cells.write_h5ad(path)
    return str(path)


@pytest.fixture(scope="session")
def values(file):
    return experiments.complete("scgan", TOY | {"dataset": file})


@pytest.fixture(scope="module", autouse=True)
def _small(eager):
    pass
