"""What a training loses when cells on disk are shuffled in pools: held-out loss beside that of a full shuffle.

The cells lie in the file by type, which is the worst that a shuffle in pools can meet; walking through them as they
stand is the control that has to be worse:

    python benchmarks/shuffling.py [--cells 10000] [--seeds 3] [--output benchmarks/shuffling.md]
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import anndata
import numpy as np
from harness import report
from scale import profiles, simulate

from scgen_lib import training
from scgen_lib.data import stored
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA
from scgen_lib.training import loop

MODELS = {"DCA": (DCA, "val_loss"), "DB-AAE": (DBAAE, "val_mse")}


def sorted_by_type(path: Path, cells: int, genes: int, data_set: str) -> None:
    """Write simulated cells in the order of their types."""
    simulate(profiles(data_set, genes), cells, path)
    made = anndata.read_h5ad(path)
    made[np.argsort(made.obs["cell_type"].astype(str), kind="stable")].copy().write_h5ad(path)


def in_pools(path: Path, pool: int) -> Callable:
    """Return the order of cells on disk with a pool of so many."""
    cells = stored.Stored(anndata.read_h5ad(path, backed="r").X)
    cells.pool = pool
    return training.shuffling(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--pools", type=int, nargs="+", default=[768, 2560])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--profiles", default="pbmc3k", help="data set that cells are drawn from")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lines = ["| model | cells in an epoch | held-out loss after the last epoch: mean ± sd (n) |", "|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.h5ad"
        sorted_by_type(path, options.cells, options.genes, options.profiles)
        cells = anndata.read_h5ad(path)
        orders = {"shuffled": training.shuffled}
        orders |= {f"shuffled in pools of {n:,}, runs of {stored.NEIGHBOURS}": in_pools(path, n) for n in options.pools}
        orders["as they lie in the file, by type"] = training.in_file_order
        for name in options.models:
            model, score = MODELS[name]
            for told, order in orders.items():
                values = []
                for seed in range(options.seeds):
                    # the order is all that differs: everything else is as in memory
                    with (
                        mock.patch.object(training, "shuffling", lambda x, order=order: order),
                        mock.patch.object(loop, "shuffling", lambda x, order=order: order),
                    ):
                        fitted = model(seed=seed).fit(cells, epochs=options.epochs, validation_split=0.1)
                    values.append(fitted.history[score][-1])
                spread = statistics.stdev(values) if len(values) > 1 else float("nan")
                lines.append(f"| {name} | {told} | {statistics.mean(values):.5f} ± {spread:.5f} ({len(values)}) |")
                print(lines[-1], flush=True)
    notes = (
        f"{options.cells:,} cells of {options.profiles} by type × {options.genes:,} genes, {options.epochs} epochs. "
        "Of such cells on disk a pool has some 40,000,\nfrom some 600 places of the file; a pool here has a few "
        "hundred from a few places, and is far worse mixed."
    )
    command = (
        f"benchmarks/shuffling.py --cells {options.cells} --pools {' '.join(map(str, options.pools))} --epochs "
        f"{options.epochs} --seeds {options.seeds} --models {' '.join(options.models)}"
    )
    report("Shuffling in pools", command, notes, lines, options.output)


if __name__ == "__main__":
    main()
