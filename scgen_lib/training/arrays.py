"""Named arrays of cells, dense or sparse, and which of their rows a training takes."""

import math

import numpy as np
import scipy.sparse as sp

from scgen_lib.data.stored import Stored
from scgen_lib.errors import InputError

# Arrays that share their first axis, the cells, by name.
Arrays = dict[str, np.ndarray | sp.csr_matrix | Stored]


def dense(a: np.ndarray | sp.csr_matrix | Stored) -> np.ndarray:
    """Dense float32 of an array, a CSR matrix or counts on disk, without a copy where it is that already."""
    a = a.read() if isinstance(a, Stored) else a
    return np.asarray(a.toarray() if sp.issparse(a) else a, "float32")


def split(n: int, share: float, *, shuffle: bool, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of training and validation cells: the last `share` of them, in file order or after a seeded shuffle."""
    order = np.random.default_rng([seed, n]).permutation(n) if shuffle else np.arange(n)
    cut = math.floor(n * (1 - share))
    refuse_none(cut)
    return np.sort(order[:cut]), np.sort(order[cut:])


def refuse_none(n: int) -> None:
    """Refuse a training without a cell."""
    if n == 0:
        raise InputError("expected at least one training cell, got none: lower the validation share or give more cells")
