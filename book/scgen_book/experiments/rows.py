"""The rows of an experiment: read from a folder where they are up to date, computed where not, and shown."""

import glob
import json
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from scgen_book import experiments, record
from scgen_book.experiments import arrays
from scgen_book.experiments.protocol import Experiment, NotApplicable, Task
from scgen_lib import files
from scgen_lib.errors import ParameterError

if TYPE_CHECKING:
    import numpy as np

    from scgen_book.results import Run

COLUMNS = ("dataset", "method", "role", "seed", "metric", "value", "reason", "duration_s")


class Rows:
    """The rows of an experiment.

    Parameters
    ----------
    experiment
        The experiment.
    rows
        Its rows, as `experiments.row` returns them.
    reason
        Why there are none, one sentence.
    recorded
        Rows of the record that were computed with the same settings: they are shown where none of ``rows`` has their
        data set, method and seed, so that the spread over seeds is seen.

    Attributes
    ----------
    rows, own
        All rows, and those that are not of the record.
    reason
        Why there is nothing to show: that one, or what all rows lack; None where there is something.
    """

    def __init__(
        self,
        experiment: Experiment,
        rows: Sequence[Mapping],
        reason: str | None = None,
        recorded: Sequence[Mapping] = (),
    ):
        self.experiment, self.own = experiment, list(rows)
        here = {_task(row) for row in self.own}
        self.rows = [*self.own, *(row for row in recorded if _task(row) not in here)]
        lacks = self.rows[0]["reason"] if self.rows and all(row["status"] == "gap" for row in self.rows) else None
        self.reason = lacks if self.rows else reason or "no row was asked for"

    def __bool__(self) -> bool:
        """Say whether a row has values."""
        return self.reason is None

    def __len__(self) -> int:
        """Return the number of rows that are not of the record."""
        return len(self.own)

    @property
    def table(self) -> pd.DataFrame:
        """The columns of `COLUMNS`, a line a metric; a gap has a line for each, its value NaN, with the reason."""
        return pd.DataFrame([line for row in self.rows for line in _lines(self.experiment, row)], columns=COLUMNS)

    @property
    def wide(self) -> pd.DataFrame:
        """A line a row that has values: dataset, method, role, seed, and a column a metric that any of them has."""
        named = ("dataset", "method", "role", "seed")
        lines = [{name: row[name] for name in named} | row["scores"] for row in self._scored()]
        metrics = [name for name in self.experiment.metrics if any(name in line for line in lines)]
        return pd.DataFrame(lines, columns=[*named, *metrics]).astype(dict.fromkeys(metrics, float))

    def values(self, method: str, metric: str, dataset: str | None = None) -> pd.Series:
        """Return the finite values of a method by seed; by default of the first data set that it has."""
        rows = [row for row in self._scored() if row["method"] == method and dataset in (None, row["dataset"])]
        rows = [row for row in rows if row["dataset"] == rows[0]["dataset"]]
        found = {row["seed"]: row["scores"].get(metric) for row in rows}
        return pd.Series({seed: value for seed, value in found.items() if value is not None}, dtype=float)

    def sides(self, one: str, other: str, metric: str, dataset: str | None = None) -> tuple[pd.Series, pd.Series]:
        """Return the values of two methods at the seeds that both have, in one order."""
        both = pd.concat([self.values(method, metric, dataset) for method in (one, other)], axis=1).dropna()
        return both[0], both[1]

    def kept(self, method: str, dataset: str | None = None, seed: int | None = None) -> "dict[str, np.ndarray]":
        """Return the arrays of the first row of a method, data set and seed; none where there is no such row.

        A row of the record has the few that `record.drawn` keeps.
        """
        for row in self.rows:
            if row["method"] == method and dataset in (None, row["dataset"]) and seed in (None, row["seed"]):
                return arrays.unpacked(row["arrays"])
        return {}

    def record(self, run: "Run", told: Callable[[Mapping, str], Mapping[str, Any]] | None = None) -> None:
        """Record every value of the own rows, under its claim where it has one; a gap has no value to record.

        Parameters
        ----------
        run
            Where to.
        told
            Function of a row and a metric that returns what is recorded otherwise: metric, dataset, variant, method
            or note.
        """
        for row in [row for row in self.own if row["status"] == "ok"]:
            for metric, value in row["scores"].items():
                words = {
                    "metric": metric,
                    "dataset": row["dataset"],
                    "variant": row["variant"],
                    "method": row["method"],
                }
                words |= told(row, metric) if told else {}
                number = math.nan if value is None else value
                run.add(row["claims"].get(metric), value=number, seed=row["seed"], **words)

    def show(self, view: Callable, *args: Any, **options: Any) -> Any:
        """Return ``view(rows, ...)``, or in one line why there is nothing to see.

        That is the reason of the rows, or the `NotApplicable` that the view has raised. A figure is not returned:
        matplotlib shows what is drawn in a cell, and its value would be the same once more.
        """
        from IPython.display import Markdown

        reason = self.reason
        try:
            if reason is None:
                found = view(self, *args, **options)
                if isinstance(found, pd.DataFrame):
                    found = _dashed(found)
                return None if hasattr(found, "savefig") else found
        except NotApplicable as error:
            reason = str(error)
        return Markdown(f"*Not shown: {_sentence(reason)}*")

    def _scored(self) -> list[Mapping]:
        return [row for row in self.rows if row["status"] == "ok"]


