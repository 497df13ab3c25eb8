"""Cases of simulation: training cells as all methods see them, and what the cells that they make are compared with."""

from collections.abc import Mapping
from dataclasses import dataclass

import anndata
import numpy as np
import pandas as pd

from scgen_book import comparisons
from scgen_lib.data import checks
from scgen_lib.metrics import panel
from scgen_lib.metrics.controls import Cells
from scgen_lib.models.scgan.cells import OWN_SPLIT, process
from scgen_lib.preprocess import LogNormaliser

#: What a comparison takes where its settings name nothing else: the published trainings, and the protocol in full.
DEFAULTS = {
    "labels": None,
    "transpose": False,
    "max_cells": None,
    "n_top_genes": None,
    "min_class_size": 30,
    "test_cells": 0.3,
    "score_cells": None,
    "min_test_cells": 50,
    "forest_trees": 1000,
    "repeats": 2,
    "permutations": 500,
    "cvae_epochs": 100,
    "cvae_z_source": "normal",
    "gan_variant": "repaired",
    "gan_steps": 1_000_000,
    "gan_batch_size": 128,
    "gan_layers": [256, 512, 1024],
    "gan_lr": [1e-4, 1e-5],
    "gan_input_scale": 1.0,
    "gan_momentum": 0.999,
}
ONE_TYPE = "all"


@dataclass(frozen=True)
class Case:
    """One data set as all methods see it, and what their cells are compared with.

    Attributes
    ----------
    cells
        Training cells × genes: counts in ``layers["counts"]``, types in ``obs["cell_type"]``; one type for all cells
        where the data set has none.
    train
        The same as `Cells`, whose labels are None without types.
    reference
        The held-out cells, the controls, the space and the classifiers.
    wanted
        Type of each cell to make, (n,).
    """

    cells: anndata.AnnData
    train: Cells
    reference: panel.Reference
    wanted: np.ndarray

    @property
    def labelled(self) -> bool:
        """Whether there are two types to tell apart."""
        return self.train.labels is not None

    @property
    def target(self) -> dict[str, int]:
        """Number of cells to make of each type."""
        return {str(name): int(n) for name, n in pd.Series(self.wanted).value_counts(sort=False).items()}


def complete(settings: Mapping) -> dict:
    """Return all settings, those that are not given by their defaults.

    Raises
    ------
    ParameterError
        If there is no such setting.
    """
    return comparisons.complete(settings, DEFAULTS)


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Load counts, filter and split them, and fix all that the scores need.

    Parameters
    ----------
    dataset
        What `scgen_lib.data.load` takes.
    seed
        Of the sample, the split, the controls and all fits of the scores.
    settings
        "labels" (column of ``obs`` with the types) and "transpose" (genes × cells), both for own files only,
        "max_cells" (None: all), "min_class_size" (types without as many cells are left out),
        "test_cells" (a number or a share), "n_top_genes" (most variable among the training cells, at most; None: all),
        "score_cells" (cells a side, at most; None: as many as there are), "forest_trees".

    Raises
    ------
    DataError
        The data set cannot be had, has no counts, or too few cells.
    ParameterError
        No such setting.
    """
    chosen = complete(settings)
    cells, most = _typed(comparisons.load(dataset, chosen), chosen["min_class_size"]), chosen["max_cells"]
    if most is not None and most < cells.n_obs:
        cells = cells[np.sort(np.random.default_rng(seed).permutation(cells.n_obs)[:most])].copy()
        cells = _typed(cells, chosen["min_class_size"])
    cells = process(cells, min_class_size=chosen["min_class_size"], test_cells=chosen["test_cells"], split_seed=seed)
    cells, test = (cells[(cells.obs[OWN_SPLIT] == part).to_numpy()].copy() for part in ("train", "test"))
    # nothing can be learnt about a gene that no training cell has
    genes, most = checks.totals(cells.layers["counts"], 0) > 0, chosen["n_top_genes"]
    if most is not None and most < genes.sum():
        genes = LogNormaliser(min_cells=1, n_hvg=most).fit(cells.layers["counts"]).genes
    cells, test = (part[:, genes].copy() for part in (cells, test))
    cells, test = (part[checks.totals(part.layers["counts"]) > 0].copy() for part in (cells, test))
    labelled = len(set(cells.obs["cell_type"])) > 1
    train, held_out = (
        Cells(part.layers["counts"], part.obs["cell_type"].astype(str).to_numpy() if labelled else None)
        for part in (cells, test)
    )
    n = min(test.n_obs, cells.n_obs // 2, chosen["score_cells"] or test.n_obs)
    reference = panel.Reference(train, held_out, n, seed, trees=chosen["forest_trees"])
    types = cells.obs["cell_type"].astype(str).to_numpy()
    wanted = np.random.default_rng([seed, n]).permutation(types)[:n]
    return Case(cells, train, reference, wanted)


def _typed(cells: anndata.AnnData, least: int) -> anndata.AnnData:
    """Return the cells with a type, or all cells as of one type where their labels do not score."""
    _, unscored = checks.scoring(cells.obs.get("cell_type", []), least)
    if unscored:
        cells.obs["cell_type"] = pd.Categorical([ONE_TYPE] * cells.n_obs)
    return cells[cells.obs["cell_type"].notna().to_numpy()].copy()
