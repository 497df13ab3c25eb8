"""Our faithful models beside the originals' own code on the same data, quantity by quantity.

`originals/original.csv` holds what the released programs gave when they were run as they are, each in an old
environment of its own; `originals/ours.csv` what our faithful variants give, a line written as soon as it is known.

    python benchmarks/originals.py                    # compute what is missing, and write the table
    python benchmarks/originals.py --only db_aae      # a part of it
    python benchmarks/originals.py --table            # the table alone

The rule of agreement is that of `scgen_book.originals`.
"""

import argparse
import csv
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import anndata
import joblib
import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import normalized_mutual_info_score

from scgen_book import originals
from scgen_lib import data
from scgen_lib.data.checks import drop_empty, get_counts
from scgen_lib.errors import TrainingError
from scgen_lib.metrics.arrays import log_normalise
from scgen_lib.metrics.clustering import pca, silhouette
from scgen_lib.preprocess import highest_variance, legacy_split

FOLDER = Path(__file__).with_suffix("")
OURS, THEIRS, TABLE = FOLDER / "ours.csv", FOLDER / "original.csv", FOLDER.with_suffix(".md")
ENDED = "trainings that end at NaN"
COLUMNS = ["method", "dataset", "settings", "seed", "metric", "value", "epochs"]
# (method, data set, settings) as in original.csv → function of the seed, and number of seeds
Case = Callable[[int], tuple[dict[str, float], int]]


def dense(x: object) -> np.ndarray:
    """A dense array of a matrix, sparse or not."""
    return np.asarray(x.toarray() if hasattr(x, "toarray") else x, "float64")


# DCA -----------------------------------------------------------------------------------------------------------------


def dca_on_a_simulation(dataset: str, **settings: object) -> Case:
    """Silhouettes of the true groups, and errors against the truth, on ln(1 + x / total · median total)."""

    def run(seed: int) -> tuple[dict[str, float], int]:
        from scgen_lib.models.dca import DCA

        adata = drop_empty(data.load(dataset))
        model = DCA.faithful(ae_type="zinb-conddisp", seed=seed, **settings).fit(adata, epochs=300)
        logs, truth = (dense(log_normalise(x)) for x in (model.denoise(adata), adata.layers["true_counts"]))
        points, groups = pca(logs, 10, seed=0), adata.obs["group"].astype(str)
        dropped = (dense(adata.layers["true_counts"]) > 0) & (dense(get_counts(adata)) == 0)
        epochs = len(model.history["loss"])
        return {
            "silhouette PC1-2": silhouette(points[:, :2], groups),
            "silhouette PC1-10": silhouette(points, groups),
            "MSE log dropped": float(((logs - truth) ** 2)[dropped].mean()),
            "MSE log all": float(((logs - truth) ** 2).mean()),
            "epochs": epochs,
            "validation loss, last": model.history["val_loss"][-1],
        }, epochs

    return run


def dca_on_paul(ae_type: str) -> Case:
    """Correlation of Gata1 and Pu.1 (Sfpi1) after denoising."""

    def run(seed: int) -> tuple[dict[str, float], int]:
        from scgen_lib.models.dca import DCA

        adata = data.load("paul_full")
        model = DCA.faithful(ae_type=ae_type, seed=seed).fit(adata, epochs=300)
        genes = [adata.var_names.get_loc(name) for name in ("Gata1", "Sfpi1")]
        mean = np.log1p(model.denoise(adata)[:, genes])
        neither = (dense(get_counts(adata)[:, genes]) == 0).all(axis=1)
        return {
            "Pearson r of ln(1+mean), Gata1 and Sfpi1, all cells": np.corrcoef(mean.T)[0, 1],
            f"the same, {neither.sum()} cells with neither": np.corrcoef(mean[neither].T)[0, 1],
        }, len(model.history["loss"])

    return run


# DR-A ----------------------------------------------------------------------------------------------------------------


