"""What the rows of the chapter on DCA work on: the data set, the simulations of part A, and those of part B."""

from collections.abc import Mapping
from typing import Any

import anndata
import numpy as np

from scgen_book import experiments
from scgen_book.experiments.protocol import NotApplicable
from scgen_lib import data, training
from scgen_lib.data import checks, splatter

#: The data set whose chapter repeats the published claims, too.
DEFAULT = "pbmc68k_reduced"
#: Whose second half has labels; the first is for whoever wants to train without.
HALF_LABELLED = "dca_student"


def refuse_unless(part: str, values: Mapping[str, Any]) -> None:
    """Do nothing where a part of the chapter, A or B, is asked for.

    Raises
    ------
    NotApplicable
        If it is not.
    """
    asked = values["parts"]
    if part not in ((("A", "B") if values["dataset"] == DEFAULT else ()) if asked is None else asked):
        raise NotApplicable(f"part {part} was not asked for in this run (parameter parts)")


def own(dataset: str, settings: Mapping) -> anndata.AnnData:
    """Load the data set that is denoised, without empty cells and genes."""
    return checks.drop_empty(_excerpt(experiments.load(dataset, settings), settings, settings["max_genes"]))


def simulated(dataset: str, seed: int, settings: Mapping) -> anndata.AnnData:
    """Draw a simulation with this seed, or load a set of files; without empty cells and genes."""
    return checks.drop_empty(_excerpt(_drawn(dataset, seed), settings, None))


def split(dataset: str, seed: int, settings: Mapping) -> dict[str, anndata.AnnData]:
    """Split the labelled cells of a simulation: "test", which part B trains on, and "validation".

    Genes are those with counts in the first part.
    """
    cells = _drawn(dataset, seed)
    cells = cells[cells.n_obs // 2 :].copy() if dataset == HALF_LABELLED else cells
    cells = _excerpt(cells, settings, settings["max_genes"])
    first, second = training.split(
        cells.n_obs, 1 - settings["test_fraction"], shuffle=settings["shuffle_split"], seed=seed
    )
    test = checks.drop_empty(cells[first].copy())
    return {"test": test, "validation": cells[second, test.var_names].copy()}


def both(cells: anndata.AnnData) -> tuple[np.ndarray, np.ndarray]:
    """Return observed and true counts, dense, (N, G) each.

    Raises
    ------
    NotApplicable
        If the truth is not known.
    """
    if "true_counts" not in cells.layers:
        raise NotApplicable("the true counts of these data are not known")
    return training.dense(checks.get_counts(cells, allow_empty=True)), training.dense(cells.layers["true_counts"])


def _drawn(dataset: str, seed: int) -> anndata.AnnData:
    return splatter.preset(dataset, seed=seed) if dataset in splatter.PRESETS else data.load(dataset)


def _excerpt(cells: anndata.AnnData, settings: Mapping, genes: int | None) -> anndata.AnnData:
    few = settings["max_cells"]
    return cells if few is None and genes is None else data.excerpt(cells, few or cells.n_obs, genes)
