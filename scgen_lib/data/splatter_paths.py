"""Paths of the Splat simulation: factors that change step by step from one cell state to the next."""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline

from scgen_lib.errors import ParameterError

NODES = np.linspace(0, 1, 5)  # where a Brownian bridge is drawn before it is smoothed
SMALLEST = 1e-6  # replaces factors that a non-linear path takes below zero


def path_order(path_from: Sequence[int]) -> list[int]:
    """Order paths so that each comes after the path it starts from.

    Parameters
    ----------
    path_from
        For each path (numbered from 1) the path whose end it starts from, or 0 for the origin.

    Returns
    -------
    list of int
        Zero-based paths, parents first.

    Raises
    ------
    ParameterError
        If a path starts from one that does not exist, or paths start from each other in a circle.
    """
    if any(parent not in range(len(path_from) + 1) for parent in path_from):
        raise ParameterError(
            f"path_from must hold whole numbers from 0 (origin) to {len(path_from)}, but is {list(path_from)}."
        )
    order = []
    while len(order) < len(path_from):
        ready = [p for p, parent in enumerate(path_from) if p not in order and (parent == 0 or parent - 1 in order)]
        if not ready:
            raise ParameterError(f"path_from must not form a circle, but is {list(path_from)}: let a path start at 0.")
        order += ready
    return order


def path_factors(
    rng: np.random.Generator,
    factors: np.ndarray,
    path_from: Sequence[int],
    n_steps: np.ndarray,
    nonlinear_prob: np.ndarray,
    sigma_fac: np.ndarray,
) -> list[np.ndarray]:
    """Draw for every path the factor of each gene at each step.

    Parameters
    ----------
    rng
        Generator of the stage.
    factors
        Change of each gene over each path relative to the path's start, (paths, genes).
    path_from
        Path that each path starts from, 0 for the origin.
    n_steps, nonlinear_prob, sigma_fac
        One value a path.

    Returns
    -------
    list of ndarray, each (n_steps of the path, genes), float64
        The last step of a path is its end and the first one is the end of its parent.

    Raises
    ------
    ParameterError
        If `path_from` does not hold one legal parent a path.
    """
    if len(path_from) != len(factors):
        raise ParameterError(f"path_from needs {len(factors)} values, one a group, but has {len(path_from)}.")
    curves: dict[int, np.ndarray] = {}
    for path in path_order(path_from):
        parent = path_from[path]
        start = curves[parent - 1][-1] if parent else np.ones(factors.shape[1])
        end = start * factors[path]
        time = np.linspace(0, 1, n_steps[path])[:, None] if n_steps[path] > 1 else np.ones((1, 1))
        curve = start + time * (end - start)
        bent = rng.random(len(start)) < nonlinear_prob[path]
        if bent.any():
            bridge = _bridge(rng, start[bent], end[bent], sigma_fac[path])
            smooth = CubicSpline(NODES, bridge, bc_type="natural")(time[:, 0])
            curve[:, bent] = np.where(smooth < 0, SMALLEST, smooth)
        curves[path] = curve
    return [curves[path] for path in range(len(factors))]


def step_probabilities(n_steps: int, skew: float) -> np.ndarray:
    """Return the probability of each step of a path: a straight line from `skew` to 1 - `skew`.

    Parameters
    ----------
    n_steps
        Number of steps.
    skew
        0.5 spreads cells evenly; above, they gather near the start, below, near the end.

    Returns
    -------
    ndarray of shape (n_steps,)
        Probabilities that sum to 1.
    """
    ramp = np.linspace(skew, 1 - skew, n_steps) if n_steps > 1 else np.ones(1)
    return ramp / ramp.sum()


def _bridge(rng: np.random.Generator, start: np.ndarray, end: np.ndarray, sigma_fac: float) -> np.ndarray:
    """Draw the nodes of a Brownian bridge from `start` to `end`, (nodes, genes)."""
    sigma = rng.uniform(0, sigma_fac * (start + end) / 2)
    walk = np.cumsum(rng.normal(0, sigma, (len(NODES) - 1, len(start))) * np.sqrt(NODES[1]), axis=0)
    walk = np.vstack([np.zeros_like(start), walk])
    return start + walk - NODES[:, None] * (walk[-1] - end + start)
