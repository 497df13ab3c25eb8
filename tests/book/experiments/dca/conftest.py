import pytest

from scgen_book import experiments

GIVEN = {
    "dataset": "pbmc68k_reduced", "labels": None, "transpose": False, "variants": ["repaired", "faithful"],
    "size_factor": None, "zscore": None, "learning_rate": None, "seed": 0, "seeds": [0], "fast": True,
    "hidden_size": [8, 4, 8], "rows": None, "out": None,
}  # fmt: skip
SMALL = {"epochs": 1, "student_epochs": 3, "max_cells": 60, "max_genes": 50, "tsne_iterations": 250}


@pytest.fixture(scope="session")
def values():
    """All parameters of the chapter, at a size for tests."""
    return experiments.complete("dca", GIVEN) | SMALL


@pytest.fixture(scope="session")
def computed(values):
    """Return a row of an experiment, with other settings where they are given; a row is computed once."""
    known = {}

    def row(name, dataset, method, seed=0, **others):
        key = (name, dataset, method, seed, *sorted(others.items()))
        if key not in known:
            experiment = experiments.get(name)
            settings = experiments.settings_of(experiment, values | others)
            known[key] = experiments.row(experiment, dataset, method, seed, settings)
        return known[key]

    return row


@pytest.fixture(scope="module", autouse=True)
def _small(eager):
    pass
