"""What an edition asks for, what of it the record has, and what the rest would cost."""

import json
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scgen_book import experiments, record
from scgen_book.batch import sweeps
from scgen_book.record import Record


@dataclass(frozen=True)
class Asked:
    """A row that an edition asks for.

    Attributes
    ----------
    run
        Which of the edition's runs asks for it.
    experiment, dataset, method, seed, settings
        Which row.
    recorded
        Whether the record has it.
    core_s
        Seconds of processor cores that it took or is expected to take; None where nobody knows.
    """

    run: str
    experiment: str
    dataset: str
    method: str
    seed: int
    settings: Mapping[str, Any]
    recorded: bool
    core_s: float | None

    @property
    def key(self) -> record.Key:
        """Which row of the record it is."""
        return self.experiment, self.dataset, self.method, self.seed, record.named(self.settings)


def rows(edition: str, kept: Record, *, editions: str = "workflow/editions") -> list[Asked]:
    """Return all rows that an edition asks for, in its order; one that two runs ask for stands once.

    Parameters
    ----------
    edition
        Its name; the runs whose ``sweep`` is true have rows.
    kept
        The record.
    editions
        Folder of the editions.
    """
    costs, found = Costs(kept), {}
    for run in sweeps.edition(edition, editions).runs.values():
        for row in run.rows.values():
            task = (row.experiment, row.dataset, row.method, int(row.seed))
            settings = json.loads(json.dumps(row.settings))
            key = (*task, record.named(settings))
            had = kept.rows.get(key)
            cost = had["core_s"] if had else costs.of(*task[:3], settings)
            done = kept.has(experiments.get(row.experiment), key)
            found.setdefault(key, Asked(run.name, *task, settings, done, cost))
    return list(found.values())


class Costs:
    """What rows are expected to take: the mean of those that are most alike in the record, and were computed."""

    def __init__(self, kept: Record):
        self._known: dict[tuple, list[float]] = {}
        for (experiment, dataset, method, _, settings), row in kept.rows.items():
            if row["status"] == "ok":
                for alike in _alike(experiment, dataset, method, settings):
                    self._known.setdefault(alike, []).append(row["core_s"])

    def of(self, experiment: str, dataset: str, method: str, settings: Mapping[str, Any]) -> float | None:
        """Return the seconds of processor cores of a row, or None where no row is alike."""
        alike = _alike(experiment, dataset, method, record.named(settings))
        return next((statistics.fmean(self._known[way]) for way in alike if way in self._known), None)


def _alike(experiment: str, dataset: str, method: str, settings: str) -> Iterator[tuple]:
    """Yield in which ways rows are alike, the closest first; what has other settings is not."""
    yield experiment, dataset, method, settings
    yield experiment, method, settings
    yield experiment, dataset, settings


def table(asked: list[Asked]) -> str:
    """Return how many rows there are, done and left, with core-hours, a line a run and experiment."""
    heads = ("run", "experiment", "rows", "done", "core-h", "left", "core-h")
    groups: dict[tuple[str, str], list[Asked]] = {}
    for row in asked:
        groups.setdefault((row.run, row.experiment), []).append(row)
    lines = [heads, *((*names, *_numbers(rows)) for names, rows in groups.items()), ("all", "", *_numbers(asked))]
    unknown = sum(not row.recorded and row.core_s is None for row in asked)
    told = f"\nOf {unknown} rows that are left nobody knows what they take: none that is alike has run."
    return _aligned(lines, left=2) + (told if unknown else "")


def listed(asked: list[Asked]) -> str:
    """Return all rows, a line each, with the seconds of a core that they took or are expected to take."""
    heads = ("run", "experiment", "data set", "method", "seed", "", "core-s")
    lines = [heads]
    for row in asked:
        seconds = "?" if row.core_s is None else f"{row.core_s:.0f}"
        names = (row.run, row.experiment, row.dataset, row.method, str(row.seed))
        lines.append((*names, "done" if row.recorded else "left", seconds))
    return _aligned(lines, left=4)


def _aligned(lines: list[tuple[str, ...]], left: int) -> str:
    """Return lines of cells as columns, the first ones flush left."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _numbers(rows: list[Asked]) -> tuple[str, ...]:
    done, left = ([row for row in rows if row.recorded is side] for side in (True, False))
    unknown = "+" if any(row.core_s is None for row in left) else ""
    return str(len(rows)), str(len(done)), _hours(done), str(len(left)), _hours(left) + unknown


def _hours(rows: list[Asked]) -> str:
    return f"{sum(row.core_s or 0 for row in rows) / 3600:.2f}"
