"""What the record answers to the question of a chapter: a sentence and takeaways that follow from its rows by rule.

An answer names no claim and no id, and a takeaway has two numbers at most. A comparison of two methods is decided by
their differences on the same seeds (see `chance.beyond_chance`): from three seeds on it is better, worse, or not to be
told apart, and of fewer seeds nothing is said.
"""

import importlib
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scgen_book import experiments, names
from scgen_book.chance import FEWEST, beyond_chance
from scgen_book.experiments import recorded

YES, PARTLY, NO, UNKNOWN = "yes", "partly", "no", "unknown"
BETTER, WORSE, EQUAL = "better", "worse", "not to be told apart"
#: Chapters that have an answer, each by the rule of its module.
CHAPTERS = ("dca", "db_aae", "dr_a", "cvae", "scgan", "denoising", "representation", "simulation")
#: So many takeaways at most.
MOST = 5


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes
    ----------
    word
        `YES`, `PARTLY`, `NO` or `UNKNOWN`.
    sentence
        With the word at its beginning, and for whom it holds.
    takeaways
        Up to five sentences.
    """

    word: str
    sentence: str
    takeaways: tuple[str, ...] = ()


class Seen:
    """The rows that the record has of an experiment, by data set, method, metric and seed."""

    def __init__(self, experiment: str):
        self.experiment = experiments.get(experiment)
        self.rows = [row for row in recorded.of(experiment).rows if row["status"] == "ok"]

    def values(self, dataset: str, method: str, metric: str) -> dict[int, float]:
        """Return a metric by seed; what is not finite is left out."""
        own = [row for row in self.rows if (row["dataset"], row["method"]) == (dataset, method)]
        found = {row["seed"]: row["scores"].get(metric) for row in own}
        return {seed: value for seed, value in found.items() if value is not None and math.isfinite(value)}

    def mean(self, dataset: str, method: str, metric: str) -> float:
        """Return the mean over seeds, NaN where there is none."""
        return statistics.fmean(self.values(dataset, method, metric).values() or [math.nan])

    def contest(self, dataset: str, method: str, other: str, metric: str) -> str | None:
        """Say how a method stands against another on the same seeds: None below three of them."""
        loss = self.experiment.metrics[metric].loss
        mine, its = (self.values(dataset, name, metric) for name in (method, other))
        gaps = [loss(mine[seed]) - loss(its[seed]) for seed in mine if seed in its]
        if len(gaps) < FEWEST:
            return None
        if not beyond_chance(gaps, [0.0] * len(gaps)):
            return EQUAL
        return BETTER if statistics.fmean(gaps) < 0 else WORSE

    def contests(self, datasets: Iterable[str], method: str, other: str, metric: str) -> dict[str, str]:
        """Return `contest` by data set, those that can be decided."""
        found = {dataset: self.contest(dataset, method, other, metric) for dataset in datasets}
        return {dataset: outcome for dataset, outcome in found.items() if outcome}

    def datasets(self) -> list[str]:
        """Return the data sets that there are rows of, in order."""
        return list(dict.fromkeys(row["dataset"] for row in self.rows))


def judged(outcomes: Mapping[str, str]) -> str:
    """Return the word for several comparisons: better in all, in some, in none, or nothing to decide by."""
    if not outcomes:
        return UNKNOWN
    better = [outcome == BETTER for outcome in outcomes.values()]
    return YES if all(better) else PARTLY if any(better) else NO


def by_word(outcomes: Mapping[str, str], *, yes: str, partly: str, no: str) -> str | None:
    """Return the sentence of the word that `judged` gives several comparisons; None where nothing is known."""
    return {UNKNOWN: None, YES: yes, PARTLY: partly, NO: no}[judged(outcomes)]


def where(outcomes: Mapping[str, str], *wanted: str) -> list[str]:
    """Return the data sets whose comparison came out so."""
    return [dataset for dataset, outcome in outcomes.items() if outcome in wanted]


def places(outcomes: Mapping[str, str], *wanted: str) -> str:
    """Return the same in words: all, none, or their names."""
    found = where(outcomes, *wanted)
    if found and len(found) == len(outcomes):
        every = {1: f"on {names.listed(found)}", 2: "on both data sets"}
        return every.get(len(found), f"on all {len(found)} data sets")
    return f"on {names.listed(found)}" if found else "nowhere"


def number(value: float) -> str:
    """Return a number of a sentence: two decimals, and no zero with a sign."""
    return f"{value:z.2f}".replace("-", "−")


def answer(chapter: str) -> Answer:
    """Return what the record answers to the question of a chapter.

    Parameters
    ----------
    chapter
        One of `CHAPTERS`.
    """
    found = importlib.import_module(f"scgen_book.answers.{chapter}").answer()
    return Answer(found.word, found.sentence, tuple(filter(None, found.takeaways))[:MOST])


def nothing(what: str) -> Answer:
    """Return the answer of a chapter whose rows the record lacks."""
    return Answer(UNKNOWN, f"Unknown: the record has too few seeds of {what} to say.")
