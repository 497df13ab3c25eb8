"""Computes the rows that the record lacks, side by side, and writes each down as soon as it is there."""

import contextlib
import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from scgen_book import experiments, provenance
from scgen_book.batch import gpus, plan
from scgen_book.experiments import rows
from scgen_book.record import Record, agreement, drawn
from scgen_book.record.agreement import Agreement
from scgen_lib import environment, files
from scgen_lib.errors import ParameterError

# XLA keeps what it has compiled for as long as a process lives
_ROWS_OF_A_PROCESS = 60
#: Reasons of a gap that say what happens, and not what is missing on a machine.
_RESULTS = ("NotApplicable", "TrainingError")


def record(
    edition: str,
    kept: Record,
    *,
    only: Collection[str] = (),
    hours: float | None = None,
    jobs: int | None = None,
    editions: str = "workflow/editions",
    told: Callable[[str], None] = print,
) -> int:
    """Compute rows of an edition that the record lacks, in its order, and return how many were written down.

    A row lies in ``results/<edition>`` too, where one that was killed goes on and whence one that was computed by the
    workflow is taken. Stopped at any moment, no more is lost than the rows in work.

    Parameters
    ----------
    edition
        Its name.
    kept
        The record, to which they are added.
    only
        Experiments, data sets, methods or runs: rows of which none of these is the name are left out; empty: all.
    hours
        After which no further row is begun; None: go on to the end.
    jobs
        Rows at a time, a core each; None: as many as there are cores.
    editions
        Folder of the editions.
    told
        Takes a line a row.

    Raises
    ------
    ParameterError
        If nothing has one of these names.
    InputError
        If another process computes rows of the edition.
    """
    began = time.monotonic()
    asked = plan.rows(edition, kept, editions=editions)
    missing = [row for row in _named(asked, only) if not row.recorded]
    folder = Path("results", edition)
    folder.mkdir(parents=True, exist_ok=True)
    jobs = min(jobs or environment.cores(), len(missing)) or 1
    batch = _batch(jobs, kept)
    written = 0
    with files.held(folder / files.LOCK, str(folder)), _single_threads(), _pool(jobs) as pool:
        todo, working = iter(missing), {}
        _fill(pool, todo, working, jobs, edition)
        while working:
            done, _ = wait(working, return_when=FIRST_COMPLETED)
            for future in done:
                row, found = working.pop(future), future.result()
                words = found["reason"] or "ok"
                if result(found):
                    written += 1
                    batch["rows"] += 1
                    batch["core_s"] = round(batch["core_s"] + found["core_s"], 1)
                    kept.add(found, found["core_s"], batch)
                    kept.write(row.experiment)
                else:
                    words = f"not written down: {words}"
                told(f"{row.experiment} {row.dataset} {row.method} {row.seed}: {words} ({found['core_s']:.0f} s)")
            if hours is None or time.monotonic() - began < hours * 3600:
                _fill(pool, todo, working, jobs, edition)
    return written


def again(kept: Record, known: Iterable[dict], *, jobs: int | None = None) -> Iterator[Agreement]:
    """Compute recorded rows once more, in processes like those that they come from, and compare each.

    How many threads there are decides in which order numbers are added up, and a process that has loaded its libraries
    keeps their number.

    Parameters
    ----------
    kept
        The record.
    known
        Rows of it.
    jobs
        Rows at a time, a core each; None: as many as there are cores.
    """
    with _single_threads(), _pool(jobs or environment.cores()) as pool:
        for found in pool.map(_once_more, known):
            yield agreement.judge(kept, found)


def _once_more(row: dict) -> dict:
    found = experiments.row(row["experiment"], row["dataset"], row["method"], row["seed"], row["settings"])
    return found | {"arrays": {}}  # which are large, and nobody compares


def result(row: dict) -> bool:
    """Say whether a row says something about its method, and not about the machine that it was tried on."""
    if row["status"] == "ok":
        return True
    method = experiments.get(row["experiment"]).methods.get(row["method"])
    return row["cause"] in _RESULTS and not (method and row["reason"] == experiments.absence(method))


def _named(asked: list[plan.Asked], only: Collection[str]) -> list[plan.Asked]:
    names = {name for row in asked for name in _names(row)}
    if unknown := [name for name in only if name not in names]:
        raise ParameterError(
            f"expected experiments, data sets, methods or runs of the edition, got {', '.join(unknown)}: "
            "see `scgen plan`"
        )
    # of every kind of names that are given one has to fit
    kinds = [{name for name in only if name in {_names(row)[i] for row in asked}} for i in range(4)]
    return [
        row for row in asked if all(not kind or name in kind for kind, name in zip(kinds, _names(row), strict=True))
    ]


def _names(row: plan.Asked) -> tuple[str, str, str, str]:
    return row.experiment, row.run, row.dataset, row.method


def _fill(
    pool: ProcessPoolExecutor, todo: Iterator, working: dict[Future, plan.Asked], jobs: int, edition: str
) -> None:
    """Give the pool as many rows as it can work on, so that there is nothing to take back when the time is over."""
    while len(working) < jobs and (row := next(todo, None)):
        working[pool.submit(_computed, row, f"results/{edition}/{row.run}/rows")] = row


def _computed(row: plan.Asked, folder: str) -> dict:
    """Return a row with the arrays that the record keeps: read if it is up to date, else computed and written there."""
    experiment, task = experiments.get(row.experiment), (row.dataset, row.method, row.seed)
    (found,) = rows.computed(experiment, [task], row.settings, folder, alone=True)
    kept = drawn.names(experiment, row.key)
    return dict(found) | {"arrays": {name: found["arrays"][name] for name in kept if name in found["arrays"]}}


def _batch(jobs: int, kept: Record) -> dict:
    made = provenance.collect()
    hardware, lock = made["hardware"], made["lock_sha256"] or ""
    started = provenance.now().strftime("%Y%m%dT%H%M%SZ")
    name = next(name for n in itertools.count(1) if (name := f"{started}-{n}") not in kept.batches)
    return {
        "batch": name, "commit": made["commit"] or "", "lock": lock[:12],
        "python": made["versions"]["python"], "cpu": hardware["cpu"], "cores": jobs, "gpus": "; ".join(gpus.usable()),
        "started": provenance.now().strftime("%Y-%m-%d"), "rows": 0, "core_s": 0.0,
    }  # fmt: skip


def _pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        jobs, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=_ROWS_OF_A_PROCESS
    )


@contextlib.contextmanager
def _single_threads() -> Iterator[None]:
    """Let each process that starts in the block use one core: trainings gain more side by side than from threads."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ |= dict.fromkeys(names, "1")
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
