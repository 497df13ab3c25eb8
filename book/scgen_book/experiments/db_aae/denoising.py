"""Denoising by all methods: each trained once a data set and seed, and judged by all that can be asked of its output.

The error to the known truth, the reconstruction of the input, cell types, the order of cells, and markers; of the data
set of the chapter also what the figures show. DB-AAE trains with the batch size that its search finds (see `search`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import anndata
import numpy as np

from scgen_book import claims as papers
from scgen_book import experiments
from scgen_book.experiments.db_aae import cells, markers, order, search, sets, truth, types
from scgen_book.experiments.protocol import BASELINE, NEGATIVE, POSITIVE, Experiment, Method, Metric, Task
from scgen_lib.data import checks, splatter
from scgen_lib.metrics import clustering, molecular, smoothing
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.db_aae.net import DBAAENet
from scgen_lib.models.dca import DCA

OBSERVED, GENE_MEAN, PCS_10, PCS_50 = "observed", "gene mean", "10 PCs", "50 PCs"
OTHER, TRUE = "DCA", "true counts"
TRAINING = {
    "fit": Metric("error of the reconstruction", "lower"),
    "batch_size": Metric("batch size", "lower", judged=False),
    "epochs": Metric("epochs", "lower", judged=False),
    "updates": Metric("updates", "lower", judged=False),
    "genes_at_0": Metric("genes decoded to 0 in every cell", "lower", judged=False),
    "d_code_zero": Metric("cells with D(E(x)) = 0, last epoch", "lower", judged=False),
    "d_code_one": Metric("cells with D(E(x)) ≥ 1, last epoch", "lower", judged=False),
    "adversarial_loss": Metric("adversarial loss, last epoch", "lower", judged=False),
    "d_accuracy": Metric("accuracy of D, last epoch", 0.5, judged=False),
    "moved_d": Metric("largest change of a weight of D", "higher", judged=False),
    "moved_heads": Metric("largest change of a weight of the heads", "higher", judged=False),
    "moved_difference": Metric("largest change of the difference of the heads", "lower", judged=False),
}


@dataclass(frozen=True)
class Case:
    """Cells of a data set, and what every method of it needs.

    Attributes
    ----------
    name, seed, settings
        Of the row.
    cells
        Cells × genes with counts.
    genes
        Which genes a model has.
    counts, logs
        Their counts, and what a model sees of them, cells × genes of the model.
    """

    name: str
    seed: int
    settings: Mapping
    cells: anndata.AnnData
    genes: np.ndarray
    counts: np.ndarray
    logs: np.ndarray

    @property
    def first(self) -> bool:
        """Whether the row is of the seed of the figures."""
        return self.seed == self.settings["seed"]

    @property
    def pictured(self) -> bool:
        """Whether it is of the data set of the chapter, too."""
        return self.first and self.name == self.settings["dataset"]

    @property
    def ordered(self) -> bool:
        """Whether the order of the cells is asked for."""
        own = self.name == self.settings["dataset"] and sets.ranked(self.cells)
        return own or self.name in sets.order_of(self.settings)

    @cached_property
    def marked(self) -> markers.Marked | None:
        """Groups of the cells and their markers, where these are asked for and the cells have labels."""
        asked = self.first and self.name == sets.markers_of(self.settings) and cells.typed(self.cells)[1] is None
        return markers.Marked(self.name, self.cells, self.genes, self.settings) if asked else None

    @cached_property
    def root(self) -> int:
        """The cell from which the order starts, an observed one for all methods."""
        return order.root(self.cells, self.counts, self.seed)


@dataclass(frozen=True)
class Denoised:
    """What a method makes of the cells of a `Case`.

    Attributes
    ----------
    method
        Its name.
    counts
        Cells × genes of the model, on the scale of the counts.
    log
        Normalised logarithms, where the method has its own.
    model
        The trained DB-AAE.
    batch_size
        That it was trained with.
    """

    method: str
    counts: np.ndarray
    log: np.ndarray | None = None
    model: DBAAE | None = None
    batch_size: int = 0

    def points(self, case: Case) -> np.ndarray | None:
        """Return the principal components of the logarithms; None for controls that are not compared by them."""
        if self.method in (GENE_MEAN, PCS_10, PCS_50):
            return None
        x = self.log
        if x is None and self.method == TRUE:
            x = cells.true_logarithms(case.cells, case.genes)
        elif x is None:
            x = cells.logarithms(case.cells, self.counts, case.settings)
        return clustering.pca(x, case.settings["n_pcs"])

    def times(self, case: Case) -> dict[str, np.ndarray]:
        """Return pseudotimes; none for controls that are not compared by them, and without a known order."""
        apart = not case.ordered or self.method in (GENE_MEAN, PCS_50)
        return {} if apart else order.times(self.counts, case.root, case.seed)

    def logarithms(self, case: Case) -> np.ndarray | None:
        """Return the logarithms whose markers are counted: those of DB-AAE and of the observed cells."""
        return case.marked.observed if self.method == OBSERVED else self.log


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Load the cells, choose the genes and normalise them."""
    adata = cells.load(dataset, seed, settings)
    normaliser, counts = cells.normaliser(adata, settings), checks.get_counts(adata, allow_empty=True)
    genes, logs = normaliser.genes, cells.dense(normaliser(counts))
    return Case(dataset, seed, dict(settings), adata, genes, cells.dense(counts)[:, genes], logs)


