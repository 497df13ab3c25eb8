"""Representation: how well a short code of a cell knows the cell type that it was not told.

Every method learns from the counts of the training cells and encodes the test cells, which it has not seen; there
k-means clusters of the codes are compared with the labels. All see the same genes and give codes of the same length.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping

import anndata
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.decomposition import PCA

from scgen_book import experiments, external
from scgen_book.experiments.protocol import (
    BASELINE,
    NEGATIVE,
    POSITIVE,
    Experiment,
    Method,
    Metric,
    Task,
    crossed,
)
from scgen_book.experiments.representation.cases import Case, RepresentationSettings, prepare
from scgen_lib import training
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
# Fewer updates than these take less time one by one than their compilation.
FEW_UPDATES = 20


def score(case: Case, codes: np.ndarray, seed: int, settings: Mapping) -> dict[str, float]:
    """Compare codes of the test cells (N, d) with the labels.

    Parameters
    ----------
    case, codes
        The data, and what a method made of their test cells.
    seed
        Of the sample that the silhouette takes above 5,000 cells.
    settings
        As for `prepare`; "kmeans_seeds" are counted from 0 on.

    Returns
    -------
    dict
        nmi (arithmetic mean of the entropies) and ari of k-means clusters, as many as there are types among the test
        cells, means over the seeds of k-means; silhouette of the labels, Euclidean, in the space of the codes.
    """
    labels = case.test.obs["cell_type"]
    found = clustering.kmeans_scores(codes, labels, range(RepresentationSettings(**settings).kmeans_seeds))["mean"]
    return {"nmi": found["nmi"], "ari": found["ari"], "silhouette": clustering.silhouette(codes, labels, seed)}


# The methods: from case, seed and settings to codes of the test cells ------------------------------------------------


def _logs(cells: anndata.AnnData) -> np.ndarray:
    return training.dense(log_normalise(cells.X, 1e4))


def log_counts(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """Do nothing: ln(1 + x) of the cells scaled to 10,000, all genes."""
    return _logs(case.test)


def pca(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """Principal components of the training cells' logarithms."""
    return _components(case, RepresentationSettings(**settings).z_dim, seed)[1]


