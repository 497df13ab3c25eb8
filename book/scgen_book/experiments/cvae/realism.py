"""Are simulated cells like held-out ones: each variant trained once a data set and seed, and all that is asked of it.

A training is expensive and everything else about it cheap, so that one row holds how the training ended, how the cells
score that are drawn from it in several ways, what the released code does otherwise when it draws them, and what the
figures show. Beside the models stand controls, scored in the same way and with the same seeds.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from scgen_book.experiments import protocol
from scgen_book.experiments.cvae import cases, trained, truth, variations, views
from scgen_book.experiments.cvae.cases import APART, Case
from scgen_book.experiments.cvae.trained import Trained
from scgen_book.experiments.protocol import (
    BASELINE,
    NEGATIVE,
    POSITIVE,
    Experiment,
    Method,
    Metric,
    Task,
)
from scgen_lib.metrics import controls, realism
from scgen_lib.metrics.controls import Cells
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.cvae.cells import split

CONTROLS = ("real", "bootstrap", "permuted", "poisson")
BASELINES = (*CONTROLS, "NB per type")
TEST = "test"
KINDS = ("prior z", "posterior z")
PERMUTATIONS = 100


class Drawn(NamedTuple):
    """Cells of a control: its name and the cells."""

    name: str
    cells: Cells


def _bounded(label: str, better: Any, *negative: str) -> Metric:
    return Metric(label, better, negative=negative or ("poisson",))


#: What held-out similarity is measured by, by the names of `scgen_lib.metrics`; these stand in the chapter's table.
SHOWN = {
    "rf_auc": _bounded("AUC of a forest that tells simulated from held-out (0.5 is best)", 0.5),
    "mmd2": _bounded("MMD² (0 is best)", 0.0),
    "knn_mix": _bounded("foreign share among 30 neighbours (0.5 is best)", 0.5),
    "nn_train": _bounded("distance to the nearest training cell (1 is right)", 1.0, "bootstrap"),
    "copies": _bounded("share of copies of training cells", "lower", "bootstrap"),
    "sd_ratio": _bounded("spread within a type (1 is right)", 1.0),
    "distinct": _bounded("share of distinct cells", "higher", "bootstrap"),
    "library_median": Metric("median library size", "higher", judged=False),
    "library_ks": _bounded("library size, KS (0 is best)", "lower"),
    "zeros_median": Metric("median share of zeros", "lower", judged=False),
    "detected_ks": _bounded("detected genes, KS (0 is best)", "lower"),
    "mean_pearson": _bounded("gene means, r", "higher"),
    "variance_pearson": _bounded("gene variances, r", "higher"),
    "zeros_rmse": _bounded("gene zeros, RMSE", "lower"),
    "corr_pearson": _bounded("gene–gene correlations, r", "higher"),
    "corr_within_pearson": _bounded("the same within types, r", "higher", "permuted"),
    "logistic_accuracy": Metric("type told by a classifier trained on training cells", "higher", judged=False),
    "reverse_accuracy": Metric("held-out type told by a classifier trained on these cells", "higher", judged=False),
}
_OTHERS = {
    "rf_auc_sd": "sd of the AUC over folds",
    "mean_spearman": "gene means, Spearman",
    "mean_rmse": "gene means, RMSE",
    "variance_spearman": "gene variances, Spearman",
    "variance_rmse": "gene variances, RMSE",
    "zeros_pearson": "gene zeros, r",
    "zeros_spearman": "gene zeros, Spearman",
    "genes_dropped": "genes without a count on both sides",
    "corr_rms": "gene–gene correlations, RMS difference",
    "corr_within_rms": "the same within types, RMS difference",
    "n_clusters": "types with correlations of their own",
    "markers_jaccard": "overlap of 20 markers a type",
    "markers_lfc": "log fold changes of markers, Spearman",
    "mmd2_p": "p-value of MMD²",
    "mmd2_legacy": "MMD², biased",
    "lisi_mean": "LISI, mean",
    "lisi_median": "LISI, median",
    "nn_train_5": "distance to the nearest training cell, 5th percentile",
    "forest_accuracy": "type told by a forest",
    "forest_f1": "type told by a forest, macro-F1",
    "logistic_f1": "type told by a classifier, macro-F1",
    "reverse_f1": "held-out type told after learning from these cells, macro-F1",
    "library_w1": "library size, W₁ in sd",
    "detected_w1": "detected genes, W₁ in sd",
    "profile, r": "mean expression of a type against the true one, r",
    "differences between types, r": "true differences between types, r",
}
SCORES = SHOWN | {name: Metric(words, "higher", judged=False) for name, words in _OTHERS.items()}
#: How a training has ended.
COLLAPSE = {
    "reconstruction, test cells": Metric("reconstruction loss of a test cell", "lower", judged=False),
    "kl, test cells": Metric("KL divergence of a test cell, nats", "higher", judged=False),
    "active dimensions of z": Metric("dimensions of z that vary between cells", "higher", judged=False),
}
LOSS = "loss, test cells"
METRICS = (
    SCORES
    | {f"{name}, {kind}": Metric(f"{m.label}, {kind}", m.better, judged=False)
       for kind in KINDS for name, m in SCORES.items()}
    | COLLAPSE
    | {LOSS: Metric("loss of a test cell", "lower", judged=False)}
    | {"cells a side": Metric("cells a side in the scores", "higher", judged=False)}
    | variations.METRICS
)  # fmt: skip


def _trained(method: str) -> Method:
    def run(case: Case, seed: int, settings: Mapping) -> Trained:
        return trained.train(case, method, seed, settings)

    return Method(run, variant="repaired" if method == APART else method)


def _control(name: str, role: str) -> Method:
    def run(case: Case, seed: int, settings: Mapping) -> Drawn:
        case.check_scored()
        return Drawn(name, case.test if name == TEST else case.reference.controls[name])

    return Method(run, role)


def nb_per_type(case: Case, seed: int, settings: Mapping) -> Drawn:
    """A negative binomial for each gene and type, library sizes of training cells: nothing is learnt."""
    case.check_scored()
    labels = case.test.labels
    wanted = np.zeros(case.test.counts.shape[0], int) if labels is None else labels
    return Drawn("NB per type", Cells(controls.parametric(case.train, wanted, seed=seed), labels))


def compared(case: Case, cells: Cells, real: bool = False) -> dict[str, float]:
    """Return all scores of simulated cells against as many held-out ones, and of their means against the truth."""
    settings = case.settings
    spaces = case.reference.score(
        cells.sample(case.cells_a_side, case.seed), trees=settings["forest_trees"], repeats=1,
        permutations=PERMUTATIONS, min_cells=settings["min_test_cells"] // 2, real=real,
    )  # fmt: skip
    found = {name: value for scores in spaces.values() for name, value in scores.items()}
    # of training cells, all of them: their means are the best that a model can know
    return found | truth.agreement(case, case.train if real else cells)


def score(case: Case, answer: Trained | Drawn, seed: int, settings: Mapping) -> dict[str, float]:
    """Return all scores of a row; those of types that are too small are left out."""
    if isinstance(answer, Trained):
        return _of_model(case, answer)
    side = {"cells a side": case.cells_a_side}
    if answer.name != TEST:
        return side | compared(case, answer.cells, real=answer.name == "real")
    medians = realism.cell_table(answer.cells.counts).median()
    reference = case.reference
    told = reference.fidelity(reference.points, reference.test.labels) if reference.classifiers else {}
    return side | told | {"library_median": medians["library"], "zeros_median": medians["zeros"]}


def _of_model(case: Case, answer: Trained) -> dict[str, float]:
    held_out = answer.model.evaluate(case.test_cells)
    found = {f"{part}, test cells": held_out[part] for part in ("reconstruction", "kl", "loss")}
    found["active dimensions of z"] = trained.latent_sizes(answer.model.embed(case.test_cells))
    if case.kept:
        found["cells a side"] = case.cells_a_side
        for kind in answer.kinds:
            scores = compared(case, case.of(answer.simulated(case, kind)))
            found |= {variations.named(name, kind): value for name, value in scores.items()}
    if answer.is_variant and not case.settings["model_path"]:
        found |= variations.measure(case, answer)
    return found


def keep(case: Case, answer: Trained | Drawn, seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return what the figures draw (`views`), and by type the AUC of each kind of cells, where that is asked for."""
    model = isinstance(answer, Trained)
    found = views.of_model(case, answer) if model and answer.is_variant else {}
    if not case.kept:
        return found
    kinds = {kind: case.of(answer.simulated(case, kind)) for kind in answer.kinds} if model else {"": answer.cells}
    if answer.is_variant if model else answer.name in (TEST, "NB per type"):
        found |= views.of_cells(case, kinds[""])
    if settings["by_type"] and case.by_type and (model or answer.name != TEST):
        found["auc_types"] = np.array(list(case.by_type))
        drawn = answer.name if not model and answer.name in CONTROLS else None
        for kind, cells in kinds.items():
            found[variations.named("auc", kind)] = np.array(by_type(case, cells, drawn))
    return found


