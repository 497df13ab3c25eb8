"""scVI in a process of its own: its codes and shares where it is installed, one sentence where it is not."""

import importlib.util

import numpy as np
import pytest
import scipy.sparse as sp

from scgen_book import external
from scgen_lib.errors import InputError


def test_without_scvi_one_sentence_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="scvi-tools, got none"):
        external.scvi(np.ones((4, 3)), np.ones((2, 3)))


def test_a_process_that_stops_says_why(monkeypatch):
    monkeypatch.setattr(external, "has_scvi", lambda: True)
    # without the package the new process stops at its import; with it, at genes that differ
    with pytest.raises(InputError, match=r"a process that stopped: .*Error"):
        external.scvi(np.ones((8, 3)), np.ones((2, 4)), epochs=1)


@pytest.mark.skipif(not external.has_scvi(), reason="scvi-tools, an optional package, is not installed")
def test_codes_and_shares_of_test_cells_come_back_beside_tensorflow():
    import tensorflow as tf

    tf.constant(1.0)
    counts = np.random.default_rng(0).poisson(2.0, (60, 20))
    codes, shares = external.scvi(sp.csr_matrix(counts[:40]), counts[40:], n_latent=3, epochs=2)
    assert codes.shape == (20, 3)
    assert shares.shape == (20, 20)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-4)
    again, _ = external.scvi(sp.csr_matrix(counts[:40]), counts[40:], n_latent=3, epochs=2)
    np.testing.assert_array_equal(codes, again)
