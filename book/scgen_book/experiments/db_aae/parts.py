"""DB-AAE taken apart: one defect put back, or one addition taken back, at a time, and judged by all measures there are.

A model's name says what it is; a defect is a pair of names, the code's way and the other one. All are trained on the
same cells of the data set of the chapter, with the seed of the row for the weights, and judged on cells kept apart.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anndata

from scgen_book import experiments
from scgen_book.experiments.db_aae import cells, search, sets
from scgen_book.experiments.db_aae.batch_size import usual
from scgen_book.experiments.protocol import Experiment, Method, Metric, NotApplicable, Task
from scgen_lib.data import checks
from scgen_lib.metrics import denoising
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.settings import arguments

REPAIRED, FAITHFUL, FROM_MEANS = "repaired", "faithful", "faithful, started at the means"
DESCRIBED = "what the description asks for, alone"
KERAS_3 = "faithful, RMSprop of Keras 3"
SLOW, TRIAL = "D17: a trial's epochs, step size 2e-5", "D17: a trial's epochs"
EARLY, LATE = "D18: few cells, few epochs", "D18: few cells, more epochs"
OF_RELEASED, OF_ACCURACY, OF_ERROR = (
    f"repaired, B by {words}" for words in ("the released search", "the accuracy of D", "the held-out error")
)
RELEASED = {name: a.option.released for name, a in arguments(DBAAE).items() if a.deviates}
# Defects of every training, put back by one argument of the repaired model; the others are of a search (D3, D4, D17) or
# of few cells (D5, D18).
PUT_BACK = {
    arguments(DBAAE)[name].option.finding: {name: RELEASED[name]}
    for name in ("disc_output", "latent_mode", "shuffle", "start_at_means")
}
BACK = {key: f"{REPAIRED}, {key} put back" for key in PUT_BACK}
ADDED = ("latent_mode", "shuffle", "start_at_means", "epochs_of_few")
#: Measures of every defect, in order; the others say how.
MEASURES = {
    "kept": Metric("error of the reconstruction", "lower"),
    "dropped": Metric("error at the dropped entries", "lower"),
    "all": Metric("error over all entries", "lower"),
}
OTHERS = {
    "genes_at_0": Metric("genes at 0 in every cell", "lower", judged=False),
    "error_at_0": Metric("share of the error in genes at 0", "lower", judged=False),
    "batch_size": Metric("batch size", "lower", judged=False),
}


@dataclass(frozen=True)
class Part:
    """A model among those that tell what a defect costs.

    Attributes
    ----------
    options
        Arguments of `DBAAE`, beside those of the repaired model.
    epochs
        The parameter of the chapter that is the number of its epochs, where it is not that of a training.
    few
        Whether it is trained on few cells alone.
    size
        What finds the batch size: the objective of a search, or that of the released one; None: 32.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    epochs: str | None = None
    few: bool = False
    size: str | None = None


PARTS = {
    REPAIRED: Part(),
    **{BACK[key]: Part(options) for key, options in PUT_BACK.items()},
    DESCRIBED: Part({name: RELEASED[name] for name in ADDED}),
    FAITHFUL: Part(RELEASED),
    FROM_MEANS: Part(RELEASED | {"start_at_means": True}),
    KERAS_3: Part(RELEASED | {"optimizer": "RMSprop-keras3"}),
    SLOW: Part({"learning_rate": RELEASED["tune_learning_rate"]}, epochs="tune_epochs"),
    TRIAL: Part(epochs="tune_epochs"),
    EARLY: Part(epochs="few_epochs", few=True),
    LATE: Part(epochs="more_epochs", few=True),
    OF_RELEASED: Part(size="released"),
    OF_ACCURACY: Part(size="d_accuracy"),
    OF_ERROR: Part(size="val_mse"),
}
#: Defect → the model with it, and the one without.
PAIRS = {
    **{key: (name, REPAIRED) for key, name in BACK.items()},
    "D17": (SLOW, TRIAL),
    "D18": (EARLY, LATE),
    "D20": (KERAS_3, FAITHFUL),
    "D3": (OF_RELEASED, OF_ACCURACY),
    "D4": (OF_ACCURACY, OF_ERROR),
}


