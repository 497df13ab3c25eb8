"""Denoising: whether what comes out lies nearer to the truth than what went in.

A tenth of the molecules of every data set is held out, and every method denoises the rest, once. That one answer is
judged by the held-out molecules, which needs no truth; by the truth, where a simulation or the design of an experiment
gives one; and by what it does to cell types and to genes that have nothing to do with each other. For these, copies of
some genes, each permuted by itself among the cells of a type, stand among the genes as *decoys*.
"""

import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from scgen_book import experiments, external
from scgen_book.experiments.denoising.cases import Case, DenoisingSettings, prepare
from scgen_book.experiments.protocol import (
    BASELINE,
    METHOD,
    NEGATIVE,
    POSITIVE,
    Experiment,
    Method,
    Metric,
    Task,
    crossed,
)
from scgen_lib.data import checks
from scgen_lib.metrics import clustering, denoising, designed, molecular, smoothing
from scgen_lib.metrics.arrays import log_normalise
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA

#: What a metric is judged by → its metrics.
GROUPS = {
    "molecules": {
        "mcv_mse": Metric("held-out molecules: squared error of ln(1 + x)", "lower"),
        "mcv_poisson": Metric("held-out molecules: Poisson loss", "lower"),
    },
    "simulated": {
        "mse": Metric("true counts: squared error of ln(1 + x)", "lower"),
        "mse_dropped": Metric("the same, at dropped entries", "lower"),
        "mse_cell": Metric("means of the cells: squared error", "lower"),
        "mse_means": Metric("means of the types: squared error", "lower"),
        "pearson_gene": Metric("true counts: Pearson r, median over genes", "higher"),
        "dropout_ap": Metric("dropouts among zeros: average precision", "higher"),
    },
    "designed": {
        "mixture_mse": Metric("mixed profiles: squared error of ln(1 + x)", "lower"),
        "proportions_r2": Metric("proportions of the mixture: R²", "higher"),
        "spike_mse": Metric("spike-ins: squared error of ln(1 + x)", "lower"),
        "spike_sd": Metric("spike-ins: sd over cells", "lower"),
        "bulk_mean": Metric("bulk: rank correlation of the mean cell", "higher"),
        "bulk_cell": Metric("bulk: rank correlation, median cell", "higher"),
    },
    "downstream": {
        "ari": Metric("cell types: ARI of k-means", "higher"),
        "nmi": Metric("cell types: NMI of k-means", "higher"),
        "silhouette": Metric("cell types: silhouette", "higher"),
        "spurious": Metric("unrelated genes: 95th percentile of |r|", "lower"),
    },
}

#: Words for tables and figures.
NAMES = {
    "observed": "observed",
    "gene_mean": "gene mean",
    "pca": "PCA",
    "knn": "nearest cells",
    "dca_zinb": "DCA (ZINB)",
    "dca_nb": "DCA (NB)",
    "db_aae_faithful": "DB-AAE (faithful)",
    "db_aae_repaired": "DB-AAE (repaired)",
    "magic": "MAGIC",
    "scvi": "scVI",
    "truth": "truth",
}


def score(case: Case, answer: np.ndarray | None, seed: int, settings: Mapping) -> dict[str, float]:
    """Judge denoised values by everything that is known of the case.

    Parameters
    ----------
    case
        The cells.
    answer
        Values on the scale of the counts that the methods saw, cells × all columns of them; None is the perfect answer,
        which every metric gets from its own truth.
    seed
        Seed of components, clusters and folds.
    settings
        As for `prepare`.

    Returns
    -------
    dict of float
        The metrics of `GROUPS` that apply.

    Raises
    ------
    DataError
        If a value is not finite or negative, or the shape is another one.
    """
    chosen = DenoisingSettings(**settings)
    given = None if answer is None else denoising.dense("answer", answer, case.cells.X).astype(np.float64)
    genes, odds = case.columns("gene"), chosen.p / (1 - chosen.p)

    def estimate(truth: np.ndarray) -> np.ndarray:
        """The denoised genes, or in their place a truth."""
        return truth if given is None else given[:, genes]

    y = estimate(case.test * odds)
    scores = {
        "mcv_mse": molecular.mcv_mse(y, case.test),
        "mcv_poisson": molecular.mcv_poisson(y / odds, case.test),
    }
    # where nothing was dropped, the true counts are those observed: they would praise whoever keeps the noise
    if case.true_counts is not None and (case.true_counts != case.observed).any():
        y = estimate(case.true_counts)
        found = denoising.truth_scores(y, case.true_counts, case.observed)
        scores |= {name: found[name] for name in ("mse", "mse_dropped", "pearson_gene")}
        ranked = denoising.detection_curve(log_normalise(y, 1e4), case.observed, case.true_counts)
        scores["dropout_ap"] = ranked["average_precision"]
    for name, truth in (("mse_cell", case.cell_means), ("mse_means", case.means)):
        if truth is not None:
            scores[name] = _error(estimate(truth), truth)
    if case.proportions is not None:
        truth, mixed = designed.mixture_truth(case.observed, case.proportions)
        scores["mixture_mse"] = _error(estimate(truth)[mixed], truth[mixed])
    if case.molecules is not None:
        y = np.tile(case.molecules, (len(case.test), 1)) if given is None else given[:, case.columns("spike-in")]
        scores |= designed.spike_scores(y, case.molecules)
    if case.bulk is not None:
        known = case.bulk.reindex(case.cells.var_names[genes]).fillna(0).to_numpy(float)
        truth = np.tile(known.mean(axis=1), (len(case.test), 1))
        scores |= designed.bulk_scores(estimate(truth), case.cells.var_names[genes], case.bulk)
    scores |= _downstream(case, given, seed, chosen)
    # the correlation of a constant
    return {name: float(value) for name, value in scores.items() if not np.isnan(value)}


