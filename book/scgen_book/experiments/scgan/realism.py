"""Can anything tell generated cells from real ones: every kind of model and every control against held-out cells.

A row of a model trains it, and has its course, its scores and what the figures draw of its cells, so that nothing is
trained twice. The first kind is scored a second time as counts: with library sizes of training cells.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from scgen_book import experiments
from scgen_book.experiments.protocol import NEGATIVE, POSITIVE, Experiment, Method, Metric, Task
from scgen_book.experiments.scgan import cells, looks, models
from scgen_book.experiments.scgan.judge import CONTROLS, JUDGED, PARAMETRIC, Judge
from scgen_lib.models.scgan import ScGAN

AS_COUNTS = ", as counts"
LAST = ("critic", "generator", "penalty", "slope", "learning_rate", "step")
#: The scores that the chapter shows: what they are called, and what is best.
LABELS: dict[str, tuple[str, Any]] = {
    "rf_auc": ("AUC of a forest that tells generated from real (0.5 is best)", 0.5),
    "mmd2": ("MMD² (0 is best)", 0.0),
    "mmd2_p": ("its p-value, 100 permutations", "higher"),
    "knn_mix": ("foreign share among 30 neighbours (0.5 is best)", 0.5),
    "lisi_mean": ("LISI (2 is best)", 2.0),
    "nn_train": ("distance to the nearest training cell (1 is right)", 1.0),
    "copies": ("share of copies of training cells", "lower"),
    "sd_ratio": ("spread within a class (1 is right)", 1.0),
    "detected_ks": ("detected genes, KS (0 is best)", "lower"),
    "library_ks": ("library size, KS (–: the same in all cells)", "lower"),
    "mean_pearson": ("gene means, r", "higher"),
    "variance_pearson": ("gene variances, r", "higher"),
    "zeros_rmse": ("gene zeros, RMSE", "lower"),
    "corr_pearson": ("gene–gene correlations, r", "higher"),
    "corr_within_pearson": ("the same within classes, r", "higher"),
    "logistic_accuracy": ("class told by a real-trained classifier", "higher"),
    "forest_accuracy": ("the same by a forest", "higher"),
    "reverse_accuracy": ("real class told by a classifier trained on these cells", "higher"),
    "markers_jaccard": ("overlap of 20 markers a class", "higher"),
}
#: Milestones of the published curves by what they are called in the claims.
MILESTONES = {"50k": 50_000, "end": 1_000_000}


def prepare(dataset: str, seed: int, settings: Mapping) -> Judge:
    """Return the cells, with what judges generated ones with this seed."""
    return Judge(cells.case(dataset, settings), seed, settings)


def _trained(kind: str) -> Method:
    def run(judge: Judge, seed: int, settings: Mapping) -> models.Trained:
        return models.trained(kind, seed, judge.case, settings, checkpoint=experiments.checkpoint())

    return Method(run, variant=kind)


def _control(name: str) -> Method:
    def run(judge: Judge, seed: int, settings: Mapping) -> str:
        return name

    return Method(run, role=POSITIVE if name in ("real", "test") else NEGATIVE)


def score(judge: Judge, answer: Any, seed: int, settings: Mapping) -> dict[str, float]:
    """Return all scores of a model or of a control.

    Of a model these are its training, what its moving statistics and its seeds do, and, where enough cells have any
    expression, the comparison with held-out cells.
    """
    if not isinstance(answer, models.Trained):
        return judge.control(answer)
    found = (
        _course(answer) | looks.statistics(answer.model, settings) | looks.repeats(answer.model, judge.case, settings)
    )
    made = judge.generated(answer)
    if not judge.usable(made):
        return found
    found |= judge.score(judge.drawn(made)) | looks.apart(judge, judge.drawn(made))
    if answer.kind == settings["variants"][0]:
        as_counts = judge.score(judge.drawn(made, "counts"))
        found |= {f"{metric}{AS_COUNTS}": value for metric, value in as_counts.items()}
    return found


def _course(answer: models.Trained) -> dict[str, float]:
    history, net = answer.model.history, answer.model.net
    found = {f"{name}, last block": history[name][-1] for name in LAST}
    found |= {"smallest slope": min(history["slope"]), "empty": max(history["empty"]), "seconds": answer.seconds}
    found |= {
        "updates of critic": int(net.critic_optimizer.iterations),
        "updates of generator": int(net.optimizer.iterations),
        "weights": net.sizes()["total"],
    }  # fmt: skip
    if answer.kind == "faithful":
        steps = np.array(history["step"])
        if steps[-1] >= 5000:
            found["penalty, start"] = np.max(np.array(history["penalty"])[steps <= 5000])
            found["critic, start"] = np.min(np.array(history["critic"])[steps <= 5000])
        for name, step in MILESTONES.items():
            for place in np.flatnonzero(steps == step):
                found |= {f"{metric}, {name}": history[metric][place] for metric in ("penalty", "critic")}
    return found


def keep(judge: Judge, answer: Any, seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return what the figures draw: points, curves of genes, tables of cells, correlations, confusion, scores by class.

    Of a model with them the history of its training, and points of cells generated in its course.
    """
    if not isinstance(answer, models.Trained):
        found = judge.kept(judge.cells_of(answer)) if answer in ("test", PARAMETRIC) else {}
        found |= looks.held_out(judge.case, settings) if answer == "test" else {}
        return found | ({} if answer == "test" else judge.by_class(answer))
    found = {f"history {name}": np.asarray(values) for name, values in answer.model.history.items()}
    found |= looks.points(answer, judge.case, settings)
    made = judge.generated(answer)
    if not judge.usable(made):
        return found
    drawn = judge.drawn(made)
    found |= judge.kept(drawn) | judge.by_class(drawn)
    if answer.kind == settings["variants"][0]:
        as_counts = judge.drawn(made, "counts")
        for name, array in (judge.kept(as_counts, confusion=False) | judge.by_class(as_counts)).items():
            found[f"{name}{AS_COUNTS}"] = array
    return found


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return all kinds and controls at every seed, and the controls at further ones."""
    kinds, seeds, dataset = models.kinds(values), [int(s) for s in values["seeds"]], values["dataset"]
    found = [(dataset, method, s) for s in seeds for method in (*kinds, *CONTROLS)]
    # without a spread of the controls nobody knows which metrics have a ceiling
    more = values["control_seeds"]
    more = range(max(seeds) + 1, max(seeds) + 4 - len(seeds)) if more is None else more
    more = [] if values["fast"] else [int(s) for s in more if s not in seeds]
    return found + [(dataset, method, s) for s in more for method in CONTROLS]


def claims(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims on the training as released, and on the AUC with as many genes and cells as published."""
    scores, settings, method = row["scores"], row["settings"], row["method"]
    found = {
        f"{metric}, {name}": f"scgan.training.{metric}.{name}"
        for metric in ("penalty", "critic")
        for name in ("start", *MILESTONES)
        if f"{metric}, {name}" in scores
    }
    if "rf_auc" in scores and settings.get("n_top_genes") == 1000 and scores.get("cells", 0) >= 1000:
        plain = method == "scGAN" or (method == "faithful" and not settings["conditional"])
        found |= {"rf_auc": "scgan.grounded.auc"} if plain else {}
        found |= {"rf_auc": "scgan.grounded.auc.control"} if method == "real" else {}
    return found


