"""Cases of the chapter on the CVAE: which trainings a run asks for, and the cells for learning and for comparison."""

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from anndata import AnnData

from scgen_book.experiments.protocol import NotApplicable
from scgen_lib import data
from scgen_lib.data import checks
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import controls, panel, realism
from scgen_lib.metrics.arrays import Matrix
from scgen_lib.metrics.controls import Cells
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.cvae.cells import split
from scgen_lib.settings import arguments, chosen

DEFAULT = "umi11"
#: The repaired variant without the likelihood of counts that we added.
APART = "squared error"
#: Least folds of the forest's cross-validation, and so the least cells a side.
FOLDS = 5
#: Settings that decide which cells there are and which of them are for training.
OF_DATA = ("dataset", "label_key", "transpose", "model_path", "fast", *(a.flat for a in arguments(split).values()))


class Trainings(NamedTuple):
    """What a run trains, or has of a saved model.

    Attributes
    ----------
    main
        The data set of the chapter's figures; None where there is a saved model alone.
    datasets
        It and the further ones.
    variants
        The variants of the figures, that of the simulated cells first.
    apart
        The repaired variant without the likelihood of counts, where it is asked for by itself.
    seeds
        Seeds of the trainings.
    controls
        Seeds of the controls, and of the first steps of a training: three at least, unless others are asked for.
    """

    main: str | None
    datasets: list[str]
    variants: list[str]
    apart: list[str]
    seeds: list[int]
    controls: list[int]


def trainings(values: Mapping[str, Any]) -> Trainings:
    """Return what a run trains.

    Parameters
    ----------
    values
        All parameters of the chapter.

    Raises
    ------
    ParameterError
        If a variant refuses one of its arguments.
    """
    path, main = values["model_path"], main_of(values)
    more = values["more_datasets"]
    if more is None:
        more = ["pbmc68k_reduced"] if values["dataset"] is None and path is None else []
    datasets = list(dict.fromkeys([main, *more] if main else more))
    if path is not None:
        variants, apart, seeds = [variant_of(CVAE.load(path))], [], [values["seed"]]
    else:
        variants, seeds = list(values["variants"]), list(values["seeds"])
        for variant in variants:
            CVAE.variant(variant, **chosen(CVAE, values))  # what it refuses is refused before the first training
        ours = "repaired" in variants and values["decoder_likelihood"] in (None, "nb")
        apart = [APART] if ours and not values["fast"] else []
    return Trainings(main, datasets, variants, apart, seeds, of_controls(seeds, values))


def main_of(values: Mapping[str, Any]) -> str | None:
    """Return the data set of the chapter's figures, or None where there is a saved model alone."""
    return values["dataset"] or (None if values["model_path"] else DEFAULT)


def variant_of(model: CVAE) -> str:
    """Say which variant a saved model is."""
    released = {name: a.option.released for name, a in arguments(CVAE).items() if a.deviates}
    return "faithful" if released.items() <= model.values().items() else "repaired"


def of_controls(seeds: Sequence[int], values: Mapping[str, Any]) -> list[int]:
    """Return the seeds of the trainings with those of the controls, by default as many as make three.

    At test size there are no further ones.
    """
    more = values["control_seeds"]
    more = range(max(seeds) + 1, max(seeds) + 4 - len(seeds)) if more is None else more
    return list(dict.fromkeys([*seeds, *([] if values["fast"] else more)]))


def load(dataset: str, settings: Mapping) -> AnnData:
    """Return the cells of a data set with their types, split, for reading alone.

    Types of fewer than five cells cannot be split and are left out; where no types are known, all cells are of one.

    Parameters
    ----------
    dataset
        Name or path.
    settings
        With `OF_DATA`.

    Returns
    -------
    AnnData
        Types in ``obs["cell_type"]`` in the order of appearance, ``obs["train"]`` (bool), and in ``uns["dataset"]``
        beside what is known of the data the cells left out (``left_out``, ``empty``) and why all are of one type
        (``untyped``).

    Raises
    ------
    DataError
        If the data cannot be had or used.
    """
    return _loaded(dataset, json.dumps({name: settings[name] for name in OF_DATA}, sort_keys=True))


@functools.lru_cache(maxsize=4)
def _loaded(dataset: str, of_data: str) -> AnnData:
    settings = json.loads(of_data)
    path, own = settings["model_path"], dataset == main_of(settings)
    named = {"labels": settings["label_key"], "transpose": settings["transpose"]} if own else {}
    cells = data.load(dataset, **named)
    # a saved model knows its genes: none is left out for it
    cells = data.excerpt(cells, 500, None if path else 100) if settings["fast"] else cells
    full = checks.totals(checks.get_counts(cells, allow_empty=True)) > 0
    cells = cells[full].copy()
    kept, untyped = checks.scoring(cells.obs.get("cell_type", []), min_classes=1)
    if untyped:
        cells.obs["cell_type"], kept = "cell", np.ones(cells.n_obs, bool)
    about = {"left_out": int((~kept).sum()), "untyped": untyped, "empty": int((~full).sum())}
    about = cells.uns["dataset"] | about
    cells = cells[kept].copy()
    cells = of_model(cells, CVAE.load(path)) if path else checks.drop_empty(cells)
    types = cells.obs["cell_type"].astype(str)
    cells.obs["cell_type"] = pd.Categorical(types, categories=pd.unique(types))
    train, _ = split(types, **chosen(split, settings))
    cells.obs["train"] = np.isin(np.arange(cells.n_obs), train)
    cells.uns["dataset"] = about
    return cells


def of_model(cells: AnnData, model: CVAE) -> AnnData:
    """Return cells with the genes of a saved model in their order.

    Raises
    ------
    DataError
        If they have not all of them.
    """
    genes = model.net.note["var_names"]
    cells = cells[:, genes].copy() if set(genes) <= set(cells.var_names) else cells
    model.check_genes(cells)
    return cells


