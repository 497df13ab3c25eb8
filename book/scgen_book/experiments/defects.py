"""What the released code does otherwise, each deviation measured both ways by itself: an experiment of a chapter.

A method is a quantity of a deviation, under the deviation's name in the paper's file (what follows a comma tells
several quantities of one apart); its row has the two sides.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scgen_book.experiments.protocol import Experiment, Method, Metric, Task
from scgen_book.experiments.rows import Rows

if TYPE_CHECKING:
    from scgen_book.results import Run

SIDES = {
    "released": Metric("as released", "lower", judged=False),
    "otherwise": Metric("other way", "lower", judged=False),
}


@dataclass(frozen=True)
class Defect:
    """A quantity of a deviation.

    Attributes
    ----------
    quantity
        What is measured, with its unit.
    measure
        Function of (case, seed, settings) that returns it as released, and the other way.
    part
        Whether it is a property of a part (weights, settings, time), and not a score of the chapter's result.
    figure
        Label of the figure of the chapter that shows it.
    """

    quantity: str
    measure: Callable[[Any, int, Mapping], tuple[float, float]]
    part: bool = True
    figure: str | None = None


@dataclass(frozen=True)
class Pair:
    """A quantity of a deviation that is a difference between two methods of another experiment's rows.

    Attributes
    ----------
    released, otherwise
        The methods.
    metric
        What is compared.
    quantity, part, figure
        As of a `Defect`.
    """

    released: str
    otherwise: str
    metric: str
    quantity: str
    part: bool = False
    figure: str | None = None


def _scored(case: Any, answer: tuple[float, float], seed: int, settings: Mapping) -> dict[str, float]:
    return dict(zip(SIDES, map(float, answer), strict=True))


def experiment(
    name: str,
    defects: Mapping[str, Defect],
    *,
    prepare: Callable[[str, int, Mapping], Any],
    asked: Callable[[Mapping[str, Any]], Iterable[Task]],
    settings: tuple[Any, ...] = (),
    times: tuple[str, ...] = (),
) -> Experiment:
    """Return the experiment of these defects, a method each."""
    methods = {key: Method(defect.measure) for key, defect in defects.items()}
    return Experiment(name, methods, SIDES, prepare, _scored, settings, asked, times=times)


def find(run: "Run", rows: Rows, defects: Mapping[str, Defect]) -> None:
    """Record what the rows of an experiment of defects have measured as findings of a run, over the seeds."""
    for key, defect in defects.items():
        released, otherwise = rows.values(key, "released"), rows.values(key, "otherwise")
        both = released.index.intersection(otherwise.index)
        run.finding(
            key, defect.quantity, released=released[both], otherwise=otherwise[both], part=defect.part,
            figure=defect.figure,
        )  # fmt: skip


def find_pairs(run: "Run", rows: Rows, pairs: Mapping[str, Pair], dataset: str | None = None) -> None:
    """Record differences between methods of any rows as findings of a run, paired by seed."""
    for key, pair in pairs.items():
        released, otherwise = rows.sides(pair.released, pair.otherwise, pair.metric, dataset)
        run.finding(
            key, pair.quantity, released=released, otherwise=otherwise, part=pair.part, figure=pair.figure
        )  # fmt: skip
