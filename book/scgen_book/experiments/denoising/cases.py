"""Cases of denoising: a data set with a tenth of its molecules held out, and all that is known of the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anndata
import numpy as np
import pandas as pd

from scgen_book import experiments
from scgen_lib import data, preprocess
from scgen_lib.data import checks, registry, sources, splatter
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics import controls, designed, molecular
from scgen_lib.settings import Settings, declared, option


@declared
class DenoisingSettings(Settings):
    """What decides a row of the comparison: the protocol, and how long the methods are trained."""

    labels: str | None = option(
        None,
        "any",
        'column of obs with the types of an own file; None: obs["cell_type"], and no types where there is none',
    )
    transpose: bool = option(False, "any", "own files (.csv, .tsv or .h5ad) are genes × cells, not cells × genes")
    symbols: str | None = option(
        "refseq_mm9", "any",
        "names the genes of the transcripts of a bulk sample: refseq_mm9, or a file (layout of UCSC's refGene or "
        "refFlat); None: nothing does",
    )  # fmt: skip
    max_cells: int | None = option(None, "in [20, inf)", "cells of a data set at most, a random sample; None: all")
    genes: int | None = option(2000, "in [2, inf)", "genes that vary most in the training molecules; None: all")
    min_cells: int = option(3, "in [1, inf)", "cells that a gene must be detected in")
    p: float = option(0.9, "in [0.1, 0.99]", "share of the molecules that the methods see")
    decoys: int = option(20, "in [0, inf)", "genes whose permuted copies stand among the genes")
    components: int = option(
        10, "in [1, inf)", "principal components of the reconstruction, and of the distances between cells"
    )
    neighbors: int = option(15, "in [1, inf)", "cells that are pooled with their nearest ones")
    n_pcs: int = option(10, "in [1, inf)", "principal components that cells are clustered in")
    kmeans_seeds: int = option(5, "in [1, inf)", "seeds of k-means")
    dca_epochs: int = option(300, "in [1, inf)", "epochs of DCA, at most")
    db_aae_epochs: int | None = option(
        None, "in [1, inf)", "epochs of DB-AAE; None: 20, and 200 if repaired with fewer than 1,000 cells"
    )
    db_aae_layers: Sequence[int] = option((1024, 512, 512), "in [1, 4096]", "widths of DB-AAE's encoder, the code last")
    batch_size: int = option(32, "in [1, inf)", "cells per update of DCA and DB-AAE")
    scvi_epochs: int | None = option(None, "in [1, inf)", "epochs of scVI; None: its own choice")

    def check(self) -> None:
        """Refuse a number of widths that the encoder does not have."""
        if len(self.db_aae_layers) != 3:
            raise ParameterError(
                f"expected db_aae_layers to be three widths, got {list(self.db_aae_layers)}: give three numbers"
            )


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


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Load counts, hold molecules out, choose genes by what is left, and gather what is known of the truth.

    Parameters
    ----------
    dataset
        What `scgen_lib.data.load` takes; a preset of the simulator is drawn with the seed.
    seed
        Of the simulation, the sample of cells, the thinning and the decoys.
    settings
        Those of `DenoisingSettings`, by default its own; "symbols" as `sources.transcript_symbols` takes it.

    Raises
    ------
    DataError
        The data set cannot be had, or has no counts.
    """
    chosen = DenoisingSettings(**settings)
    cells = _loaded(dataset, seed, chosen)
    if "ercc" in cells.obsm:
        cells = _with_spikes(cells)
    counts = checks.get_counts(cells, allow_empty=True)
    train, test = molecular.thin(counts, chosen.p, seed)
    spike = cells.var["spike_in"].to_numpy(bool) if "spike_in" in cells.var else np.zeros(cells.n_vars, bool)
    molecules = cells.var["molecules"].to_numpy(float) if "molecules" in cells.var else None

    detected = checks.totals(train > 0, 0) >= chosen.min_cells
    filled = checks.totals(train[:, detected & ~spike], 1) > 0
    genes = np.flatnonzero(~spike)[_variable(train[filled][:, ~spike], chosen)]
    filled &= checks.totals(train[:, genes], 1) > 0
    # spike-ins whose molecules nobody knows are left out: they are no genes of the cells
    spikes = np.flatnonzero(spike & detected & (molecules > 0)) if molecules is not None else np.array([], int)
    train, test, counts, obs = train[filled], test[filled], counts[filled], cells.obs[filled]

    _, unscored = checks.scoring(obs.get("cell_type", []))
    labels = obs["cell_type"] if unscored is None else None
    groups = None if labels is None else labels.astype(object).fillna("no label").to_numpy()
    seen = _dense(train[:, genes])
    made = _decoys(seen, groups, chosen.decoys, seed)
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
        bulk, reason = _bulk_of(cells.uns["bulk"], cells.var_names[genes], chosen.symbols)
        known |= {"bulk": bulk} if reason is None else {}
        notes += [reason] if reason else []
    return Case(
        about=dict(cells.uns.get("dataset", {"name": dataset})),
        cells=anndata.AnnData(seen, obs=pd.DataFrame(index=obs.index), var=pd.DataFrame({"kind": kinds}, names)),
        test=_dense(test[:, genes]), observed=_dense(counts[:, genes]), labels=labels, notes=notes, **known,
    )  # fmt: skip


def _loaded(dataset: str, seed: int, chosen: DenoisingSettings) -> anndata.AnnData:
    if dataset in splatter.PRESETS and dataset not in registry.DATASETS:
        cells = splatter.preset(dataset, seed=seed)
        cells.obs["cell_type"] = cells.obs["group"]
    else:
        cells = experiments.load(dataset, chosen.values())
    checks.get_counts(cells, allow_empty=True)
    if chosen.max_cells is not None and chosen.max_cells < cells.n_obs:
        rows = np.random.default_rng(seed).choice(cells.n_obs, chosen.max_cells, replace=False)
        cells = cells[np.sort(rows)].copy()
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


def _variable(counts: Any, chosen: DenoisingSettings) -> np.ndarray:
    """Columns of the most variable genes, or of all that are detected often enough."""
    normaliser = preprocess.LogNormaliser(chosen.min_cells, 1e4, None).fit(counts)
    if chosen.genes is not None and chosen.genes < len(normaliser.genes):
        normaliser = preprocess.LogNormaliser(chosen.min_cells, 1e4, chosen.genes).fit(counts)
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
