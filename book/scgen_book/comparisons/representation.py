"""Representation: how well a short code of a cell knows the cell type that it was not told.

Every method learns from the counts of the training cells and encodes the test cells, which it has not seen; there
k-means clusters of the codes are compared with the labels. All see the same genes and give codes of the same length.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

import anndata
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from scgen_book import comparisons, external
from scgen_book.comparisons.protocol import BASELINE, NEGATIVE, POSITIVE, Comparison, Method, Metric, NotApplicable
from scgen_lib import preprocess, training
from scgen_lib.data import checks, registry, splatter
from scgen_lib.errors import ParameterError
from scgen_lib.metrics import clustering
from scgen_lib.metrics.arrays import log_normalise
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA
from scgen_lib.models.dr_a import DRA

METRICS = {
    "nmi": Metric("NMI of k-means clusters", "higher"),
    "ari": Metric("ARI of k-means clusters", "higher"),
    "silhouette": Metric("silhouette of the labels", "higher"),
}
#: What a comparison takes where its settings name nothing else; the epochs are those that the papers' codes take.
DEFAULTS = {
    "z_dim": 10,
    "genes": 720,
    "max_cells": None,
    "test_share": 0.2,
    "labels": None,
    "transpose": False,
    "kmeans_seeds": 5,
    "epochs": {"dr_a": 200, "dca": 300, "db_aae": None, "cvae": 20, "scvi": None},
}
#: Labels that were known before any gene was measured. Other real labels were read from expression, often from clusters
#: of principal components, which are then no neutral judge of principal components.
DESIGNED = ("pbmc_facs", "goolam", "sc_celseq2", "sc_dropseq", "rnamix_celseq2")
# Fewer updates than these take less time one by one than their compilation.
FEW_UPDATES = 20


@dataclasses.dataclass(frozen=True)
class Case:
    """Training and test cells of one data set, raw counts of the same genes in ``X``, types in ``obs["cell_type"]``.

    Attributes
    ----------
    about
        The data set's own words, ``uns["dataset"]``.
    left_out
        How many cells are in neither part: those without a label, of a type with fewer than two test cells, without a
        count, or above ``max_cells``.
    """

    train: anndata.AnnData
    test: anndata.AnnData
    about: Mapping[str, Any]
    left_out: Mapping[str, int]

    @property
    def truth(self) -> str:
        """Where labels come from: ``simulated``, ``known by design``, ``read from expression`` or ``own labels``."""
        name = self.about["name"]
        if self.about.get("simulated"):
            return "simulated"
        if name not in registry.DATASETS:
            return "own labels"
        return "known by design" if name in DESIGNED else "read from expression"


def complete(settings: Mapping) -> dict:
    """Return all settings, `DEFAULTS` for those that are not given, the epochs method by method.

    Raises
    ------
    ParameterError
        If there is no setting of that name.
    """
    if unknown := [*(set(settings) - set(DEFAULTS)), *(set(settings.get("epochs") or {}) - set(DEFAULTS["epochs"]))]:
        known = ", ".join([*DEFAULTS, *DEFAULTS["epochs"]])
        raise ParameterError(f"expected settings among {known}, got {unknown[0]!r}: use one of them")
    return DEFAULTS | dict(settings) | {"epochs": DEFAULTS["epochs"] | dict(settings.get("epochs") or {})}


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Load labelled counts, split them, and choose the genes by the training cells.

    Parameters
    ----------
    dataset
        What `scgen_lib.data.load` takes.
    seed
        Of the sample and of the split, in which every type has its share.
    settings
        "max_cells" (None: all), "test_share" in (0, 0.5], "genes" (those of highest variance of log counts among the
        training cells), and for own files only "labels" (column of ``obs`` with the types) and "transpose" (the file
        is genes × cells).

    Raises
    ------
    NotApplicable
        There are no labels, or fewer than two types with two test cells.
    DataError
        The data set cannot be had, or has no counts.
    """
    settings = complete(settings)
    cells = comparisons.load(dataset, settings)
    if "cell_type" not in cells.obs:
        raise NotApplicable(f"expected labelled cells, got none in {dataset}: name their column with labels")
    counts = checks.get_counts(cells, allow_empty=True)
    kept = anndata.AnnData(counts, obs=cells.obs[["cell_type"]], var=pd.DataFrame(index=cells.var_names))
    left_out = {"no label": int(kept.obs["cell_type"].isna().sum())}
    kept = kept[kept.obs["cell_type"].notna().to_numpy()].copy()
    most = settings["max_cells"]
    if most is not None and most < kept.n_obs:
        left_out["above max_cells"] = kept.n_obs - most
        kept = kept[_sample(kept, most, seed)].copy()
    scored = _scored(kept, math.ceil(2 / settings["test_share"]))
    left_out["too few of the type"] = int((~scored).sum())
    kept = kept[scored].copy()
    kept.obs["cell_type"] = kept.obs["cell_type"].cat.remove_unused_categories()
    parts = train_test_split(
        np.arange(kept.n_obs), test_size=settings["test_share"], stratify=kept.obs["cell_type"], random_state=seed
    )
    train, test = (kept[rows].copy() for rows in parts)
    train = checks.drop_empty(train)
    genes = train.var_names[preprocess.highest_variance(train.X, min(settings["genes"], train.n_vars))]
    # the counts of the chosen genes decide who is empty, among training and test cells alike
    train, test = (part[:, genes][checks.totals(part[:, genes].X) > 0].copy() for part in (train, test))
    left_out["no count"] = sum(map(len, parts)) - train.n_obs - test.n_obs
    _scored(test, 1)
    for part in (train, test):
        part.layers["counts"] = part.X.copy()
    return Case(train, test, dict(cells.uns["dataset"]), left_out)


