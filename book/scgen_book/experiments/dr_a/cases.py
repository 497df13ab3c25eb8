"""The cells of a data set on the genes of highest variance, the released code's split, and labels to judge by."""

import contextlib
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from scgen_lib import data, preprocess, training
from scgen_lib.data import checks, registry
from scgen_lib.errors import DataError, ParameterError

#: What decides a case; the columns of labels and the direction are of the user's own file alone.
SETTINGS = ("labels", "transpose", "label_set", "X_dim", "hvg_on", "fast", "batch_size")
#: Names of sets of labels: two of the Zeisel data, and that of any other data.
LABELS = ("group9", "level1", "cell types")
#: Names of the released code for data whose 720 genes the authors distribute with it.
SELECTED = {
    "Macosko": "macosko_720",
    "10x_68k": "10x_68k_720",
    "10x_73k": "10x_73k_720",
    "Rosenberg": "rosenberg_720",
}


@dataclass(frozen=True, eq=False)
class Case:
    """What is trained on and judged.

    Attributes
    ----------
    cells
        All N cells on G genes, with counts.
    about
        The data set's own words, ``uns["dataset"]``.
    train, test
        Rows of the split; windows move over the training cells in this order.
    labels
        By set of labels, those of the test cells, categorical, missing where a cell has none; sets that cannot be
        scored are left out.
    unscored
        Why, in words.
    judged
        The set of labels that figures and sentences go by; None without labels.
    """

    cells: AnnData
    about: Mapping[str, Any]
    train: np.ndarray
    test: np.ndarray
    labels: Mapping[str, pd.Series]
    unscored: str
    judged: str | None

    @functools.cached_property
    def counts(self) -> np.ndarray:
        """Counts, (N, G)."""
        return training.dense(checks.get_counts(self.cells))

    @functools.cached_property
    def logs(self) -> np.ndarray:
        """Binary logarithm of the counts and 1, (N, G)."""
        return np.log2(self.counts + 1)

    @property
    def test_labels(self) -> pd.Series:
        """The labels that are judged; there must be some."""
        return self.labels[self.judged]


def stands_for(name: str) -> str:
    """Return the data set that a name stands for: one of the released code for the authors' matrix.

    Of Zeisel, where the matrix cannot be downloaded, it is the same cells with more genes, of which the most variable
    are taken. A row names what it is of, so that it is not taken for one of the others.
    """
    if name != "Zeisel":
        return SELECTED.get(name, name)
    for there in ("zeisel_720", "zeisel_4000"):
        with contextlib.suppress(DataError):
            for file in registry.DATASETS[there].sources:
                registry.fetch(file)
            return there
    return "zeisel_full"


def load(name: str, **own: Any) -> AnnData:
    """Load a data set by its name here or in the released code; other arguments are those of `data.load`."""
    return data.load(stands_for(name), **({} if name == "Zeisel" or name in SELECTED else own))


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Return the case of the chapter's own data, the same for every seed.

    Parameters
    ----------
    dataset, settings
        Which; see `SETTINGS`.
    seed
        Of nothing: the split is that of the released code.

    Raises
    ------
    DataError
        If the data cannot be had.
    ParameterError
        If a mini-batch would hold all training cells.
    """
    found = _of(dataset, _text(settings, SETTINGS))
    if not 2 <= settings["batch_size"] < len(found.train):
        raise ParameterError(
            f"expected batch_size from 2 to {len(found.train) - 1}, one less than there are training cells, got "
            f"{settings['batch_size']}: set a smaller batch_size"
        )
    return found


def prepare_further(dataset: str, seed: int, settings: Mapping) -> Case:
    """Return the case of further data, as `prepare`; labels and direction are those of the main data's file alone.

    Raises
    ------
    DataError
        If the data cannot be had, or have no labels or too few cells.
    """
    own = dataset == stands_for(settings["dataset"])
    names = SETTINGS if own else [n for n in SETTINGS if n not in ("labels", "transpose")]
    found = _of(dataset, _text(settings, names))
    if not found.labels or settings["batch_size"] >= len(found.train):
        raise DataError(
            f"expected two classes and more than {settings['batch_size']} training cells, got {len(found.train)} cells "
            f"and {len(found.labels)} sets of labels: leave it out"
        )
    return found


def _text(settings: Mapping, names: tuple[str, ...] | list[str]) -> str:
    return json.dumps({name: settings[name] for name in names}, sort_keys=True)


@functools.lru_cache(maxsize=1)
def _of(dataset: str, settings: str) -> Case:
    asked = json.loads(settings)
    cells = load(dataset, **{name: asked[name] for name in ("labels", "transpose") if name in asked})
    about = cells.uns["dataset"]
    cells = checks.drop_empty(data.excerpt(cells, 240) if asked["fast"] else cells)
    genes = min(asked["X_dim"], cells.n_vars)
    chosen = preprocess.highest_variance(checks.get_counts(cells), genes, on=asked["hvg_on"])
    dropped = cells.uns["dropped"]["cells"]
    cells = checks.drop_empty(cells[:, chosen].copy())
    cells.uns["dropped"]["cells"] += dropped
    train, test = preprocess.legacy_split(cells.n_obs)
    sets = {key: of.iloc[test].astype("category").cat.remove_unused_categories() for key, of in _sets(cells).items()}
    why = {key: checks.scoring(of, min_cells=1)[1] for key, of in sets.items()}
    labels = {key: of for key, of in sets.items() if why[key] is None}
    unscored = "; ".join(filter(None, why.values())) or "the cells have no labels"
    judged = asked["label_set"] if asked["label_set"] in labels else next(iter(labels), None)
    return Case(cells, about, train, test, labels, unscored, judged)


def _sets(cells: AnnData) -> dict[str, pd.Series]:
    """Return the labels of all cells by set of `LABELS`."""
    if {"group", "level1class"} <= set(cells.obs):
        return {"group9": cells.obs["group"], "level1": cells.obs["level1class"]}
    return {"cell types": cells.obs["cell_type"]} if "cell_type" in cells.obs else {}


def asked_for(case: Case, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a chapter as these cells allow them: without labels one seed, and nothing to compare."""
    return dict(values) | ({} if case.labels else {"seeds": values["seeds"][:1], "baselines": []})