def zeisel() -> anndata.AnnData:
    """All cells with the 720 most variable of 4,000 genes, in the order of the file."""
    adata = data.load("zeisel_4000")
    return adata[:, np.sort(highest_variance(get_counts(adata, allow_empty=True), 720))].copy()


def pbmc() -> anndata.AnnData:
    """As many purified cells as Zeisel's, ordered by type, with their 720 most variable genes."""
    adata = data.load("pbmc_facs")
    adata = adata[(adata.obs["split"] == "train").to_numpy()]
    adata = adata[np.sort(np.random.RandomState(7).permutation(adata.n_obs)[:3005])]
    adata = adata[np.argsort(adata.obs["cell_type"].astype(str).to_numpy(), kind="stable")]
    return adata[:, np.sort(highest_variance(get_counts(adata, allow_empty=True), 720))].copy()


def dr_a(cells: Callable[[], anndata.AnnData], **settings: object) -> Case:
    """NMI of k-means on the codes of the test cells; without guards, as the release has none."""

    def run(seed: int) -> tuple[dict[str, float], int]:
        from scgen_lib.models.dr_a import DRA

        adata = cells()
        test = legacy_split(adata.n_obs)[1]
        labels = adata.obs["cell_type"].astype(str).to_numpy()[test]
        names = [
            f"NMI {mean}, posterior {latent}" for latent in ("sample", "mean") for mean in ("geometric", "arithmetic")
        ]
        try:
            model = DRA.faithful(guards=False, seed=seed, **settings).fit(adata, epochs=200, batch_size=128)
        except TrainingError as error:
            print(f"dr_a, seed {seed}: {error}", flush=True)
            return dict.fromkeys(names, math.nan) | {ENDED: 1.0}, 0
        scores: dict[str, list[float]] = {name: [] for name in names}
        for latent in ("sample", "mean"):
            codes = model.embed(adata[test], latent)
            for state in range(5):
                found = KMeans(len(set(labels)), n_init=10, random_state=state).fit_predict(codes)
                for mean in ("geometric", "arithmetic"):
                    value = normalized_mutual_info_score(labels, found, average_method=mean)
                    scores[f"NMI {mean}, posterior {latent}"].append(value)
        return {name: float(np.mean(v)) for name, v in scores.items()} | {ENDED: 0.0}, 200

    return run


# DB-AAE --------------------------------------------------------------------------------------------------------------


def db_aae_on_goolam(**settings: object) -> Case:
    """Squared error of the reconstruction, all cells, those that no mini-batch holds included."""

    def run(seed: int) -> tuple[dict[str, float], int]:
        from scgen_lib.models.db_aae import DBAAE

        adata = data.load("goolam")
        model = DBAAE.faithful(n_hvg=5000, seed=seed, **settings).fit(adata, epochs=20, batch_size=32)
        return {"MSE all cells, log scale": float(((model.denoise(adata) - model.normalised(adata)) ** 2).mean())}, 20

    return run


def db_aae_on_a_simulation(dataset: str, **settings: object) -> Case:
    """Squared errors against the truth and against the input, on ln(1 + 10,000 x / total)."""

    def run(seed: int) -> tuple[dict[str, float], int]:
        from scgen_lib.models.db_aae import DBAAE

        adata = data.load(dataset)
        model = DBAAE.faithful(min_cells=1, seed=seed, **settings).fit(adata, epochs=20, batch_size=32)
        adata = adata[:, model.genes]
        denoised, x = model.denoise(adata), model.normalised(adata)
        truth = dense(log_normalise(adata.layers["true_counts"], 1e4))
        dropped = (dense(adata.layers["true_counts"]) > 0) & (dense(get_counts(adata, allow_empty=True)) == 0)
        return {
            "MSE log, dropped entries, against truth": float(((denoised - truth) ** 2)[dropped].mean()),
            "MSE log, all entries, against truth": float(((denoised - truth) ** 2).mean()),
            "MSE log, fit to its input": float(((denoised - x) ** 2).mean()),
        }, 20

    return run