def answer(model: DBAAE, adata: anndata.AnnData, variant: str, batch_size: int) -> Denoised:
    """Return what a trained DB-AAE makes of the cells that it was trained on."""
    return Denoised(cells.NAMES[variant], model.denoise_counts(adata), model.denoise(adata), model, batch_size)


def _variant(variant: str) -> Callable:
    def run(case: Case, seed: int, settings: Mapping) -> Denoised:
        size = search.batch_size(case.name, variant, settings)
        model = cells.model(variant, case.cells, seed, settings)
        how = cells.fit_options(settings, size) | {"checkpoint": experiments.checkpoint()}
        return answer(model.fit(case.cells.copy(), **how), case.cells, variant, size)

    return run


def _dca(case: Case, seed: int, settings: Mapping) -> Denoised:
    own = case.cells[:, case.genes].copy()
    model = DCA(seed=seed).fit(own, epochs=settings["dca_epochs"], checkpoint=experiments.checkpoint())
    return Denoised(OTHER, model.denoise(case.cells[:, case.genes].copy()))


def _control(name: str, function: Callable[[np.ndarray], np.ndarray]) -> Callable:
    return lambda case, seed, settings: Denoised(name, function(case.counts))


def _true(case: Case, seed: int, settings: Mapping) -> Denoised:
    return Denoised(TRUE, cells.dense(case.cells.layers["true_counts"])[:, case.genes])


def score(case: Case, made: Denoised, seed: int, settings: Mapping) -> dict[str, float]:
    """Return all that can be asked of this output on these cells; what does not apply is left out."""
    found = _training(case, made)
    if "true_counts" in case.cells.layers:
        found |= truth.scores(case.cells, case.genes, case.counts, made.counts)
    if (points := made.points(case)) is not None:
        found |= types.scores(case.cells, points, seed)
    found |= order.scores(case.cells, made.times(case))
    if case.marked and (x := made.logarithms(case)) is not None:
        found |= case.marked.scores(x)
    return found


def _training(case: Case, made: Denoised) -> dict[str, float]:
    """Return how well the output fits what went in, and how the training ended; of the controls, of the means alone."""
    if made.method == GENE_MEAN:
        return {"fit": ((case.logs - case.logs.mean(axis=0)) ** 2).mean()}
    if made.model is None:
        return {}
    history = {key: values[-1] for key, values in made.model.history.items()}
    return {
        "fit": ((case.logs - made.log) ** 2).mean(),
        "batch_size": made.batch_size,
        "epochs": len(made.model.history["loss"]),
        "updates": int(made.model.net.optimizer.iterations),
        "genes_at_0": (made.log.max(axis=0) == 0).mean(),
        "d_accuracy": (history["d_accuracy_real"] + history["d_accuracy_fake"]) / 2,
        **{key: history[key] for key in ("d_code_zero", "d_code_one", "adversarial_loss")},
        **moved(made.model.net),
    }


