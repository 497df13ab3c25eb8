"""The parts of the released code and of the repaired model, each by itself: trainings as long as the chapter's."""

from collections.abc import Mapping
from typing import Any

from scgen_book.experiments.dr_a import cases, codes, training
from scgen_book.experiments.dr_a.cases import Case
from scgen_book.experiments.dr_a.training import changed
from scgen_book.experiments.protocol import Experiment, Method, NotApplicable, Task

#: Arguments of `DRA.variant` by method.
PARTS = {
    "described game": changed("faithful", adversarial="bce", dual="matching"),
    "absolute": changed("faithful", adversarial="bhattacharyya_abs"),
    "counts": changed("faithful", adversarial="none", likelihood_input="counts"),
    "one Adam": changed("repaired", adversarial="bce", adv_learning_rate=None, adv_beta_1=None),
    "no bottleneck": changed("faithful", library_bottleneck=False),
    "bn on": changed("faithful", batchnorm=True),
}


def _method(name: str, k: int) -> Method:
    def run(case: Case, seed: int, settings: Mapping) -> dict[str, Any]:
        return training.train(case, name, k, seed, settings, changes=PARTS[name])

    return Method(run)


def further(values: Mapping[str, Any]) -> bool:
    """Say whether trainings are asked for beyond those of the scores."""
    return values["experiments"] and values["train"]


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every part at every seed; the bottleneck shows most at the shortest codes."""
    if not further(values):
        raise NotApplicable("further trainings were not asked for (parameters experiments and train)")
    if values["fast"]:
        raise NotApplicable("trainings of the parts are left out at test size (parameter fast)")
    seeds = values["seeds"] if values["part_seeds"] is None else values["part_seeds"]
    if not seeds:
        raise NotApplicable("no training of a part was asked for (parameter part_seeds)")
    lengths = {"no bottleneck": min(training.lengths(values))}
    names = [training.named(name, lengths.get(name, training.shown(values))) for name in PARTS]
    return [(cases.stands_for(values["dataset"]), name, s) for s in seeds for name in names]


EXPERIMENT = Experiment(
    name="dr_a.parts",
    methods=training.ByLength(_method, PARTS),
    metrics=codes.METRICS,
    prepare=cases.prepare,
    score=codes.score,
    settings=codes.SETTINGS,
    asked=asked,
    keep=codes.keep,
)
