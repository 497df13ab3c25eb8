"""Entries of matrices in few numbers, for figures of their density: what is equal is kept once, with its number."""

from collections.abc import Mapping

import numpy as np

#: Log10 units between estimates that a figure can tell apart.
_STEP = 0.01
_BINS = 1000


def condensed(truth: np.ndarray, estimate: np.ndarray, dropped: np.ndarray) -> dict[str, np.ndarray]:
    """Return true and estimated counts of all entries, estimates to a hundredth of log10(1 + x).

    Parameters
    ----------
    truth, estimate
        (N, G) each, counts.
    dropped
        Which entries are dropouts, (N, G), bool.

    Returns
    -------
    dict of arrays, (n,) each
        "truth", "estimate" (float32), "dropped" (bool) and "entries" (int32, how many are like this), sorted, so that
        several estimates of the same cells are `expanded` in one order.
    """
    level = np.rint(np.log10(1 + np.maximum(estimate, 0).astype("float64")) / _STEP)
    columns = np.column_stack([np.ravel(dropped), np.ravel(truth), np.ravel(level)]).astype("float64")
    found, entries = np.unique(columns, axis=0, return_counts=True)
    return {
        "dropped": found[:, 0].astype(bool),
        "truth": found[:, 1].astype("float32"),
        "estimate": (10 ** (found[:, 2] * _STEP) - 1).astype("float32"),
        "entries": entries.astype("int32"),
    }


def expanded(kept: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth, estimate and dropped of all entries again, (N · G,) each, from what `condensed` gave."""
    truth, estimate, dropped = (np.repeat(kept[name], kept["entries"]) for name in ("truth", "estimate", "dropped"))
    return truth, estimate, dropped


def histogram(probability: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Return how many probabilities of each class lie in each of 1,000 equal bins of [0, 1]: (2, 1000), int32.

    The first row is of those that are positive.
    """
    place = np.clip(np.floor(probability.astype("float64") * _BINS), 0, _BINS - 1).astype(int)
    return np.stack([np.bincount(place[of], minlength=_BINS) for of in (positive, ~positive)]).astype("int32")


def scores(kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities at the middle of their bins, and which are positive, from what `histogram` gave."""
    middle = (np.arange(_BINS) + 0.5) / _BINS
    return np.concatenate([np.repeat(middle, of) for of in kept]), np.repeat([True, False], kept.sum(1))


def curve(found: Mapping) -> np.ndarray:
    """Return precision and recall of a curve (``denoising.detection_curve``) to a thousandth: (2, n), float32."""
    both = np.stack([found["precision"], found["recall"]])
    if both.shape[1] < 2:
        return both.astype("float32")
    moved = np.any(np.diff(np.round(both, 3)) != 0, axis=0)
    moved[-1] = True  # a curve ends where it ends
    return both[:, np.concatenate([[True], moved])].astype("float32")
