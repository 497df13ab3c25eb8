"""What a run of the chapter on DR-A leaves in its folder: the trained models, and the codes of all cells."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scgen_book.chapters.dr_a.trained import Trained
from scgen_book.experiments.dr_a import scores, training
from scgen_book.experiments.dr_a.cases import Case
from scgen_book.experiments.protocol import Task
from scgen_lib import files
from scgen_lib.errors import CheckpointError
from scgen_lib.models.dr_a import DRA


def folder(values: Mapping[str, Any]) -> Path | None:
    """Return the folder of the saved models, or None."""
    found = values["checkpoint_dir"] or values["out"]
    return None if found is None else Path(found)


def placed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with the folder of rows that suits that of the models.

    Rows that are made of loaded models are written nowhere, since nothing says that these are of the same settings.
    """
    if not values["train"]:
        return dict(values) | {"rows": None, "out": None}
    beside = not (values["rows"] or values["out"]) and values["checkpoint_dir"]
    return dict(values) | ({"rows": f"{values['checkpoint_dir']}/rows"} if beside else {})


def loaded(case: Case, values: Mapping[str, Any]) -> dict[Task, dict[str, Any]]:
    """Return what is looked at of the models of a finished run, by row of the scores; none where `train` is True.

    Raises
    ------
    CheckpointError
        If a model is not there; without the guards that is one whose training ended.
    """
    found = {}
    for dataset, name, seed in [] if values["train"] else scores.asked(values):
        method, k = training.split(name)
        if method in training.VARIANTS:
            try:
                saved = training.load(folder(values) or ".", method, k, seed)
                found[dataset, name, seed] = training.answer(case, saved)
            except CheckpointError as error:
                if values["guards"]:
                    raise
                found[dataset, name, seed] = {"ended": str(error)}
    return found


def model(values: Mapping[str, Any], variant: str, seed: int) -> DRA:
    """Return a new model of a variant at the length shown or, where `train` is False, the saved one.

    Raises
    ------
    CheckpointError
        If a saved one is not there; without the guards it is one whose training ended, and a new one is returned.
    """
    k = training.shown(values)
    try:
        if not values["train"]:
            return training.load(folder(values) or ".", variant, k, seed)
    except CheckpointError:
        if values["guards"]:
            raise
    return training.build(variant, k, seed, values)


def collect(values: Mapping[str, Any]) -> None:
    """Move the models that rows have left beside them into the folder of models, if there is one."""
    to = folder(values)
    rows = values["rows"] or (values["out"] and f"{values['out']}/rows")
    for path in Path(rows, "models").glob("*.keras") if to and rows else ():
        to.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, f"{to / path.name}.part")
        os.replace(f"{to / path.name}.part", to / path.name)
        path.unlink()


def save(values: Mapping[str, Any], found: DRA | None, variant: str | None, seed: int | None) -> None:
    """Write a model of the length shown into the folder of models, if there is one, unless it was read from there."""
    if found is not None and values["train"] and (to := folder(values)):
        to.mkdir(parents=True, exist_ok=True)
        found.save(to / training.file_name(variant, training.shown(values), seed))


def save_codes(trained: Trained, found: DRA | None, lead: str | None) -> Path | None:
    """Write the cells with the codes of the first training of every variant and length, ``<out>/embedded.h5ad``.

    Parameters
    ----------
    trained
        Of the rows of the scores.
    found, lead
        The model that the chapter shows, and its variant; None where no training came to its end.

    Returns
    -------
    Path or None
        The file; None where no folder is asked for, or nothing was trained.
    """
    values, cells, shown = trained.values, trained.case.cells, trained.shown
    if values["out"] is None or found is None:
        return None
    cells.obsm["X_dr_a"] = found.embed(cells, latent=values["latent"])
    for k in trained.lengths:
        for method in trained.variants:
            path = folder(values) / training.file_name(method, k, next(iter(trained.of(method, k)), -1))
            if (method, k) == (lead, shown):
                cells.obsm[f"X_dr_a_{method}_z{k}"] = cells.obsm["X_dr_a"]
            elif path.exists():
                cells.obsm[f"X_dr_a_{method}_z{k}"] = DRA.load(path).embed(cells, latent=values["latent"])
    made = found.values() | {"variant": lead, "epoch": values["epoch"]}
    cells.uns["dr_a"] = {key: value for key, value in made.items() if value is not None}
    in_test = np.isin(np.arange(cells.n_obs), trained.case.test)
    cells.obs["dr_a_split"] = pd.Categorical(np.where(in_test, "test", "train"))
    Path(values["out"]).mkdir(parents=True, exist_ok=True)
    path = Path(values["out"]) / "embedded.h5ad"
    files.write_h5ad(cells, path)
    return path
