import numpy as np
import pytest

from scgen_lib.metrics.controls import Cells


def correlated(n_cells, seed, n_genes=120):
    """Counts of two labels with programmes of genes within each label, deep enough for their correlation to be seen."""
    rng = np.random.default_rng(seed)
    fixed = np.random.default_rng(0)
    labels = rng.choice(["a", "b"], n_cells, p=[0.6, 0.4])
    level = {label: fixed.gamma(1.0, 3.0, n_genes) for label in "ab"}
    programmes = fixed.choice(4, n_genes)
    activity = np.exp(rng.normal(0, 0.7, (n_cells, 4)))
    mean = np.stack([level[label] for label in labels]) * activity[:, programmes]
    return Cells(rng.poisson(mean * rng.gamma(8, 1 / 8, (n_cells, 1))), labels)


@pytest.fixture(scope="module")
def train():
    return correlated(500, 1)


@pytest.fixture(scope="module")
def test():
    return correlated(200, 2)
