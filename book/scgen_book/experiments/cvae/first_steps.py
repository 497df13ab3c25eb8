"""The start of a training as the tutorial of the software shows it: the mean loss of its first 18 mini-batches.

With pixels near zero and an output of ½ everywhere it starts near S²/4 whatever the data are, so that other data can
stand in. The number depends on the first weights: one seed would say little.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import AnnData

from scgen_book.experiments.cvae import cases
from scgen_book.experiments.protocol import Experiment, Method, Metric, NotApplicable, Task
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.cvae.cells import split

SIDE, STEPS, CELLS = 144, 18, 32


def prepare(dataset: str, seed: int, settings: Mapping) -> AnnData:
    """Return the cells of the data set, if their genes fit into the published image."""
    cells = cases.load(dataset, settings)
    if cells.n_vars > SIDE**2:
        raise NotApplicable(f"{cells.n_vars:,} genes do not fit into {SIDE} × {SIDE} pixels")
    return cells


def first_steps(cells: AnnData, seed: int, settings: Mapping) -> float:
    """Return the mean loss of the first 18 mini-batches of 32 cells at 144 × 144 pixels."""
    rows = np.flatnonzero(cells.obs["train"])
    chosen = np.random.default_rng(seed).choice(rows, STEPS * CELLS, replace=len(rows) < STEPS * CELLS)
    model = CVAE.faithful(except_for=["validate_on"], image_size=SIDE, validate_on="train", seed=seed)
    return model.fit(cells, train=chosen, epochs=1, batch_size=CELLS, validation_split=0).history["loss"][0]


def score(case: AnnData, answer: float, seed: int, settings: Mapping) -> dict[str, float]:
    """Return that loss."""
    return {"running loss": answer}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the seeds of the controls on the main data."""
    if values["model_path"] or values["fast"]:
        raise NotApplicable("not run at this size" if values["fast"] else "nothing is trained with a saved model")
    run = cases.trainings(values)
    return [(run.main, "faithful", seed) for seed in run.controls]


EXPERIMENT = Experiment(
    name="cvae.first_steps",
    methods={"faithful": Method(first_steps, variant="faithful")},
    metrics={"running loss": Metric("mean loss of the first 18 steps", "lower", judged=False)},
    prepare=prepare,
    score=score,
    settings=(split, "dataset", "label_key", "transpose", "model_path", "fast"),
    asked=asked,
    claims=lambda row: {"running loss": "cvae.loss.step18"},
)
