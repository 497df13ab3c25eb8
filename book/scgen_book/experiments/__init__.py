"""What is measured, in rows: a data set, a method and a seed of an experiment, each by itself.

A row depends on nothing else, so that rows may be computed in a notebook, side by side, or as jobs of a cluster, and be
gathered afterwards. A method that fails leaves a gap with its reason.
"""

import contextlib
import contextvars
import functools
import hashlib
import importlib
import importlib.util
import json
import math
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgen_book import noise, provenance, sources
from scgen_book.experiments import arrays
from scgen_book.experiments.protocol import Chapter, Experiment, Method, NotApplicable
from scgen_lib.errors import InputError, ParameterError

if TYPE_CHECKING:
    from anndata import AnnData

#: The chapters, in the order of the book.
CHAPTERS = ("db_aae", "dr_a", "cvae", "dca", "scgan", "denoising", "simulation", "representation")
#: Settings that say where something is kept and decide no value: they are no part of a row's key, nor of the row.
PLACES = ("tune_dir",)
_STATE: contextvars.ContextVar[Path | None] = contextvars.ContextVar("state", default=None)


def chapter(name: str) -> Chapter:
    """Return the chapter of that name.

    Raises
    ------
    ParameterError
        If there is none.
    """
    if name not in CHAPTERS:
        raise ParameterError(f"expected a chapter ({', '.join(CHAPTERS)}), got {name!r}: use one of them")
    with noise.left_out():
        return importlib.import_module(f"scgen_book.experiments.{name}.chapter").CHAPTER


def get(name: str) -> Experiment:
    """Return the experiment of that name.

    Raises
    ------
    ParameterError
        If there is none.
    """
    part = name.partition(".")[0]
    known = chapter(part).experiments if part in CHAPTERS else CHAPTERS
    if name not in known:
        raise ParameterError(f"expected an experiment ({', '.join(known)}), got {name!r}: use one of them")
    return importlib.import_module(_module(name)).EXPERIMENT


def _module(name: str) -> str:
    """Return the module of an experiment: ``dca.figure2`` is one of a chapter, ``denoising`` a comparison."""
    return f"scgen_book.experiments.{name}" if "." in name else f"scgen_book.experiments.{name}.comparison"


def settings_of(experiment: Experiment, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of an experiment's rows among the parameters of its chapter."""
    from scgen_lib.settings import arguments

    names: list[str | None] = []
    for of in experiment.settings:
        names += [of] if isinstance(of, str) else [argument.flat for argument in arguments(of).values()]
    return {name: values[name] for name in names if name in values}


def load(dataset: str, settings: Mapping) -> "AnnData":
    """Load a data set; of the settings, "labels" and "transpose" are for a user's own files alone.

    Raises
    ------
    DataError
        If it cannot be had.
    ParameterError
        If a file that says itself which way round it is shall be transposed.
    """
    from scgen_lib import data
    from scgen_lib.data import registry, splatter

    own = dataset not in registry.DATASETS and dataset not in splatter.PRESETS
    return data.load(dataset, **{name: settings[name] for name in ("labels", "transpose") if own and name in settings})


def checkpoint(name: str = "training") -> str | None:
    """Return where a training of the row in work keeps its state, so that a killed one goes on, or None for nowhere.

    ``model.fit(..., checkpoint=experiments.checkpoint())``; several trainings of a row need names of their own. What
    lies there is removed when the row has been written.
    """
    folder = _STATE.get()
    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder / f"{name}.state")


def beside() -> Path | None:
    """Return the folder in which the file of the row in work will lie, for what else it leaves there, or None."""
    folder = _STATE.get()
    return None if folder is None else folder.parent


@contextlib.contextmanager
def state(folder: Path | None) -> Iterator[None]:
    """Keep the states of trainings in a folder for as long as this lasts (see `checkpoint`)."""
    token = _STATE.set(folder)
    try:
        yield
    finally:
        _STATE.reset(token)