def _metric(name: str, as_counts: bool = False) -> Metric:
    label, better = LABELS.get(name, (name, "lower"))
    return Metric(f"{label}{AS_COUNTS}" if as_counts else label, better, judged=False)


_OF_MODELS = (
    *(f"{name}, last block" for name in LAST),
    *(f"{m}, {n}" for m in ("penalty", "critic") for n in ("start", *MILESTONES)),
    "smallest slope", "empty", "seconds", "updates of critic", "updates of generator", "weights",
    *looks.STATISTICS, *looks.REPEATS, *looks.APART,
)  # fmt: skip

EXPERIMENT = Experiment(
    name="scgan.realism",
    methods={kind: _trained(kind) for kind in models.KINDS} | {name: _control(name) for name in CONTROLS},
    metrics={name: _metric(name) for name in (*JUDGED, *_OF_MODELS)}
    | {f"{name}{AS_COUNTS}": _metric(name, True) for name in JUDGED},
    prepare=prepare,
    score=score,
    settings=(
        *cells.SETTINGS, ScGAN, ScGAN.fit, "variants", "plot_every", "score_cells", "forest_trees", "by_class",
        "min_test_cells", "seed",
    ),
    asked=asked,
    claims=claims,
    keep=keep,
    times=("seconds",),
)  # fmt: skip
