"""How the time of DCA grows with the number of cells, at a thousand genes.

What is timed is an epoch, by the settings of the chapter and without compilation, and the denoising of all cells. A row
is the time of one machine while it did nothing else, so that no other run gives the same number.
"""

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

import anndata
import keras

from scgen_book.experiments.dca import cases, networks
from scgen_book.experiments.protocol import Experiment, Method, Metric, NotApplicable, Task
from scgen_lib.data import checks, splatter
from scgen_lib.models.dca import DCA
from scgen_lib.settings import chosen

#: How many cells a method denoises, by its name.
SIZES = {f"{cells:,} cells": cells for cells in (1_000, 2_000, 5_000, 10_000, 20_000)}
GENES = 1_000
#: Of which the first compiles and is left out.
EPOCHS = 4
EPOCH, DENOISING = "an epoch", "denoising"


def prepare(dataset: str, seed: int, settings: Mapping) -> Callable[..., anndata.AnnData]:
    """Return a function of ``batch_cells`` that simulates so many cells of a preset, with a thousand genes."""
    return functools.partial(splatter.preset, dataset, seed=seed, n_genes=GENES)


def _timed(cells: int) -> Method:
    def run(case: Callable[..., anndata.AnnData], seed: int, settings: Mapping) -> dict[str, float]:
        simulated, ends = checks.drop_empty(case(batch_cells=(cells,))), []
        clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter()))
        model = DCA.variant("faithful", **chosen(DCA, settings) | {"seed": seed})
        # without a checkpoint, whose writing would be timed
        model.fit(simulated, callbacks=[clock], **chosen(DCA.fit, settings) | {"epochs": EPOCHS})
        start = time.perf_counter()
        model.denoise(simulated)
        took = time.perf_counter() - start
        return {EPOCH: (ends[-1] - ends[0]) / (EPOCHS - 1), DENOISING: took}

    return Method(run, variant="faithful")


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the sizes up to the one asked for, on the first simulation of part A."""
    cases.refuse_unless("A", values)
    if (most := values["scaling_cells"]) is None:
        raise NotApplicable("no number of cells was asked for in this run (parameter scaling_cells)")
    return [
        (d, method, values["seed"]) for d in values["fig2_datasets"][:1] for method, n in SIZES.items() if n <= most
    ]


EXPERIMENT = Experiment(
    name="dca.scaling",
    methods={method: _timed(cells) for method, cells in SIZES.items()},
    metrics={
        EPOCH: Metric("seconds of an epoch", "lower", judged=False),
        DENOISING: Metric("seconds to denoise all cells", "lower", judged=False),
    },
    prepare=prepare,
    score=lambda case, answer, seed, settings: answer,
    settings=networks.SETTINGS,
    asked=asked,
    times=(EPOCH, DENOISING),
)
