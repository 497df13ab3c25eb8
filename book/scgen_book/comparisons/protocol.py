"""How a comparison is declared: its methods and their roles, its metrics, and what it does with data and answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scgen_lib.errors import InputError

NEGATIVE, BASELINE, METHOD, POSITIVE = ROLES = ("negative control", "baseline", "method", "positive control")


class NotApplicable(InputError):
    """A method and a data set that do not go together: labels, a truth or a package is missing."""


@dataclass(frozen=True)
class Method:
    """One method of a comparison.

    Attributes
    ----------
    run
        Function of (case, seed, settings); what it returns is for the comparison's ``score``. It leaves the case as it
        is: the next method works on the same one.
    role
        One of `ROLES`. A negative control does nothing, a positive one knows the answer.
    needs
        A package that is not among the dependencies and without which the method leaves a gap.
    """

    run: Callable[[Any, int, Mapping], Any]
    role: str = METHOD
    needs: str | None = None


@dataclass(frozen=True)
class Metric:
    """One score of a comparison.

    Attributes
    ----------
    label
        Its name on axes and in tables.
    better
        ``"lower"``, ``"higher"``, or the value that is best: nearer is better.
    judged
        Whether the controls bound it (see `check_controls`).
    negative
        The negative controls that it can find out; None for all of them.
    """

    label: str
    better: Literal["lower", "higher"] | float
    judged: bool = True
    negative: tuple[str, ...] | None = None

    def loss(self, value: float) -> float:
        """Return the value on a scale where less is better."""
        if isinstance(self.better, str):
            return value if self.better == "lower" else -value
        return abs(value - self.better)


@dataclass(frozen=True)
class Comparison:
    """A protocol: how data become a case, which methods work on it, and how what they return is scored.

    Attributes
    ----------
    name
        One of `comparisons.NAMES`.
    methods, metrics
        By the names that tables show.
    prepare
        Function of (data set, seed, settings) that returns the case, the same one for every method.
    score
        Function of (case, what the method returned, seed, settings) that returns a value a metric; metrics that do not
        apply to this case are left out.
    datasets
        The data sets of the paper edition.
    """

    name: str
    methods: Mapping[str, Method]
    metrics: Mapping[str, Metric]
    prepare: Callable[[str, int, Mapping], Any]
    score: Callable[[Any, Any, int, Mapping], Mapping[str, float]]
    datasets: tuple[str, ...] = ()
