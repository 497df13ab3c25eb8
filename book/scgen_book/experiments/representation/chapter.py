"""What the comparison of embeddings measures, and what its notebook takes beside the parameters that its cell shows."""

from collections.abc import Mapping
from typing import Any

from scgen_book.experiments.protocol import Chapter
from scgen_book.experiments.representation.cases import PUBLISHED, RepresentationSettings

# what UMAP and the compilation of the networks take has nothing to do with the number of cells
_QUICK = ("labels", "dca", "pca", "scvi", "log_counts", "chance")


def _fast(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "datasets": values["datasets"][:1], "seeds": values["seeds"][:1],
        "methods": [m for m in values["methods"] if m in _QUICK] or values["methods"][:1],
        "max_cells": 160, "genes": 40, "z_dim": 3, "test_share": 0.4, "kmeans_seeds": 1,
        "epochs": dict.fromkeys(PUBLISHED, 1),
    }  # fmt: skip


CHAPTER = Chapter("representation", ("representation",), (RepresentationSettings,), _fast)