def _dashed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table for readers: a dash where there is no number, the others with as many decimals as their column."""

    def texts(column: pd.Series) -> pd.Series:
        if column.dtype.kind != "f" or column.notna().all():
            return column
        decimals = min(4, max((len(f"{value:.6g}".partition(".")[2]) for value in column.dropna()), default=0))
        return column.map(lambda value: "–" if math.isnan(value) else f"{value:z.{decimals}f}").astype(object)

    return table.apply(texts)


def run(
    name: str,
    values: Mapping[str, Any],
    *,
    made: Mapping[Task, Any] | None = None,
    unless: str | None = None,
) -> Rows:
    """Return the rows of an experiment that a chapter's parameters ask for.

    Rows that lie in the folder of rows (the parameter ``rows``, else ``rows`` in the folder ``out``) and are up to date
    are read, the others are computed and written there, side by side where there are cores. An edition of the book
    shows rows of the record with the same settings beside them, and all that the record has where it asks for none.

    Parameters
    ----------
    name
        The experiment.
    values
        The parameters of the chapter, as `parameters.check_namespace` returns them.
    made
        What methods have returned already in this session, by data set, method and seed: scored, not run again.
    unless
        A reason not to ask for any row.
    """
    values = experiments.complete(name.partition(".")[0], values)
    experiment = experiments.get(name)
    of_the_book = values.get("edition", "own") != "own" and not values.get("fast")
    try:
        if unless is not None:
            raise NotApplicable(unless)
        asked = list(dict.fromkeys(experiment.asked(values)))
    except NotApplicable as reason:
        return Rows(experiment, [], str(reason), record.current().of(experiment) if of_the_book else ())
    folder = values.get("rows") or (f"{values['out']}/rows" if values.get("out") else None)
    settings = experiments.settings_of(experiment, values)
    beside = record.current().of(experiment, settings) if of_the_book else []
    # at test size it takes longer to start other processes than to compute the rows
    rows = computed(experiment, asked, settings, folder, made, alone=bool(values.get("fast")))
    return Rows(experiment, rows, recorded=beside)


def computed(
    experiment: Experiment,
    asked: Iterable[Task],
    settings: Mapping,
    folder: str | Path | None = None,
    made: Mapping[Task, Any] | None = None,
    *,
    alone: bool = False,
) -> list[dict]:
    """Return rows in the order asked for: read where they are up to date, else computed and written.

    Other processes compute them, one a core; ``alone`` has this one do it.

    Raises
    ------
    ParameterError
        If the experiment has no such method.
    """
    asked = list(asked)
    for _, method, _ in asked:
        experiments.method_of(experiment, method)
    found = {task: _read(experiment, task, settings, folder) for task in asked}
    missing = [task for task, known in found.items() if known is None]
    for task in [task for task in missing if task in (made or {})]:
        found[task] = _kept(experiment, task, settings, folder, (made or {})[task])
        missing.remove(task)
    if alone:
        found |= {task: _kept(experiment, task, settings, folder) for task in missing}
    elif missing:
        from scgen_lib import training  # with TensorFlow, which is not needed where all rows are read

        # the name of one that is registered travels to another process more surely than its functions
        known = experiment.name.partition(".")[0] in experiments.CHAPTERS
        of = experiment.name if known and experiment is experiments.get(experiment.name) else experiment
        found |= zip(missing, training.in_parallel(_kept, [(of, t, settings, folder) for t in missing]), strict=True)
    return list(found.values())


def table(
    experiment: Experiment | str,
    *,
    datasets: Sequence[str],
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    settings: Mapping | None = None,
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Return the `Rows.table` of every data set × method × seed.

    Parameters
    ----------
    experiment
        The experiment or its name.
    datasets, methods, seeds
        What to compute; all methods by default.
    settings
        The experiment's own settings, the same for every row.
    folder
        Folder of row files. Rows that are there and up to date are read, the others are computed and written there.

    Raises
    ------
    ParameterError
        If the experiment has no such method, or nothing is asked for.
    """
    found = experiments.get(experiment) if isinstance(experiment, str) else experiment
    methods = list(found.methods if methods is None else methods)
    for name, asked in (("data set", datasets), ("method", methods), ("seed", seeds)):
        if not list(asked):
            raise ParameterError(f"expected at least one {name}, got none: name one")
    # rows of one data set and seed stand together: they share the case
    tasks = [(dataset, method, int(seed)) for dataset in datasets for seed in seeds for method in methods]
    return Rows(found, computed(found, tasks, dict(settings or {}), folder)).table


