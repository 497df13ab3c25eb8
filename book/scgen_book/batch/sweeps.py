"""Batches of runs for Snakemake: an edition of the book, or a sweep of one's own, written as a table.

A run is one notebook with its parameters. In a sweep every row of its experiments is a job of its own, and the notebook
gathers them.
"""

import atexit
import contextlib
import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from scgen_book import experiments, markdown, parameters
from scgen_book.batch import editions, executed, runner
from scgen_book.batch.rows import Row
from scgen_book.cells import read_notebook
from scgen_lib import files
from scgen_lib.errors import InputError, ParameterError
from scgen_lib.files import LOCK, held, named

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
_LONGEST = 100
# the fields of a record (see scgen_book.results.Run)
_RECORD = ("claim", "metric", "value", "seed", "dataset", "variant", "method", "note")


@dataclass(frozen=True)
class Run:
    """One notebook with its parameters.

    Attributes
    ----------
    name
        Its name in the batch.
    notebook, parameters
        The source, and the parameters that do not keep their defaults.
    edition
        ``quick``, ``full``, ``paper`` or ``own``.
    page, folder
        The executed notebook, and the folder of its results.
    rows
        By their files in ``rows`` of the folder; empty if the notebook computes all itself.
    """

    name: str
    notebook: str
    parameters: Mapping[str, object]
    edition: str
    page: str
    folder: str
    rows: Mapping[str, Row] = field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        """The arguments of ``scgen run``; the parameters come from its standard input."""
        return ["run", self.notebook, self.page, "-f", "-", "--run-dir", self.folder, "--edition", self.edition]

    @property
    def given(self) -> dict[str, object]:
        """The parameters, with the folder of the rows."""
        return dict(self.parameters) | ({"rows": f"{self.folder}/rows"} if self.rows else {})

    def values(self) -> dict[str, object]:
        """Return all parameters, checked."""
        return _values(self.notebook, self.parameters, self.edition)

    def key(self) -> str:
        """Return the hash of all that decides the run but its rows, which have keys of their own."""
        return runner.key(self.notebook, self.values())


@dataclass(frozen=True)
class Batch:
    """Runs that belong together.

    Attributes
    ----------
    folder
        Of their results.
    runs
        By their names.
    """

    folder: str
    runs: Mapping[str, Run]


def reserve(batch: Batch) -> None:
    """Hold the folder of a batch until this process ends: a second one would compute all of it once more.

    Raises
    ------
    InputError
        If another process holds it.
    """
    folder = Path(batch.folder)
    folder.mkdir(parents=True, exist_ok=True)
    stack = contextlib.ExitStack()
    stack.enter_context(held(folder / LOCK, batch.folder))
    atexit.register(stack.close)


def _values(notebook: str, given: Mapping[str, object], edition: str) -> dict[str, object]:
    spec = parameters.known(read_notebook(notebook), given)
    return parameters.check(({"edition": edition} if "edition" in spec else {}) | dict(given), spec)


def edition(name: str, folder: str = "workflow/editions") -> Batch:
    """Read an edition of the book.

    Raises
    ------
    ParameterError
        If its file or a parameter in it is not legal.
    """
    runs = {}
    for run, entry in editions.read_edition(Path(folder) / f"{name}.yml").items():
        rows = _rows(entry["notebook"], _values(entry["notebook"], entry["parameters"], name)) if entry["sweep"] else {}
        page, results = f"book/executed/{entry['page']}.ipynb", f"results/{name}/{run}"
        runs[run] = Run(run, entry["notebook"], entry["parameters"], name, page, results, rows)
    return Batch(f"results/{name}", runs)


def _rows(notebook: str, values: Mapping[str, object]) -> dict[str, Row]:
    chapter = parameters.chapter_of(read_notebook(notebook))
    if chapter is None or "rows" not in values:
        raise ParameterError(
            f"expected the notebook of a chapter ({', '.join(experiments.CHAPTERS)}) where sweep is true, "
            f"got {notebook}: leave sweep out"
        )
    asked = [Row(*task, settings) for task, settings in experiments.plan(chapter, values).items()]
    rows = {row.file: row for row in asked}
    if len(rows) < len(asked):
        raise ParameterError(
            f"expected data sets, methods and seeds of {notebook} to differ, got {len(asked)} rows for {len(rows)} "
            "files: rename one"
        )
    return rows


