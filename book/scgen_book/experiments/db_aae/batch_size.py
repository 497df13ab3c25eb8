"""Is the batch size of the search a better one: trained with it and with 32 on the cells that the search has seen.

Both reconstruct the cells that neither the search nor the training has seen.
"""

from collections.abc import Callable, Mapping
from typing import Any

import anndata

from scgen_book import experiments
from scgen_book.experiments.db_aae import cells, search, sets
from scgen_book.experiments.protocol import Experiment, Method, Metric, NotApplicable, Task
from scgen_lib.models.db_aae import DBAAE

FOUND, DEFAULT = "found", "default"


def prepare(dataset: str, seed: int, settings: Mapping) -> tuple[str, anndata.AnnData, anndata.AnnData]:
    """Return the name, the cells that the search has seen, and those that judge it."""
    adata = cells.load(dataset, seed, settings)
    rows, others = cells.kept_apart(adata, seed, settings)
    return dataset, adata[rows].copy(), adata[others].copy()


def usual(n_cells: int) -> int:
    """Return the batch size where none is searched, 32, or all of fewer cells."""
    return min(cells.USUAL, n_cells)


def _trained(variant: str) -> Callable:
    def run(case: tuple, seed: int, settings: Mapping) -> dict[str, float]:
        name, train, judge = case
        sizes = {FOUND: search.batch_size(name, variant, settings), DEFAULT: usual(train.n_obs)}
        errors: dict[int, float] = {}
        for key, size in sizes.items():
            if size not in errors:
                how = cells.fit_options(settings, size) | {"checkpoint": experiments.checkpoint(key)}
                model = cells.model(variant, train, seed, settings).fit(train.copy(), **how)
                errors[size] = float(((model.denoise(judge) - model.normalised(judge)) ** 2).mean())
        return {f"size_{key}": size for key, size in sizes.items()} | {key: errors[s] for key, s in sizes.items()}

    return run


def score(case: tuple, answer: dict[str, float], seed: int, settings: Mapping) -> dict[str, float]:
    """Return the errors with both batch sizes, and these."""
    return answer


def claims(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims on both errors."""
    return {FOUND: "db_aae.batch.tuned", DEFAULT: "db_aae.batch.default"}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return both variants on the data set of the chapter, where a batch size was searched."""
    if not values["tune"]:
        raise NotApplicable("there was no search (parameter tune)")
    of = sets.chosen(values)
    return [(of.dataset, cells.NAMES[variant], s) for s in of.seeds for variant in values["variants"]]


EXPERIMENT = Experiment(
    name="db_aae.batch_size",
    methods={name: Method(_trained(variant), variant=variant) for name, variant in cells.VARIANTS.items()},
    metrics={
        FOUND: Metric("held-out MSE, batch size found", "lower"),
        DEFAULT: Metric("held-out MSE, the usual batch size", "lower"),
        f"size_{FOUND}": Metric("batch size found", "lower", judged=False),
        f"size_{DEFAULT}": Metric("the usual batch size", "lower", judged=False),
    },
    prepare=prepare,
    score=score,
    settings=(DBAAE, DBAAE.fit, *search.SETTINGS, "batch_size"),
    asked=asked,
    claims=claims,
)
