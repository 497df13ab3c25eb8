"""Cases of denoising: a data set with a tenth of its molecules held out, and all that is known of the truth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anndata
import numpy as np
import pandas as pd

from scgen_book import comparisons
from scgen_lib import data, preprocess
from scgen_lib.data import checks, registry, sources, splatter
from scgen_lib.errors import DataError
from scgen_lib.metrics import controls, designed, molecular

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
        `sources.transcript_symbols`; None: nothing),
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
    train, test = molecular.thin(counts, settings["p"], seed)
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
        table = sources.transcript_symbols(symbols)
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
