"""What a person sees of a batch that runs: a line a run when it starts and when it ends, and what is in work.

All of it is read from the files that the runs leave: the entry of the ledger, in which a run notes its cell, and its
rows. So it is the same for jobs of this machine and of a cluster.
"""

import atexit
import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from scgen_book.batch import executed, runner

_SECONDS = 0.5
# how Snakemake says that a job has failed, each time it says so
_IDLE = re.compile(
    r"RuleException:\nCalledProcessError|Exiting because a job|WorkflowError:\nAt least one job|Removing output files|"
    r"Trying to restart job|At least one job did not complete"
)


@dataclass
class Watched:
    """One run that is to be done, and what its files say.

    Attributes
    ----------
    name, folder
        Of the run.
    rows
        Files of the rows that are jobs of their own and are to be computed first.
    expected_s
        What its notebook took before, and None where nobody knows.
    measured_here
        Whether that was on this machine.
    """

    name: str
    folder: Path
    rows: Collection[Path] = ()
    expected_s: float | None = None
    measured_here: bool = True
    status: str | None = None
    entry: Mapping = field(default_factory=dict)
    began: float | None = None
    notebook_began: float | None = None
    took_s: float = 0.0
    rows_s: dict[Path, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._before = {path: _time(path) for path in (self.folder / "run.json", *self.rows)}
        self._stamp = 0  # when the notebook began, by the clock of the file system
        self._earlier = {path: _duration(path) for path in self.rows}

    def look(self, now: float) -> None:
        """Read what has changed since the batch began."""
        for path in self.rows:
            if path not in self.rows_s and self._changed(path) and (took := _duration(path)) is not None:
                self.rows_s[path] = took
        if self._changed(self.folder / "run.json"):
            self.entry = _read(self.folder / "run.json") or self.entry
            self.status = self.entry.get("status")
            if self.notebook_began is None:
                self.notebook_began, self._stamp = now, _time(self.folder / "run.json") or 0
        if self.began is None and (self.rows_s or self.notebook_began is not None):
            self.began = now
        if self.ended and not self.took_s and self.began is not None:
            self.took_s = max(now - self.began, self.entry.get("duration_s", 0.0))

    def _changed(self, path: Path) -> bool:
        return _time(path) not in (None, self._before[path])

    @property
    def ended(self) -> bool:
        """Whether it has come to an end of its own."""
        return self.status is not None and self.status != runner.STARTED

    @property
    def where(self) -> str:
        """What it is at, in words."""
        if self.rows and self.notebook_began is None:
            return f"row {len(self.rows_s)} of {len(self.rows)}"
        cell = f"cell {self.entry['cell']} of {self.entry['cells']}" if self.entry.get("cell") else "starts"
        # the rows that a notebook computes itself; others lie there from before
        written = () if self.rows else (self.folder / "rows").glob("*.json")
        rows = sum((_time(path) or 0) >= self._stamp for path in written)
        return f"{cell}, {rows} row{'s' if rows > 1 else ''}" if rows else cell

    def left(self, now: float, pace: float = 1.0) -> tuple[float, float] | None:
        """Return the seconds that its rows need, one after the other, and those of its notebook; None: not known.

        Parameters
        ----------
        now
            The present time.
        pace
            How much slower this machine is than the one whose durations are kept.
        """
        known = [*self.rows_s.values(), *(took for took in self._earlier.values() if took is not None)]
        mean = sum(known) / len(known) if known else None
        rows = [self._earlier[path] or mean for path in self.rows if path not in self.rows_s]
        if self.expected_s is None or None in rows:
            return None
        whole = self.expected_s * (1 if self.measured_here else pace)
        spent = 0 if self.notebook_began is None else now - self.notebook_began
        return (sum(rows), whole - spent) if spent < whole else None


class Board:
    """The lines on a terminal, or in a file, to which they go without those of what is in work.

    Parameters
    ----------
    runs
        What is to be done.
    side_by_side
        How many jobs run at once.
    stream
        Where the lines go.
    live
        Whether lines can be overwritten there; by default whether it is a terminal.
    clock
        Seconds of a clock.
    """

    def __init__(
        self,
        runs: Collection[Watched],
        *,
        side_by_side: int,
        stream: TextIO,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.runs, self.side_by_side, self.stream, self.clock = list(runs), max(1, side_by_side), stream, clock
        self.live = (stream.isatty() and os.environ.get("TERM") != "dumb") if live is None else live
        self._began, self._drawn, self._said = clock(), 0, set()
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look twice a second from now on, until `close`."""
        atexit.register(self.close)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._end.wait(_SECONDS):
            self.look()

    def close(self) -> None:
        """Write what has ended since, and leave no line of what is in work."""
        if not self._end.is_set():
            self._end.set()
            if self._thread:
                self._thread.join()
            self.look(last=True)

    def look(self, *, last: bool = False) -> None:
        """Look once, and write what is new."""
        now = self.clock()
        for run in self.runs:
            run.look(now)
        width = max((len(run.name) for run in self.runs), default=0)
        lines = []
        for run in self.runs:
            if run.began is not None and not self.live and (run.name, "began") not in self._said:
                about = self._about(run.left(now, self._pace()))
                lines.append(f"{run.name:{width}}  starts{about and f', {about}'}")
            if run.began is not None:
                self._said.add((run.name, "began"))
            if run.ended and (run.name, "ended") not in self._said:
                self._said.add((run.name, "ended"))
                done = "done in" if run.status == "ok" else "FAILED after"
                lines.append(f"{run.name:{width}}  {done} {executed.duration(run.took_s)}{self._total(now)}")
            if last and run.began is not None and not run.ended:
                lines.append(f"{run.name:{width}}  stopped after {executed.duration(now - run.began)}")
        self._write(lines, [] if last else self._in_work(now, width))

    def _pace(self) -> float:
        """Return how much longer runs have taken here than on the machine whose durations are kept."""
        ended = [run for run in self.runs if run.status == "ok" and run.expected_s and not run.measured_here]
        return sum(run.entry["duration_s"] for run in ended) / sum(run.expected_s for run in ended) if ended else 1.0

    def _about(self, left: tuple[float, float] | None) -> str:
        return "" if left is None else f"about {rough(left[0] / self.side_by_side + left[1])} left"

    def _total(self, now: float) -> str:
        """Return how many have ended, and how long the others will take if that is known of all, in brackets."""
        ended = sum(what == "ended" for _, what in self._said)  # two that end between two looks are told one by one
        others = [run.left(now, self._pace()) for run in self.runs if not run.ended]
        about = ""
        if others and None not in others:
            # side by side, but no notebook sooner than it can
            work = sum(rows + notebook for rows, notebook in others) / self.side_by_side
            about = f", about {rough(max(work, *(notebook for _, notebook in others)))} left"
        return f"  ({ended} of {len(self.runs)}{about})"

    def _in_work(self, now: float, width: int) -> list[str]:
        """Return the lines that are overwritten by the next ones."""
        if not self.live:
            return []
        lines = []
        for run in self.runs:
            if run.began is not None and not run.ended:
                parts = [run.where, executed.duration(now - run.began), self._about(run.left(now, self._pace()))]
                lines.append(f"{run.name:{width}}  {', '.join(filter(None, parts))}")
        return [*lines, f"{executed.duration(now - self._began)}{self._total(now)}"]

    def _write(self, lines: list[str], in_work: list[str]) -> None:
        if not self.live:
            text = "".join(f"{line}\n" for line in lines)
        else:
            columns = shutil.get_terminal_size().columns - 1
            up = f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""
            text = up + "".join(f"{line[:columns]}\n" for line in [*lines, *in_work])
            self._drawn = len(in_work)
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError):
            self._end.set()  # nobody reads any more


def rough(seconds: float) -> str:
    """Return a duration as one knows it beforehand: in words, and not to the second."""
    if seconds < 60:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def board(
    runs: Mapping[str, tuple[str, Collection[str]]],
    *,
    kept: Mapping[str, float],
    side_by_side: int,
    stream: TextIO,
    live: bool | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Board:
    """Return the board of some runs of a batch.

    Parameters
    ----------
    runs
        Of each that is to be done, its folder and the files of the rows that are to be computed before.
    kept
        Durations in seconds of runs on another machine, for those that have not run here yet.
    side_by_side, stream, live, clock
        See `Board`.
    """
    found = []
    for name, (folder, rows) in runs.items():
        here = runner.earlier(folder)
        expected = kept.get(name) if here is None else here
        found.append(Watched(name, Path(folder), [Path(row) for row in rows], expected, here is not None))
    return Board(found, side_by_side=side_by_side, stream=stream, live=live, clock=clock)


def hush(handler: logging.Handler) -> None:
    """Leave out of Snakemake's lines those that say what the board and the list of failures say, or nothing."""

    def told(record: logging.LogRecord) -> bool:
        words = record.getMessage()
        return words.startswith("Nothing to be done") or (record.levelno >= logging.WARNING and not _IDLE.match(words))

    handler.addFilter(told)


def _time(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _read(path: Path) -> dict | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _duration(path: Path) -> float | None:
    found = _read(path)
    return None if found is None else found.get("duration_s")
