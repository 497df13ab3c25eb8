"""Is the denoised matrix better than doing nothing: molecular cross-validation on the chapter's data set.

A tenth of the molecules is held out, the rest denoised, and the held-out tenth predicted (Batson, Royer and Webber
2019). The controls need no model.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scgen_book.experiments.dca import cases, networks
from scgen_book.experiments.protocol import BASELINE, METHOD, NEGATIVE, POSITIVE, Experiment, Method, Metric, Task
from scgen_lib.data import checks
from scgen_lib.metrics import molecular

SHARE = 0.9


class Thinned(NamedTuple):
    """Molecules to denoise and molecules to predict, (N, G) each, and the genes."""

    train: Any
    test: Any
    genes: pd.Index


def prepare(dataset: str, seed: int, settings: Mapping) -> Thinned:
    """Hold out a tenth of the molecules of a data set."""
    cells = cases.own(dataset, settings)
    return Thinned(*molecular.thin(checks.get_counts(cells), SHARE, seed), cells.var_names)


def _denoised(variant: str) -> Method:
    def run(case: Thinned, seed: int, settings: Mapping) -> np.ndarray:
        # genes that thinning has emptied stay empty
        cells = anndata.AnnData(case.train.copy().astype("float32"), var=pd.DataFrame(index=case.genes))
        cells = checks.drop_empty(cells)
        denoised = np.zeros(case.train.shape, "float32")
        place = case.genes.get_indexer(cells.var_names)
        denoised[:, place] = networks.fit(cells, variant, seed, settings).denoise(cells)
        return denoised

    return Method(run, METHOD, variant=variant)


def score(case: Thinned, answer: Any, seed: int, settings: Mapping) -> dict[str, float]:
    """Return both losses of the predicted tenth."""
    estimate = answer.toarray() if sp.issparse(answer) else answer
    return {
        "MCV MSE": molecular.mcv_mse(estimate, case.test),
        "MCV Poisson": molecular.mcv_poisson(estimate * ((1 - SHARE) / SHARE), case.test),
    }


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the variants and the controls at every seed; at test size one variant is enough."""
    variants = values["variants"][: 1 if values.get("fast") else None]
    methods = [*(f"DCA, {variant}" for variant in variants), "none", "gene_mean", "perfect"]
    return [(values["dataset"], method, seed) for seed in values["seeds"] for method in methods]


EXPERIMENT = Experiment(
    name="dca.heldout",
    methods={
        "DCA, repaired": _denoised("repaired"),
        "DCA, faithful": _denoised("faithful"),
        "none": Method(lambda case, seed, settings: case.train, NEGATIVE),
        "gene_mean": Method(lambda case, seed, settings: molecular.gene_mean(case.train), BASELINE),
        "perfect": Method(lambda case, seed, settings: case.test * (SHARE / (1 - SHARE)), POSITIVE),
    },
    metrics={
        "MCV MSE": Metric("squared error of ln(1 + x)", "lower"),
        "MCV Poisson": Metric("Poisson loss", "lower"),
    },
    prepare=prepare,
    score=score,
    settings=(*networks.SETTINGS, "labels", "transpose", "max_cells", "max_genes"),
    asked=asked,
)
