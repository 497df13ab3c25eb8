"""Search of a batch size with keras-tuner: exhaustive, repeated over seeds, to be killed and continued, in parallel.

Every trial leaves one file in the project folder, written whole or not at all, and all state of a search is read from
these. With keras-tuner's own variables ``KERASTUNER_TUNER_ID``, ``KERASTUNER_ORACLE_IP`` and ``KERASTUNER_ORACLE_PORT``
the same call is a chief (its id has "chief" in it), which hands out trials, or a worker, which runs them; all see the
same folder. A worker that was killed is started again with its own id.
"""

import contextlib
import dataclasses
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import keras_tuner
import pandas as pd
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial, TrialStatus
from tqdm.auto import tqdm

from scgen_lib.errors import CheckpointError, InputError, ParameterError
from scgen_lib.files import expanded, replacing, write_atomically

Score = Callable[[int, int], Mapping[str, float]]
Direction = Literal["min", "max"]


@dataclasses.dataclass(frozen=True)
class Search:
    """What a search has found.

    Attributes
    ----------
    trials
        A row a trial: "batch_size", "seed", what the scorer returned, and "error", missing where there was none.
    objective, direction
        What decides, and whether the least or the largest value is the best.
    """

    trials: pd.DataFrame
    objective: str
    direction: Direction

    @property
    def curve(self) -> pd.DataFrame:
        """Means over seeds by batch size, standard deviations with the ending "_sd" (ddof 1), and "n" of trials."""
        good = self.trials[self.trials["error"].isna()].drop(columns=["seed", "error"])
        groups = good.groupby("batch_size")
        return groups.mean().join(groups.std().add_suffix("_sd")).join(groups.size().rename("n"))

    @property
    def best(self) -> int:
        """Batch size of the best mean; of equal ones the smallest."""
        values = self.curve[self.objective]
        return int(values.idxmin() if self.direction == "min" else values.idxmax())


def search_batch_size(
    score: Score,
    *,
    objective: str,
    direction: Direction,
    batch_min: int = 16,
    batch_max: int = 128,
    batch_step: int = 8,
    seeds: Sequence[int] = (0,),
    directory: str | os.PathLike | None = None,
    settings: object = None,
    progress: bool = False,
) -> Search:
    """Score every batch size of a range with every seed.

    Parameters
    ----------
    score
        From batch size and seed to named numbers, the objective among them; an exception fails this trial alone.
    objective, direction
        Name of the number that decides, and the better end of it.
    batch_min, batch_max, batch_step
        The batch sizes, both ends included.
    seeds
        Seeds of each batch size.
    directory
        Project folder; a search that is started again there does the trials that have not ended. None: a temporary one.
    settings
        Whatever else the trials depend on, as JSON; a search continues only one of the same settings.
    progress
        Show a progress bar.

    Returns
    -------
    Search
        All trials, and the best batch size.

    Raises
    ------
    CheckpointError
        The folder holds another search.
    ParameterError
        An impossible range, or every trial failed.
    """
    if not 1 <= batch_min <= batch_max or batch_step < 1:
        raise ParameterError(
            f"expected 1 ≤ batch_min ≤ batch_max and batch_step ≥ 1, got {batch_min}, {batch_max} and {batch_step}: "
            "the published range is 16 to 128 in steps of 8"
        )
    if not seeds:
        raise ParameterError("expected at least one seed, got none: give tune_seeds of 1 or more")
    space = keras_tuner.HyperParameters()
    space.Int("batch_size", batch_min, batch_max, step=batch_step)
    space.Choice("seed", list(map(int, seeds)))
    about = json.dumps([objective, space.get_config(), settings], sort_keys=True, default=str)
    with contextlib.ExitStack() as stack:
        if directory is None:
            directory = stack.enter_context(tempfile.TemporaryDirectory())
        # keras-tuner takes the folder's name, which "." has not
        folder = expanded(directory).resolve()
        _claim(folder, about)
        oracle = _Grid(objective=keras_tuner.Objective(objective, direction), hyperparameters=space)
        tuner = _Tuner(oracle, score, folder, progress)
        stack.callback(tuner.bar.close)
        tuner.search()
        found = Search(_table(folder), objective, direction)
    if found.trials["error"].notna().all():
        raise ParameterError(
            f"expected a trial that succeeds, got {len(found.trials)} that failed, the first one with "
            f"{found.trials['error'].iloc[0]!r}: correct that"
        )
    return found


