"""Cases of simulation: training cells as all methods see them, and what the cells that they make are compared with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anndata
import numpy as np
import pandas as pd

from scgen_book import experiments
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.metrics import panel
from scgen_lib.metrics.controls import Cells
from scgen_lib.models.scgan.cells import OWN_SPLIT, process
from scgen_lib.preprocess import LogNormaliser
from scgen_lib.settings import Settings, declared, option

ONE_TYPE = "all"


@declared
class SimulationSettings(Settings):
    """What decides a row of the comparison: the protocol, and how long the methods are trained."""

    labels: str | None = option(
        None,
        "any",
        'column of obs with the types of an own file; None: obs["cell_type"], and no types where there is none',
    )
    transpose: bool = option(False, "any", "own files (.csv, .tsv or .h5ad) are genes × cells, not cells × genes")
    max_cells: int | None = option(None, "in [50, inf)", "cells of a data set at most, a random sample; None: all")
    n_top_genes: int | None = option(1000, "in [20, inf)", "genes that vary most in the training cells; None: all")
    min_class_size: int = option(30, "in [1, inf)", "smaller types are left out")
    test_cells: float = option(0.3, "in (0, inf)", "held-out cells, a number or a share below 1")
    score_cells: int | None = option(
        2000, "in [20, inf)", "cells a side in the scores, at most; None: as many as there are"
    )
    min_test_cells: int = option(50, "in [10, inf)", "cells that a type needs on both sides to be looked at within")
    forest_trees: int = option(300, "in [10, inf)", "trees of a random forest")
    repeats: int = option(2, "in [1, inf)", "repeats of the five-fold cross-validation of the AUC")
    permutations: int = option(200, "in [0, inf)", "relabellings for the p-value of MMD²")
    cvae_epochs: int = option(40, "in [1, inf)", "epochs of the conditional VAE")
    cvae_z_source: str = option("normal", "one of normal, posterior", "where its new cells take z from")
    gan_variant: str = option(
        "repaired", "one of repaired, faithful",
        "of scGAN and cscGAN; faithful ignores gan_input_scale and gan_momentum",
    )  # fmt: skip
    gan_steps: int = option(3500, "in [1, inf)", "outer steps of scGAN and cscGAN")
    gan_batch_size: int = option(64, "in [2, inf)", "cells an update of theirs")
    gan_layers: Sequence[int] = option(
        (64, 128, 256), "in [1, inf)", "widths of their generator; the critic has them in reverse"
    )
    gan_lr: Sequence[float] = option((1e-3, 1e-4), "in (0, 0.1]", "their first and last step size")
    gan_input_scale: float = option(
        0.01, "in (0, inf)",
        "factor of what the repaired critic sees, an addition of ours; 1 in the released code and in faithful",
    )  # fmt: skip
    gan_momentum: float = option(
        0.99, "in [0, 1)",
        "of the repaired generator's moving statistics, an addition of ours; 0.999 in the released code and in "
        "faithful",
    )  # fmt: skip

    def check(self) -> None:
        """Refuse a number of step sizes that the training does not have."""
        if len(self.gan_lr) != 2:
            raise ParameterError(
                f"expected gan_lr to be the first and the last step size, got {list(self.gan_lr)}: give two numbers"
            )


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


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Load counts, filter and split them, and fix all that the scores need.

    Parameters
    ----------
    dataset
        What `scgen_lib.data.load` takes.
    seed
        Of the sample, the split, the controls and all fits of the scores.
    settings
        Those of `SimulationSettings`, by default its own.

    Raises
    ------
    DataError
        The data set cannot be had, has no counts, or too few cells.
    """
    chosen = SimulationSettings(**settings)
    cells, most = _typed(experiments.load(dataset, chosen.values()), chosen.min_class_size), chosen.max_cells
    if most is not None and most < cells.n_obs:
        cells = cells[np.sort(np.random.default_rng(seed).permutation(cells.n_obs)[:most])].copy()
        cells = _typed(cells, chosen.min_class_size)
    cells = process(cells, min_class_size=chosen.min_class_size, test_cells=chosen.test_cells, split_seed=seed)
    cells, test = (cells[(cells.obs[OWN_SPLIT] == part).to_numpy()].copy() for part in ("train", "test"))
    # nothing can be learnt about a gene that no training cell has
    genes, most = checks.totals(cells.layers["counts"], 0) > 0, chosen.n_top_genes
    if most is not None and most < genes.sum():
        genes = LogNormaliser(min_cells=1, n_hvg=most).fit(cells.layers["counts"]).genes
    cells, test = (part[:, genes].copy() for part in (cells, test))
    cells, test = (part[checks.totals(part.layers["counts"]) > 0].copy() for part in (cells, test))
    labelled = len(set(cells.obs["cell_type"])) > 1
    train, held_out = (
        Cells(part.layers["counts"], part.obs["cell_type"].astype(str).to_numpy() if labelled else None)
        for part in (cells, test)
    )
    n = min(test.n_obs, cells.n_obs // 2, chosen.score_cells or test.n_obs)
    reference = panel.Reference(train, held_out, n, seed, trees=chosen.forest_trees)
    types = cells.obs["cell_type"].astype(str).to_numpy()
    wanted = np.random.default_rng([seed, n]).permutation(types)[:n]
    return Case(cells, train, reference, wanted)


def _typed(cells: anndata.AnnData, least: int) -> anndata.AnnData:
    """Return the cells with a type, or all cells as of one type where their labels do not score."""
    _, unscored = checks.scoring(cells.obs.get("cell_type", []), least)
    if unscored:
        cells.obs["cell_type"] = pd.Categorical([ONE_TYPE] * cells.n_obs)
    return cells[cells.obs["cell_type"].notna().to_numpy()].copy()
