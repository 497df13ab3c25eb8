"""The cells of the chapter, the settings of its models, and the batch size of a training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import tensorflow as tf

from scgen_book import experiments
from scgen_lib import data, files, preprocess, training
from scgen_lib.data import checks, registry, splatter
from scgen_lib.metrics.arrays import log_normalise
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.settings import chosen

#: The variants, by the name of their method.
VARIANTS = {"DB-AAE, faithful": "faithful", "DB-AAE, repaired": "repaired"}
NAMES = {variant: name for name, variant in VARIANTS.items()}
#: Parameters that decide which cells there are, and the genes of a model of them.
DATA = ("dataset", "labels", "transpose", "max_cells", "fast")
#: Cells per update where nothing is searched (the released default).
USUAL = 32


def load(name: str, seed: int, settings: Mapping) -> anndata.AnnData:
    """Load cells with counts, at most ``max_cells`` of them; a preset of the simulator is drawn with the seed.

    Raises
    ------
    DataError
        If the data cannot be had.
    """
    if settings["fast"]:
        tf.config.run_functions_eagerly(True)  # so few updates are sooner done than compiled
    if name == "splat_path":
        # one path in 100 known steps, along which three genes in ten change
        cells = splatter.preset("splat_g2", seed=seed, group_prob=(1.0,), path_from=(0,), de_prob=0.3)
        cells.uns["dataset"] |= {"name": name, "title": "Splat, one path of 100 steps, midpoint 1"}
    elif name in splatter.PRESETS:
        cells = splatter.preset(name, seed=seed)
    else:
        own = {key: settings[key] for key in ("labels", "transpose")} if name == settings["dataset"] else {}
        cells = data.load(name, **own)
    cells = data.excerpt(cells, settings["max_cells"], 60) if settings["fast"] else cells
    checks.get_counts(cells, allow_empty=True)
    cells = checks.drop_empty(cells)
    if cells.n_obs > settings["max_cells"]:
        drawn = np.random.default_rng(seed).choice(cells.n_obs, settings["max_cells"], replace=False)
        cells = checks.drop_empty(cells[np.sort(drawn)].copy())
    return cells


def dense(matrix: Any) -> np.ndarray:
    """Return a matrix of counts as an array."""
    return training.dense(matrix)


def variable_genes(cells: anndata.AnnData, settings: Mapping) -> int | None:
    """Return how many variable genes to choose, ``n_hvg`` or the published 5,000; None: all, if no more are there."""
    counts = checks.get_counts(cells, allow_empty=True)
    detected = int((np.asarray((counts > 0).sum(axis=0)) >= settings["min_cells"]).sum())
    most = settings["n_hvg"] or 5000
    return most if detected > most else None


def normaliser(cells: anndata.AnnData, settings: Mapping) -> preprocess.LogNormaliser:
    """Return what normalises these cells and has chosen their genes, fitted, as a model of them has it."""
    found = preprocess.LogNormaliser(settings["min_cells"], settings["target_sum"], variable_genes(cells, settings))
    return found.fit(checks.get_counts(cells, allow_empty=True))


def options(settings: Mapping) -> dict[str, Any]:
    """Return the arguments of a model that do not depend on the cells."""
    return chosen(DBAAE, settings) | {"hidden": [settings["n2"], settings["n3"]]}


def model(variant: str, cells: anndata.AnnData, seed: int, settings: Mapping) -> DBAAE:
    """Return the untrained model of a variant for these cells."""
    return DBAAE.variant(variant, **options(settings) | {"n_hvg": variable_genes(cells, settings), "seed": seed})


def fit_options(settings: Mapping, batch_size: int) -> dict[str, Any]:
    """Return the arguments of its training."""
    return chosen(DBAAE.fit, settings) | {"batch_size": batch_size}


def kept_apart(cells: anndata.AnnData, seed: int, settings: Mapping) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that a search and its test may train on, and the rows that judge it."""
    return training.split(cells.n_obs, settings["test_fraction"], shuffle=True, seed=seed)


def typed(cells: anndata.AnnData) -> tuple[np.ndarray, str | None]:
    """Return which cells have a label that scores, and why none has."""
    return checks.scoring(cells.obs.get("cell_type", []))


def logarithms(cells: anndata.AnnData, y: np.ndarray, settings: Mapping) -> np.ndarray:
    """Return ln(1 + x) of observed or denoised counts, with the totals that the model divides by."""
    counts = checks.get_counts(cells)
    detected = preprocess.LogNormaliser(settings["min_cells"], settings["target_sum"]).fit(counts).detected
    return np.log1p(y * (settings["target_sum"] / np.asarray(counts[:, detected].sum(axis=1), float).reshape(-1, 1)))


def true_logarithms(cells: anndata.AnnData, genes: np.ndarray) -> np.ndarray:
    """Return ln(1 + x) of the counts without dropout, which have totals of their own."""
    return log_normalise(dense(cells.layers["true_counts"])[:, genes], 1e4)


def of_file(name: str) -> str:
    """Return the name of a data set in tables; that of a user's own file is the file's."""
    known = name in registry.DATASETS or name in splatter.PRESETS or name == "splat_path"
    return name if known or Path(name).is_dir() else Path(Path(name).name.removesuffix(".gz")).stem


def trials(name: str, method: str, settings: Mapping) -> Path | str | None:
    """Return the folder of the trials of a search: in ``tune_dir``, else beside the row in work."""
    if settings.get("tune_dir") is None:
        return experiments.checkpoint(f"search_{method}")
    return Path(settings["tune_dir"]) / files.named(f"{Path(name).stem}_{method}")