def _scored(cells: anndata.AnnData, least: int) -> np.ndarray:
    """Which cells are of a type that is large enough, or refuse them all."""
    scored, unscored = checks.scoring(cells.obs["cell_type"], least)
    if unscored:
        raise NotApplicable(f"expected two types of {least} cells or more, got others ({unscored}): take more cells")
    return scored


def _sample(cells: anndata.AnnData, n: int, seed: int) -> np.ndarray:
    """Rows of n cells, each type by its share, in the order of the file."""
    types = cells.obs["cell_type"].cat.codes.to_numpy()
    shuffled = np.random.default_rng(seed).permutation(len(types))
    by_type = shuffled[np.argsort(types[shuffled], kind="stable")]
    # every so many-th of the cells in the order of their types
    return np.sort(by_type[np.arange(n) * len(types) // n])


def score(case: Case, codes: np.ndarray, seed: int, settings: Mapping) -> dict[str, float]:
    """Compare codes of the test cells (N, d) with the labels.

    Parameters
    ----------
    case, codes
        The data, and what a method made of their test cells.
    seed
        Of the sample that the silhouette takes above 5,000 cells.
    settings
        "kmeans_seeds": how many seeds of k-means, from 0 on, each with ten initialisations.

    Returns
    -------
    dict
        nmi (arithmetic mean of the entropies) and ari of k-means clusters, as many as there are types among the test
        cells, means over the seeds of k-means; silhouette of the labels, Euclidean, in the space of the codes.
    """
    labels = case.test.obs["cell_type"]
    found = clustering.kmeans_scores(codes, labels, range(complete(settings)["kmeans_seeds"]))["mean"]
    return {"nmi": found["nmi"], "ari": found["ari"], "silhouette": clustering.silhouette(codes, labels, seed)}


# The methods: from case, seed and settings to codes of the test cells ------------------------------------------------


def _logs(cells: anndata.AnnData) -> np.ndarray:
    return training.dense(log_normalise(cells.X, 1e4))


def log_counts(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """Do nothing: ln(1 + x) of the cells scaled to 10,000, all genes."""
    return _logs(case.test)


def pca(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """Principal components of the training cells' logarithms."""
    return _components(case, complete(settings)["z_dim"], seed)[1]


def _components(case: Case, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of training and test cells on n components, fewer where there are fewer, fixed on the training cells."""
    train, test = _logs(case.train), _logs(case.test)
    fitted = PCA(min(n, *train.shape), random_state=seed).fit(train)
    return fitted.transform(train), fitted.transform(test)


def chance(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The codes of PCA, each given to another cell: what a score is worth by chance."""
    return np.random.default_rng([seed, 1]).permutation(pca(case, seed, settings))


def labels(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The labels themselves as one-hot codes: the perfect answer."""
    return pd.get_dummies(case.test.obs["cell_type"]).to_numpy("float32")


def umap(case: Case, seed: int, settings: Mapping, n: int | None = None) -> np.ndarray:
    """UMAP (McInnes et al. 2018) of 50 principal components, by its defaults; the test cells are placed afterwards."""
    from umap import UMAP

    train, test = _components(case, 50, seed)
    neighbours = min(15, len(train) - 1)
    # one thread: with several, the numbers would differ from run to run
    mapper = UMAP(n_neighbors=neighbours, n_components=n or complete(settings)["z_dim"], random_state=seed, n_jobs=1)
    return mapper.fit(train).transform(test)


def umap_2(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """UMAP in two dimensions, as it is drawn."""
    return umap(case, seed, settings, 2)


def dr_a(case: Case, seed: int, settings: Mapping, variant: str) -> np.ndarray:
    """DR-A with the published settings of the length of the codes; the mean of a code, not a sample."""
    chosen = complete(settings)
    published = {"hidden": (512,) * 4, "disc_hidden": (32,) * 4, "learning_rate": 8e-4} if chosen["z_dim"] == 2 else {}
    model = DRA.variant(variant, latent_dim=chosen["z_dim"], seed=seed, **published)
    n, epochs = case.train.n_obs, chosen["epochs"]["dr_a"]
    size = min(128, n // 2)
    with _compiled_if_long(epochs * (n // size)):
        model.fit(case.train, epochs=epochs, batch_size=size, train_rows=np.arange(n))
    return model.embed(case.test, latent="mean")


def dr_a_faithful(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """DR-A as its released code computes it, with the guards that it lacks."""
    return dr_a(case, seed, settings, "faithful")


def dr_a_repaired(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """DR-A with the game that its paper describes, and additions of our own."""
    return dr_a(case, seed, settings, "repaired")


def dca(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The bottleneck of the repaired DCA, between hidden layers of 64 units."""
    chosen = complete(settings)
    model, epochs = DCA(hidden=(64, chosen["z_dim"], 64), seed=seed), chosen["epochs"]["dca"]
    with _compiled_if_long(epochs * math.ceil(case.train.n_obs / 32)):
        model.fit(case.train, epochs=epochs)
    return model.embed(case.test)


def db_aae(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The code of the repaired DB-AAE."""
    chosen = complete(settings)
    model, epochs = DBAAE(latent_dim=chosen["z_dim"], seed=seed), chosen["epochs"]["db_aae"]
    with _compiled_if_long((epochs or 20) * math.ceil(case.train.n_obs / 32)):
        model.fit(case.train, epochs=epochs)
    return model.embed(case.test)


def cvae(case: Case, seed: int, settings: Mapping, blind: bool) -> np.ndarray:
    """Posterior mean of z of the conditional VAE, which is told the type of a cell, or one type for all if `blind`."""
    chosen = complete(settings)
    train, test = case.train, case.test
    if blind:
        train, test = train.copy(), test.copy()
        for part in (train, test):
            part.obs["cell_type"] = "cell"
    model, epochs = CVAE(latent_dim=chosen["z_dim"], seed=seed), chosen["epochs"]["cvae"]
    with _compiled_if_long(epochs * math.ceil(train.n_obs / 32)):
        model.fit(train, epochs=epochs)
    return model.embed(test)


def cvae_blind(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The conditional VAE without types: what its z is worth as a code of its own."""
    return cvae(case, seed, settings, blind=True)


def cvae_told(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The conditional VAE as published: its encoder is told the types, also those of the test cells."""
    return cvae(case, seed, settings, blind=False)


def scvi(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """Latent mean of scVI by its defaults."""
    chosen = complete(settings)
    epochs = chosen["epochs"]["scvi"]
    return external.scvi(case.train.X, case.test.X, n_latent=chosen["z_dim"], epochs=epochs, seed=seed)[0]


@contextlib.contextmanager
def _compiled_if_long(updates: int) -> Iterator[None]:
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(before or updates < FEW_UPDATES)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


COMPARISON = Comparison(
    name="representation",
    methods={
        "labels": Method(labels, POSITIVE),
        "dr_a_faithful": Method(dr_a_faithful),
        "dr_a_repaired": Method(dr_a_repaired),
        "dca": Method(dca),
        "db_aae": Method(db_aae),
        "cvae_blind": Method(cvae_blind),
        "cvae_told": Method(cvae_told),
        "pca": Method(pca, BASELINE),
        "umap": Method(umap, BASELINE),
        "umap_2": Method(umap_2, BASELINE),
        "scvi": Method(scvi, BASELINE, needs="scvi"),
        "log_counts": Method(log_counts, NEGATIVE),
        "chance": Method(chance, NEGATIVE),
    },
    metrics=METRICS,
    prepare=prepare,
    score=score,
    # every labelled set of the registry, those of log values too: their gap is part of the answer
    datasets=(
        *(name for name, entry in registry.DATASETS.items() if entry.labels and entry.genes),
        *(name for name in splatter.PRESETS if name.startswith("splat_g")),
    ),
)
