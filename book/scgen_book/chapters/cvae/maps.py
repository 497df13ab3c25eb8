"""The software's own figure: held-out and simulated cells in PCA, UMAP and t-SNE, laid out once for all views."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scanpy as sc
from anndata import AnnData
from sklearn.manifold import TSNE

from scgen_book import plots
from scgen_book.chapters.cvae.figures import kept_of
from scgen_book.chapters.cvae.tables import gap
from scgen_book.experiments.cvae import cases
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.rows import Rows
from scgen_lib.data import checks
from scgen_lib.metrics import realism

if TYPE_CHECKING:
    from IPython.display import HTML
    from matplotlib.figure import Figure

HELD_OUT = "held-out"


class Maps:
    """Held-out cells, and simulated ones after several epochs and at the end, with their types."""

    def __init__(self, rows: Rows, values: Mapping[str, Any]):
        self.rows, self.values = rows, values

    @cached_property
    def cells(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Coordinates in components and types of the cells, by what they are.

        Raises
        ------
        NotApplicable
            If no model was trained.
        """
        if self.values["model_path"]:
            raise NotApplicable("nothing is trained where a saved model is given")
        values, run, found = self.values, cases.trainings(self.values), kept_of(self.rows, self.values)
        if not found:
            raise NotApplicable(gap(self.rows))
        case = cases.prepare(run.main, run.seeds[0], values)
        shown = run.variants[-1] if "faithful" not in run.variants else "faithful"
        chosen = held_out(case.test_cells, values["embedding_dots"], values["seed"])
        counts = checks.get_counts(chosen, allow_empty=True)
        points: dict[str, np.ndarray] = {HELD_OUT: case.space_of_all(realism.log(counts, allow_empty=True))}
        types: dict[str, Any] = {HELD_OUT: chosen.obs["cell_type"].astype(str)}
        for epoch in found[shown]["epochs"] if shown in found else ():
            name = f"{shown},\nepoch {epoch}"
            points[name], types[name] = (found[shown][f"{what}_{epoch}"] for what in ("points", "types"))
        for variant in [v for v in run.variants if v != shown and v in found]:
            points[variant], types[variant] = found[variant]["points"], found[variant]["types"]
        return points, types

    @cached_property
    def flat(self) -> dict[str, dict[str, np.ndarray]]:
        """All cells in PCA, and but for the test size in UMAP and t-SNE of all components."""
        points, seed = self.cells[0], self.values["seed"]
        together = AnnData(np.concatenate(list(points.values())))
        found = {"PCA": together.X[:, :2]}
        if not self.values["fast"]:
            sc.pp.neighbors(together, use_rep="X", random_state=seed)
            sc.tl.umap(together, random_state=seed)
            found["UMAP"] = together.obsm["X_umap"]
            found["t-SNE"] = TSNE(init="pca", random_state=seed).fit_transform(together.X)
        cuts = np.cumsum([len(x) for x in points.values()])[:-1]
        return {method: dict(zip(points, np.split(x, cuts), strict=True)) for method, x in found.items()}

    def figure(self, rows: Rows) -> "Figure":
        """Draw all of them on common axes."""
        return plots.simulated_embeddings(self.flat, self.cells[1])

    def named(self, rows: Rows) -> "HTML":
        """Return held-out cells and those of the model at the end, in the last of the maps, with a name each."""
        last = list(self.cells[0])[-1]
        sets = {HELD_OUT: HELD_OUT, last.replace("\n", " "): last}
        points, types = list(self.flat.values())[-1], self.cells[1]
        return plots.hover(
            {words: points[of] for words, of in sets.items()},
            {words: np.asarray(types[of]) for words, of in sets.items()},
            seed=self.values["seed"],
        )


def held_out(test: AnnData, n: int, seed: int) -> AnnData:
    """Return some test cells of each type."""
    rng = np.random.default_rng(seed)
    groups = test.obs.reset_index().groupby("cell_type", observed=True).indices.values()
    return test[np.concatenate([rng.permutation(rows)[:n] for rows in groups])]
