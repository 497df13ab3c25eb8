"""What the chapter on the CVAE measures, and what its notebook takes beside the parameters that its cell shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from scgen_book.experiments.protocol import Chapter
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.cvae.cells import split
from scgen_lib.settings import Settings, declared, option


@declared
class CVAEChapter(Settings):
    """Parameters of the experiments alone."""

    snapshot_epochs: Sequence[int] = option(
        (5, 10, 20),
        "in [1, inf)",
        "epochs at which cells are simulated for the figure; those after the last epoch are left out",
    )
    gene_orders: Sequence[str] = option(
        ("file", "mean", "correlation"), "subset of file, mean, correlation", "orders compared for V13"
    )
    control_seeds: Sequence[int] | None = option(
        None,
        "in [0, 4294967295]",
        "seeds of the controls beside those of seeds, whose spread says which metrics count; None: three with these",
    )
    min_test_cells: int = option(
        50, "in [2, inf)", "types with fewer test cells are shown, but left out of all averages"
    )
    score_cells: int | None = option(
        400,
        "in [20, inf)",
        "held-out and simulated cells a side in the scores, at most; None: as many as there are",
    )
    forest_trees: int = option(200, "in [10, inf)", "trees of a random forest")
    by_type: bool = option(False, "any", "also score every type for itself")
    embedding_dots: int = option(30, "in [2, inf)", "cells of each type in the embeddings, at most")


def _fast(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "epochs": min(values["epochs"], 2), "snapshot_epochs": [1, 2], "seeds": values["seeds"][:1],
        "more_datasets": [], "gene_orders": [values["gene_order"]], "min_test_cells": 10, "forest_trees": 20,
        "score_cells": 100,
    }  # fmt: skip


CHAPTER = Chapter(
    "cvae",
    ("cvae.sizes", "cvae.realism", "cvae.gene_order", "cvae.first_steps", "cvae.defects"),
    (CVAE, CVAE.fit, split, CVAEChapter),
    _fast,
)
