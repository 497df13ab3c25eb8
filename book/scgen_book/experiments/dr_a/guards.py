"""What the guards hide: the faithful variant with codes of two numbers, each seed with the guards and without.

A training that ends at values that are not finite is what is counted here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from scgen_book.experiments.dr_a import cases, codes, training
from scgen_book.experiments.dr_a.cases import Case
from scgen_book.experiments.dr_a.parts import further
from scgen_book.experiments.protocol import Experiment, Method, Metric, NotApplicable, Task

ENDED = "training ended at values that are not finite, K = 2"
LOSS = "last loss"
WITHOUT, WITH = "without guards", "with guards"


def _method(name: str) -> Method:
    def run(case: Case, seed: int, settings: Mapping) -> dict[str, Any]:
        changes = {"name": "faithful", "guards": name == WITH}
        return training.train(case, name, 2, seed, settings, changes=changes)

    return Method(run, variant="faithful")


def score(case: Case, answer: Mapping[str, Any], seed: int, settings: Mapping) -> dict[str, float]:
    """Say whether the training ended, and if not, with which loss it came to its end."""
    ended = "ended" in answer
    return {ENDED: float(ended)} | ({} if ended else {LOSS: answer["history"]["loss"][-1]})


def keep(case: Case, answer: Mapping[str, Any], seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return the history of the training, or why it ended."""
    return {"ended": np.array([answer["ended"]])} if "ended" in answer else codes.histories(answer["history"])


def risked(values: Mapping[str, Any]) -> list[int]:
    """Return the seeds that are trained without the guards: those of the run, and more where they are too few."""
    seeds = [*values["seeds"], *range(len(values["seeds"]) + values["unguarded"])]
    return [*dict.fromkeys(seeds)][: values["unguarded"]] if further(values) else []


def known(values: Mapping[str, Any]) -> list[int]:
    """Return those of `risked` whose guarded training is a row of the scores: the faithful variant at that length."""
    there = values["guards"] and 2 in training.lengths(values) and "faithful" in values["variants"]
    return [s for s in risked(values) if there and s in values["seeds"]]


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every seed without the guards, and with them those that the scores have not."""
    if not (seeds := risked(values)):
        raise NotApplicable("no seeds, or no further trainings, were asked for (parameters unguarded and experiments)")
    there = known(values)
    return [
        (cases.stands_for(values["dataset"]), name, s)
        for s in seeds
        for name in (WITHOUT, WITH)
        if name == WITHOUT or s not in there
    ]


EXPERIMENT = Experiment(
    name="dr_a.guards",
    methods={name: _method(name) for name in (WITHOUT, WITH)},
    metrics={
        ENDED: Metric("training ended at values that are not finite", "lower", judged=False),
        LOSS: Metric("last loss, nats per cell", "lower", judged=False),
    },
    prepare=cases.prepare,
    score=score,
    settings=(*training.SETTINGS, *cases.SETTINGS),
    asked=asked,
    keep=keep,
)
