"""Do generated cells of a rare class help a classifier: one class loses most of its training cells, and gets others.

A random forest learns the classes of the cells that are left, with nothing, with weights of classes, with cells
repeated or with cells generated, and is judged on test cells that nothing has touched. A row goes over all shares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import precision_recall_fscore_support

from scgen_book import experiments
from scgen_book.experiments.protocol import BASELINE, METHOD, POSITIVE, Experiment, Method, Metric, NotApplicable, Task
from scgen_book.experiments.scgan import cells, models
from scgen_lib.metrics import realism
from scgen_lib.models.scgan import ScGAN
from scgen_lib.models.scgan.cells import scaled

GENERATED, ALL = "cells generated", "all cells"
SCORES = ("precision", "recall", "F1")
#: The article's words for three of the ways.
CLAIMED = {"no help": "reduced", "cells repeated": "upsampled", GENERATED: "augmented"}


@dataclass(frozen=True)
class Reduced:
    """The training cells of which the class has lost all but a share, and what it has lost."""

    cells: Any
    real: sp.csr_matrix
    of: np.ndarray
    left: int
    lost: int
    rng: np.random.Generator


def prepare(dataset: str, seed: int, settings: Mapping) -> cells.Case:
    """Return the cells; there must be two classes."""
    case = cells.case(dataset, settings)
    if len(case.names) < 2:
        raise NotApplicable("the augmentation needs two classes or more")
    return case


def reduced(case: cells.Case, share: float, seed: int, settings: Mapping) -> Reduced:
    """Take training cells of the class away, all but a share of them and five at least."""
    rare = cells.rare(case, settings)
    rng = np.random.default_rng([seed, int(1000 * share)])
    rows = np.flatnonzero(case.part == "train")
    own = rng.permutation(rows[case.labels[rows] == rare])
    left = own[: max(5, round(share * len(own)))]
    found = case.cells[np.sort(np.concatenate([rows[case.labels[rows] != rare], left]))].copy()
    real = scaled(sp.csr_matrix(found.layers["counts"]), settings["library_size"])
    of = found.obs["cell_type"].astype(str).to_numpy()
    return Reduced(found, real, of, len(left), len(own) - len(left), rng)


def _nothing(case: cells.Case, few: Reduced, seed: int, settings: Mapping, share: float) -> None:
    return None


def _weights(case: cells.Case, few: Reduced, seed: int, settings: Mapping, share: float) -> str:
    return "balanced"


def _repeated(case: cells.Case, few: Reduced, seed: int, settings: Mapping, share: float) -> Any:
    return few.real[few.rng.choice(np.flatnonzero(few.of == cells.rare(case, settings)), few.lost)]


def _generated(case: cells.Case, few: Reduced, seed: int, settings: Mapping, share: float) -> Any:
    model, steps = models.new(settings["variants"][0], seed, settings), settings["augment_steps"]
    model.fit(
        few.cells,
        steps=steps,
        batch_size=models.fit_settings(case, settings)["batch_size"],
        steps_per_epoch=min(settings["summary_every"], steps),
        checkpoint=experiments.checkpoint(f"share-{share:g}"),
        checkpoint_every=steps,
    )
    both = model.augment(few.cells, cells.rare(case, settings), few.lost, seed=seed)
    return both.X[both.obs["generated"].to_numpy()]


WAYS = {"no help": _nothing, "weights of classes": _weights, "cells repeated": _repeated, GENERATED: _generated}


def told(case: cells.Case, real: Any, of: np.ndarray, added: Any, seed: int, settings: Mapping) -> dict[str, float]:
    """Return precision, recall and F1 of the class on test cells.

    Parameters
    ----------
    case, seed, settings
        Of the row.
    real, of
        Expression and class of the real training cells, on which the components are fixed.
    added
        Expression of other cells of the class, ``"balanced"`` for weights of the classes, or None.
    """
    rare, test = cells.rare(case, settings), case.part == "test"
    space = realism.Space.fit(realism.log(real), seed=seed)
    points, weight = space(realism.log(real)), added if isinstance(added, str) else None
    if added is not None and weight is None:
        points = np.vstack([points, space(realism.log(added, allow_empty=True))])
        of = np.concatenate([of, np.repeat(rare, added.shape[0])])
    forest = RandomForestClassifier(settings["forest_trees"], class_weight=weight, random_state=seed, n_jobs=-1)
    forest.fit(points, pd.Index(case.names).get_indexer(of))
    found = forest.predict(space(realism.log(case.cells.X[test])))
    scores = precision_recall_fscore_support(
        case.labels[test] == rare, found == case.names.index(rare), labels=[True], zero_division=0
    )
    return {name: float(value[0]) for name, value in zip(SCORES, scores, strict=False)}


def _way(name: str) -> Method:
    def run(case: cells.Case, seed: int, settings: Mapping) -> pd.DataFrame:
        lines = []
        for share in settings["augment_shares"]:
            few = reduced(case, share, seed, settings)
            added = WAYS[name](case, few, seed, settings, share)
            scores = told(case, few.real, few.of, added, seed, settings)
            lines.append({"share": share, "cells": few.left} | scores)
        return pd.DataFrame(lines)

    return Method(run, role=METHOD if name == GENERATED else BASELINE)


def _all(case: cells.Case, seed: int, settings: Mapping) -> pd.DataFrame:
    rows = np.flatnonzero(case.part == "train")
    scores = told(case, case.cells.X[rows], case.labels[rows], None, seed, settings)
    number = int((case.labels[rows] == cells.rare(case, settings)).sum())
    return pd.DataFrame([{"share": 1.0, "cells": number} | scores])


def score(case: cells.Case, answer: pd.DataFrame, seed: int, settings: Mapping) -> dict[str, float]:
    """Return the means over the shares."""
    return {name: answer[name].mean() for name in SCORES}


def keep(case: cells.Case, answer: pd.DataFrame, seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return share, cells that were left, and scores, one a share."""
    return {name: answer[name].to_numpy() for name in answer}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every way at every seed of the augmentation, for a conditional model."""
    if not (values["augment_steps"] and values["conditional"]):
        raise NotApplicable(
            "the augmentation needs a conditional model, two classes or more, and augment_steps above 0"
        )
    return [(values["dataset"], way, int(s)) for s in values["augment_seeds"] for way in (*WAYS, ALL)]


def claims(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the quantities on F1 between which the relation of the abstract holds."""
    way = CLAIMED.get(row["method"])
    return {"F1": f"scgan.augmentation.{way}"} if way else {}


EXPERIMENT = Experiment(
    name="scgan.augmentation",
    methods={name: _way(name) for name in WAYS} | {ALL: Method(_all, role=POSITIVE)},
    metrics={name: Metric(f"{name} of the class", "higher") for name in SCORES},
    prepare=prepare,
    score=score,
    settings=(
        *cells.SETTINGS, ScGAN, "variants", "batch_size", "summary_every", "augment_class", "augment_shares",
        "augment_steps", "forest_trees",
    ),
    asked=asked,
    claims=claims,
    keep=keep,
)  # fmt: skip
