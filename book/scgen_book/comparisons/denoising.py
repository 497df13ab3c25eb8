"""Denoising: whether what comes out lies nearer to the truth than what went in.

A tenth of the molecules of every data set is held out, and every method denoises the rest, once. That one answer is
judged by the held-out molecules, which needs no truth; by the truth, where a simulation or the design of an experiment
gives one; and by what it does to cell types and to genes that have nothing to do with each other. For these, copies of
some genes, each permuted by itself among the cells of a type, stand among the genes as *decoys*.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anndata
import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning

from scgen_book import comparisons, external
from scgen_book.comparisons.protocol import BASELINE, METHOD, NEGATIVE, POSITIVE, Comparison, Method, Metric
from scgen_lib import data, preprocess
from scgen_lib.data import checks, readers, registry, splatter
from scgen_lib.errors import DataError
from scgen_lib.metrics import clustering, controls, denoising, designed
from scgen_lib.metrics.arrays import log_normalise
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA

#: What a comparison takes where its settings name nothing else: the published trainings, and the protocol in full.
DEFAULTS = {
    "labels": None,
    "transpose": False,
    "symbols": "refseq_mm9",
    "max_cells": None,
    "genes": 2000,
    "min_cells": 3,
    "p": 0.9,
    "decoys": 20,
    "components": 10,
    "neighbors": 15,
    "n_pcs": 10,
    "kmeans_seeds": 5,
    "dca_epochs": 300,
    "db_aae_epochs": None,
    "db_aae_layers": [1024, 512, 512],
    "batch_size": 32,
    "scvi_epochs": None,
}

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


@dataclass(frozen=True)
class Case:
    """One data set with a tenth of its molecules held out, and all that is known of it. G is the number of its genes.

    Attributes
    ----------
    about
        The data set's own words, ``uns["dataset"]``.
    cells
        What the methods see: training molecules in ``X`` (int32, dense), and ``var["kind"]``, which is "gene" for the
        first G columns, then "spike-in" and "decoy". No cell and no gene is empty.
    test, observed
        Held-out molecules and all of them, cells × G.
    labels
        Type of each cell (missing where there is none), or None without labels that score.
    true_counts, cell_means, means
        Of a simulation, cells × G: counts before dropout, the means of the Poisson draws that they come from, and the
        means of the type at the depth of the cell, which those scatter around.
    proportions
        Of a mixture, cells × components.
    molecules
        Of the spike-ins that are left, as added to every cell.
    bulk
        Bulk samples of the same tissue under the names of the genes.
    notes
        What a reader should know, such as why a truth cannot be used.
    """

    about: Mapping[str, Any]
    cells: anndata.AnnData
    test: np.ndarray
    observed: np.ndarray
    labels: pd.Series | None = None
    true_counts: np.ndarray | None = None
    cell_means: np.ndarray | None = None
    means: np.ndarray | None = None
    proportions: np.ndarray | None = None
    molecules: np.ndarray | None = None
    bulk: pd.DataFrame | None = None
    notes: list[str] = field(default_factory=list)

    def columns(self, kind: str) -> np.ndarray:
        """Return which columns of the cells are of a kind (bool)."""
        return (self.cells.var["kind"] == kind).to_numpy()

    @property
    def truths(self) -> list[str]:
        """What is known beside the held-out molecules, in words."""
        known = {
            "counts before dropout": self.true_counts, "means": self.means, "proportions": self.proportions,
            "spike-ins": self.molecules, "bulk": self.bulk, "cell types": self.labels,
        }  # fmt: skip
        return [words for words, values in known.items() if values is not None]


def complete(settings: Mapping) -> dict:
    """Return the settings with the defaults of what they do not name.

    Raises
    ------
    ParameterError
        If a setting is unknown.
    """
    return comparisons.complete(settings, DEFAULTS)


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Load counts, hold molecules out, choose genes by what is left, and gather what is known of the truth.

    Parameters
    ----------
    dataset
        What `scgen_lib.data.load` takes; a preset of the simulator is drawn with the seed.
    seed
        Of the simulation, the sample of cells, the thinning and the decoys.
    settings
        "labels" (column of ``obs`` with the types) and "transpose" (genes × cells), both for own files only, "symbols"
        (what names the genes of the transcripts of a bulk sample: ``"refseq_mm9"`` or a file, see
        `readers.transcript_symbols`; None: nothing),
        "max_cells" (None: all), "genes" (the most variable ones of the training molecules; None: all), "min_cells"
        (that a gene must be detected in), "p" (share of the molecules that the methods see) and "decoys" (their
        number).

    Raises
    ------
    DataError
        The data set cannot be had, or has no counts.
    """
    settings = complete(settings)
    cells = _loaded(dataset, seed, settings)
    if "ercc" in cells.obsm:
        cells = _with_spikes(cells)
    counts = checks.get_counts(cells, allow_empty=True)
    train, test = denoising.thin(counts, settings["p"], seed)
    spike = cells.var["spike_in"].to_numpy(bool) if "spike_in" in cells.var else np.zeros(cells.n_vars, bool)
    molecules = cells.var["molecules"].to_numpy(float) if "molecules" in cells.var else None

    detected = checks.totals(train > 0, 0) >= settings["min_cells"]
    filled = checks.totals(train[:, detected & ~spike], 1) > 0
    genes = np.flatnonzero(~spike)[_variable(train[filled][:, ~spike], settings)]
    filled &= checks.totals(train[:, genes], 1) > 0
    # spike-ins whose molecules nobody knows are left out: they are no genes of the cells
    spikes = np.flatnonzero(spike & detected & (molecules > 0)) if molecules is not None else np.array([], int)
    train, test, counts, obs = train[filled], test[filled], counts[filled], cells.obs[filled]

    _, unscored = checks.scoring(obs.get("cell_type", []))
    labels = obs["cell_type"] if unscored is None else None
    groups = None if labels is None else labels.astype(object).fillna("no label").to_numpy()
    seen = _dense(train[:, genes])
    made = _decoys(seen, groups, settings["decoys"], seed)
    if len(spikes):
        seen = np.hstack([seen, _dense(train[:, spikes])])
    seen = np.hstack([seen, made])
    kinds = ["gene"] * len(genes) + ["spike-in"] * len(spikes) + ["decoy"] * made.shape[1]
    names = [*cells.var_names[genes], *cells.var_names[spikes], *(f"decoy_{i}" for i in range(made.shape[1]))]
    known, notes = {}, [unscored] if unscored and "cell_type" in obs else []
    if len(spikes):
        known["molecules"] = molecules[spikes]
    if set(designed.MIXED) <= set(obs):
        known["proportions"] = obs[list(designed.MIXED)].to_numpy(float)
    for name, layer in (("true_counts",) * 2, ("cell_means",) * 2, ("means", "base_cell_means")):
        if layer in cells.layers:
            known[name] = _dense(cells.layers[layer][filled][:, genes])
    if "bulk" in cells.uns:
        bulk, reason = _bulk_of(cells.uns["bulk"], cells.var_names[genes], settings["symbols"])
        known |= {"bulk": bulk} if reason is None else {}
        notes += [reason] if reason else []
    return Case(
        about=dict(cells.uns.get("dataset", {"name": dataset})),
        cells=anndata.AnnData(seen, obs=pd.DataFrame(index=obs.index), var=pd.DataFrame({"kind": kinds}, names)),
        test=_dense(test[:, genes]), observed=_dense(counts[:, genes]), labels=labels, notes=notes, **known,
    )  # fmt: skip


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
        "p", "n_pcs" and "kmeans_seeds".

    Returns
    -------
    dict of float
        The metrics of `GROUPS` that apply.

    Raises
    ------
    DataError
        If a value is not finite or negative, or the shape is another one.
    """
    settings = complete(settings)
    given = None if answer is None else denoising.dense("answer", answer, case.cells.X).astype(np.float64)
    genes, odds = case.columns("gene"), settings["p"] / (1 - settings["p"])

    def estimate(truth: np.ndarray) -> np.ndarray:
        """The denoised genes, or in their place a truth."""
        return truth if given is None else given[:, genes]

    y = estimate(case.test * odds)
    scores = {
        "mcv_mse": denoising.mcv_mse(y, case.test),
        "mcv_poisson": denoising.mcv_poisson(y / odds, case.test),
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
    scores |= _downstream(case, given, seed, settings)
    # the correlation of a constant
    return {name: float(value) for name, value in scores.items() if not np.isnan(value)}


def _downstream(case: Case, given: np.ndarray | None, seed: int, settings: Mapping) -> dict[str, float]:
    scores, genes, decoys = {}, case.columns("gene"), case.columns("decoy")
    if given is not None:
        points = clustering.pca(log_normalise(given[:, genes], 1e4, allow_empty=True), settings["n_pcs"], seed)
        points = np.round(points, 6)  # of equal cells nothing else than the noise of the arithmetic would be left
    if case.labels is not None:
        scored, _ = checks.scoring(case.labels)
        types = case.labels[scored].astype(str)
        # the perfect answer is the types themselves
        x = pd.get_dummies(types).to_numpy(float) if given is None else points[scored]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct cells than clusters
            found = clustering.kmeans_scores(x, types, range(settings["kmeans_seeds"]))["mean"]
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


# How a case is made ---------------------------------------------------------------------------------------------------


def _loaded(dataset: str, seed: int, settings: Mapping) -> anndata.AnnData:
    if dataset in splatter.PRESETS and dataset not in registry.DATASETS:
        cells = splatter.preset(dataset, seed=seed)
        cells.obs["cell_type"] = cells.obs["group"]
    else:
        cells = comparisons.load(dataset, settings)
    checks.get_counts(cells, allow_empty=True)
    if settings["max_cells"] is not None and settings["max_cells"] < cells.n_obs:
        chosen = np.random.default_rng(seed).choice(cells.n_obs, settings["max_cells"], replace=False)
        cells = cells[np.sort(chosen)].copy()
    return cells


def _with_spikes(cells: anndata.AnnData) -> anndata.AnnData:
    """Spike-ins that were counted beside the genes, among the genes."""
    number = np.asarray(cells.obsm["ercc"])
    spikes = pd.DataFrame(
        {"spike_in": True, "molecules": np.asarray(cells.uns["ercc_molecules"], float)},
        index=[f"spike-in {i}" for i in range(1, number.shape[1] + 1)],
    )
    var = pd.concat([pd.DataFrame({"spike_in": False, "molecules": np.nan}, index=cells.var_names), spikes])
    counts = np.hstack([_dense(checks.get_counts(cells, allow_empty=True)), number])
    return anndata.AnnData(counts, obs=cells.obs, var=var, uns=dict(cells.uns))


def _variable(counts: Any, settings: Mapping) -> np.ndarray:
    """Columns of the most variable genes, or of all that are detected often enough."""
    normaliser = preprocess.LogNormaliser(settings["min_cells"], 1e4, None).fit(counts)
    if settings["genes"] is not None and settings["genes"] < len(normaliser.genes):
        normaliser = preprocess.LogNormaliser(settings["min_cells"], 1e4, settings["genes"]).fit(counts)
    return np.asarray(normaliser.genes)


def _decoys(counts: np.ndarray, groups: np.ndarray | None, number: int, seed: int) -> np.ndarray:
    """Copies of genes of the better expressed half, each permuted by itself among the cells of a type."""
    order = np.argsort(-counts.sum(axis=0), kind="stable")[: max(1, counts.shape[1] // 2)]
    chosen = np.random.default_rng([seed, number]).choice(order, min(number, len(order)), replace=False)
    return controls.permute(counts[:, np.sort(chosen)], groups, seed)


def _bulk_of(bulk: pd.DataFrame, genes: pd.Index, symbols: str | None) -> tuple[pd.DataFrame | None, str | None]:
    """The bulk values of the genes, or the reason why there are none."""
    table, reason = None, "symbols names a file that joins the two"
    if symbols not in (None, "refseq_mm9"):
        table = readers.transcript_symbols(symbols)
    elif symbols and len(genes.intersection(bulk.index)) < 10:
        try:
            table = data.refseq_mm9()
        except DataError as error:  # the other scores stand without it
            reason = str(error)
    if table is not None:
        # the expression of a gene is that of all its transcripts
        bulk = bulk.groupby(table.reindex(bulk.index).to_numpy()).sum()
    known = genes.intersection(bulk.index)
    if len(known) >= 10:
        return bulk.loc[known], None
    return None, (
        f"bulk samples that name genes as {bulk.index[0] if len(bulk) else 'nothing'} where the cells have {genes[0]}: "
        f"{len(known)} of {len(genes)} genes can be compared ({reason})"
    )


def _dense(counts: Any) -> np.ndarray:
    return counts.toarray() if hasattr(counts, "toarray") else np.asarray(counts)


# The methods ----------------------------------------------------------------------------------------------------------


def _of_counts(function: Callable[[np.ndarray, int, Mapping], np.ndarray]) -> Callable:
    """A denoiser of a bare matrix as a method."""
    return lambda case, seed, settings: function(case.cells.X, seed, complete(settings))


def _dca(ae_type: str) -> Callable:
    def run(case: Case, seed: int, settings: Mapping) -> np.ndarray:
        settings = complete(settings)
        model = DCA(ae_type=ae_type, seed=seed)
        return model.fit(case.cells, epochs=settings["dca_epochs"], batch_size=settings["batch_size"]).denoise(
            case.cells
        )

    return run


def _db_aae(variant: str) -> Callable:
    def run(case: Case, seed: int, settings: Mapping) -> np.ndarray:
        settings = complete(settings)
        *hidden, latent_dim = settings["db_aae_layers"]
        min_cells = min(settings["min_cells"], case.cells.n_obs)
        model = DBAAE.variant(variant, hidden=hidden, latent_dim=latent_dim, min_cells=min_cells, seed=seed)
        model.fit(case.cells, epochs=settings["db_aae_epochs"], batch_size=settings["batch_size"])
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
    _, shares = external.scvi(counts, counts, epochs=complete(settings)["scvi_epochs"], seed=seed)
    return shares * counts.sum(axis=1, keepdims=True)


COMPARISON = Comparison(
    name="denoising",
    methods={
        "observed": Method(_of_counts(lambda counts, seed, s: counts), NEGATIVE),
        "gene_mean": Method(_of_counts(lambda counts, seed, s: denoising.gene_mean(counts)), BASELINE),
        "pca": Method(_of_counts(lambda counts, seed, s: denoising.low_rank(counts, s["components"], seed)), BASELINE),
        "knn": Method(
            _of_counts(lambda counts, seed, s: denoising.neighbour_mean(counts, s["neighbors"], s["components"], seed)),
            BASELINE,
        ),
        "dca_zinb": Method(_dca("zinb-conddisp")),
        "dca_nb": Method(_dca("nb")),
        "db_aae_faithful": Method(_db_aae("faithful")),
        "db_aae_repaired": Method(_db_aae("repaired")),
        "magic": Method(magic, METHOD, needs="magic"),
        "scvi": Method(scvi, METHOD, needs="scvi"),
        "truth": Method(lambda case, seed, settings: None, POSITIVE),
    },
    metrics={name: metric for group in GROUPS.values() for name, metric in group.items()},
    prepare=prepare,
    score=score,
    datasets=(
        *("splat_g2", "splat_g6", "splat_g8", "splat_g6_nodrop", "dca_g2_fig2", "dca_g6_fig2", "dca_student"),
        *("splatter_g2", "splatter_g6", "splatter_autoclass"),
        *("rnamix_celseq2", "zeisel", "fetal_brain", "sc_celseq2", "sc_dropseq"),
        *("pbmc68k_reduced", "pbmc_facs", "pbmc3k", "pbmc4k", "baron_mouse", "baron_human", "goolam", "paul"),
        *("cbmc_citeseq", "mouse_bladder", "worm_neuron", "human_kidney"),
    ),
)
