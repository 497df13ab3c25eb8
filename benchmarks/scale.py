"""Seconds per epoch, peak memory and disk read of training on counts on disk, from 10,000 to a million cells.

Cells are drawn with replacement from a real data set, each count from a Poisson distribution with the real one as its
mean, and written block by block to a sparse file, which every model is trained on in a process of its own:

    python benchmarks/scale.py [--cells 10000 … 1000000] [--models dca dr_a cvae scgan] [--output benchmarks/scale.md]

With ``scvi`` among the models, and ``--scvi`` the Python of an environment that has it, scVI stands beside them.
A training is stopped after ``--seconds``, and its epoch computed from the updates that were done. A model is measured
at all sizes in turn, ``--rounds`` times, since the pace of a machine changes from minute to minute.
"""

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import anndata
import h5py
import keras
import numpy as np
import pandas as pd
import psutil
import scipy.sparse as sp
from harness import other, ratios, report, spread
from process import Pace, bytes_read, peak

from scgen_lib import data
from scgen_lib.data import checks, stored
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.dca import DCA
from scgen_lib.models.dr_a import DRA
from scgen_lib.models.scgan import ScGAN

MODELS = {"dca": DCA, "dr_a": DRA, "cvae": CVAE, "scgan": ScGAN}
NAMES = {"dca": "DCA", "dr_a": "DR-A", "cvae": "CVAE", "scgan": "scGAN", "scvi": "scVI"}
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
BLOCK = 20_000


class Watch(keras.callbacks.Callback):
    """Ends a training after some seconds, and says how long an epoch takes without compilation."""

    def __init__(self, seconds: float):
        super().__init__()
        self.pace, self.updates = Pace(seconds), 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.windows = self.model._train_windows
        self.pace.start()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        of_window = self.windows.window_batches
        self.updates += min(of_window, self.windows.full_batches - batch * of_window)
        if self.pace.update(self.updates):
            self.model.stop_training = True

    def on_test_begin(self, logs: dict | None = None) -> None:
        self.pace.validate()

    def on_test_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.pace.validated()

    def on_test_end(self, logs: dict | None = None) -> None:
        self.pace.end_validation()


def profiles(name: str, genes: int) -> anndata.AnnData:
    """Real cells with the genes of the highest totals, without the cells that these leave empty."""
    cells = data.load(name)
    counts = sp.csr_matrix(checks.get_counts(cells, allow_empty=True))
    chosen = np.sort(np.argsort(-checks.totals(counts, 0), kind="stable")[:genes])
    counts = counts[:, chosen]
    full = checks.totals(counts) > 0
    if "cell_type" in cells.obs and cells.obs["cell_type"].notna().all():
        kinds = cells.obs["cell_type"].astype(str).to_numpy()[full]
    else:
        kinds = np.where(checks.totals(counts[full]) > np.median(checks.totals(counts[full])), "deep", "shallow")
    return anndata.AnnData(counts[full].astype("float32"), obs=pd.DataFrame({"cell_type": kinds}))


def simulate(real: anndata.AnnData, cells: int, path: Path, seed: int = 0) -> None:
    """Write cells that are drawn from real ones, some at a time."""
    chosen = np.random.default_rng(seed).integers(0, real.n_obs, cells)
    for start in range(0, cells, BLOCK):
        rng = np.random.default_rng([seed, start])
        block = real.X[chosen[start : start + BLOCK]]
        counts = rng.poisson(block.data)
        # no cell is to be without any count
        counts[block.indptr[:-1]] = np.maximum(counts[block.indptr[:-1]], 1)
        block.data = counts.astype("float32")
        block.eliminate_zeros()
        if start == 0:
            anndata.AnnData(block).write_h5ad(path)
        else:
            with h5py.File(path, "r+") as file:
                anndata.io.sparse_dataset(file["X"]).append(block)
    names = pd.Index([f"cell{i}" for i in range(cells)])
    obs = pd.DataFrame({"cell_type": pd.Categorical(real.obs["cell_type"].to_numpy()[chosen])}, index=names)
    with h5py.File(path, "r+") as file:
        del file["obs"]
        anndata.io.write_elem(file, "obs", obs)


