"""scVI on a file of `scale.py`, by its own data loader and defaults, in a process without TensorFlow.

    python benchmarks/scale_scvi.py FILE.h5ad --seconds 60

It wants an environment that has scvi-tools; `scale.py --models … scvi --scvi PYTHON` calls it. Its last line is JSON.
"""

import argparse
import json
import time
from pathlib import Path

import anndata
import scvi
from lightning.pytorch.callbacks import Callback
from process import Pace, bytes_read, peak

BATCH = 128  # as in SCVI.train


class Watch(Callback):
    """Ends a training after some seconds."""

    def __init__(self, seconds: float):
        self.pace, self.updates = Pace(seconds), 0

    def on_train_start(self, trainer: object, model: object) -> None:
        self.pace.start()

    def on_train_batch_end(self, trainer: object, *_: object) -> None:
        self.updates += 1
        if self.pace.update(self.updates):
            trainer.should_stop = True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=120, help="longest training")
    options = parser.parse_args()
    begin, before = time.perf_counter(), bytes_read()
    # its loader holds the counts in memory; it can be told to read from a file cell by cell, which takes far longer
    cells = anndata.read_h5ad(options.file)
    scvi.settings.seed = 0
    scvi.model.SCVI.setup_anndata(cells)
    watch, model = Watch(options.seconds), scvi.model.SCVI(cells)
    model.train(
        max_epochs=1000, accelerator="cpu", batch_size=BATCH, callbacks=[watch], enable_progress_bar=False, logger=False
    )
    found = watch.pace.told(model.trainer.num_training_batches)
    found |= {"setup": watch.pace.begin - begin, "setup_read": watch.pace.before - before}
    about = {"file": options.file.stat().st_size, "cells": cells.n_obs, "batch": BATCH, "trained": peak()}
    print(json.dumps(found | about | {"on_disk": False, "version": scvi.__version__}))


if __name__ == "__main__":
    main()
