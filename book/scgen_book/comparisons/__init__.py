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
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from scgen_book import provenance
from scgen_book.chance import FEWEST, beyond_chance
from scgen_lib import files
from scgen_lib.errors import InputError, ParameterError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

NAMES = ("denoising", "simulation", "representation")
NEGATIVE, BASELINE, METHOD, POSITIVE = ROLES = ("negative control", "baseline", "method", "positive control")
COLUMNS = ("dataset", "method", "role", "seed", "metric", "value", "reason", "duration_s")
# parameters of a comparison's notebook that say which rows there are, or belong to the run as a whole
_OF_THE_RUN = frozenset({"datasets", "methods", "seeds", "control_seeds", "rows", "seed", "fast", "edition", "out"})


class NotApplicable(InputError):
    """A method and a data set that do not go together: labels, a truth or a package is missing."""


@dataclass(frozen=True)
class Method:
    """One method of a comparison.

    Attributes
    ----------
    run
        Function of (case, seed, settings); what it returns is for the comparison's ``score``. It leaves the case as it
        is: the next method works on the same one.
    role
        One of `ROLES`. A negative control does nothing, a positive one knows the answer.
    needs
        A package that is not among the dependencies and without which the method leaves a gap.
    """

    run: Callable[[Any, int, Mapping], Any]
    role: str = METHOD
    needs: str | None = None


@dataclass(frozen=True)
class Metric:
    """One score of a comparison.

    Attributes
    ----------
    label
        Its name on axes and in tables.
    better
        ``"lower"``, ``"higher"``, or the value that is best: nearer is better.
    judged
        Whether the controls bound it (see `check_controls`).
    negative
        The negative controls that it can find out; None for all of them.
    """

    label: str
    better: Literal["lower", "higher"] | float
    judged: bool = True
    negative: tuple[str, ...] | None = None

    def loss(self, value: float) -> float:
        """Return the value on a scale where less is better."""
        if isinstance(self.better, str):
            return value if self.better == "lower" else -value
        return abs(value - self.better)


@dataclass(frozen=True)
class Comparison:
    """A protocol: how data become a case, which methods work on it, and how what they return is scored.

    Attributes
    ----------
    name
        One of `NAMES`.
    methods, metrics
        By the names that tables show.
    prepare
        Function of (data set, seed, settings) that returns the case, the same one for every method.
    score
        Function of (case, what the method returned, seed, settings) that returns a value a metric; metrics that do not
        apply to this case are left out.
    datasets
        The data sets of the paper edition.
    """

    name: str
    methods: Mapping[str, Method]
    metrics: Mapping[str, Metric]
    prepare: Callable[[str, int, Mapping], Any]
    score: Callable[[Any, Any, int, Mapping], Mapping[str, float]]
    datasets: tuple[str, ...] = ()


def get(name: str) -> Comparison:
    """Return the comparison of that name.

    Raises
    ------
    ParameterError
        If there is none.
    """
    if name not in NAMES:
        raise ParameterError(f"Expected a comparison ({', '.join(NAMES)}), got {name!r}; use one of them.")
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
        raise ParameterError(f"Expected settings among {', '.join(defaults)}, got {unknown[0]!r}; use one of them.")
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
    """Return a hash of all that decides a row: what was asked for, the library, the lock file and the user's files."""
    name = comparison if isinstance(comparison, str) else comparison.name
    data = provenance.contents([dataset, settings])
    asked = [name, dataset, method, int(seed), dict(settings), data, provenance.library_hash(), provenance.lock_hash()]
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


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
            raise ParameterError(f"Expected at least one {name}, got none; name one.")
    for method in methods:
        _method(found, method)
    settings = dict(settings or {})
    # rows of one data set and seed stand together: they share the case
    asked = [(dataset, method, int(seed)) for dataset in datasets for seed in seeds for method in methods]
    rows = {task: _read(found, task, settings, folder) for task in asked}
    missing = [task for task, known in rows.items() if known is None]
    rows |= zip(missing, _computed(comparison, missing, settings, folder) if missing else [], strict=True)
    return pd.DataFrame([line for made in rows.values() for line in _lines(found, made)], columns=COLUMNS)


def summary(of: "pd.DataFrame") -> "pd.DataFrame":
    """Return mean and spread over the seeds of a `table`.

    Returns
    -------
    DataFrame
        dataset, method, role, metric, mean, sd (see `spread`), n (seeds with a value) and reason (of the first gap, or
        None).
    """
    groups = of.groupby(["dataset", "method", "role", "metric"], sort=False)
    found = groups["value"].agg(mean="mean", sd=spread, n="count").astype({"n": int, "sd": float})
    return found.assign(reason=groups["reason"].agg(_first)).reset_index()


def spread(values: Iterable[float]) -> float:
    """Return the sd over seeds (ddof 1), NaN below `FEWEST` of them: two tell nothing of their spread."""
    finite = [value for value in values if math.isfinite(value)]
    return statistics.stdev(finite) if len(finite) >= FEWEST else math.nan


