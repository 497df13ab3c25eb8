"""Cases of representation: labelled counts of the same genes, in cells to learn from and cells that are held out."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import anndata
import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from scgen_book import experiments
from scgen_book.experiments.protocol import NotApplicable
from scgen_lib import preprocess
from scgen_lib.data import checks, registry
from scgen_lib.errors import ParameterError
from scgen_lib.settings import Settings, declared, option

#: Epochs that the papers' codes take; None leaves them to the model.
PUBLISHED = {"dr_a": 200, "dca": 300, "db_aae": None, "cvae": 20, "scvi": None}
#: Labels that were known before any gene was measured. Other real labels were read from expression, often from clusters
#: of principal components, which are then no neutral judge of principal components.
DESIGNED = ("pbmc_facs", "goolam", "sc_celseq2", "sc_dropseq", "rnamix_celseq2")


@declared
class RepresentationSettings(Settings):
    """What decides a row of the comparison: the protocol, and how long the methods are trained."""

    labels: str | None = option(None, "any", 'column of obs with the types of an own file; None: obs["cell_type"]')
    transpose: bool = option(False, "any", "own files (.csv, .tsv or .h5ad) are genes × cells, not cells × genes")
    z_dim: int = option(10, "in [1, inf)", "numbers in a code, the same for all methods but umap_2")
    genes: int = option(
        720, "in [2, inf)",
        "genes of highest variance of log counts among the training cells; as many as DR-A takes",
    )  # fmt: skip
    max_cells: int | None = option(
        None, "in [20, inf)", "cells of a data set at most, a random sample with every type in its share; None: all"
    )
    test_share: float = option(0.2, "in (0, 0.5]", "share of the cells that no method learns from and that are scored")
    kmeans_seeds: int = option(
        5, "in [1, inf)", "seeds of k-means for each code, ten initialisations each; their mean is the score"
    )
    epochs: Mapping[str, int] = option(
        {}, "in [1, inf)",
        "epochs by method, {dr_a, dca, db_aae, cvae, scvi: number}; those left out take the published ones (200, 300 "
        "at most, 200 or 20, 20, scVI's own)",
    )  # fmt: skip

    def check(self) -> None:
        """Refuse epochs of a method that takes none."""
        if unknown := [method for method in self.epochs if method not in PUBLISHED]:
            raise ParameterError(
                f"expected epochs of methods among {', '.join(PUBLISHED)}, got {unknown[0]!r}: use one of them"
            )

    def epochs_of(self, method: str) -> int | None:
        """Return the epochs of a method, by default the published ones."""
        return self.epochs.get(method, PUBLISHED[method])


@dataclasses.dataclass(frozen=True)
class Case:
    """Training and test cells of one data set, raw counts of the same genes in ``X``, types in ``obs["cell_type"]``.

    Attributes
    ----------
    about
        The data set's own words, ``uns["dataset"]``.
    left_out
        How many cells are in neither part: those without a label, of a type with fewer than two test cells, without a
        count, or above ``max_cells``.
    """

    train: anndata.AnnData
    test: anndata.AnnData
    about: Mapping[str, Any]
    left_out: Mapping[str, int]

    @property
    def truth(self) -> str:
        """Where labels come from: ``simulated``, ``known by design``, ``read from expression`` or ``own labels``."""
        name = self.about["name"]
        if self.about.get("simulated"):
            return "simulated"
        if name not in registry.DATASETS:
            return "own labels"
        return "known by design" if name in DESIGNED else "read from expression"


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Load labelled counts, split them, and choose the genes by the training cells.

    Parameters
    ----------
    dataset
        What `scgen_lib.data.load` takes.
    seed
        Of the sample and of the split, in which every type has its share.
    settings
        Those of `RepresentationSettings`, by default its own.

    Raises
    ------
    NotApplicable
        There are no labels, or fewer than two types with two test cells.
    DataError
        The data set cannot be had, or has no counts.
    """
    chosen = RepresentationSettings(**settings)
    cells = experiments.load(dataset, chosen.values())
    if "cell_type" not in cells.obs:
        raise NotApplicable(f"expected labelled cells, got none in {dataset}: name their column with labels")
    counts = checks.get_counts(cells, allow_empty=True)
    kept = anndata.AnnData(counts, obs=cells.obs[["cell_type"]], var=pd.DataFrame(index=cells.var_names))
    left_out = {"no label": int(kept.obs["cell_type"].isna().sum())}
    kept = kept[kept.obs["cell_type"].notna().to_numpy()].copy()
    most = chosen.max_cells
    if most is not None and most < kept.n_obs:
        left_out["above max_cells"] = kept.n_obs - most
        kept = kept[_sample(kept, most, seed)].copy()
    scored = _scored(kept, math.ceil(2 / chosen.test_share))
    left_out["too few of the type"] = int((~scored).sum())
    kept = kept[scored].copy()
    kept.obs["cell_type"] = kept.obs["cell_type"].cat.remove_unused_categories()
    parts = train_test_split(
        np.arange(kept.n_obs), test_size=chosen.test_share, stratify=kept.obs["cell_type"], random_state=seed
    )
    train, test = (kept[rows].copy() for rows in parts)
    train = checks.drop_empty(train)
    genes = train.var_names[preprocess.highest_variance(train.X, min(chosen.genes, train.n_vars))]
    # the counts of the chosen genes decide who is empty, among training and test cells alike
    train, test = (part[:, genes][checks.totals(part[:, genes].X) > 0].copy() for part in (train, test))
    left_out["no count"] = sum(map(len, parts)) - train.n_obs - test.n_obs
    _scored(test, 1)
    for part in (train, test):
        part.layers["counts"] = part.X.copy()
    return Case(train, test, dict(cells.uns["dataset"]), left_out)


def _scored(cells: anndata.AnnData, least: int) -> np.ndarray:
    """Which cells are of a type that is large enough, or refuse them all."""
    scored, unscored = checks.scoring(cells.obs["cell_type"], least)
    if unscored:
        raise NotApplicable(f"expected two types of {least} cells or more, got others ({unscored}): take more cells")
    return scored


def _sample(cells: anndata.AnnData, n: int, seed: int) -> np.ndarray:
    """Rows of n cells, each type by its share, in the order of the file."""
    types = cells.obs["cell_type"].cat.codes.to_numpy()
    shuffled = np.random.default_rng(seed).permutation(len(types))
    by_type = shuffled[np.argsort(types[shuffled], kind="stable")]
    # every so many-th of the cells in the order of their types
    return np.sort(by_type[np.arange(n) * len(types) // n])