def moved(net: DBAAENet) -> dict[str, float]:
    """Return the largest change of the discriminator's weights, and of two latent heads and of their difference."""
    first = DBAAENet.from_config(net.get_config())
    of_d = zip(first.discriminator.get_weights(), net.discriminator.get_weights(), strict=True)
    found = {"moved_d": max(np.abs(a - b).max() for a, b in of_d)}
    heads = [
        [layer.kernel.numpy() for layer in n.encoder.layers if layer.name in ("mu", "log_variance")]
        for n in (first, net)
    ]
    if len(heads[0]) == 2:
        (mu, log_variance), (mu_now, log_variance_now) = heads
        found["moved_heads"] = np.abs(mu_now - mu).max()
        found["moved_difference"] = np.abs((mu_now - log_variance_now) - (mu - log_variance)).max()
    return {name: float(value) for name, value in found.items()}


def keep(case: Case, made: Denoised, seed: int, settings: Mapping) -> dict[str, Any]:
    """Return what figures show, of the first seed: the game, entries, pictures, pseudotimes and markers."""
    if not case.first:
        return {}
    kept: dict[str, Any] = {}
    if case.pictured and made.model is not None:
        kept |= {f"history.{name}": np.float32(values) for name, values in made.model.history.items()}
    if case.pictured and "true_counts" in case.cells.layers:
        kept |= truth.kept(case.cells, case.genes, case.counts, made.counts)
    if case.pictured and made.method != OTHER and (points := made.points(case)) is not None:
        kept |= types.pictures(case.cells, points, seed, None if settings["fast"] else settings["n_neighbors"])
    if times := made.times(case):
        stages, known = order.stages(case.cells)
        kept |= {"time": np.float32(times["curve"]), "stages": stages, "order": known}
    if case.marked and (x := made.logarithms(case)) is not None:
        kept |= case.marked.kept(x)
    return kept


def claims(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims on errors of simulations, on the order of embryos and on the types of the pancreas."""
    who = "db_aae" if row["variant"] else row["method"].lower()
    name, known = row["dataset"], {claim.id for claim in papers.claims("ko2024")}
    of = {
        "mse_dropped": f"db_aae.sim.{name.removeprefix('splat_')}.{who}",
        "mse": f"db_aae.sim.{name.removeprefix('splat_')}.{who}.all",
        "r2_curve": f"db_aae.{name}.r2.{who}",
        "ari": f"db_aae.{name.removesuffix('_mouse')}.ari.{who}",
    }
    return {metric: claim for metric, claim in of.items() if claim in known and metric in row["scores"]}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every data set and seed by the methods that can be compared on it."""
    of = sets.chosen(values)
    variants = [cells.NAMES[variant] for variant in values["variants"]]
    names = list(dict.fromkeys([of.dataset, *of.simulations, *of.ordered, *of.real]))
    tasks = [(name, m, s) for name in names for s in of.seeds for m in _methods(name, of, variants)]
    if of.markers not in names:
        tasks += [(of.markers, method, values["seed"]) for method in (OBSERVED, *variants)]
    return tasks


def _methods(name: str, of: sets.Sets, variants: list[str]) -> list[str]:
    if name in of.truth:
        return [OBSERVED, GENE_MEAN, PCS_10, PCS_50, OTHER, *variants, TRUE]
    means = [GENE_MEAN] if name == of.dataset else []
    smooth = [PCS_10] if name in of.ordered else []
    simulated = [TRUE] if name == "splat_path" or name in splatter.PRESETS else []
    return [OBSERVED, *means, *smooth, OTHER, *variants, *simulated]


EXPERIMENT = Experiment(
    name="db_aae.denoising",
    methods={
        OBSERVED: Method(_control(OBSERVED, lambda counts: counts), NEGATIVE),
        GENE_MEAN: Method(_control(GENE_MEAN, molecular.gene_mean), BASELINE),
        PCS_10: Method(_control(PCS_10, lambda counts: smoothing.low_rank(counts, 10)), BASELINE),
        PCS_50: Method(_control(PCS_50, lambda counts: smoothing.low_rank(counts, 50)), BASELINE),
        OTHER: Method(_dca),
        **{name: Method(_variant(variant), variant=variant) for name, variant in cells.VARIANTS.items()},
        TRUE: Method(_true, POSITIVE),
    },
    metrics=TRAINING | truth.METRICS | types.METRICS | order.METRICS | markers.METRICS,
    prepare=prepare,
    score=score,
    settings=(
        DBAAE, DBAAE.fit, *search.SETTINGS, "batch_size", "n_pcs", "n_neighbors", "dca_epochs", "ordered", "markers"
    ),
    asked=asked,
    claims=claims,
    keep=keep,
)  # fmt: skip
