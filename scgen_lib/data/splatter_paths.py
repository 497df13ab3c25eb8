"""Paths of the Splat simulation: factors that change step by step from one cell state to the next."""

from collections.abc import Sequence

import numpy as np
from scipy.interpolate import CubicSpline

from scgen_lib.errors import ParameterError

NODES = np.linspace(0, 1, 5)  # where a Brownian bridge is drawn before it is smoothed
SMALLEST = 1e-6  # replaces factors that a non-linear path takes below zero


def path_order(path_from: Sequence[int]) -> list[int]:
    """Order paths (from 0) so that each comes after the path it starts from.

    `path_from` has for each path the number, from 1, of the one whose end it starts from, or 0 for the origin.
    """
    if any(parent not in range(len(path_from) + 1) for parent in path_from):
        raise ParameterError(
            f"expected whole numbers from 0 (origin) to {len(path_from)} in path_from, got {list(path_from)}: give such"
        )
    order = []
    while len(order) < len(path_from):
        ready = [p for p, parent in enumerate(path_from) if p not in order and (parent == 0 or parent - 1 in order)]
        if not ready:
            raise ParameterError(f"expected no circle in path_from, got {list(path_from)}: let a path start at 0")
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
    """Draw for every path the factor of each gene at each step: a list of (n_steps of the path, genes), float64.

    The last step of a path is its end and the first one is the end of its parent. `factors` (paths, genes) are the
    changes over each path relative to its start; `n_steps`, `nonlinear_prob` and `sigma_fac` have one value a path.
    """
    if len(path_from) != len(factors):
        raise ParameterError(
            f"expected {len(factors)} values of path_from, one a group, got {len(path_from)}: give as many"
        )
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

    A skew of 0.5 spreads cells evenly; above, they gather near the start, below, near the end.
    """
    ramp = np.linspace(skew, 1 - skew, n_steps) if n_steps > 1 else np.ones(1)
    return ramp / ramp.sum()


def _bridge(rng: np.random.Generator, start: np.ndarray, end: np.ndarray, sigma_fac: float) -> np.ndarray:
    """Draw the nodes of a Brownian bridge from `start` to `end`, (nodes, genes)."""
    sigma = rng.uniform(0, sigma_fac * (start + end) / 2)
    walk = np.cumsum(rng.normal(0, sigma, (len(NODES) - 1, len(start))) * np.sqrt(NODES[1]), axis=0)
    walk = np.vstack([np.zeros_like(start), walk])
    return start + walk - NODES[:, None] * (walk[-1] - end + start)