def _downstream(case: Case, given: np.ndarray | None, seed: int, chosen: DenoisingSettings) -> dict[str, float]:
    scores, genes, decoys = {}, case.columns("gene"), case.columns("decoy")
    if given is not None:
        points = clustering.pca(log_normalise(given[:, genes], 1e4, allow_empty=True), chosen.n_pcs, seed)
        points = np.round(points, 6)  # of equal cells nothing else than the noise of the arithmetic would be left
    if case.labels is not None:
        scored, _ = checks.scoring(case.labels)
        types = case.labels[scored].astype(str)
        # the perfect answer is the types themselves
        x = pd.get_dummies(types).to_numpy(float) if given is None else points[scored]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct cells than clusters
            found = clustering.kmeans_scores(x, types, range(chosen.kmeans_seeds))["mean"]
        scores |= {"ari": found["ari"], "nmi": found["nmi"], "silhouette": clustering.silhouette(x, types, seed)}
    if case.proportions is not None:
        scores["proportions_r2"] = designed.proportions_r2(
            case.proportions if given is None else points, case.proportions, seed
        )
    if decoys.sum() > 1:
        groups = np.zeros(len(case.test)) if case.labels is None else case.labels.astype(str).to_numpy()
        # genes that have nothing to do with each other are at their mean in every cell of a type
        values = np.zeros((len(case.test), 2)) if given is None else (
            log_normalise(given, 1e4, allow_empty=True)[:, decoys])  # fmt: skip
        scores["spurious"] = denoising.spurious_correlation(values, groups)
    return scores


def _error(y: np.ndarray, truth: np.ndarray) -> float:
    return float(np.square(log_normalise(y, 1e4, allow_empty=True) - log_normalise(truth, 1e4)).mean())


# The methods ----------------------------------------------------------------------------------------------------------


def _of_counts(function: Callable[[np.ndarray, int, DenoisingSettings], np.ndarray]) -> Callable:
    """A denoiser of a bare matrix as a method."""
    return lambda case, seed, settings: function(case.cells.X, seed, DenoisingSettings(**settings))


def _dca(ae_type: str) -> Callable:
    def run(case: Case, seed: int, settings: Mapping) -> np.ndarray:
        chosen, model = DenoisingSettings(**settings), DCA(ae_type=ae_type, seed=seed)
        training = {"epochs": chosen.dca_epochs, "batch_size": chosen.batch_size}
        return model.fit(case.cells, checkpoint=experiments.checkpoint(), **training).denoise(case.cells)

    return run


def _db_aae(variant: str) -> Callable:
    def run(case: Case, seed: int, settings: Mapping) -> np.ndarray:
        chosen = DenoisingSettings(**settings)
        *hidden, latent_dim = chosen.db_aae_layers
        min_cells = min(chosen.min_cells, case.cells.n_obs)
        model = DBAAE.variant(variant, hidden=hidden, latent_dim=latent_dim, min_cells=min_cells, seed=seed)
        training = {"epochs": chosen.db_aae_epochs, "batch_size": chosen.batch_size}
        model.fit(case.cells, checkpoint=experiments.checkpoint(), **training)
        return model.denoise_counts(case.cells)

    return run


def magic(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """MAGIC (van Dijk et al. 2018) on square roots of cells scaled to the median total, as its tutorial has it."""
    from magic import MAGIC

    counts = case.cells.X
    totals = counts.sum(axis=1, keepdims=True)
    smooth = MAGIC(random_state=seed, n_jobs=1, verbose=0).fit_transform(
        np.sqrt(counts * (np.median(totals) / totals)), genes="all_genes"
    )
    values = np.square(np.maximum(np.asarray(smooth, float), 0))
    return values * (totals / values.sum(axis=1, keepdims=True))


def scvi(case: Case, seed: int, settings: Mapping) -> np.ndarray:
    """Expected share of each gene by scVI (Lopez et al. 2018) with its own defaults, at the depth of the cell."""
    counts = case.cells.X
    _, shares = external.scvi(counts, counts, epochs=DenoisingSettings(**settings).scvi_epochs, seed=seed)
    return shares * counts.sum(axis=1, keepdims=True)


def asked(values: Mapping) -> list[Task]:
    """Return every data set × seed × method; settings that are not legal together are refused before the first row."""
    DenoisingSettings(**experiments.settings_of(EXPERIMENT, values))
    return crossed(values)


EXPERIMENT = Experiment(
    name="denoising",
    methods={
        "observed": Method(_of_counts(lambda counts, seed, s: counts), NEGATIVE),
        "gene_mean": Method(_of_counts(lambda counts, seed, s: molecular.gene_mean(counts)), BASELINE),
        "pca": Method(_of_counts(lambda counts, seed, s: smoothing.low_rank(counts, s.components, seed)), BASELINE),
        "knn": Method(
            _of_counts(lambda counts, seed, s: smoothing.neighbour_mean(counts, s.neighbors, s.components, seed)),
            BASELINE,
        ),
        "dca_zinb": Method(_dca("zinb-conddisp"), variant="zinb-conddisp"),
        "dca_nb": Method(_dca("nb"), variant="nb"),
        "db_aae_faithful": Method(_db_aae("faithful"), variant="faithful"),
        "db_aae_repaired": Method(_db_aae("repaired"), variant="repaired"),
        "magic": Method(magic, METHOD, needs="magic"),
        "scvi": Method(scvi, METHOD, needs="scvi"),
        "truth": Method(lambda case, seed, settings: None, POSITIVE),
    },
    metrics={name: metric for group in GROUPS.values() for name, metric in group.items()},
    prepare=prepare,
    score=score,
    settings=(DenoisingSettings,),
    asked=asked,
)