def row_file(experiment: str, dataset: str, method: str, seed: int) -> str:
    """Return the name of the file of a row."""
    return f"{files.named(f'{experiment}__{dataset}__{method}__{seed}')}.json"


def write_row(found: Mapping, path: str | Path) -> None:
    """Write a row as JSON, whole or not at all."""
    files.write_atomically(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def compute(experiment: Experiment | str, task: Task, settings: Mapping, path: Path, answer: Any = None) -> dict:
    """Compute a row and write it; its trainings keep their states beside the file until that is there."""
    key = experiments.key(experiment, *task, settings)
    folder = path.with_name(f".{path.stem}.{key[:12]}")
    # what trainings with other settings or sources have left serves nobody any more
    for other in set(path.parent.glob(f".{glob.escape(path.stem)}." + 12 * "[0-9a-f]")) - {folder}:
        shutil.rmtree(other, ignore_errors=True)
    with experiments.state(folder):
        found = experiments.row(experiment, *task, settings, answer=answer)
    write_row(found, path)
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _kept(
    experiment: Experiment | str, task: Task, settings: Mapping, folder: str | Path | None, answer: Any = None
) -> dict:
    """Compute a row and write it at once, so that whoever stops later loses no more than the rows in work."""
    if folder is None:
        return experiments.row(experiment, *task, settings, answer=answer)
    name = experiment if isinstance(experiment, str) else experiment.name
    return compute(experiment, task, settings, Path(folder) / row_file(name, *task), answer)


def _read(experiment: Experiment, task: Task, settings: Mapping, folder: str | Path | None) -> dict | None:
    """Return the row of a file that is whole and was made by what stands here now, or None."""
    path = None if folder is None else Path(folder) / row_file(experiment.name, *task)
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("key") != experiments.key(experiment, *task, settings):
        return None
    method = experiment.methods[task[1]]
    installed_since = found["reason"] == experiments.absence(method) and experiments.installed(method)
    return None if installed_since else found


def _task(row: Mapping) -> Task:
    return row["dataset"], row["method"], row["seed"]


def _lines(experiment: Experiment, found: Mapping) -> Iterable[dict]:
    scores = found["scores"] if found["status"] == "ok" else dict.fromkeys(experiment.metrics)
    for metric, value in scores.items():
        reason = found["reason"] or ("The value is not finite." if value is None else None)
        yield {name: found.get(name) for name in COLUMNS} | {
            "metric": metric, "value": math.nan if value is None else float(value), "reason": reason,
        }  # fmt: skip


def _sentence(reason: str | None) -> str:
    return f"{reason or ''}".removesuffix(".") + "."
