"""How an experiment is declared: its methods and their roles, its metrics, which rows it has, and what it keeps."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from scgen_lib.errors import InputError, ParameterError

if TYPE_CHECKING:
    import numpy as np

NEGATIVE, BASELINE, METHOD, POSITIVE = ROLES = ("negative control", "baseline", "method", "positive control")

#: Which row: data set, method, seed.
Task = tuple[str, str, int]


class NotApplicable(InputError):
    """An experiment, method or data set that do not go together: labels, a truth or a package is missing."""


@dataclass(frozen=True)
class Method:
    """One method of an experiment.

    Attributes
    ----------
    run
        Function of (case, seed, settings); what it returns is for the experiment's ``score``. It leaves the case as it
        is: the next method works on the same one.
    role
        One of `ROLES`. A negative control does nothing, a positive one knows the answer.
    needs
        A package that is not among the dependencies and without which the method leaves a gap.
    variant
        Variant of the model, under which its values are recorded beside the claims; None where there is none.
    """

    run: Callable[[Any, int, Mapping], Any]
    role: str = METHOD
    needs: str | None = None
    variant: str | None = None


@dataclass(frozen=True)
class Metric:
    """One score of an experiment.

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


def _nothing(*_: Any) -> Mapping[str, Any]:
    return {}


def crossed(values: Mapping[str, Any]) -> list[Task]:
    """Return every data set × seed × method that the parameters of those names ask for.

    Raises
    ------
    ParameterError
        If one of the three is empty.
    """
    for name in ("datasets", "methods", "seeds"):
        if not values[name]:
            raise ParameterError(f"expected at least one of {name}, got none: name one")
    return [(d, m, int(s)) for d in values["datasets"] for s in values["seeds"] for m in values["methods"]]


@dataclass(frozen=True)
class Experiment:
    """What is measured: how data become a case, which methods work on it, and how what they return is scored.

    Attributes
    ----------
    name
        ``<chapter>.<module>``, as in ``dca.figure2``, or the name of a comparison of several papers.
    methods, metrics
        By the names that tables show.
    prepare
        Function of (data set, seed, settings) that returns the case, the same one for every method.
    score
        Function of (case, what the method returned, seed, settings) that returns a value a metric; metrics that do not
        apply to this case are left out.
    settings
        The parameters of the chapter that decide a row: names, or what declares them (a class of `Settings`, a checked
        function).
    asked
        Function of all parameters of the chapter that returns the rows that they ask for, those of one data set and
        seed together, since they share the case. It raises `NotApplicable`, with the reason, where there are none.
    claims
        Function of a row without its claims that returns the claim's id by metric, for those that belong to one.
    keep
        Function of (case, what the method returned, seed, settings) that returns the arrays that figures need, by name.
    times
        Metrics and methods whose numbers are times: the same seed does not give them again.
    drawn
        Function of (data set, method) that returns which arrays of ``keep`` the record has too (see `record.drawn`):
        those of a figure that a build of the quick edition cannot draw, or not in its time.
    """

    name: str
    methods: Mapping[str, Method]
    metrics: Mapping[str, Metric]
    prepare: Callable[[str, int, Mapping], Any]
    score: Callable[[Any, Any, int, Mapping], Mapping[str, float]]
    settings: Sequence[Any] = ()
    asked: Callable[[Mapping[str, Any]], Iterable[Task]] = crossed
    claims: Callable[[Mapping[str, Any]], Mapping[str, str]] = _nothing
    keep: "Callable[[Any, Any, int, Mapping], Mapping[str, np.ndarray]]" = _nothing
    times: tuple[str, ...] = ()
    drawn: Callable[[str, str], Sequence[str]] = lambda dataset, method: ()


@dataclass(frozen=True)
class Chapter:
    """What a chapter measures, and the parameters that its notebook takes.

    Attributes
    ----------
    name
        Of its notebook, its page and its file of claims.
    experiments
        The names of its experiments, in the order of the page.
    declared
        What declares parameters of the notebook: classes of `Settings`, and checked functions. The notebook's cell
        shows those that a reader changes first; the others can be given all the same.
    fast
        Function of all parameters that returns those that take other values at test size.
    replaced
        Function of all parameters that returns those that a parameter file of the user's replaces; it comes before
        `fast`, and replaces nothing a second time.
    """

    name: str
    experiments: tuple[str, ...]
    declared: tuple[Any, ...] = ()
    fast: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _nothing
    replaced: Callable[[Mapping[str, Any]], Mapping[str, Any]] = _nothing
