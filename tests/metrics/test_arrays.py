import numpy as np
import pytest
import scipy.sparse as sp

from scgen_lib.errors import DataError
from scgen_lib.metrics.arrays import log_normalise


@pytest.mark.parametrize("target", [None, 1e4])
def test_log_normalise_agrees_with_scanpy_and_stays_sparse(target):
    import anndata
    import scanpy as sc

    counts = np.random.default_rng(0).poisson(0.7, (20, 30)).astype("float64")
    reference = anndata.AnnData(counts.copy())
    sc.pp.normalize_total(reference, target_sum=target)
    sc.pp.log1p(reference)
    np.testing.assert_allclose(log_normalise(counts, target), reference.X, rtol=1e-12)
    sparse = log_normalise(sp.csr_matrix(counts), target)
    assert isinstance(sparse, sp.csr_matrix)
    np.testing.assert_allclose(sparse.toarray(), reference.X, rtol=1e-12)


def test_log_normalise_refuses_empty_cells_and_negative_values():
    counts = np.array([[0, 0], [1, 3]])
    with pytest.raises(DataError, match="1 of 2 that are empty"):
        log_normalise(counts)
    assert log_normalise(counts, 8, allow_empty=True)[0].tolist() == [0, 0]
    with pytest.raises(DataError, match="negative"):
        log_normalise(-counts)
    with pytest.raises(DataError, match="NaN or infinite"):
        log_normalise(sp.csr_matrix([[np.inf, 1.0]]))
