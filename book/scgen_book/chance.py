"""What so few seeds can tell from chance."""

import math
import statistics
from collections.abc import Iterable, Sequence

# Differences over seeds tell nothing of their spread below this number.
FEWEST = 3


def beyond_chance(released: Sequence[float], otherwise: Sequence[float]) -> bool | None:
    """Say whether two standard errors do not hold the mean difference; None below `FEWEST` seeds a side.

    Values of the same seeds are compared in pairs, others by the spread of both sides.
    """
    if min(len(released), len(otherwise)) < FEWEST:
        return None
    if len(released) == len(otherwise):
        differences = [a - b for a, b in zip(released, otherwise, strict=True)]
        error = statistics.stdev(differences) / len(differences) ** 0.5
    else:
        error = sum(statistics.variance(side) / len(side) for side in (released, otherwise)) ** 0.5
    return abs(statistics.fmean(released) - statistics.fmean(otherwise)) > 2 * error


def spread(values: Iterable[float]) -> float:
    """Return the sd over seeds (ddof 1), NaN below `FEWEST` of them: two tell nothing of their spread."""
    finite = [value for value in values if math.isfinite(value)]
    return statistics.stdev(finite) if len(finite) >= FEWEST else math.nan
