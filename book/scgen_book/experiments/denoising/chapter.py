"""What the comparison of denoisers measures, and what its notebook takes beside the parameters that its cell shows."""

from collections.abc import Mapping
from typing import Any

from scgen_book.experiments.denoising.cases import DenoisingSettings
from scgen_book.experiments.protocol import Chapter


def _fast(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "datasets": values["datasets"][:1], "seeds": values["seeds"][:1], "max_cells": 60, "genes": 40,
        "kmeans_seeds": 1, "dca_epochs": 1, "db_aae_epochs": 1, "db_aae_layers": [8, 8, 4], "scvi_epochs": 1,
    }  # fmt: skip


CHAPTER = Chapter("denoising", ("denoising",), (DenoisingSettings,), _fast)