def differences(table: "pd.DataFrame", method: str, other: str, metric: str) -> list[float]:
    """Return one method's values less another's, seed by seed, over the seeds that both have.

    Parameters
    ----------
    table
        Columns seed, method, metric and value, of one data set.
    method, other, metric
        Names in the table.
    """
    values = table[table["metric"] == metric].pivot_table(index="seed", columns="method", values="value")
    values = values.reindex(columns=list(dict.fromkeys((method, other)))).dropna()
    return (values[method] - values[other]).tolist()


def said(values: Sequence[float], form: str = ".3f") -> str:
    """Say the mean of differences with its sign, and their sd where there are seeds enough."""
    words, sd = f"{statistics.fmean(values):+{form}}".replace("-", "−"), spread(values)
    return words if math.isnan(sd) else f"{words} ± {sd:{form}}"


def standing(
    table: "pd.DataFrame",
    method: str,
    others: Sequence[str],
    metrics: Mapping[str, Metric],
    names: Mapping[str, str] | None = None,
    form: str = ".3f",
) -> str:
    """Say how a method differs from others on the same seeds, and whether the metrics agree on who is better.

    Parameters
    ----------
    table
        As in `differences`.
    method, others
        Names in the table; others that it lacks are passed over.
    metrics
        What to judge by, in order.
    names
        Words for methods.
    form
        Format of the differences.

    Returns
    -------
    str
        A clause for each metric, and a sentence of what follows; empty without a value. "Better" and "worse" are of the
        mean over seeds; what two standard errors hold is said to be within chance, from `FEWEST` seeds on.
    """
    names, found, parts, near = names or {}, {}, [], set()
    for metric, rule in metrics.items():
        losses = table.assign(value=table["value"].map(rule.loss))
        own = {other: values for other in others if (values := differences(table, method, other, metric))}
        for other in own:
            loss = differences(losses, method, other, metric)
            found.setdefault(other, []).append(statistics.fmean(loss) < 0)
            if beyond_chance(loss, [0.0] * len(loss)) is False:
                near.add(names.get(other, other))
        if own:
            each = ", ".join(f"{said(values, form)} against {names.get(o, o)}" for o, values in own.items())
            parts.append(f"{rule.label}: {each}")
    if not parts:
        return ""
    words = {
        "better than": [names.get(o, o) for o, signs in found.items() if all(signs)],
        "worse than": [names.get(o, o) for o, signs in found.items() if not any(signs)],
    }
    split = [names.get(o, o) for o, signs in found.items() if any(signs) and not all(signs)]
    ends = [f"{how} {', '.join(whom)}" + (" by all of these" if len(parts) > 1 else "")
            for how, whom in words.items() if whom]  # fmt: skip
    if split:
        ends.append(f"**the measures disagree** on {', '.join(split)}")
    if near:
        ends.append(f"some differences from {', '.join(sorted(near))} lie within what seeds alone do")
    return f"{'; '.join(parts)}. In the mean {'; '.join(ends)}."


def steps(
    table: "pd.DataFrame", pairs: Mapping[str, tuple[str, str]], metrics: Mapping[str, Metric], forms: Mapping[str, str]
) -> "pd.DataFrame":
    """Return what each of several differences does by itself, on the same data and seeds.

    Parameters
    ----------
    table
        Columns dataset, seed, method, metric and value.
    pairs
        Words for a difference → the methods with and without it.
    metrics
        What to look at, in order; those that are better in one direction are asked whether they agree.
    forms
        Format of a metric's differences where it is not ``".3f"``.

    Returns
    -------
    DataFrame
        A row a data set and difference that was measured there: dataset, difference, seeds (their number), a column a
        metric with its words ("–" without a value), and disagree: whether one of the first two metrics says better and
        the other worse.
    """
    import pandas as pd

    rows = []
    for dataset, own in table.groupby("dataset", sort=False):
        for words, pair in pairs.items():
            found = {metric: differences(own, *pair, metric) for metric in metrics}
            if seeds := max(map(len, found.values())):
                shown = {m: said(each, forms.get(m, ".3f")) if each else "–" for m, each in found.items()}
                first, second = (sum(found[m]) * (1 if metrics[m].better == "lower" else -1) for m in list(metrics)[:2])
                row = {"dataset": dataset, "difference": words, "seeds": seeds}
                rows.append(row | shown | {"disagree": first * second < 0})
    return pd.DataFrame(rows, columns=["dataset", "difference", "seeds", *metrics, "disagree"])


