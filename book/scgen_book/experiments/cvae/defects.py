"""Defects of the released code that can be measured without a training, each by itself."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from anndata import AnnData

from scgen_book.experiments import defects
from scgen_book.experiments.cvae import cases
from scgen_book.experiments.defects import Defect
from scgen_book.experiments.protocol import NotApplicable, Task
from scgen_lib.data import checks
from scgen_lib.models.cvae.cells import image_side, split


def prepare(dataset: str, seed: int, settings: Mapping) -> AnnData:
    """Return the cells of the data set."""
    return cases.load(dataset, settings)


def maximum(cells: AnnData, seed: int, settings: Mapping) -> tuple[float, float]:
    """Return the largest count of all cells and of the training cells."""
    counts = checks.get_counts(cells)
    return counts.max(), counts[cells.obs["train"].to_numpy()].max()


def moved(cells: AnnData, seed: int, settings: Mapping) -> tuple[float, float]:
    """Return how many types have another place in the list that the code prints than their code says."""
    names = list(cells.obs["cell_type"].cat.categories)
    return sum(a != b for a, b in zip(names, sorted(names), strict=True)), 0


def columns(cells: AnnData, seed: int, settings: Mapping) -> tuple[float, float]:
    """Return the columns that are exported: those of all pixels, and those of genes."""
    return image_side(cells.n_vars, settings["image_size"]) ** 2, cells.n_vars


def fractional(filters: int, kernel_size: int) -> str:
    """Say what today's Keras makes of half an odd number of filters, as the released code divides it."""
    try:
        keras.layers.Conv2DTranspose(filters / 2, kernel_size)(np.zeros((1, 4, 4, 1), "float32"))
    except Exception as error:
        return f"{type(error).__name__} in Keras {keras.__version__} with {filters / 2} filters"
    return "no error in this Keras"


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every defect on the main data with the first seed."""
    if values["model_path"]:
        raise NotApplicable("not measured: a saved model is given")
    run = cases.trainings(values)
    return [(run.main, name, run.seeds[0]) for name in DEFECTS]


DEFECTS = {
    "V6": Defect("exported columns", columns, figure="fig-cvae-image"),
    "V7": Defect("the maximum M that counts are divided by", maximum),
    "V8": Defect("types with another place in the printed list than their code says", moved),
}
EXPERIMENT = defects.experiment(
    "cvae.defects",
    DEFECTS,
    prepare=prepare,
    asked=asked,
    settings=(split, "image_size", "dataset", "label_key", "transpose", "model_path", "fast"),
)