# scGAN ---------------------------------------------------------------------------------------------------------------


def scgan(seed: int) -> tuple[dict[str, float], int]:
    """Cells and losses after 200 outer steps."""
    from scgen_lib.models.scgan import ScGAN
    from scgen_lib.models.scgan.cells import scaled

    adata = data.load("pbmc68k_reduced")
    train = np.sort(np.random.RandomState(0).permutation(adata.n_obs)[:490])
    model = ScGAN.faithful(conditional=False, seed=seed)
    model.fit(adata[train], steps=200, batch_size=128, steps_per_epoch=1)
    held_out = np.setdiff1d(np.arange(adata.n_obs), train)
    real = np.log1p(dense(scaled(get_counts(adata)[held_out], 20000.0)))
    made = np.log1p(dense(model.simulate(len(held_out)).X))
    sd = [x.std(axis=0, ddof=1) for x in (made, real)]
    history = {
        f"{words} at step {step}": model.history[name][step - 1]
        for words, name in (("penalty", "penalty"), ("critic loss", "critic"))
        for step in (40, 100, 200)
    }
    return {
        f"zeros among generated (real {(real == 0).mean():.3f})": float((made == 0).mean()),
        "Pearson r of gene means of ln(1+x)": np.corrcoef(made.mean(axis=0), real.mean(axis=0))[0, 1],
        "median ratio of sd within genes": float(np.median((sd[0] / sd[1])[sd[1] > 0])),
        **history,
    }, 0


# The settings are those of original.csv, letter by letter.
DCA_SETTINGS = "ae_type {}, 300 epochs at most, defaults"
DRA_SETTINGS = "z_dim {}, n_l {}, g 512, d {}, lr {}, bn {}"
AAE_SETTINGS = "n2 1024, n3 512, latent 512, batch 32, lr 2e-4"
DEEP = {"latent_dim": 2, "hidden": [512] * 4, "disc_hidden": [32] * 4}
SCGAN_DATA = "pbmc68k_reduced, 490 training cells"
SCGAN_SETTINGS = "unconditional, layers 256/512/1024, batch 128, 200 outer steps"
ZEISEL, PBMC = "zeisel_4000 top 720", "pbmc_facs 3005 x 720"
KERAS_3 = {"optimizer": "RMSprop-keras3"}
CASES: dict[tuple[str, str, str], tuple[Case, int]] = {
    ("db_aae", "goolam", AAE_SETTINGS): (db_aae_on_goolam(), 10),
    ("db_aae", "goolam", AAE_SETTINGS + originals.KERAS_3): (db_aae_on_goolam(**KERAS_3), 5),
}
for name in ("splatter_g2", "splatter_g6"):
    settings = DCA_SETTINGS.format("zinb-conddisp")
    CASES |= {
        ("dca", name, settings): (dca_on_a_simulation(name), 5),
        ("dca", name, settings + originals.KERAS_3): (dca_on_a_simulation(name, **KERAS_3), 5),
        ("db_aae", name, AAE_SETTINGS): (db_aae_on_a_simulation(name), 5),
        ("db_aae", name, AAE_SETTINGS + originals.KERAS_3): (db_aae_on_a_simulation(name, **KERAS_3), 5),
    }
CASES |= {
    ("scgan", SCGAN_DATA, SCGAN_SETTINGS): (scgan, 5),
    ("dr_a", ZEISEL, DRA_SETTINGS.format(10, 1, 512, "7e-4", False)): (dr_a(zeisel), 5),
    ("dr_a", ZEISEL, DRA_SETTINGS.format(20, 1, 512, "7e-4", False)): (dr_a(zeisel, latent_dim=20), 5),
    ("dr_a", ZEISEL, DRA_SETTINGS.format(2, 4, 32, "8e-4", False)): (dr_a(zeisel, **DEEP, learning_rate=8e-4), 6),
    ("dr_a", ZEISEL, DRA_SETTINGS.format(2, 4, 32, "1e-4", True)): (
        dr_a(zeisel, **DEEP, learning_rate=1e-4, batchnorm=True),
        5,
    ),
    ("dr_a", PBMC, DRA_SETTINGS.format(10, 1, 512, "7e-4", False)): (dr_a(pbmc), 5),
    ("dca", "paul_2730x3451", DCA_SETTINGS.format("nb")): (dca_on_paul("nb"), 5),
    ("dca", "paul_2730x3451", DCA_SETTINGS.format("nb-conddisp")): (dca_on_paul("nb-conddisp"), 5),
}


