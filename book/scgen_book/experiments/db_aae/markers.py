"""Markers before and after: chosen on the observed cells, so that the comparison does not favour the denoised ones."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scanpy as sc
from sklearn.cluster import KMeans

from scgen_book.experiments.db_aae import cells as own
from scgen_book.experiments.protocol import Metric
from scgen_lib.data import checks, splatter
from scgen_lib.metrics import clustering

QUIESCENCE = (
    ("Maff", "Msc", "Zfp36", "Stat3", "Fxyd1", "Gfpt2", "Slc41a1"),
    ("Gas1", "Fosl2", "Dag1", "Zfp36", "Azin1", "Tuba1a", "Nfib"),
)
#: The groups of the paper's supplementary figure, numbered by size.
GROUPS = ("group 0", "group 1", "group 3")
COUNTED = {"markers": "markers, equal thresholds", "loose": "markers, loose thresholds",
           "first": "of the first 20 observed"}  # fmt: skip
METRICS = {
    f"{key}, {group}": Metric(f"{words}, {group}", "higher", judged=False)
    for group in GROUPS
    for key, words in COUNTED.items()
}


class Marked:
    """Cells of a data set, their groups, and the markers of these in the observed cells.

    Parameters
    ----------
    name
        Of the data set.
    cells
        Cells with counts and labels.
    genes
        Which of their genes are looked at.
    settings
        Parameters of the chapter; at test size genes are chosen by t-tests, else by Wilcoxon's.
    """

    def __init__(self, name: str, cells: anndata.AnnData, genes: np.ndarray, settings: Mapping):
        self.name, self.cells, self.genes, self.settings = name, cells, genes, settings
        self.names = cells.var_names[genes]

    @cached_property
    def observed(self) -> np.ndarray:
        """Normalised logarithms of the observed cells."""
        return own.logarithms(self.cells, own.dense(checks.get_counts(self.cells))[:, self.genes], self.settings)

    @cached_property
    def types(self) -> np.ndarray:
        """Label of each cell."""
        return self.cells.obs["cell_type"].astype(str).to_numpy()

    @cached_property
    def classes(self) -> list[str]:
        """The four largest classes."""
        return list(self.cells.obs["cell_type"].value_counts().index[:4])

    @cached_property
    def groups(self) -> np.ndarray:
        """Groups of the observed cells by k-means on their components, numbered by size from 0."""
        k = max(4, self.cells.obs["cell_type"].nunique())
        points = clustering.pca(self.observed, self.settings["n_pcs"])
        found = KMeans(k, n_init=10, random_state=self.settings["seed"]).fit_predict(points)
        order = np.argsort(-np.bincount(found, minlength=k), kind="stable")
        return np.array([f"group {g}" for g in np.argsort(order)[found]])

    @cached_property
    def tests(self) -> dict[str, pd.DataFrame]:
        """By group the genes of the observed cells with their test against all other cells."""
        return self._tested(self.observed, self.groups, GROUPS)

    @cached_property
    def of_classes(self) -> list[str]:
        """Seven markers: of quiescence in a user's own file that has them, else of the largest class."""
        own_file = "recipe" not in self.cells.uns["dataset"] and self.name not in splatter.PRESETS
        own_file = own_file and Path(self.name).expanduser().exists()
        known = [genes for genes in QUIESCENCE if own_file and set(genes) <= set(self.names)]
        if known:
            return list(known[0])
        first = self.classes[0]
        return list(self._tested(self.observed, self.types, [first])[first]["names"][:7])

    @cached_property
    def of_groups(self) -> list[str]:
        """The two strongest markers of each of `GROUPS`."""
        return list(dict.fromkeys(gene for group in GROUPS for gene in self.tests[group]["names"][:2]))

    def _tested(self, x: np.ndarray, groups: np.ndarray, of: Sequence[str]) -> dict[str, pd.DataFrame]:
        cells = anndata.AnnData(
            x.astype("float32"), obs={"group": pd.Categorical(groups)}, var=self.cells.var[[]].iloc[self.genes]
        )
        method = "t-test" if self.settings["fast"] else "wilcoxon"
        sc.tl.rank_genes_groups(cells, "group", groups=list(of), method=method, pts=True)
        return {group: sc.get.rank_genes_groups_df(cells, group) for group in of}

    def scores(self, x: np.ndarray) -> dict[str, int]:
        """Count the markers of each of `GROUPS` in observed or denoised logarithms, with two sets of thresholds."""
        found = {}
        for group, table in (self.tests if x is self.observed else self._tested(x, self.groups, GROUPS)).items():
            good = table["pvals_adj"] < 0.05
            strict = good & (table["logfoldchanges"] > 0.2) & (table["pct_nz_group"] >= 0.2)
            loose = good & (table["logfoldchanges"] > 1e-10) & (table["pct_nz_group"] >= 1e-10)
            first = self.tests[group]["names"][:20].isin(table["names"][:20])
            found |= {f"markers, {group}": strict.sum(), f"loose, {group}": loose.sum(), f"first, {group}": first.sum()}
        return found

    def kept(self, x: np.ndarray) -> dict[str, np.ndarray | list[str]]:
        """Return the logarithms of the markers in the cells of the four classes, and in those of the three groups."""
        found = {}
        for key, of, chosen, names in (
            ("classes", self.types, self.classes, self.of_classes), ("groups", self.groups, GROUPS, self.of_groups)
        ):  # fmt: skip
            rows, places = np.isin(of, list(chosen)), [list(self.names).index(gene) for gene in names]
            found |= {
                f"violins_{key}": x[rows][:, places].astype("float32"),
                f"of_{key}": of[rows],
                f"genes_{key}": names,
            }
        return found