def one(model: str, path: Path, seconds: float, denoise: str | None) -> dict:
    """Train one model on one file; to be called in a process of its own."""
    cells = anndata.read_h5ad(path, backed="r")
    watch, made = Watch(seconds), MODELS[model]()
    options = {} if model == "scgan" else {"epochs": 1000}
    begin, before = time.perf_counter(), bytes_read()
    made.fit(cells, callbacks=[watch], **options)
    found = watch.pace.told(watch.windows.full_batches)
    found |= {"setup": watch.pace.begin - begin, "setup_read": watch.pace.before - before}
    found["trained"] = peak()
    if denoise is not None:
        begin = time.perf_counter()
        target = Path(denoise)
        made.denoise_to(cells, target, dtype="float16")
        found |= {"denoise": time.perf_counter() - begin, "written": target.stat().st_size}
        target.unlink()
    about = {"peak": peak(), "file": path.stat().st_size, "cells": cells.n_obs, "batch": watch.windows.batch_size}
    return found | about | {"on_disk": stored.kept_on_disk(cells.X)}


def measured(options: argparse.Namespace, folder: Path) -> list[dict]:
    """Make the files that are lacking, and measure every model on every file; a folder keeps what was measured."""
    rows, real, paths = [], None, {}
    folder.mkdir(parents=True, exist_ok=True)
    for cells in options.cells:
        paths[cells] = path = folder / f"{options.profiles}-{cells}x{options.genes}.h5ad"
        if not path.exists():
            real = profiles(options.profiles, options.genes) if real is None else real
            simulate(real, cells, path)

    def kept_in(path: Path, model: str, number: int) -> Path:
        return path.with_name(f"{path.stem}-{model}-{number}.json")

    rounds = dict.fromkeys(options.models, options.rounds)
    for model in options.models:
        # more rounds of one model that were kept before count too
        while all(kept_in(path, model, rounds[model]).exists() for path in paths.values()):
            rounds[model] += 1
    for number, model, cells in itertools.product(range(max(rounds.values())), options.models, options.cells):
        if number >= rounds[model]:
            continue
        path = paths[cells]
        kept = kept_in(path, model, number)
        if not kept.exists():
            # scGAN and DR-A do not denoise
            denoise = number == 0 and cells in (options.denoise or ()) and model in ("dca", "cvae")
            command = [sys.executable, __file__, "--one", model]
            if model == "scvi":
                command = [options.scvi, str(Path(__file__).with_name("scale_scvi.py"))]
            # of others: the row before this one has ended
            load = psutil.cpu_percent(interval=2) / 100 * psutil.cpu_count()
            command += [str(path), "--seconds", str(options.seconds), *(["--denoise"] if denoise else [])]
            row = {"model": model, "load": load, "limit": options.seconds}
            kept.write_text(json.dumps(row | other(command)), encoding="utf-8")
        rows.append(json.loads(kept.read_text(encoding="utf-8")))
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def per_cell(row: dict) -> float:
    """Microseconds per training cell and epoch."""
    return (row["training"] + row["validation"]) / (row["updates"] * row["batch"]) * 1e6