class _Grid(keras_tuner.Oracle):
    """Every combination once, in order, as many at a time as there are workers.

    keras-tuner's own grid search forgets its place when it is loaded again, and gives the next trial out only when the
    one before has ended, so that workers wait for each other; both come from values that a trial might add to the
    search space, which nothing here does.
    """

    def __init__(self, hyperparameters: keras_tuner.HyperParameters, **options: object):
        axes = {p.name: p.values for p in hyperparameters.space}
        self.grid = [{"batch_size": b, "seed": s} for b in axes["batch_size"] for s in axes["seed"]]
        super().__init__(hyperparameters=hyperparameters, max_trials=len(self.grid), seed=1, **options)
        self.verbose = 0

    def populate_space(self, trial_id: str) -> dict:
        """Values of the next trial; keras-tuner calls this while there are fewer than `max_trials`."""
        return {"status": TrialStatus.RUNNING, "values": dict(self.grid[int(trial_id)])}

    def reload(self) -> None:
        """Read the trials; those that were running when the search was killed are run again."""
        for file in _files(Path(self._project_dir)):
            trial = Trial.load(str(file))
            self.trials[trial.trial_id] = trial
            self.start_order.append(trial.trial_id)
            ended = trial.status == TrialStatus.COMPLETED
            (self.end_order if ended else self._retry_queue).append(trial.trial_id)

    def save(self) -> None:
        """Nothing: the files of the trials say it all."""

    def _save_trial(self, trial: Trial) -> None:
        with replacing(Path(self._get_trial_dir(trial.trial_id)) / "trial.json") as temporary:
            trial.save(str(temporary))


class _Tuner(BaseTuner):
    """Runs trials; in a worker `oracle` is the chief's."""

    def __init__(self, oracle: _Grid, score: Score, folder: Path, progress: bool):
        self.score, total = score, len(oracle.grid)
        super().__init__(oracle=oracle, directory=str(folder.parent), project_name=folder.name)
        if not self._is_worker():
            oracle.reload()
        self.bar = tqdm(total=total, initial=len(oracle.end_order), unit="trial", disable=not progress)

    def pre_create_trial(self) -> None:
        """Let a worker wait a little: while others still run it would ask without a pause."""
        if self._is_worker():
            time.sleep(0.1)

    def run_trial(self, trial: Trial) -> dict[str, float]:
        """Score one batch size with one seed."""
        objective = self.oracle.objective
        failure = _failure(Path(self.get_trial_dir(trial.trial_id)))
        failure.unlink(missing_ok=True)
        try:
            values = {k: float(v) for k, v in self.score(**trial.hyperparameters.values).items()}
            if not math.isfinite(values[objective.name]):
                raise ArithmeticError(f"{objective.name} is {values[objective.name]}")
        except Exception as error:
            # keras-tuner would print a stack here, and a worker's message to the chief has no place for the reason.
            text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
            write_atomically(failure, text)
            return {objective.name: math.inf if objective.direction == "min" else -math.inf}
        return values

    def on_trial_end(self, trial: Trial) -> None:
        """Report to the oracle, which writes the file."""
        super().on_trial_end(trial)
        self.bar.update()

    def save(self) -> None:
        """Nothing: a tuner has no state."""


def _claim(folder: Path, about: str) -> None:
    """Mark a folder as that of a search, or refuse it as that of another one."""
    mark = folder / "search.json"
    if not mark.exists():
        write_atomically(mark, about)
    elif mark.read_text(encoding="utf-8") != about:
        raise CheckpointError(
            f"expected a search of this model, data and settings, got another one in {folder}: name another folder, or "
            "delete this one to start anew"
        )


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("trial_*/trial.json"))


def _failure(folder: Path) -> Path:
    """File of the error of a trial that failed."""
    return folder / "error.txt"


def _table(folder: Path) -> pd.DataFrame:
    rows = []
    for file in _files(folder):
        trial, failure = Trial.load(str(file)), _failure(file.parent)
        failed = failure.exists()
        names = [] if failed else trial.metrics.metrics
        rows.append({
            **trial.hyperparameters.values,
            **{name: trial.metrics.get_best_value(name) for name in names},
            "error": failure.read_text(encoding="utf-8") if failed else None,
        })  # fmt: skip
    return pd.DataFrame(rows).sort_values(["batch_size", "seed"], ignore_index=True)