def row(
    experiment: Experiment | str,
    dataset: str,
    method: str,
    seed: int,
    settings: Mapping | None = None,
    *,
    answer: Any = None,
) -> dict:
    """Compute one row: a method on a data set with a seed.

    Parameters
    ----------
    experiment, dataset, method, seed, settings
        Which row.
    answer
        What the method has returned already; None: it runs.

    Returns
    -------
    dict
        Plain data: experiment, dataset, method, role, variant, seed, settings, key (see `key`), status (``"ok"`` or
        ``"gap"``), reason (of a gap, one sentence, else None), cause (the error behind it, by name), duration_s, core_s
        (seconds of processor cores), scores (a number a metric, None if not finite), claims (an id a metric that has
        one) and arrays (see `arrays.packed`).

    Raises
    ------
    ParameterError
        If the experiment has no method of that name. Whatever else fails becomes a gap.
    """
    experiment = get(experiment) if isinstance(experiment, str) else experiment
    settings = dict(settings or {})
    chosen = method_of(experiment, method)
    found = {
        "experiment": experiment.name, "dataset": dataset, "method": method, "role": chosen.role,
        "variant": chosen.variant, "seed": int(seed), "settings": _deciding(settings),
        "key": key(experiment, dataset, method, seed, settings),
        "status": "ok", "reason": None, "cause": None, "duration_s": 0.0, "core_s": 0.0,
        "scores": {}, "claims": {}, "arrays": {},
    }  # fmt: skip
    clock, cores = time.monotonic(), _core_seconds()
    try:
        if not installed(chosen):
            raise NotApplicable(absence(chosen))
        its = case(experiment, dataset, seed, settings)
        made = chosen.run(its, seed, settings) if answer is None else answer
        scores = experiment.score(its, made, seed, settings)
        if unknown := set(scores) - set(experiment.metrics):
            raise ValueError(f"scores without a metric: {', '.join(sorted(unknown))}")
        found["scores"] = {name: _finite(value) for name, value in scores.items()}
        found["arrays"] = arrays.packed(experiment.keep(its, made, seed, settings))
        found["claims"] = dict(experiment.claims(found))
    except Exception as error:
        words = " ".join(str(error).split())
        reason = words if isinstance(error, InputError) and words else f"{type(error).__name__}: {words}"
        found |= {"status": "gap", "reason": reason, "cause": type(error).__name__}
        found |= {"scores": {}, "claims": {}, "arrays": {}}
    took = {"duration_s": time.monotonic() - clock, "core_s": _core_seconds() - cores}
    return found | {name: round(seconds, 1) for name, seconds in took.items()}


def _core_seconds() -> float:
    """Return what this process and those that it has started and that have ended took of all cores."""
    used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(of.ru_utime + of.ru_stime for of in used)


def key(experiment: Experiment | str, dataset: str, method: str, seed: int, settings: Mapping) -> str:
    """Return a hash of all that decides a row.

    That is what was asked for, the user's files, the sources that the experiment imports, and the lock file (outside a
    checkout the versions of the packages).
    """
    name = experiment if isinstance(experiment, str) else experiment.name
    settings = _deciding(settings)
    data = provenance.contents([dataset, settings])
    made_by = sources.digest(_modules(experiment))
    asked = [name, dataset, method, int(seed), settings, data, made_by, provenance.packages()]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _deciding(settings: Mapping) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in PLACES}


def _modules(experiment: Experiment | str) -> list[str]:
    """Return the modules that say how an experiment is done; one that is registered is not imported for this."""
    name = experiment if isinstance(experiment, str) else experiment.name
    if isinstance(experiment, str) or name.partition(".")[0] in CHAPTERS:
        return [_module(name)]
    functions = [experiment.prepare, experiment.score, *(method.run for method in experiment.methods.values())]
    return [__name__, *(function.__module__ for function in functions)]


def method_of(experiment: Experiment, name: str) -> Method:
    """Return a method of an experiment.

    Raises
    ------
    ParameterError
        If it has none of that name.
    """
    if name not in experiment.methods:
        known = ", ".join(experiment.methods)
        raise ParameterError(f"expected a method of {experiment.name} ({known}), got {name!r}: use one of them")
    return experiment.methods[name]


def installed(method: Method) -> bool:
    """Say whether the package is there that a method needs."""
    return not method.needs or importlib.util.find_spec(method.needs) is not None


def absence(method: Method) -> str:
    """Return the reason of a gap for want of a package."""
    return f"Not installed: the package {method.needs}, which is an optional extra."


def complete(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all parameters of a chapter at their values in the run.

    Those are the declared defaults, what a parameter file replaces, and the values of the test size.

    Parameters
    ----------
    name
        The chapter.
    values
        Checked parameters.
    """
    from scgen_lib.settings import arguments
    from scgen_lib.values import plain

    found: dict[str, Any] = {}
    for of in chapter(name).declared:
        declared = [argument for argument in arguments(of).values() if argument.flat is not None]
        own = {a.flat: None if a.deviates and not a.fixed else plain(a.default) for a in declared}
        found = own | found  # of two models that share a name, the first
    found |= values
    found |= dict(chapter(name).replaced(found))
    return found | (dict(chapter(name).fast(found)) if found.get("fast") else {})


def plan(name: str, values: Mapping[str, Any]) -> dict[tuple[str, str, str, int], dict[str, Any]]:
    """Return every row that a chapter asks for, by experiment, data set, method and seed, with its settings."""
    values, found = complete(name, values), {}
    for other in chapter(name).experiments:
        experiment = get(other)
        with contextlib.suppress(NotApplicable):
            found |= {(other, *task): settings_of(experiment, values) for task in experiment.asked(values)}
    return found


# as many as a short run has data sets: it describes them, and then computes their rows
@functools.lru_cache(maxsize=3)
def _prepared(prepare: Callable, dataset: str, seed: int, settings: str) -> Any:
    return prepare(dataset, seed, json.loads(settings))


def case(experiment: Experiment, dataset: str, seed: int, settings: Mapping) -> Any:
    """Return the case of an experiment's rows of one data set and seed, which the latest of them share."""
    return _prepared(experiment.prepare, dataset, int(seed), json.dumps(settings, sort_keys=True))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
