"""What denoising does to the cells of the chapter's data set: cell types in ten components, and the truth if known."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import anndata
import numpy as np

from scgen_book.experiments.dca import cases, networks
from scgen_book.experiments.protocol import BASELINE, METHOD, NEGATIVE, POSITIVE, Experiment, Method, Metric, Task
from scgen_lib import training
from scgen_lib.data import checks
from scgen_lib.metrics import clustering, denoising, molecular

OF_TYPES = ("silhouette", "nmi", "ari")
OF_TRUTH = ("mse", "mse_dropped", "pearson", "pearson_cell", "pearson_gene", "cosine")


class Cells(NamedTuple):
    """The data set, its counts, which of its cells have a type that scores, and why none has."""

    adata: anndata.AnnData
    counts: np.ndarray
    typed: np.ndarray
    untyped: str | None


def prepare(dataset: str, seed: int, settings: Mapping) -> Cells:
    """Load the data set and see whether its cell types can be scored."""
    adata = cases.own(dataset, settings)
    return Cells(adata, training.dense(checks.get_counts(adata)), *checks.scoring(adata.obs.get("cell_type", [])))


def _denoised(variant: str) -> Method:
    def run(case: Cells, seed: int, settings: Mapping) -> np.ndarray:
        return networks.fit(case.adata, variant, seed, settings).denoise(case.adata)

    return Method(run, METHOD, variant=variant)


def _gene_mean(case: Cells, seed: int, settings: Mapping) -> np.ndarray:
    cases.both(case.adata)  # a control of the truth alone
    return molecular.gene_mean(case.counts)


def _space(case: Cells, matrix: np.ndarray, seed: int) -> np.ndarray:
    return clustering.embed(matrix[case.typed], seed, ("pc10",))["pc10"]


def score(case: Cells, answer: np.ndarray, seed: int, settings: Mapping) -> dict[str, float]:
    """Return how the cell types separate, and how far the truth is; what is not known is left out."""
    found = {}
    if case.untyped is None:
        space, types = _space(case, answer, seed), case.adata.obs["cell_type"][case.typed]
        found["silhouette"] = clustering.silhouette(space, types, seed)
        found |= clustering.kmeans_scores(space, types, settings["seeds"])["mean"][["nmi", "ari"]]
    if "true_counts" in case.adata.layers:
        scores = denoising.truth_scores(answer, case.adata.layers["true_counts"], case.counts)
        found |= {name: scores[name] for name in OF_TRUTH}
    return found


def keep(case: Cells, answer: np.ndarray, seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return the first two components and the types, or the reason why there are none."""
    if case.untyped is not None:
        return {"untyped": np.array([case.untyped])}
    types = case.adata.obs["cell_type"][case.typed].to_numpy()
    return {"components": _space(case, answer, seed)[:, :2].astype("float32"), "types": types}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the variants with the controls, at the seed of the run."""
    methods = ["observed", *(f"DCA, {variant}" for variant in values["variants"]), "gene mean", "perfect"]
    return [(values["dataset"], method, values["seed"]) for method in methods]


EXPERIMENT = Experiment(
    name="dca.cells",
    methods={
        "observed": Method(lambda case, seed, settings: case.counts, NEGATIVE),
        "DCA, repaired": _denoised("repaired"),
        "DCA, faithful": _denoised("faithful"),
        "gene mean": Method(_gene_mean, BASELINE),
        "perfect": Method(lambda case, seed, settings: cases.both(case.adata)[1], POSITIVE),
    },
    metrics={
        "silhouette": Metric("silhouette of the cell types on ten components", "higher", judged=False),
        "nmi": Metric("NMI of k-means with the cell types", "higher", judged=False),
        "ari": Metric("ARI of k-means with the cell types", "higher", judged=False),
        "mse": Metric("squared error of ln(1 + x)", "lower"),
        "mse_dropped": Metric("squared error at dropped entries", "lower"),
        "pearson": Metric("Pearson's r over all entries", "higher"),
        "pearson_cell": Metric("Pearson's r, median over cells", "higher"),
        "pearson_gene": Metric("Pearson's r, median over genes", "higher"),
        "cosine": Metric("cosine of cells", "higher"),
    },
    prepare=prepare,
    score=score,
    keep=keep,
    settings=(*networks.SETTINGS, "labels", "transpose", "max_cells", "max_genes", "seeds"),
    asked=asked,
)
