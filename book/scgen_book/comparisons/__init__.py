"""Comparisons across the papers: the same data, protocol and metrics for every method, one row at a time.

A row is one data set, one method and one seed. It depends on nothing else, so that rows may be computed in a notebook,
side by side, or as jobs of a cluster, and be gathered afterwards. A method that fails leaves a gap with its reason.
"""

import functools
import hashlib
import importlib
import importlib.util
import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scgen_book import provenance, sources
from scgen_book.comparisons.protocol import Comparison, Method, NotApplicable
from scgen_lib import files
from scgen_lib.errors import InputError, ParameterError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

NAMES = ("denoising", "simulation", "representation")
COLUMNS = ("dataset", "method", "role", "seed", "metric", "value", "reason", "duration_s")
# parameters of a comparison's notebook that say which rows there are, or belong to the run as a whole
_OF_THE_RUN = frozenset({"datasets", "methods", "seeds", "control_seeds", "rows", "seed", "fast", "edition", "out"})


def get(name: str) -> Comparison:
    """Return the comparison of that name.

    Raises
    ------
    ParameterError
        If there is none.
    """
    if name not in NAMES:
        raise ParameterError(f"expected a comparison ({', '.join(NAMES)}), got {name!r}: use one of them")
    return importlib.import_module(f"scgen_book.comparisons.{name}").COMPARISON


