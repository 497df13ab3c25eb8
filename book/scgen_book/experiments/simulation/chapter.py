"""What the comparison of simulators measures, and what its notebook takes beside the parameters that its cell shows."""

from collections.abc import Mapping
from typing import Any

from scgen_book.experiments.protocol import Chapter
from scgen_book.experiments.simulation.cases import SimulationSettings


def _fast(values: Mapping[str, Any]) -> dict[str, Any]:
    # a compilation takes longer than all the rest
    methods = [m for m in values["methods"] if m not in ("cvae_faithful", "scgan", "cscgan")]
    return {
        "datasets": values["datasets"][:1], "seeds": values["seeds"][:1], "control_seeds": values["seeds"][:1],
        "methods": methods or values["methods"], "max_cells": 300, "n_top_genes": 80, "min_class_size": 20,
        "min_test_cells": 10, "forest_trees": 10, "repeats": 1, "permutations": 10, "cvae_epochs": 1, "gan_steps": 3,
        "gan_layers": [8, 16],
    }  # fmt: skip


CHAPTER = Chapter("simulation", ("simulation",), (SimulationSettings,), _fast)
