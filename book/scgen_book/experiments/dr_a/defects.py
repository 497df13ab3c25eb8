"""What the released code does otherwise, where a few epochs or a look at the data are enough to see it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from scgen_book.experiments import defects
from scgen_book.experiments.defects import Defect
from scgen_book.experiments.dr_a import cases, training
from scgen_book.experiments.dr_a.cases import Case
from scgen_book.experiments.dr_a.parts import further
from scgen_book.experiments.dr_a.training import changed
from scgen_book.experiments.protocol import Task
from scgen_lib.errors import TrainingError

#: Arguments of `DRA.variant` for trainings of a few epochs.
SHORT = {
    "with D2": changed("faithful", keep=1.0),
    "without D2": changed("faithful", keep=1.0, dual="none"),
    "bn, faithful": changed("faithful", batchnorm=True),
    "bn, repaired": changed("repaired", batchnorm=True, adversarial="bce"),
    "bn and lam 10, repaired": changed("repaired", batchnorm=True, adversarial="bce", lam=10.0),
}
WITHOUT_D2 = "R1, codes"


def short_epochs(settings: Mapping) -> int:
    """Return how many epochs these trainings have."""
    return min(settings["epoch"], training.FEW_EPOCHS)


def _train(name: str, case: Case, seed: int, settings: Mapping) -> dict[str, Any]:
    k, epochs = training.shown(settings), short_epochs(settings)
    found = training.train(case, name, k, seed, settings, changes=SHORT[name], epochs=epochs)
    if "ended" in found:
        raise TrainingError(found["ended"])
    return found


def _apart(one: str, other: str, case: Case, seed: int, settings: Mapping) -> float:
    """Return the largest difference of a code between two trainings."""
    a, b = (_train(name, case, seed, settings)["codes"]["mean"] for name in (one, other))
    return np.abs(a - b).max()


def _dual(case: Case, seed: int, settings: Mapping) -> tuple[float, float]:
    return _apart("with D2", "without D2", case, seed, settings), 0.0


def _statistics(case: Case, seed: int, settings: Mapping) -> tuple[float, float]:
    one, other = (_train(name, case, seed, settings)["statistics"] for name in ("bn, faithful", "bn, repaired"))
    return one, other


def _lam(case: Case, seed: int, settings: Mapping) -> tuple[float, float]:
    return 0.0, _apart("bn and lam 10, repaired", "bn, repaired", case, seed, settings)


def _out_of_reach(case: Case, seed: int, settings: Mapping) -> tuple[float, float]:
    return (case.logs > 1).mean(), 0.0


def _scale(case: Case, seed: int, settings: Mapping) -> tuple[float, float]:
    return case.logs.max(), case.logs[case.train].max()


#: The quantities take the number of epochs. The first is not a deviation's two sides: D2 that learns, against none.
DEFECTS = {
    WITHOUT_D2: Defect("largest difference of a code with D2 and without, {short} epochs, no dropout", _dual),
    "R7": Defect("largest mean that batch normalisation has learned, {short} epochs", _statistics),
    "R8": Defect("largest difference of a code between lam 10 and lam 1, {short} epochs", _lam),
    "R9": Defect("share of entries of x that x̃ cannot reach with actv lin", _out_of_reach),
    "R13": Defect("largest logarithm, by which the data are divided", _scale),
}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return what is measured of the data, and the trainings where further ones are asked for; one seed."""
    names = [name for name in DEFECTS if name in ("R9", "R13") or further(values)]
    return [(cases.stands_for(values["dataset"]), name, values["seeds"][0]) for name in names]


EXPERIMENT = defects.experiment(
    "dr_a.defects",
    DEFECTS,
    prepare=cases.prepare,
    asked=asked,
    settings=(*training.SETTINGS, *cases.SETTINGS, "z_dim", "z_dims"),
)
