"""What the released code of DB-AAE does otherwise, where it takes no training of the model to measure it.

What changes a training is measured in `parts`, what concerns the search in `search`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anndata
import numpy as np
from sklearn.cluster import KMeans

from scgen_book.experiments.db_aae import cells, miniatures
from scgen_book.experiments.db_aae.parts import RELEASED
from scgen_book.experiments.defects import SIDES
from scgen_book.experiments.protocol import Experiment, Method, NotApplicable, Task
from scgen_lib import errors
from scgen_lib.data import checks, splatter
from scgen_lib.metrics import clustering
from scgen_lib.metrics.arrays import log_normalise
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.db_aae.settings import DBAAESettings


@dataclass(frozen=True)
class Case:
    """The cells of the data set of the chapter, and the normalised logarithms that a model sees of them."""

    cells: anndata.AnnData
    logs: np.ndarray


@dataclass(frozen=True)
class Measured:
    """What was measured of a deviation.

    Attributes
    ----------
    released, otherwise
        A quantity in the released code and the other way, where there is one.
    numbers, words
        What else there is to say of it.
    """

    released: float | None = None
    otherwise: float | None = None
    numbers: tuple[float, ...] = ()
    words: str = ""


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Load and normalise the cells."""
    adata = cells.load(dataset, seed, settings)
    counts = checks.get_counts(adata, allow_empty=True)
    return Case(adata, cells.dense(cells.normaliser(adata, settings)(counts)))


def too_large(case: Case, seed: int, settings: Mapping) -> Measured:
    """Train with a batch larger than the data (D5)."""
    small = case.cells[:8].copy()
    try:
        DBAAE.faithful(min_cells=1).fit(small, epochs=1, batch_size=9)
    except errors.InputError as error:
        return Measured(words=str(error))
    return Measured()


def by_predict(case: Case, seed: int, settings: Mapping) -> Measured:
    """Encode 32 cells by predict and within the step (D7)."""
    own = DBAAESettings(**cells.options(settings) | RELEASED | {"seed": seed})
    times, difference = miniatures.encode(case.logs, own)
    return Measured(times["predict"], times["within"], (difference,))


def one_optimiser(case: Case, seed: int, settings: Mapping) -> Measured:
    """Compile one optimiser into two models (D8)."""
    return Measured(words=miniatures.share_an_optimiser())


def frozen(case: Case, seed: int, settings: Mapping) -> Measured:
    """Freeze a discriminator after it was compiled (D9)."""
    return Measured(miniatures.freeze(seed, True), miniatures.freeze(seed, False))


def without_checkpoints(case: Case, seed: int, settings: Mapping) -> Measured:
    """Search by Hyperband without checkpoints (D10), over widths that nothing reads (D11); numbers as `BAND` names."""
    found, stopped = miniatures.hyperband(seed)
    share = found["promoted_lost"] / found["promoted"] if found["promoted"] else None
    return Measured(share, 0.0, tuple(found[name] for name in BAND), stopped)


BAND = ("trials", "lost", "promoted", "promoted_lost", "least", "most", "drawn", "networks", "sizes", "widest")


def twice(case: Case, seed: int, settings: Mapping) -> Measured:
    """Take the logarithm a second time before the pictures (D13)."""
    many, reason = cells.typed(case.cells)
    if reason is not None:
        raise NotApplicable(reason)
    once, again = (clustering.pca(x, settings["n_pcs"])[many] for x in (case.logs, np.log1p(case.logs)))
    types = case.cells.obs["cell_type"][many]
    return Measured(clustering.silhouette(again, types), clustering.silhouette(once, types))


def wrong_name(case: Case, seed: int, settings: Mapping) -> Measured:
    """Seek the groups of the data with 8 as if they were the 6 of the name that they are written under (D14)."""
    eight = splatter.preset("splat_g8", seed=seed)[: settings["max_cells"]]
    x = clustering.pca(log_normalise(cells.dense(eight.layers["true_counts"]), 1e4), settings["n_pcs"])

    def sought(k: int) -> float:
        found = KMeans(k, n_init=10, random_state=seed).fit_predict(x)
        return clustering.clustering_scores(eight.obs["cell_type"], found)["ari"]

    return Measured(sought(6), sought(8))


def no_script(case: Case, seed: int, settings: Mapping) -> Measured:
    """Run a script with a line that is indented too far (D15)."""
    ran, statements, words = miniatures.misindent()
    return Measured(numbers=(ran, statements), words=words)


def _measured(function: Callable) -> Callable:
    def run(case: Case, seed: int, settings: Mapping) -> Measured:
        with miniatures.quiet():
            return function(case, seed, settings)

    return run


def score(case: Case, answer: Measured, seed: int, settings: Mapping) -> dict[str, float]:
    """Return both sides, where there are two."""
    both = {"released": answer.released, "otherwise": answer.otherwise}
    return {side: value for side, value in both.items() if None not in both.values() and value is not None}


def keep(case: Case, answer: Measured, seed: int, settings: Mapping) -> dict[str, Any]:
    """Return what else was measured."""
    return {"numbers": np.array(answer.numbers, float), "words": [answer.words]}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every deviation once, on the data set of the chapter."""
    return [(values["dataset"], name, values["seed"]) for name in EXPERIMENT.methods]


_OF = {
    "D5": too_large, "D7": by_predict, "D8": one_optimiser, "D9": frozen, "D10": without_checkpoints, "D13": twice,
    "D14": wrong_name, "D15": no_script,
}  # fmt: skip
EXPERIMENT = Experiment(
    name="db_aae.defects",
    methods={name: Method(_measured(function)) for name, function in _OF.items()},
    metrics=SIDES,
    prepare=prepare,
    score=score,
    settings=(DBAAE, *cells.DATA, "n2", "n3", "n_pcs"),
    asked=asked,
    keep=keep,
    times=("D7",),
)