def scores(model: DBAAE, cells: anndata.AnnData) -> dict[str, float]:
    """Score a fitted model on cells that it has not seen.

    Returns
    -------
    dict of float
        `MEASURES`, as mean squared errors of ln(1 + counts per 10,000): "kept" against the input, and where the layer
        "true_counts" is there "dropped" and "all" against that; "genes_at_0", the share of genes that are 0 in every
        output, and "error_at_0", their share of the error against the input.
    """
    denoised, x = model.denoise(cells), model.normalised(cells)
    squared, idle = (denoised - x) ** 2, denoised.max(axis=0) == 0
    found = {
        "kept": squared.mean(),
        "genes_at_0": idle.mean(),
        "error_at_0": squared[:, idle].sum() / squared.sum(),
    }
    if "true_counts" in cells.layers:
        own = cells[:, model.genes]
        observed = checks.get_counts(own, allow_empty=True)
        against = denoising.truth_scores(model.denoise_counts(cells), own.layers["true_counts"], observed)
        found |= {"dropped": against["mse_dropped"], "all": against["mse"]}
    return {name: float(value) for name, value in found.items()}


def prepare(dataset: str, seed: int, settings: Mapping) -> anndata.AnnData:
    """Return the cells of the chapter's seed, whatever the seed of the weights."""
    adata = cells.load(dataset, settings["seed"], settings)
    adata.uns["row"] = dataset
    return adata


def _size(part: Part, dataset: str, settings: Mapping) -> int:
    if part.size == "released":
        return search.found(dataset, "faithful", settings).best
    curve = search.found(dataset, "repaired", settings).curve
    return int(getattr(curve[part.size], search.OBJECTIVES[part.size])())


def _trained(part: Part) -> Callable:
    def run(adata: anndata.AnnData, seed: int, settings: Mapping) -> dict[str, float]:
        rows, others = cells.kept_apart(adata, settings["seed"], settings)
        size = usual(len(rows)) if part.size is None else _size(part, adata.uns["row"], settings)
        own = {"n_hvg": cells.variable_genes(adata, settings), "seed": seed}
        model = DBAAE(**cells.options(settings) | own | part.options)
        how = cells.fit_options(settings, size) | {"checkpoint": experiments.checkpoint()}
        how |= {} if part.epochs is None else {"epochs": settings[part.epochs]}
        model.fit(adata[rows[: settings["few_cells"] if part.few else None]].copy(), **how)
        return scores(model, adata[others].copy()) | {"batch_size": size}

    return run


def score(adata: anndata.AnnData, answer: dict[str, float], seed: int, settings: Mapping) -> dict[str, float]:
    """Return what the model was scored with."""
    return answer


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every model at every seed; those with batch sizes of searches where all of these are as by default.

    Raises
    ------
    NotApplicable
        If no seed is asked for.
    """
    of = sets.chosen(values)
    seeds = of.seeds if values["part_seeds"] is None else values["part_seeds"]
    if not seeds:
        raise NotApplicable("no model was asked for that tells what a defect costs (parameter part_seeds)")
    searched = values["tune"] and set(values["variants"]) == {"faithful", "repaired"}
    searched = searched and values["tune_objective"] is None
    names = [name for name, part in PARTS.items() if part.size is None or searched]
    return [(of.dataset, name, s) for name in names for s in seeds]


EXPERIMENT = Experiment(
    name="db_aae.parts",
    methods={name: Method(_trained(part)) for name, part in PARTS.items()},
    metrics=MEASURES | OTHERS,
    prepare=prepare,
    score=score,
    settings=(DBAAE, DBAAE.fit, *search.SETTINGS, "few_cells", "few_epochs", "more_epochs"),
    asked=asked,
)
