"""Dynamic batching: the search of a batch size, as the released code does it and on the model that is trained.

The released search scores a fresh discriminator against an encoder that nothing trains (D3), by its highest accuracy
(D4); the control is the same search on cells in which every gene was shuffled, with nothing left to denoise.
"""

import contextlib
import functools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd

from scgen_book import experiments
from scgen_book.experiments.db_aae import cells, sets
from scgen_book.experiments.protocol import NEGATIVE, Experiment, Method, Metric, NotApplicable, Task
from scgen_lib import training
from scgen_lib.data import checks
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.settings import chosen

RELEASED, MODEL, SHUFFLED = "released search", "trained model", "released search, genes permuted"
OF_VARIANT = {"faithful": RELEASED, "repaired": MODEL}
#: Objective → what chooses the best of its values.
OBJECTIVES = {"d_accuracy": "idxmax", "d_equilibrium": "idxmin", "val_mse": "idxmin"}
SETTINGS = (
    DBAAE, DBAAE.tune, *cells.DATA, "n2", "n3", "seed", "tune", "tune_all", "tune_dir", "test_fraction"
)  # fmt: skip


def found(dataset: str, variant: str, settings: Mapping, shuffled: bool = False) -> training.Search:
    """Search the batch size of a data set, on the cells that its test does not need.

    Rows that need the batch size search for themselves. Within a process a search is made once; rows of several
    processes share the trials in the folder ``tune_dir``, where it is made once as well.

    Parameters
    ----------
    dataset
        Name or path.
    variant
        Whose search: the released one (faithful), or that of the trained model (repaired).
    settings
        As `SETTINGS`.
    shuffled
        Of the same cells without any structure, every gene shuffled over them, at three batch sizes.
    """
    own = experiments.settings_of(EXPERIMENT, settings)
    return _found(dataset, variant, json.dumps(own, sort_keys=True), shuffled)


@functools.lru_cache(maxsize=16)
def _found(dataset: str, variant: str, settings: str, shuffled: bool) -> training.Search:
    values = json.loads(settings)
    seed, step = values["seed"], values["batch_step"]
    adata = cells.load(dataset, seed, values)
    adata = adata[cells.kept_apart(adata, seed, values)[0]].copy()
    if shuffled:
        counts = cells.dense(checks.get_counts(adata, allow_empty=True))
        counts = np.random.default_rng(seed).permuted(counts, axis=0)
        adata = anndata.AnnData(counts, var=adata.var[[]])
        step = max(step, (values["batch_max"] - values["batch_min"]) // 2)
    folder = cells.trials(dataset, f"{variant}{'_permuted' if shuffled else ''}", values)
    how = chosen(DBAAE.tune, values) | {"batch_step": step, "directory": folder}
    with _alone(folder):
        return cells.model(variant, adata, seed, values).tune(adata, **how)


@contextlib.contextmanager
def _alone(folder: str | Path | None) -> Iterator[None]:
    """Let others wait who search in the same folder: they find the trials done."""
    if folder is None:
        yield
        return
    import fcntl

    lock = Path(f"{folder}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def batch_size(dataset: str, variant: str, settings: Mapping) -> int:
    """Return the cells per update: the number given, else what the search finds, else 32 where nothing is searched."""
    if settings["batch_size"] is not None:
        return settings["batch_size"]
    if settings["tune"] and (settings["tune_all"] or dataset == settings["dataset"]):
        return found(dataset, variant, settings).best
    return cells.USUAL


def _searched(variant: str, shuffled: bool = False) -> Callable:
    def run(dataset: str, seed: int, settings: Mapping) -> training.Search:
        return found(dataset, variant, settings, shuffled)

    return run


def prepare(dataset: str, seed: int, settings: Mapping) -> str:
    """Return the name: a search loads its own cells, those of the chapter's seed."""
    return dataset


def score(dataset: str, answer: training.Search, seed: int, settings: Mapping) -> dict[str, float]:
    """Return the batch size that is best, and of each objective the best one, its range and its tie to the steps."""
    curve = answer.curve
    scores = {"best": answer.best, "sizes": len(curve), "trials": int(curve["n"].sum()),
              "failed": int(answer.trials["error"].notna().sum())}  # fmt: skip
    for key, choose in OBJECTIVES.items():
        if key in curve:
            values = curve[key]
            varied = values.max() > values.min()
            scores |= {
                f"{key}_best": int(getattr(values, choose)()), f"{key}_least": values.min(),
                f"{key}_most": values.max(),
                f"{key}_steps": values.corr(curve["steps"], method="spearman") if varied else math.nan,
            }  # fmt: skip
    return scores


def keep(dataset: str, answer: training.Search, seed: int, settings: Mapping) -> dict[str, Any]:
    """Return the curve, a column an array, and the first error of a trial."""
    curve = answer.curve
    kept = {f"curve.{name}": curve[name].to_numpy() for name in curve}
    return kept | {"batch_sizes": curve.index.to_numpy(), "error": answer.trials["error"].dropna().tolist()[:1]}


def curve(kept: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return `training.Search.curve` of what a row has kept."""
    columns = {name.removeprefix("curve."): x for name, x in kept.items() if name.startswith("curve.")}
    return pd.DataFrame(columns, index=pd.Index(kept["batch_sizes"], name="batch_size"))


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the searches of the variants asked for; of the data set of the chapter with the control."""
    if not values["tune"]:
        raise NotApplicable("no search in this run (parameter tune)")
    names = sets.chosen(values).all if values["tune_all"] else [values["dataset"]]
    # the longest first, so that the last core is not kept waiting
    tasks = [(name, v) for v in ("faithful", "repaired") if v in values["variants"] for name in names]
    control = [(values["dataset"], SHUFFLED, values["seed"])] if "faithful" in values["variants"] else []
    return [(name, OF_VARIANT[v], values["seed"]) for name, v in tasks] + control


EXPERIMENT = Experiment(
    name="db_aae.search",
    methods={
        RELEASED: Method(_searched("faithful"), variant="faithful"),
        MODEL: Method(_searched("repaired"), variant="repaired"),
        SHUFFLED: Method(_searched("faithful", shuffled=True), NEGATIVE, variant="faithful"),
    },
    metrics={
        "best": Metric("batch size found", "lower", judged=False),
        "sizes": Metric("batch sizes", "higher", judged=False),
        "trials": Metric("trials", "higher", judged=False),
        "failed": Metric("trials that failed", "lower", judged=False),
        **{f"{key}_{name}": Metric(f"{words}, {key}", "lower", judged=False)
           for key in OBJECTIVES
           for name, words in (("best", "best batch size"), ("least", "least"), ("most", "most"),
                               ("steps", "rank correlation with the steps"))},
    },
    prepare=prepare,
    score=score,
    settings=SETTINGS,
    asked=asked,
    keep=keep,
)  # fmt: skip