def by_type(case: Case, cells: Cells, control: str | None = None) -> list[float]:
    """Return the AUC of each type for itself; a control is drawn anew from the cells of the type alone."""
    found = []
    for name, (test, drawn) in case.by_type.items():
        n = test.counts.shape[0]
        own = drawn[control] if control else cells.of(name)
        logs = [realism.log(x.counts, allow_empty=True) for x in (test, own.sample(n, case.seed))]
        trees = case.settings["forest_trees"]
        found.append(realism.rf_auc(*logs, trees=trees, folds=cases.FOLDS, repeats=1, seed=case.seed)["rf_auc"])
    return found


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every model on every data set and seed, and the controls with further seeds."""
    run = cases.trainings(values)
    if not run.datasets:
        raise protocol.NotApplicable("there are no data in this run: cells are simulated from the saved model alone")
    models, found = [*run.variants, *run.apart], []
    datasets = [run.main] if values["model_path"] else run.datasets  # a saved model is of its own data
    for dataset in run.datasets:
        for seed in run.controls:
            own = models if seed in run.seeds and dataset in datasets else []
            found += [(dataset, method, seed) for method in (*own, TEST, *BASELINES)]
    return found


EXPERIMENT = Experiment(
    name="cvae.realism",
    methods={
        **{method: _trained(method) for method in ("faithful", "repaired", APART)},
        **{name: _control(name, POSITIVE) for name in (TEST, "real")},
        "NB per type": Method(nb_per_type, BASELINE),
        **{name: _control(name, NEGATIVE) for name in ("bootstrap", "permuted", "poisson")},
    },
    metrics=METRICS,
    prepare=cases.prepare,
    score=score,
    keep=keep,
    settings=(
        CVAE, CVAE.fit, split, "dataset", "label_key", "transpose", "model_path", "fast", "seed", "min_test_cells",
        "score_cells", "forest_trees", "by_type", "embedding_dots", "snapshot_epochs",
    ),
    asked=asked,
    times=variations.TIMES,
)  # fmt: skip