def compute(key: tuple[str, str, str], seed: int) -> list[dict]:
    """The lines of one case and seed."""
    values, epochs = CASES[key][0](seed)
    named = dict(zip(COLUMNS, (*key, seed), strict=False))
    return [named | {"metric": metric, "value": f"{value:.5g}", "epochs": epochs} for metric, value in values.items()]


def missing(only: str | None) -> Iterator[tuple[tuple[str, str, str], int]]:
    """Cases and seeds that ours.csv does not have, a seed of every case before the next one."""
    done = set()
    if OURS.exists():
        rows = pd.read_csv(OURS)
        done = set(zip(rows["method"], rows["dataset"], rows["settings"], rows["seed"], strict=True))
    for seed in range(max(n for _, n in CASES.values())):
        for key, (_, n) in CASES.items():
            if seed < n and (only is None or only in " ".join(key)) and (*key, seed) not in done:
                yield key, seed


def write(rows: list[dict]) -> None:
    """Append lines to ours.csv."""
    fresh = not OURS.exists()
    with OURS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if fresh:
            writer.writeheader()
        writer.writerows(rows)


# The table -----------------------------------------------------------------------------------------------------------


def report() -> None:
    """Write the table as Markdown."""
    from harness import report

    from scgen_book.markdown import escape, table

    original, ours = originals.read(FOLDER)
    frame = originals.compare(original, ours)
    lines = [
        originals.RULE,
        "",
        originals.counted(frame),
        "",
    ]
    for (method, dataset), part in frame.groupby(["method", "dataset"], sort=False):
        cells = part.drop(columns=["method", "dataset"]).astype(str)
        rows = [[*map(escape, row[:2]), *row[2:]] for row in cells.to_numpy()]
        lines += [f"## {originals.NAMES[method]}, {dataset}", "", table(list(cells.columns), rows)]
    lines += ["## Keras 2's RMSprop and Keras 3's", "", originals.optimiser_table(original, ours)]
    ended = ours[ours["metric"] == ENDED].groupby(["dataset", "settings"], sort=False)["value"].agg(["sum", "count"])
    rows = [[*key, f"{int(n['sum'])} of {int(n['count'])}", _nan_runs(*key)] for key, n in ended.iterrows()]
    lines += [
        "## Trainings of DR-A without guards that end at values that are not finite",
        "",
        table(["data", "settings", "ours", "release"], rows),
    ]
    report(
        "Our faithful models beside the originals' own code", "benchmarks/originals.py", "a thread each.", lines, TABLE
    )


def _nan_runs(dataset: str, settings: str) -> str:
    rows = pd.read_csv(THEIRS)
    rows = rows[(rows["dataset"] == dataset) & (rows["settings"] == settings) & (rows["epochs"] == 200)]
    runs = rows[rows["metric"] == "NMI geometric, posterior sample"]["value"]
    return f"{int(runs.isna().sum())} of {len(runs)}"


def main() -> None:
    """Compute what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="part of a case's method, data set or settings")
    parser.add_argument("--jobs", type=int, default=1, help="rows side by side")
    parser.add_argument("--table", action="store_true", help="write the table from the values that are there")
    options = parser.parse_args()
    if not options.table:
        tasks = (joblib.delayed(compute)(key, seed) for key, seed in missing(options.only))
        for rows in joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered")(tasks):
            write(rows)
            print(*rows[0].values(), flush=True)
    report()


if __name__ == "__main__":
    main()