def load_all(values: Mapping[str, Any]) -> tuple[dict[str, AnnData], dict[str, str]]:
    """Load the data sets of a run; a further one that cannot be had is named with the reason.

    Raises
    ------
    DataError
        If the first one cannot be had.
    """
    found, missing, asked = {}, {}, trainings(values)
    for name in asked.datasets:
        try:
            found[name] = load(name, values)
        except DataError as error:
            if name == asked.main:
                raise
            missing[name] = str(error)
    return found, missing


def check_target(wanted: Mapping[str, int] | None, known: Sequence[str]) -> None:
    """Refuse numbers of cells that name an unknown type or ask for no cell, before anything is trained.

    Raises
    ------
    ParameterError
        In these cases.
    """
    if unknown := [name for name in wanted or {} if name not in known]:
        raise ParameterError(
            f"expected types among {', '.join(known)} in target_counts, got {unknown[0]!r}: correct the name"
        )
    if wanted is not None and not sum(wanted.values()):
        raise ParameterError("expected at least one cell in target_counts, got none: raise a number")


def target_like(cells: AnnData) -> dict[str, int]:
    """Return as many cells of each type as there are test cells: what is compared with them."""
    sizes = cells.obs.loc[~cells.obs["train"], "cell_type"].value_counts()
    return {name: int(n) for name, n in sizes.items() if n}


def kept_types(cells: AnnData, min_test_cells: int) -> list[str]:
    """Return the types with enough test cells to be averaged over."""
    return [name for name, n in target_like(cells).items() if n >= min_test_cells]


@dataclass(frozen=True)
class Case:
    """The cells of a data set, split, and with a seed what simulated cells are compared with.

    Attributes
    ----------
    cells
        As `load` returns them.
    kept
        Types that are scored.
    seed
        Of the sample of test cells, the controls and the forests.
    settings
        Of the rows.
    """

    cells: AnnData
    kept: list[str]
    seed: int
    settings: Mapping[str, Any]

    @property
    def in_train(self) -> np.ndarray:
        """Mask of the training cells."""
        return self.cells.obs["train"].to_numpy()

    @property
    def types(self) -> np.ndarray:
        """Type of each cell."""
        return self.cells.obs["cell_type"].astype(str).to_numpy()

    @functools.cached_property
    def counts(self) -> Matrix:
        """Counts of all cells."""
        return checks.get_counts(self.cells, allow_empty=True)

    @property
    def target(self) -> dict[str, int]:
        """Cells to simulate, by type."""
        return target_like(self.cells)

    @functools.cached_property
    def test_cells(self) -> AnnData:
        """Test cells of every type."""
        return self.cells[~self.in_train].copy()

    def of_kept(self, counts: Matrix, types: np.ndarray) -> Cells:
        """Return the cells of the types that are scored; a single type is no label."""
        chosen = np.isin(types, self.kept)
        return Cells(counts[chosen], types[chosen] if len(self.kept) > 1 else None)

    def of(self, cells: AnnData) -> Cells:
        """Return simulated cells of the types that are scored."""
        return self.of_kept(cells.layers["counts"], cells.obs["cell_type"].astype(str).to_numpy())

    @functools.cached_property
    def train(self) -> Cells:
        """Training cells of the types that are scored."""
        return self.of_kept(self.counts[self.in_train], self.types[self.in_train])

    @functools.cached_property
    def test(self) -> Cells:
        """Test cells of the types that are scored."""
        return self.of_kept(self.counts[~self.in_train], self.types[~self.in_train])

    @functools.cached_property
    def reference(self) -> panel.Reference:
        """What is fixed before any simulated cell is looked at."""
        n = self.cells_a_side
        if n < FOLDS:
            raise DataError(f"expected {FOLDS} cells a side or more, got {n}: lower min_test_cells, or give more cells")
        trees = self.settings["forest_trees"]
        return panel.Reference(self.train, self.test, n, self.seed, by="variance", trees=trees)

    @property
    def cells_a_side(self) -> int:
        """As many cells as both sides have, at most those asked for."""
        n_train, n_test = (side.counts.shape[0] for side in (self.train, self.test))
        return min(n_train // 2, n_test, self.settings["score_cells"] or n_train)

    @functools.cached_property
    def space(self) -> realism.Space:
        """Principal components of the training cells of the types that are scored, for figures."""
        return realism.Space.fit(realism.log(self.train.counts, allow_empty=True), seed=self.settings["seed"])

    @functools.cached_property
    def space_of_all(self) -> realism.Space:
        """Principal components of all training cells, for the embeddings."""
        logs = realism.log(self.counts[self.in_train], allow_empty=True)
        return realism.Space.fit(logs, seed=self.settings["seed"])

    @functools.cached_property
    def by_type(self) -> dict[str, tuple[Cells, dict[str, Cells]]]:
        """For each type by itself as many test cells as both sides have, and as many of each control."""
        found = {}
        for name in sorted(set(self.kept) if self.test.labels is not None else ()):
            train, test = (side.of(name) for side in (self.train, self.test))
            n = min(train.counts.shape[0] // 2, test.counts.shape[0])
            found[name] = test.sample(n, self.seed), controls.controls(train, n, self.seed)[0]
        return found

    def check_scored(self) -> None:
        """Raise `NotApplicable` where no type is scored."""
        if not self.kept:
            least = self.settings["min_test_cells"]
            raise NotApplicable(f"no type has {least} test cells or more (parameter min_test_cells)")


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Return the case of a data set with a seed."""
    cells = load(dataset, settings)
    return Case(cells, kept_types(cells, settings["min_test_cells"]), seed, settings)