def surpassing(
    table: "pd.DataFrame",
    methods: Sequence[str],
    other: str,
    metrics: Mapping[str, Metric],
    names: Mapping[str, str] | None = None,
    form: str = ".3f",
) -> str:
    """Say which methods are better than another in the mean over equal seeds, and on whom the metrics disagree.

    Parameters
    ----------
    table
        As in `differences`.
    methods, other
        Names in the table.
    metrics
        What to judge by, in order.
    names
        Words for methods.
    form
        Format of the differences.

    Returns
    -------
    str
        A clause for each metric that has values: those who are better, with their differences; and a sentence where the
        metrics disagree; empty without a value. From `FEWEST` seeds on, what two standard errors hold is marked as
        within chance.
    """
    names, found, parts = names or {}, {}, []
    for metric, rule in metrics.items():
        losses = table.assign(value=table["value"].map(rule.loss))
        own = {method: values for method in methods if (values := differences(losses, method, other, metric))}
        ahead = [method for method, values in own.items() if statistics.fmean(values) < 0]
        words = [
            f"{names.get(m, m)} {said(differences(table, m, other, metric), form)}"
            + (" (within chance)" if beyond_chance(own[m], [0.0] * len(own[m])) is False else "")
            for m in ahead
        ]
        if own:
            parts.append(f"{rule.label}: {', '.join(words) or 'none'}")
        for method in own:
            found.setdefault(method, set()).add(method in ahead)
    split = [names.get(method, method) for method, both in found.items() if len(both) == 2]
    ends = f" **The measures disagree** on {', '.join(split)}." if split else ""
    return f"{'; '.join(parts)}.{ends}" if parts else ""


def places(of: "pd.DataFrame", metrics: Mapping[str, Metric]) -> "pd.DataFrame":
    """Return the place of each method by each metric, 1 the best mean, without the positive controls.

    Parameters
    ----------
    of
        A `table` of one data set.
    metrics
        What to judge by, in order.

    Returns
    -------
    DataFrame
        Index method, a column a metric that somebody has; NaN where a method has no value.
    """
    means = summary(of[of["role"] != POSITIVE]).dropna(subset=["mean"])
    means = means[means["metric"].isin(metrics)]
    losses = [metrics[metric].loss(value) for metric, value in zip(means["metric"], means["mean"], strict=True)]
    wide = means.assign(loss=losses).pivot_table("loss", "method", "metric", sort=False)
    return wide.rank(method="min").reindex(columns=[metric for metric in metrics if metric in wide])


def gaps(of: "pd.DataFrame") -> "pd.DataFrame":
    """Return what a `table` lacks: dataset, method, seed and reason, a line a gap."""
    lines = of[of["reason"].notna()]
    return lines[["dataset", "method", "seed", "reason"]].drop_duplicates(ignore_index=True)


def check_controls(comparison: Comparison | str, of: "pd.DataFrame") -> "pd.DataFrame":
    """Say for each data set and judged metric whether the controls stand where they must.

    No baseline or method may beat the positive control by more than twice its spread over the seeds, and every negative
    control that a metric can find out should be beaten.

    Returns
    -------
    DataFrame
        dataset, metric, positive and best (mean of the positive control, and of the best baseline or method), method
        (the best one), ok (whether the positive control is not beaten), beaten (whether all negative controls are) and
        words (a sentence).
    """
    import pandas as pd

    comparison = get(comparison) if isinstance(comparison, str) else comparison
    lines = []
    means = summary(of).dropna(subset=["mean"])
    for (dataset, metric), part in means.groupby(["dataset", "metric"], sort=False):
        rule = comparison.metrics[metric]
        part = part.assign(loss=part["mean"].map(rule.loss))
        free = part[part["role"].isin([BASELINE, METHOD])]
        positive, negative = part[part["role"] == POSITIVE], part[part["role"] == NEGATIVE]
        negative = negative if rule.negative is None else negative[negative["method"].isin(rule.negative)]
        if not rule.judged or free.empty:
            continue
        best = free.loc[free["loss"].idxmin()]
        words, ok, beaten = [], None, None
        if len(positive):
            top = positive.loc[positive["loss"].idxmin()]
            margin = 2 * (0.0 if math.isnan(top["sd"]) else top["sd"])
            ok = bool(best["loss"] >= top["loss"] - margin - 1e-9)
            words.append(
                f"no method beats {top['method']}" if ok else
                f"{best['method']} ({best['mean']:.3g}) BEATS the positive control {top['method']} ({top['mean']:.3g})"
            )  # fmt: skip
        for control in negative.itertuples():
            below = free.loc[free["loss"] >= control.loss, "method"].tolist()
            if len(below) < len(free):
                words.append(f"{control.method} is beaten by {len(free) - len(below)} of {len(free)}")
            else:
                words.append(f"{control.method} is NOT beaten by any")
            beaten = (beaten is not False) and len(below) < len(free)
        lines.append({
            "dataset": dataset, "metric": metric, "positive": top["mean"] if len(positive) else math.nan,
            "best": best["mean"], "method": best["method"], "ok": ok, "beaten": beaten, "words": "; ".join(words),
        })  # fmt: skip
    return pd.DataFrame(lines, columns=["dataset", "metric", "positive", "best", "method", "ok", "beaten", "words"])


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
        raise ParameterError(f"Expected a method of the {comparison.name} comparison ({known}), got {name!r}; use one.")
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


def _first(reasons: "pd.Series") -> str | None:
    return next(iter(reasons.dropna()), None)