def table(path: str, *, notebook: str | None = None, editions: str = "workflow/editions") -> Batch:
    """Read a sweep: a table with a line a run, whose columns are parameters.

    The columns ``notebook`` and ``name`` are none: the first gives the run's notebook where ``notebook`` does not, the
    second its name, which is otherwise made of the parameters. An empty field keeps the notebook's default.

    Raises
    ------
    ParameterError
        If the file cannot be read, or anything in it is not legal: a line for each fault, all of them.
    """
    name = Path(path).stem
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = list(csv.reader(file, delimiter="\t" if Path(path).suffix == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ParameterError(f"expected a table of runs (.csv, .tsv), got {path} ({error}): correct it") from error
    lines = [(number, fields) for number, fields in enumerate(lines, start=1) if any(map(str.strip, fields))]
    heads = [head.strip() for head in lines[0][1]] if lines else []
    faults, runs = _faults_of_a_table(path, name, heads, len(lines) - 1, editions), {}
    specs: dict[str, parameters.Spec] = {}
    for number, fields in lines[1:] if not faults else []:
        given = {head: text for head, field in zip(heads, fields, strict=False) if (text := field.strip())}
        source, run = given.pop("notebook", notebook), given.pop("name", None)
        run = run or named("_".join(f"{k}-{v}" for k, v in given.items()), _LONGEST).strip("_") or "default"
        found = [f"has {len(fields)} fields, the head has {len(heads)}"] if len(fields) != len(heads) else []
        if not _NAME.fullmatch(run) or len(run.encode()) > _LONGEST:
            found.append(f"has the name {run!r}; use at most {_LONGEST} letters, digits and . _ + -")
        if run in runs:
            found.append(f"is a second run of the name {run}")
        if source is None:
            found.append("names no notebook; add a column notebook, or --config notebook=...")
        else:
            found += _faults_of_parameters(source, given, specs)
        page = f"results/{name}/{run}/{Path(source or '').stem}.ipynb"
        runs[run] = Run(run, source or "", given, "own", page, f"results/{name}/{run}")
        faults += [f"{path}, line {number}: {fault}" for fault in found]
    if faults:
        raise ParameterError("\n".join(faults))
    return Batch(f"results/{name}", runs)


def _faults_of_a_table(path: str, name: str, heads: list[str], runs: int, editions: str) -> list[str]:
    faults = []
    if not heads or not runs:
        faults.append(f"{path}: expected a line of names and a line for each run, got {max(runs, 0)} runs")
    faults += [f"{path}: a second column {head!r}" for head in sorted({h for h in heads if heads.count(h) > 1})]
    if not _NAME.fullmatch(name) or (Path(editions) / f"{name}.yml").exists():
        faults.append(
            f"{path}: {name!r} is no name for a sweep; use letters, digits and . _ + -, and no edition's name"
        )
    return faults


def _faults_of_parameters(notebook: str, given: Mapping[str, str], specs: dict[str, parameters.Spec]) -> list[str]:
    """Check the parameters of one run, each for itself, and return what is wrong; `specs` are those read already."""
    try:
        spec = specs[notebook] = (specs.get(notebook) or {}) | parameters.known(read_notebook(notebook), given)
    except InputError as error:
        return [str(error)]
    faults = []
    for name, value in given.items():
        try:
            if name in ("out", "edition"):
                raise ParameterError(f"expected a column that is not the sweep's own, got {name}: leave it out")
            parameters.check({name: value}, spec)
        except InputError as error:
            faults.append(str(error))
    return faults


def gather(batch: Batch) -> str:
    """Write ``records.csv`` and ``report.md`` of a sweep, of what has run so far, and return what failed, in words.

    A line of the table is one value with its run and the run's parameters; the report has a line for each run, and at
    its end those that failed, with their reasons.
    """
    heads = list(dict.fromkeys(name for run in batch.runs.values() for name in run.parameters))
    lines, rows = [], []
    for run in batch.runs.values():
        entry, reason = _state(run)
        given = [str(run.parameters.get(name, "")) for name in heads]
        took = executed.duration(entry["duration_s"]) if entry else ""
        rows.append([f"`{run.name}`", "failed" if reason else "ok", took, *given])
        if reason is None:
            records = json.loads((Path(run.folder) / "records.json").read_text(encoding="utf-8"))["records"]
            lines += [[run.name, run.notebook, *given, *(record[name] for name in _RECORD)] for record in records]
    text = io.StringIO()
    head = ["run", "notebook", *(f"parameter.{name}" for name in heads), *_RECORD]
    csv.writer(text, lineterminator="\n").writerows([head, *lines])
    files.write_atomically(Path(batch.folder, "records.csv"), text.getvalue())
    words = failures(batch)
    cells = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    listed = markdown.table(["run", "status", "duration", *heads], cells)
    report = f"# Sweep {Path(batch.folder).name}\n\n{listed}\n{words}\n"
    files.write_atomically(Path(batch.folder, "report.md"), report)
    return words


def failures(batch: Batch) -> str:
    """Return how many runs have finished, and why the others have not, a line a run."""
    reasons = {run.name: reason for run in batch.runs.values() if (reason := _state(run)[1])}
    head = f"{len(batch.runs) - len(reasons)} of {len(batch.runs)} runs have finished."
    if not reasons:
        return head
    return "\n".join([f"{head} The others:", "", *(f"- {name}: {reason}" for name, reason in reasons.items())])


def _state(run: Run) -> tuple[dict | None, str | None]:
    """Return the ledger entry of the last run that came to an end, if up to date, and why there is no result, or None.

    A job that a scheduler ended leaves an entry that says no more than that it has started.
    """
    folder = Path(run.folder)
    try:
        entry = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        entry = None
    if entry is None or entry["key"] != run.key() or entry["status"] == runner.STARTED:
        log = folder / "run.log"
        return None, f"{runner.NO_END.removesuffix('.')}; see {log}." if log.exists() else runner.NO_END
    if entry["status"] != "ok":
        return entry, runner.failure(entry, folder)
    if not Path(run.page).exists() or not (folder / "records.json").exists():
        return entry, "has lost its notebook or its records."
    return entry, None
