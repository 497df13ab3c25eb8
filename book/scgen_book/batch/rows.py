"""Rows of experiments as jobs: what each is asked for, and a gap with its reason where a job is ended."""

import json
import multiprocessing
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scgen_book import experiments, notebooks, parameters, provenance
from scgen_book.cells import read_notebook
from scgen_book.experiments import rows
from scgen_book.experiments.protocol import METHOD
from scgen_lib.errors import InputError
from scgen_lib.files import refuse_overwriting


@dataclass(frozen=True)
class Row:
    """One row of an experiment: what :func:`scgen_book.experiments.row` is asked for."""

    experiment: str
    dataset: str
    method: str
    seed: int
    settings: Mapping[str, object]

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``scgen row``; the settings come from its standard input."""
        asked = {"dataset": self.dataset, "method": self.method, "seed": self.seed}
        return ["row", self.experiment, *(f"--{name}={value}" for name, value in asked.items()), "-f", "-"]

    @property
    def file(self) -> str:
        """The name of its file."""
        return rows.row_file(self.experiment, self.dataset, self.method, self.seed)

    def key(self) -> str:
        """Return the hash of all that decides the row."""
        return experiments.key(self.experiment, self.dataset, self.method, self.seed, self.settings)


def settings(experiment: str, given: Mapping[str, object]) -> dict[str, object]:
    """Return all settings of an experiment's rows: those given, checked, and those of its chapter for the rest.

    Raises
    ------
    ParameterError
        If a name is unknown or a value is not legal.
    """
    chapter = experiment.partition(".")[0]
    notebook = read_notebook(notebooks.path(chapter))
    values = parameters.check(given, parameters.known(notebook, given))
    return experiments.settings_of(experiments.get(experiment), experiments.complete(chapter, values))


def compute(row: Row, out: str, *, attempt: int | None = None, tries: int = 1) -> dict | None:
    """Compute a row and write it to a file, whole or not at all.

    Parameters
    ----------
    row, out
        What to compute, and the file.
    attempt, tries
        Which attempt of a job this is, from 1, and how many there are: the row is computed in a process of its own,
        whose death becomes a gap at the last try. A job that ended even then, together with its whole machine say, is
        to be started once more: an attempt beyond the tries writes the gap at once.

    Returns
    -------
    The row, or None if its process died and a try is left; there is no file then.
    """
    path = Path(out)
    refuse_overwriting([path], provenance.named([row.dataset, row.settings]))
    path.unlink(missing_ok=True)
    if attempt is None:
        _compute(row, path)
    elif attempt > tries:
        reason = f"Its job was ended {tries} times before its end: out of memory, out of time or cancelled."
        rows.write_row(_gap(row, reason), path)
    else:
        death = _in_a_process(row, path)
        if death and attempt < tries:
            return None
        if death:
            rows.write_row(_gap(row, f"Its process {death} at try {attempt} of {tries}."), path)
    return json.loads(path.read_text(encoding="utf-8"))


def _compute(row: Row, path: Path) -> None:
    rows.compute(row.experiment, (row.dataset, row.method, row.seed), row.settings, path)


def _in_a_process(row: Row, path: Path) -> str | None:
    """Compute and write a row in a process of its own; return how that one died, or None."""
    process = multiprocessing.get_context("spawn").Process(target=_write, args=(row, path))
    process.start()
    try:
        process.join()
    finally:
        if process.is_alive():
            process.kill()
            process.join()
    if process.exitcode == 0 and path.exists():
        return None
    if process.exitcode == -signal.SIGKILL:
        return "was ended by SIGKILL, most often for lack of memory,"
    if process.exitcode < 0:
        return f"was ended by {signal.Signals(-process.exitcode).name}"
    return f"ended with status {process.exitcode} and without an answer"


def _write(row: Row, path: Path) -> None:
    try:
        _compute(row, path)
    except InputError as error:
        rows.write_row(_gap(row, str(error)), path)


def _gap(row: Row, reason: str) -> dict:
    method = experiments.get(row.experiment).methods.get(row.method)
    return {
        "experiment": row.experiment, "dataset": row.dataset, "method": row.method,
        "role": method.role if method else METHOD, "variant": method and method.variant,
        "seed": row.seed, "settings": dict(row.settings),
        "key": row.key(), "status": "gap", "reason": reason, "cause": None,
        "duration_s": 0.0, "core_s": 0.0, "scores": {}, "claims": {}, "arrays": {},
    }  # fmt: skip
