"""The paper's Figure 2: real and generated cells in one t-SNE, by class and by a marker gene."""

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.manifold import TSNE

from scgen_book import plots
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.rows import Rows
from scgen_book.experiments.scgan import models
from scgen_book.experiments.scgan.cells import Case
from scgen_lib.metrics import conditional, realism
from scgen_lib.metrics.arrays import dense
from scgen_lib.models.scgan import ScGAN

if TYPE_CHECKING:
    from IPython.display import HTML


class Joint:
    """The cells that figures show beside as many of a model, laid out once; components are fixed on training cells."""

    def __init__(self, model: ScGAN, case: Case, values: Mapping[str, Any]):
        self.case, self.seed = case, values["seed"]
        made = models.quietly(model.simulate, models.like(model, case, case.looked), seed=self.seed)
        told = made.obs["cell_type"].astype(str).to_numpy() if model.labels else np.repeat("no class", made.n_obs)
        rows = case.part == case.looked
        self.labels = {"real": case.labels[rows], "generated": told}
        sides = {"real": case.cells.X[rows], "generated": made.X}
        self.logs = {name: realism.log(x, allow_empty=True) for name, x in sides.items()}

    @cached_property
    def points(self) -> dict[str, np.ndarray]:
        """Coordinates of the cells of both sides, in one t-SNE."""
        space = realism.Space.fit(realism.log(self.case.of("train").counts), seed=self.seed)
        stacked = np.concatenate([space(x) for x in self.logs.values()])
        near = min(30, len(stacked) // 4)
        flat = TSNE(init="pca", perplexity=near, random_state=self.seed).fit_transform(stacked)
        cut = len(self.labels["real"])
        return {"real": flat[:cut], "generated": flat[cut:]}

    def figure(self, rows: Rows) -> None:
        """Draw both sides by class and by a marker gene.

        Raises
        ------
        NotApplicable
            If there are too few classes for a marker gene.
        """
        gene, of = marker(self.case)
        shown = {name: dense(name, x[:, [gene]]).ravel() for name, x in self.logs.items()}
        plots.joint_embedding(self.points, self.labels, shown, f"{self.case.cells.var_names[gene]}, marker of {of}")

    def named(self, rows: Rows) -> "HTML":
        """Return both sides with a name each."""
        return plots.hover(self.points, self.labels, seed=self.seed)


def marker(case: Case) -> tuple[int, str]:
    """Return the number of the gene that tells the largest class of the training cells best, and the class."""
    train = case.of("train")
    if train.labels is None:
        raise NotApplicable("without classes no gene is a marker")
    table = conditional.marker_table(realism.log(train.counts), train.labels)
    sizes = case.wanted("train")
    known = [name for name in sizes if (table["label"] == name).any()]
    if not known:
        raise NotApplicable("no class has enough cells for a marker gene")
    best = table[table["label"] == known[0]].iloc[0]
    return int(best["gene"]), known[0]