def table(rows: list[dict]) -> list[str]:
    """Return the report's lines; `rows` of several rounds."""
    of: dict[str, dict[int, list[dict]]] = {}
    for row in rows:
        of.setdefault(row["model"], {}).setdefault(row["cells"], []).append(row)
    sizes = sorted({row["cells"] for row in rows})
    smallest = sizes[0]
    lines = [
        "| model | cells | file, GB | counts | s before training | s per epoch | of it validation | ms per update | "
        "µs per cell and epoch | read in an epoch, × file | peak, GiB |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for size, model in itertools.product(sizes, of):
        found = of[model][size]
        row = found[0]
        epoch = statistics.median(row["training"] + row["validation"] for row in found)
        seconds = f"{epoch:,.1f}" if epoch < 10 else f"{epoch:,.0f}"
        validation = statistics.median(row["validation"] for row in found)
        # what is read ahead says little of an epoch before that is over
        whole = all(row["done"] > row["updates"] for row in found)
        read = f"{statistics.median(row['read'] / row['file'] for row in found):.1f}" if whole else "–"
        lines.append(
            f"| {NAMES[model]} | {size:,} | {row['file'] / 1e9:.2f} | {'disk' if row['on_disk'] else 'memory'} | "
            f"{statistics.median(row['setup'] for row in found):.1f} | "
            f"{seconds if whole else f'*{seconds}*'} | {f'{validation:,.1f}' if validation else '–'} | "
            f"{statistics.median(row['training'] / row['updates'] for row in found) * 1e3:.2f} | "
            f"{spread([per_cell(row) for row in found], 0)} | {read} | {max(row['trained'] for row in found):.2f} |"
        )
    if len(sizes) > 1:
        lines += [
            "",
            f"Time per cell and epoch, times that of {smallest:,} cells, round by round:",
            "",
            "| model | " + " | ".join(f"{size:,} cells" for size in sizes[1:]) + " |",
            "|---" * len(sizes) + "|",
        ]
        for model, found in of.items():
            times = {size: [per_cell(row) for row in found[size]] for size in sizes}
            cells = [spread(ratios(times[size], times[smallest])) for size in sizes[1:]]
            lines.append(f"| {NAMES[model]} | " + " | ".join(cells) + " |")
    denoised = [
        f"| {NAMES[row['model']]} | {row['cells']:,} | {row['written'] / 1e9:.2f} | {row['denoise']:.0f} | "
        f"{row['peak']:.2f} |"
        for row in rows
        if "denoise" in row
    ]
    if denoised:
        head = [
            "",
            "`denoise_to`, float16:",
            "",
            "| model | cells | file written, GB | s | peak, GiB |",
            "|---|---|---|---|---|",
        ]
        lines += [*head, *denoised]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, nargs="+", default=SIZES)
    parser.add_argument("--genes", type=int, default=2000)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(NAMES))
    parser.add_argument("--scvi", default=sys.executable, help="Python of an environment that has scvi-tools")
    parser.add_argument("--profiles", default="pbmc3k", help="data set that cells are drawn from")
    parser.add_argument("--seconds", type=float, default=120, help="longest training of a measurement")
    parser.add_argument(
        "--rounds", type=int, default=1, help="measurements of every row, of which the medians are told"
    )
    parser.add_argument("--denoise", type=int, nargs="*", help="numbers of cells to denoise to a file too")
    parser.add_argument(
        "--folder", type=Path, help="keeps cells and rows, which are not made again; temporary if left out"
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        model, path = options.one
        target = str(Path(path).with_name("denoised.h5ad")) if options.denoise is not None else None
        print(json.dumps(one(model, Path(path), options.seconds, target)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        rows = measured(options, options.folder or Path(temporary))
    rounds = sorted(set(Counter((row["model"], row["cells"]) for row in rows).values()))
    told = " or ".join(f"{limit:g}" for limit in sorted({row["limit"] for row in rows}))
    notes = (
        f"{options.genes:,} genes of the highest totals in {options.profiles}. Every row is a process of its own.\n"
        "An epoch is a pass over the training cells and its validation (for scGAN 100 outer steps), without "
        f"compilation, computed from the updates done in\n{told} s; in italics: from a part of an epoch. Read are the "
        "bytes that were asked of the system, from its cache or the disk.\n"
        f"Medians of {' or '.join(map(str, rounds))} measurements (smallest–largest), all sizes of a model in turn; "
        "the largest peak."
    )
    versions = {row["version"] for row in rows if "version" in row}
    if versions:
        notes += f"\nscVI is {versions.pop()} on torch, by its own loader, which holds all counts in memory."
    load = max(row["load"] for row in rows)
    if load > 0.5:
        notes += (
            f"\n\n**Other work ran on the machine ({load:.1f} cores before a row): the times stand for no idle "
            "one, and are not to be compared\nwith each other. Memory and what is read are not touched by that.**"
        )
    command = (
        f"benchmarks/scale.py --cells {' '.join(map(str, options.cells))} --models {' '.join(options.models)} "
        f"--seconds {options.seconds:g} --rounds {options.rounds}"
    )
    report("From ten thousand cells to a million", command, notes, table(rows), options.output)


if __name__ == "__main__":
    main()
