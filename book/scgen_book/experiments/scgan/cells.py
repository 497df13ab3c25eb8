"""The cells of the chapter on scGAN: loaded, filtered, clustered where they have no classes, split and scaled."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anndata
import numpy as np
import pandas as pd

from scgen_lib import data
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.metrics.controls import Cells
from scgen_lib.models.scgan.cells import process
from scgen_lib.settings import arguments, chosen

#: What decides the cells, beside the arguments of `process`.
SETTINGS = ("label_key", "transpose", "clusters", "resolution", "n_top_genes", "test_cells", "fast", process)
FEWEST = 10  # cells with any expression, below which nothing is compared


@dataclass(frozen=True)
class Case:
    """What every model and every score works on.

    Attributes
    ----------
    cells
        What `process` returns.
    labels, part
        Class, and train, valid or test, of every cell, (N,).
    names
        The classes in the order of their codes.
    about
        What is known of the data.
    shape
        Cells and genes as loaded, cells without a class included.
    unlabelled
        Number of cells without a class, which were left out.
    why_clusters
        Why the classes are clusters, or None where they are given.
    """

    cells: anndata.AnnData
    labels: np.ndarray
    part: np.ndarray
    names: list[str]
    about: dict[str, Any]
    shape: tuple[int, int]
    unlabelled: int
    why_clusters: str | None

    @property
    def looked(self) -> str:
        """The part that figures show: validation cells where there are any, else test cells."""
        return "valid" if (self.part == "valid").any() else "test"

    def of(self, part: str) -> Cells:
        """Return the raw counts of a part, with their classes where there are two or more."""
        rows = self.part == part
        return Cells(self.cells.layers["counts"][rows], self.labels[rows] if len(self.names) > 1 else None)

    def wanted(self, part: str) -> dict[str, int]:
        """Return the number of cells of every class in a part, the largest first."""
        numbers = pd.Series(self.labels[self.part == part]).value_counts()
        return {name: int(n) for name, n in numbers.items()}


def case(dataset: str, settings: Mapping[str, Any]) -> Case:
    """Return the cells of a data set; those of the last two calls are kept in this process.

    Raises
    ------
    DataError
        If the data cannot be had or used, or the filters leave nothing.
    """
    names = [name for of in SETTINGS for name in ([of] if isinstance(of, str) else arguments(of))]
    return _case(dataset, json.dumps({name: settings[name] for name in names if name in settings}, sort_keys=True))


@functools.lru_cache(maxsize=2)
def _case(dataset: str, content: str) -> Case:
    settings = json.loads(content)
    loaded = data.load(dataset, labels=settings["label_key"], transpose=settings["transpose"])
    loaded = data.excerpt(loaded, 500, 150) if settings["fast"] else loaded
    why, shape, unlabelled = "as asked for", loaded.shape, 0
    if not settings["clusters"]:
        fewest = max(1, settings["min_class_size"])
        why = checks.scoring(loaded.obs.get("cell_type", []), fewest, min_classes=1)[1]
    if why is None:
        known = loaded.obs["cell_type"].notna().to_numpy()
        unlabelled, loaded = int((~known).sum()), loaded[known].copy()
    resolution = settings["resolution"] if why is not None else None
    cells = process(loaded, **chosen(process, settings) | {"resolution": resolution})
    cells.uns["dataset"] = about = loaded.uns["dataset"]
    return Case(
        cells,
        cells.obs["cell_type"].astype(str).to_numpy(),
        cells.obs["scgan_split"].to_numpy().astype(str),
        list(cells.obs["cell_type"].cat.categories.astype(str)),
        about,
        shape,
        unlabelled,
        why,
    )


def rare(of: Case, settings: Mapping[str, Any]) -> str:
    """Return the class whose cells are taken away and generated: the one asked for, or that of most test cells.

    Raises
    ------
    ParameterError
        If there is no class of that name.
    """
    asked = settings["augment_class"]
    if asked is not None and asked not in of.names:
        raise ParameterError(f"expected augment_class to be one of {', '.join(of.names)}, got {asked!r}: correct it")
    return asked or max(of.wanted("test"), key=of.wanted("test").get)
