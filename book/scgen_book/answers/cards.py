"""What of the record stands on a chapter's card: one score of a few methods on one data set."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from scgen_book.answers import Seen, advice, cvae, db_aae, dca, dr_a, scgan, simulators
from scgen_book.chance import spread
from scgen_book.names import people

_REAL = {"real": "real cells"}


@dataclass(frozen=True)
class Shown:
    """What to show.

    Attributes
    ----------
    experiment, metric
        Which rows of the record, and what of them.
    methods
        Methods by what a figure calls them, in this order.
    models
        Those of them that the chapter is about.
    label
        Words for the metric.
    dataset
        The data set; None: the first that the record has with a model.
    """

    experiment: str
    metric: str
    methods: Mapping[str, str]
    models: tuple[str, ...]
    label: str
    dataset: str | None = None


@dataclass(frozen=True)
class Card:
    """A card: mean, sd (NaN below three seeds) and whether a model of the chapter by method, and words around them."""

    scores: Mapping[str, tuple[float, float, bool]]
    label: str
    data: str


_FOREST, _TYPES = "AUC of a forest (0.5 is perfect)", "agreement with the types (NMI, 1 is perfect)"


def _of_contest(chapter: str, metric: str, label: str, dataset: str | None = None, **first: str) -> Shown:
    contest = advice.CONTESTS[chapter]
    methods = dict(first) | dict(contest.simple) | dict(contest.others or {}) | dict(contest.models)
    return Shown(contest.experiment, metric, methods, tuple(contest.models), label, dataset)


SHOWN = {
    "dca": Shown(
        "dca.figure2",
        dca.GROUPS,
        {"true": "true counts", "observed": "with dropout", "mse, one path": "squared errors", "zinb": "DCA"},
        ("zinb",),
        "silhouette of the groups (1 is perfect)",
        "dca_g6_fig2",
    ),
    "db_aae": Shown(
        "db_aae.denoising",
        db_aae.DROPPED,
        {"observed": "as observed", "gene mean": "gene means", "DCA": "DCA", db_aae.MODEL: "DB-AAE"},
        (db_aae.MODEL,),
        "squared error at dropped entries (0 is perfect)",
        "splat_g2",
    ),
    "dr_a": _of_contest("dr_a", dr_a.NMI, _TYPES),
    "cvae": Shown("cvae.realism", simulators.AUC, _REAL | cvae.MODELS, ("faithful", "repaired"), _FOREST),
    "scgan": Shown("scgan.realism", simulators.AUC, _REAL | scgan.MODELS, ("faithful", "scGAN"), _FOREST),
    "denoising": _of_contest(
        "denoising", "mse_cell", "squared error to the means of the cells", "splat_g6", observed="as observed"
    ),
    "representation": _of_contest("representation", "nmi", _TYPES),
    "simulation": _of_contest("simulation", simulators.AUC, _FOREST, real="real cells"),
}


def card(chapter: str) -> Card | None:
    """Return what stands on the card of a chapter, or None while the record has no row of a model of it.

    Parameters
    ----------
    chapter
        One of `SHOWN`.
    """
    shown = SHOWN[chapter]
    rows = Seen(shown.experiment)
    for dataset in rows.datasets() if shown.dataset is None else [shown.dataset]:
        scores = {}
        for method, words in shown.methods.items():
            if values := list(rows.values(dataset, method, shown.metric).values()):
                scores[words] = statistics.fmean(values), spread(values), method in shown.models
        if any(marked for *_, marked in scores.values()):
            return Card(scores, shown.label, people(dataset))
    return None
