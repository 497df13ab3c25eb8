"""What the chapter on DB-AAE measures, and what its notebook takes beside the parameters that its cell shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from scgen_book.experiments.protocol import Chapter
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.settings import Settings, declared, option


@declared
class DBAAEChapter(Settings):
    """Parameters of the experiments alone."""

    n2: int = option(1024, "in [1, 4096]", "width of the outer hidden layers", origin="n2")
    n3: int = option(512, "in [1, 4096]", "width of the inner hidden layers, and of D's first", origin="n3")
    tune: bool = option(True, meaning='search a batch size ("dynamic batching")')
    tune_all: bool = option(
        False, meaning="search one for each data set, not for the first alone (the others then take 32)"
    )
    tune_dir: str | None = option(
        None, meaning="folder that keeps the trials: a search that was killed continues there; None: none is kept"
    )
    test_fraction: float = option(
        0.2, "in (0, 0.5]", "share of the cells that neither the search nor the training of its test sees"
    )
    n_pcs: int = option(10, "in [2, 100]", "principal components for clusters and pictures", origin="plotting calls")
    n_neighbors: int = option(60, "in [2, 1000]", "neighbours for UMAP", origin="plotting calls")
    dca_epochs: int = option(300, "in [1, inf)", "epochs of DCA, the other denoiser, at most")
    part_seeds: Sequence[int] | None = option(
        None, "in [0, 4294967295]", "seeds of the models that tell what each defect costs; None: those of seeds"
    )
    few_cells: int = option(
        80, "in [1, inf)", "cells of the trainings that tell what 20 epochs of few cells cost (D18)"
    )
    few_epochs: int = option(20, "in [1, inf)", "epochs of the shorter one of these, as the code has them")
    more_epochs: int = option(200, "in [1, inf)", "epochs of the longer one, as the repaired model has them")


def _fast(values: Mapping[str, Any]) -> dict[str, Any]:
    from scgen_book.experiments.db_aae.sets import chosen

    sets = chosen(values)
    return {
        "max_cells": 60, "epochs": 1, "dca_epochs": 1, "tune_epochs": 1, "batch_max": values["batch_min"],
        "n2": 16, "n3": 8, "latent_dim": 4, "disc_hidden": 4, "few_cells": 20, "few_epochs": 1, "more_epochs": 2,
        "seeds": [values["seed"]], "masks": sets.masks[:1], "simulations": sets.simulations[-1:],
        "ordered": sets.ordered[:1], "real_sets": [], "markers": values["dataset"],
    }  # fmt: skip


CHAPTER = Chapter(
    "db_aae",
    (
        "db_aae.sets",
        "db_aae.search",
        "db_aae.denoising",
        "db_aae.batch_size",
        "db_aae.molecules",
        "db_aae.parts",
        "db_aae.defects",
    ),
    (DBAAE, DBAAE.fit, DBAAE.tune, DBAAEChapter),
    _fast,
)