def settings_of(values: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of the rows among the parameters of a comparison's notebook.

    The notebook and the jobs of a sweep take them from here, so that the rows of the one are those of the other.
    """
    return {name: value for name, value in values.items() if name not in _OF_THE_RUN}


def complete(settings: Mapping, defaults: Mapping) -> dict:
    """Return all settings, those that are not given by their defaults.

    Raises
    ------
    ParameterError
        If there is no such setting.
    """
    if unknown := sorted(set(settings) - set(defaults)):
        raise ParameterError(f"expected settings among {', '.join(defaults)}, got {unknown[0]!r}: use one of them")
    return dict(defaults) | dict(settings)


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
    return data.load(dataset, **{name: settings[name] for name in ("labels", "transpose") if own})


def row(comparison: Comparison | str, dataset: str, method: str, seed: int, settings: Mapping | None = None) -> dict:
    """Compute one row: a method on a data set with a seed.

    Returns
    -------
    dict
        Plain data: comparison, dataset, method, role, seed, settings, key (see `key`), status (``"ok"`` or ``"gap"``),
        reason (of a gap, one sentence, else None), duration_s, and scores (a number a metric, None if not finite).

    Raises
    ------
    ParameterError
        If the comparison has no method of that name. Whatever else fails becomes a gap.
    """
    comparison = get(comparison) if isinstance(comparison, str) else comparison
    settings = dict(settings or {})
    chosen = _method(comparison, method)
    found = {
        "comparison": comparison.name, "dataset": dataset, "method": method, "role": chosen.role, "seed": int(seed),
        "settings": settings, "key": key(comparison, dataset, method, seed, settings),
        "status": "ok", "reason": None, "duration_s": 0.0, "scores": {},
    }  # fmt: skip
    clock = time.monotonic()
    try:
        if not _installed(chosen):
            raise NotApplicable(_absence(chosen))
        case = _case(comparison, dataset, seed, settings)
        scores = comparison.score(case, chosen.run(case, seed, settings), seed, settings)
        found["scores"] = {name: _finite(value) for name, value in scores.items()}
        if unknown := set(scores) - set(comparison.metrics):
            raise ValueError(f"scores without a metric: {', '.join(sorted(unknown))}")
    except Exception as error:
        words = " ".join(str(error).split())
        reason = words if isinstance(error, InputError) and words else f"{type(error).__name__}: {words}"
        found |= {"status": "gap", "reason": reason, "scores": {}}
    return found | {"duration_s": round(time.monotonic() - clock, 1)}


def key(comparison: Comparison | str, dataset: str, method: str, seed: int, settings: Mapping) -> str:
    """Return a hash of all that decides a row.

    That is what was asked for, the user's files, the sources that the comparison imports, and the lock file.
    """
    name = comparison if isinstance(comparison, str) else comparison.name
    data = provenance.contents([dataset, settings])
    made_by = sources.digest(_modules(comparison))
    asked = [name, dataset, method, int(seed), dict(settings), data, made_by, provenance.lock_hash()]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def _modules(comparison: Comparison | str) -> list[str]:
    """Return the modules that say how a comparison is done; one of the `NAMES` is not imported for this."""
    name = comparison if isinstance(comparison, str) else comparison.name
    if isinstance(comparison, str) or name in NAMES:
        return [f"{__name__}.{name}"]
    functions = [comparison.prepare, comparison.score, *(method.run for method in comparison.methods.values())]
    return [__name__, *(function.__module__ for function in functions)]


def row_file(dataset: str, method: str, seed: int) -> str:
    """Return the name of the file of a row."""
    return f"{files.named(f'{dataset}__{method}__{seed}')}.json"


def write_row(found: Mapping, path: str | Path) -> None:
    """Write a row as JSON, whole or not at all."""
    files.write_atomically(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def table(
    comparison: Comparison | str,
    *,
    datasets: Sequence[str],
    methods: Sequence[str] | None = None,
    seeds: Sequence[int] = (0,),
    settings: Mapping | None = None,
    folder: str | Path | None = None,
) -> "pd.DataFrame":
    """Return every data set × method × seed, scored.

    Parameters
    ----------
    comparison
        The comparison or its name.
    datasets, methods, seeds
        What to compute; all methods by default.
    settings
        The comparison's own settings, the same for every row.
    folder
        Folder of row files. Rows that are there and up to date are read, the others are computed and written there.

    Returns
    -------
    DataFrame
        The columns of `COLUMNS`, a line a metric. A gap has a line for each metric of the comparison, its value NaN,
        with the reason.

    Raises
    ------
    ParameterError
        If the comparison has no such method, or nothing is asked for.
    """
    import pandas as pd

    found = get(comparison) if isinstance(comparison, str) else comparison
    methods = list(found.methods if methods is None else methods)
    for name, asked in (("data set", datasets), ("method", methods), ("seed", seeds)):
        if not list(asked):
            raise ParameterError(f"expected at least one {name}, got none: name one")
    for method in methods:
        _method(found, method)
    settings = dict(settings or {})
    # rows of one data set and seed stand together: they share the case
    asked = [(dataset, method, int(seed)) for dataset in datasets for seed in seeds for method in methods]
    rows = {task: _read(found, task, settings, folder) for task in asked}
    missing = [task for task, known in rows.items() if known is None]
    rows |= zip(missing, _computed(comparison, missing, settings, folder) if missing else [], strict=True)
    return pd.DataFrame([line for made in rows.values() for line in _lines(found, made)], columns=COLUMNS)


def _computed(
    comparison: Comparison | str, tasks: Sequence[tuple], settings: Mapping, folder: str | Path | None
) -> list[dict]:
    from scgen_lib import training  # with TensorFlow, which is not needed where all rows are read

    return training.in_parallel(_kept, [(comparison, task, settings, folder) for task in tasks])


def _kept(comparison: Comparison | str, task: tuple, settings: Mapping, folder: str | Path | None) -> dict:
    """Compute a row and write it at once, so that whoever stops later loses no more than the rows in work."""
    found = row(comparison, *task, settings)
    if folder is not None:
        write_row(found, Path(folder) / row_file(*task))
    return found


def _installed(method: Method) -> bool:
    return not method.needs or importlib.util.find_spec(method.needs) is not None


def _absence(method: Method) -> str:
    return f"Not installed: the package {method.needs}, which is an optional extra."


@functools.lru_cache(maxsize=2)
def _prepared(prepare: Callable, dataset: str, seed: int, settings: str) -> Any:
    return prepare(dataset, seed, json.loads(settings))


def _case(comparison: Comparison, dataset: str, seed: int, settings: Mapping) -> Any:
    return _prepared(comparison.prepare, dataset, int(seed), json.dumps(settings, sort_keys=True))


def _method(comparison: Comparison, name: str) -> Method:
    if name not in comparison.methods:
        known = ", ".join(comparison.methods)
        raise ParameterError(f"expected a method of the {comparison.name} comparison ({known}), got {name!r}: use one")
    return comparison.methods[name]


def _read(comparison: Comparison, task: tuple, settings: Mapping, folder: str | Path | None) -> dict | None:
    """Return the row of a file that is whole and was made by what stands here now, or None."""
    path = None if folder is None else Path(folder) / row_file(*task)
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path else None
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.get("key") != key(comparison, *task, settings):
        return None
    method = comparison.methods[task[1]]
    installed_since = found["reason"] == _absence(method) and _installed(method)
    return None if installed_since else found


def _lines(comparison: Comparison, found: Mapping) -> Iterable[dict]:
    scores = found["scores"] if found["status"] == "ok" else dict.fromkeys(comparison.metrics)
    for metric, value in scores.items():
        reason = found["reason"] or ("The value is not finite." if value is None else None)
        yield {name: found.get(name) for name in COLUMNS} | {
            "metric": metric, "value": math.nan if value is None else float(value), "reason": reason,
        }  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