def pca_depth(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """Principal components of ln(1 + x) of cells that are not scaled: what their depth makes of the codes."""
    logs = (np.log1p(training.dense(cells.X)) for cells in (case.train, case.test))
    return _projected(*logs, RepresentationSettings(**settings).z_dim, seed)[1]


def _components(case: Case, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of training and test cells on n components of their logarithms, see `_projected`."""
    return _projected(_logs(case.train), _logs(case.test), n, seed)


def _projected(train: np.ndarray, test: np.ndarray, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return training and test cells on n components, fewer where there are fewer, fixed on the training cells."""
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
    mapper = UMAP(
        n_neighbors=neighbours, n_components=n or RepresentationSettings(**settings).z_dim, random_state=seed, n_jobs=1
    )
    return mapper.fit(train).transform(test)


def umap_2(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """UMAP in two dimensions, as it is drawn."""
    return umap(case, seed, settings, 2)


def dr_a(case: Case, seed: int, settings: Mapping, variant: str) -> np.ndarray:
    """DR-A with the published settings of the length of the codes; the mean of a code, not a sample."""
    chosen = RepresentationSettings(**settings)
    published = {"hidden": (512,) * 4, "disc_hidden": (32,) * 4, "learning_rate": 8e-4} if chosen.z_dim == 2 else {}
    model = DRA.variant(variant, latent_dim=chosen.z_dim, seed=seed, **published)
    n, epochs = case.train.n_obs, chosen.epochs_of("dr_a")
    size = min(128, n // 2)
    with _compiled_if_long(epochs * (n // size)):
        model.fit(
            case.train,
            epochs=epochs,
            batch_size=size,
            train_rows=np.arange(n),
            checkpoint=experiments.checkpoint(),
        )
    return model.embed(case.test, latent="mean")


def dr_a_faithful(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """DR-A as its released code computes it, with the guards that it lacks."""
    return dr_a(case, seed, settings, "faithful")


def dr_a_repaired(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """DR-A with the game that its paper describes, and additions of our own."""
    return dr_a(case, seed, settings, "repaired")


def dca(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The bottleneck of the repaired DCA, between hidden layers of 64 units."""
    chosen = RepresentationSettings(**settings)
    model, epochs = DCA(hidden=(64, chosen.z_dim, 64), seed=seed), chosen.epochs_of("dca")
    with _compiled_if_long(epochs * math.ceil(case.train.n_obs / 32)):
        model.fit(case.train, epochs=epochs, checkpoint=experiments.checkpoint())
    return model.embed(case.test)


def db_aae(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The code of the repaired DB-AAE."""
    chosen = RepresentationSettings(**settings)
    model, epochs = DBAAE(latent_dim=chosen.z_dim, seed=seed), chosen.epochs_of("db_aae")
    with _compiled_if_long((epochs or 20) * math.ceil(case.train.n_obs / 32)):
        model.fit(case.train, epochs=epochs, checkpoint=experiments.checkpoint())
    return model.embed(case.test)


def cvae(case: Case, seed: int, settings: Mapping, blind: bool) -> np.ndarray:
    """Posterior mean of z of the conditional VAE, which is told the type of a cell, or one type for all if `blind`."""
    chosen = RepresentationSettings(**settings)
    train, test = case.train, case.test
    if blind:
        train, test = train.copy(), test.copy()
        for part in (train, test):
            part.obs["cell_type"] = "cell"
    model, epochs = CVAE(latent_dim=chosen.z_dim, seed=seed), chosen.epochs_of("cvae")
    with _compiled_if_long(epochs * math.ceil(train.n_obs / 32)):
        model.fit(train, epochs=epochs, checkpoint=experiments.checkpoint())
    return model.embed(test)


def cvae_blind(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The conditional VAE without types: what its z is worth as a code of its own."""
    return cvae(case, seed, settings, blind=True)


def cvae_told(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """The conditional VAE as published: its encoder is told the types, also those of the test cells."""
    return cvae(case, seed, settings, blind=False)


def scvi(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """Latent mean of scVI by its defaults."""
    chosen = RepresentationSettings(**settings)
    epochs = chosen.epochs_of("scvi")
    return external.scvi(case.train.X, case.test.X, n_latent=chosen.z_dim, epochs=epochs, seed=seed)[0]


@contextlib.contextmanager
def _compiled_if_long(updates: int) -> Iterator[None]:
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(before or updates < FEW_UPDATES)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


def asked(values: Mapping) -> list[Task]:
    """Return every data set × seed × method; settings that are not legal together are refused before the first row."""
    RepresentationSettings(**experiments.settings_of(EXPERIMENT, values))
    return crossed(values)


EXPERIMENT = Experiment(
    name="representation",
    methods={
        "labels": Method(labels, POSITIVE),
        "dr_a_faithful": Method(dr_a_faithful, variant="faithful"),
        "dr_a_repaired": Method(dr_a_repaired, variant="repaired"),
        "dca": Method(dca),
        "db_aae": Method(db_aae),
        "cvae_blind": Method(cvae_blind),
        "cvae_told": Method(cvae_told),
        "pca": Method(pca, BASELINE),
        "pca_depth": Method(pca_depth, BASELINE),
        "umap": Method(umap, BASELINE),
        "umap_2": Method(umap_2, BASELINE),
        "scvi": Method(scvi, BASELINE, needs="scvi"),
        "log_counts": Method(log_counts, NEGATIVE),
        "chance": Method(chance, NEGATIVE),
    },
    metrics=METRICS,
    prepare=prepare,
    score=score,
    settings=(RepresentationSettings,),
    asked=asked,
)
