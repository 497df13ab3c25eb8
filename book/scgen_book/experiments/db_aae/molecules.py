"""Held-out molecules of real data: a tenth is held out, the rest denoised, and the held-out tenth predicted.

Genes are chosen on the thinned counts, and every draw of the molecules has a training of its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anndata
import numpy as np

from scgen_book import experiments
from scgen_book.experiments.db_aae import cells, search, sets
from scgen_book.experiments.protocol import (
    BASELINE,
    NEGATIVE,
    POSITIVE,
    Experiment,
    Method,
    Metric,
    NotApplicable,
    Task,
)
from scgen_lib.data import checks
from scgen_lib.metrics import molecular, smoothing
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA


@dataclass(frozen=True)
class Case:
    """Cells of a real data set, their molecules drawn apart.

    Attributes
    ----------
    name
        Of the data set.
    cells
        Cells with nine tenths of their molecules, all genes.
    genes
        Which genes a model of these has.
    train, test
        Counts of the molecules to denoise and of those to predict, cells × genes of the model.
    """

    name: str
    cells: anndata.AnnData
    genes: np.ndarray
    train: np.ndarray
    test: np.ndarray


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Draw a tenth of the molecules."""
    adata = cells.load(dataset, seed, settings)
    train, test = molecular.thin(checks.get_counts(adata), seed=seed)
    thinned = anndata.AnnData(train.astype("float32"), obs=adata.obs, var=adata.var[[]])
    genes = cells.normaliser(thinned, settings).genes
    return Case(dataset, thinned, genes, *(cells.dense(x)[:, genes] for x in (train, test)))


def _variant(variant: str) -> Callable:
    def run(case: Case, seed: int, settings: Mapping) -> np.ndarray:
        size = search.batch_size(case.name, variant, settings)
        how = cells.fit_options(settings, size) | {"checkpoint": experiments.checkpoint()}
        model = cells.model(variant, case.cells, seed, settings).fit(case.cells.copy(), **how)
        return model.denoise_counts(case.cells)

    return run


def _dca(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    own = case.cells[:, case.genes].copy()
    model = DCA(seed=seed).fit(own, epochs=settings["dca_epochs"], checkpoint=experiments.checkpoint())
    return model.denoise(case.cells[:, case.genes].copy())


def _control(function: Callable[[np.ndarray], np.ndarray]) -> Callable:
    return lambda case, seed, settings: function(case.train)


def _perfect(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    return case.test * 9.0  # on the scale of nine tenths


def score(case: Case, y: np.ndarray, seed: int, settings: Mapping) -> dict[str, float]:
    """Return both errors of the predicted molecules, one of nine of those denoised."""
    return {"mse": molecular.mcv_mse(y, case.test), "poisson": molecular.mcv_poisson(y / 9, case.test)}


def asked(values: Mapping[str, object]) -> list[Task]:
    """Return the real data sets by all methods and draws."""
    of = sets.chosen(values)
    if not of.real:
        raise NotApplicable("no real data set in this run")
    variants = [cells.NAMES[variant] for variant in values["variants"]]
    methods = [m for m in EXPERIMENT.methods if m not in cells.VARIANTS or m in variants]
    return [(name, method, s) for name in of.real for s in of.masks for method in methods]


EXPERIMENT = Experiment(
    name="db_aae.molecules",
    methods={
        "observed": Method(_control(lambda counts: counts), NEGATIVE),
        "gene mean": Method(_control(molecular.gene_mean), BASELINE),
        "10 PCs": Method(_control(lambda counts: smoothing.low_rank(counts, 10)), BASELINE),
        "50 PCs": Method(_control(lambda counts: smoothing.low_rank(counts, 50)), BASELINE),
        "DCA": Method(_dca),
        **{name: Method(_variant(variant), variant=variant) for name, variant in cells.VARIANTS.items()},
        "perfect": Method(_perfect, POSITIVE),
    },
    metrics={"poisson": Metric("Poisson loss", "lower"), "mse": Metric("MSE", "lower")},
    prepare=prepare,
    score=score,
    settings=(DBAAE, DBAAE.fit, *search.SETTINGS, "batch_size", "dca_epochs"),
    asked=asked,
)
