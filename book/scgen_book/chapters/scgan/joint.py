"""The paper's Figure 2: real and generated cells in one t-SNE, by class and by a marker gene."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.manifold import TSNE

from scgen_book import plots
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.scgan import models
from scgen_book.experiments.scgan.cells import Case
from scgen_lib.metrics import conditional, realism
from scgen_lib.metrics.arrays import dense
from scgen_lib.models.scgan import ScGAN

if TYPE_CHECKING:
    from IPython.display import HTML


def figure(model: ScGAN, case: Case, values: Mapping[str, Any]) -> "HTML":
    """Draw the cells that figures show beside as many of a model, and return them with a name each.

    Components are fixed on training cells.

    Raises
    ------
    NotApplicable
        If there are too few classes for a marker gene.
    """
    gene, of = marker(case)
    real = case.cells.X[case.part == case.looked]
    made = models.quietly(model.simulate, models.like(model, case, case.looked), seed=values["seed"])
    sides = {"real": real, "generated": made.X}
    logs = {name: realism.log(x, allow_empty=True) for name, x in sides.items()}
    space = realism.Space.fit(realism.log(case.of("train").counts), seed=values["seed"])
    stacked = np.concatenate([space(x) for x in logs.values()])
    flat = TSNE(init="pca", perplexity=min(30, len(stacked) // 4), random_state=values["seed"]).fit_transform(stacked)
    cut = real.shape[0]
    told = made.obs["cell_type"].astype(str).to_numpy() if model.labels else np.repeat("no class", made.n_obs)
    points = dict(zip(sides, (flat[:cut], flat[cut:]), strict=True))
    labels = dict(zip(sides, (case.labels[case.part == case.looked], told), strict=True))
    plots.joint_embedding(
        points,
        labels,
        {name: dense(name, x[:, [gene]]).ravel() for name, x in logs.items()},
        f"{case.cells.var_names[gene]}, marker of {of}",
    )
    return plots.hover(points, labels)


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
