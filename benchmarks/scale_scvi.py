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
from process import bytes_read, peak

BATCH = 128  # as in SCVI.train


class Watch(Callback):
    """Ends a training after three epochs or some seconds, and says how long an epoch takes."""

    def __init__(self, seconds: float):
        self.limit, self.clock, self.ends = seconds, [], []

    def on_train_start(self, trainer: object, model: object) -> None:
        self.begin, self.before, self.updates = time.perf_counter(), bytes_read(), trainer.num_training_batches

    def on_train_batch_end(self, trainer: object, *_: object) -> None:
        self.clock.append(time.perf_counter())
        self.read = bytes_read() - self.before
        if self.clock[-1] - self.clock[0] > self.limit and len(self.clock) > 1:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: object, model: object) -> None:
        if len(self.clock) % self.updates == 0:
            self.ends.append(self.clock[-1])
            trainer.should_stop = trainer.should_stop or len(self.ends) == 3

    def told(self) -> dict[str, float | bool]:
        done, whole = len(self.clock), len(self.ends) > 1
        if whole:
            seconds = (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)
        else:
            seconds = (self.clock[-1] - self.clock[0]) / (done - 1) * self.updates
        return {"updates": self.updates, "done": done, "seconds": seconds, "whole": whole,
                "read": self.read / done * self.updates}  # fmt: skip


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
    found = watch.told() | {"setup": watch.begin - begin, "setup_read": watch.before - before, "on_disk": False}
    about = {
        "file": options.file.stat().st_size,
        "cells": cells.n_obs,
        "batch": BATCH,
        "trained": peak(),
        "peak": peak(),
    }
    print(json.dumps(found | about | {"version": scvi.__version__}))


if __name__ == "__main__":
    main()
