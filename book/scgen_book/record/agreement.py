"""Rows of the record that were computed once more: the same number, one within the spread over seeds, or neither.

Where processor and versions are those of the record, a seed gives the same number. Elsewhere rounding differs, and a
training amplifies that until it is as another seed: such a number is held against the spread of the recorded seeds.
"""

import itertools
import json
import math
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scgen_book import experiments, provenance, record
from scgen_book.chance import FEWEST
from scgen_book.record import Record

IDENTICAL, WITHIN, DIFFERENT, UNJUDGED = WORDS = ("identical", "within the spread", "different", "too few seeds to say")
#: Relative difference up to which two numbers are one, rounded differently.
ROUNDING = 1e-4
#: Share of rows, of those that differ by chance alone, that are called different.
LEVEL = 0.001
RULE = (
    f"A row is identical if none of its numbers differs by more than {ROUNDING:g} of itself. Else a number that "
    f"differs is held against the prediction interval of the recorded seeds at {1 - LEVEL:.1%}, shared out over the "
    f"row's numbers. With fewer than {FEWEST} recorded seeds there is none, nor where all gave one number on another "
    "processor: such a row is not judged."
)


@dataclass(frozen=True)
class Agreement:
    """How a row that was computed once more agrees with the recorded one.

    Attributes
    ----------
    key
        Which row.
    word
        One of `WORDS`, that of the number that agrees least.
    differing
        For each number behind that word its metric with the recorded value and the new one.
    reason
        Why one of the two has no number at all, one sentence.
    processor
        That which the recorded one comes from; None if it is this machine's.
    """

    key: record.Key
    word: str
    differing: Mapping[str, tuple[float | None, float | None]]
    reason: str | None = None
    processor: str | None = None

    def __str__(self) -> str:
        name = " ".join(map(str, self.key[:4]))
        told = ", ".join(f"{metric}: {_text(a)} recorded, {_text(b)} now" for metric, (a, b) in self.differing.items())
        told = self.reason or told
        if told and self.processor:
            told += f"; recorded on another processor, {self.processor}"
        return f"{name}: {self.word}" + (f" ({told})" if told else "")


def judge(kept: Record, row: Mapping) -> Agreement | None:
    """Compare a row, as `experiments.row` returns it, with the record; None if that has none of its key.

    Times are left out, see `Experiment.times`.
    """
    key = record.key_of(row)
    if (known := kept.rows.get(key)) is None:
        return None
    processor = kept.batches[known["batch"]]["cpu"]
    processor = None if processor == provenance.processor() else processor
    if known["status"] != row["status"]:
        gap, when = (row, "now") if row["status"] == "gap" else (known, "in the record")
        return Agreement(key, DIFFERENT, {}, f"a gap {when}: {gap['reason']}", processor)
    metrics = list({**known["scores"], **row["scores"]})
    words: dict[str, dict[str, tuple]] = {}
    for metric in metrics:
        old, new = known["scores"].get(metric), record.rounded(row["scores"].get(metric))
        word = _compared(kept, key, metric, old, new, len(metrics), processor is not None)
        # only what differs asks for the experiment, whose models take seconds to import
        if word != IDENTICAL and not {metric, row["method"]} & set(experiments.get(row["experiment"]).times):
            words.setdefault(word, {})[metric] = (old, new)
    word = next(word for word in (DIFFERENT, UNJUDGED, WITHIN, IDENTICAL) if word in words or word == IDENTICAL)
    return Agreement(key, word, {} if word == IDENTICAL else words[word], processor=processor)


def _compared(
    kept: Record, key: record.Key, metric: str, old: float | None, new: float | None, tests: int, elsewhere: bool
) -> str:
    if old is None or new is None:
        return IDENTICAL if old is new else DIFFERENT
    if math.isclose(old, new, rel_tol=ROUNDING, abs_tol=1e-12):
        return IDENTICAL
    seeds = [
        row["scores"].get(metric) for other, row in kept.rows.items() if (*other[:3], other[4]) == (*key[:3], key[4])
    ]
    seeds = [value for value in seeds if value is not None]
    if len(seeds) < FEWEST or (elsewhere and len(set(seeds)) == 1):
        return UNJUDGED
    from scipy import stats

    n = len(seeds)
    half = stats.t.ppf(1 - LEVEL / (2 * tests), n - 1) * statistics.stdev(seeds) * math.sqrt(1 + 1 / n)
    return WITHIN if abs(new - statistics.fmean(seeds)) <= half else DIFFERENT


def drawn(
    kept: Record, number: int, *, experiment: str | None = None, longest_s: float | None = None, seed: int | None = None
) -> list[dict]:
    """Draw recorded rows at random, of the methods whose package is there.

    Parameters
    ----------
    kept
        The record.
    number
        How many; fewer if there are no more.
    experiment
        Of which one; None: of any.
    longest_s
        Seconds of processor cores that a row may have taken; None: any.
    seed
        Of the draw; None: another one each time.
    """
    rows = [
        row
        for _, row in sorted(kept.rows.items())
        if experiment in (None, row["experiment"]) and (longest_s is None or row["core_s"] <= longest_s)
    ]
    shuffled = random.Random(seed).sample(rows, len(rows))
    return list(itertools.islice(filter(_can_be_computed, shuffled), number))


def _can_be_computed(row: Mapping) -> bool:
    return experiments.installed(experiments.method_of(experiments.get(row["experiment"]), row["method"]))


def of_rows(kept: Record, folder: str | Path) -> list[Agreement]:
    """Compare the rows of an edition's folder, ``<run>/rows/*.json``, with the record; what that lacks is left out."""
    found = []
    for path in sorted(Path(folder).glob("*/rows/*.json")):
        agreement = judge(kept, json.loads(path.read_text(encoding="utf-8")))
        found += [] if agreement is None else [agreement]
    return found


def counted(agreements: Iterable[Agreement]) -> dict[str, int]:
    """Return how many rows there are of each word."""
    found = [agreement.word for agreement in agreements]
    return {word: found.count(word) for word in WORDS}


def told(agreements: Sequence[Agreement], number: str = "{}") -> str:
    """Say how many rows there are of each word, and how many of those not identical another processor recorded."""
    text = ", ".join(f"{number.format(n)} {word}" for word, n in counted(agreements).items() if n)
    rest = [agreement for agreement in agreements if agreement.word != IDENTICAL]
    others = sum(agreement.processor is not None for agreement in rest)
    return text + (f"; of the {len(rest)} not identical another processor recorded {others}" if rest else "")


def _text(value: float | None) -> str:
    return "not finite" if value is None else f"{value:g}"
