"""Figures of the chapter, drawn from what the rows have kept."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from scgen_book import plots
from scgen_book.chapters.db_aae import parts, tables
from scgen_book.experiments.db_aae import cells, search, sets
from scgen_book.experiments.db_aae.denoising import GENE_MEAN, OBSERVED, OTHER, TRUE
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.rows import Rows

if TYPE_CHECKING:
    from IPython.display import HTML


def scheme() -> Figure:
    """Draw the three networks with the published widths."""
    cells_in, encoder, code = "logarithms x\nof B cells", "encoder E\n1024, 512", "code E(x)\n512"
    decoder, out, prior = "decoder G\n512, 1024", "denoised\nG(E(x))", "prior z\nN(0, I)"
    judge = "discriminator D\n512, 256, 1"
    boxes = {
        cells_in: (0.7, 1.85, 1.1), encoder: (2.35, 1.85, 1.1), code: (4.15, 1.85, 0.9), decoder: (4.15, 3.1, 1.1),
        out: (0.7, 3.1, 1.0), prior: (0.7, 0.5, 1.0), judge: (4.0, 0.5, 1.4),
    }  # fmt: skip
    arrows = [
        (cells_in, encoder, "data", "", 0),
        (encoder, code, "data", "", 0),
        (code, decoder, "data", "", 0),
        (decoder, out, "data", "", 0),
        (out, encoder, "gradient", "squared\nerror", 0),
        (code, judge, "data", "", 0),
        (prior, judge, "data", "", 0),
        (judge, encoder, "inert", "to deceive D\n(lost if released)", 0),
    ]
    return plots.diagram(boxes, arrows, 3.5)


def training(history: Mapping[str, Any], name: str) -> Figure:
    """Draw both losses of one training by epoch."""
    losses = {"reconstruction_loss": "error of the reconstruction", "adversarial_loss": "loss for not deceiving D"}
    return plots.history_panels({name: history}, losses)


def curves(rows: Rows) -> dict[str, pd.DataFrame]:
    """Return the curves of the searches on the data set of the chapter, by the name of the search."""
    first = rows.rows[0]["dataset"] if rows.rows else None
    found = {row["method"]: rows.kept(row["method"], first) for row in rows.rows if row["dataset"] == first}
    return {name: search.curve(kept) for name, kept in found.items() if kept}


def objectives(rows: Rows, values: Mapping[str, Any]) -> Figure:
    """Draw what the searches saw at each batch size, and which ones are used."""
    best = {search.OF_VARIANT[variant]: size for variant, size in tables.sizes(rows, values).items()}
    found = curves(rows)
    order = [*(search.OF_VARIANT[v] for v in values["variants"]), search.SHUFFLED]
    return plots.objective_curves({name: found[name] for name in order if name in found}, best)


def kept(rows: Rows, values: Mapping[str, Any], name: str, *methods: str) -> dict[str, np.ndarray]:
    """Return an array that methods have kept of the data set of the chapter, by method; of all by default.

    Raises
    ------
    NotApplicable
        If none has.
    """
    methods = methods or tuple(rows.experiment.methods)
    found = {method: rows.kept(method, values["dataset"], values["seed"]) for method in methods}
    found = {method: arrays[name] for method, arrays in found.items() if name in arrays}
    if not found:
        raise NotApplicable("nothing of this kind was kept, for want of a known truth or of labels")
    return found


def game(rows: Rows, values: Mapping[str, Any]) -> dict[str, dict[str, np.ndarray]]:
    """Return the histories of the trainings on the data set of the chapter, by variant."""
    found = {}
    for variant in values["variants"]:
        arrays = rows.kept(cells.NAMES[variant], values["dataset"], values["seed"])
        history = {key.removeprefix("history."): x for key, x in arrays.items() if key.startswith("history.")}
        found |= {variant: history} if history else {}
    return found


def adversaries(rows: Rows, values: Mapping[str, Any]) -> Figure:
    """Draw both sides of the game by epoch.

    Raises
    ------
    NotApplicable
        If no variant was trained.
    """
    if not (histories := game(rows, values)):
        raise NotApplicable("no variant of DB-AAE was trained on the data set of the chapter")
    return plots.adversarial_curves(histories)


def scatter(rows: Rows, values: Mapping[str, Any]) -> Figure:
    """Draw denoised against true counts at the dropped entries."""
    names = [GENE_MEAN, OTHER, *(cells.NAMES[v] for v in values["variants"])]
    true = kept(rows, values, "dropped", TRUE)[TRUE]
    return plots.truth_scatter(true, kept(rows, values, "dropped", *names))


def heat(rows: Rows, values: Mapping[str, Any]) -> Figure:
    """Draw the genes that differ between groups, before dropout, with it, and denoised."""
    panels = kept(rows, values, "heat", TRUE, OBSERVED, *(cells.NAMES[v] for v in values["variants"]))
    groups = kept(rows, values, "heat_groups", TRUE)[TRUE]
    panels = {"true" if name == TRUE else name: x for name, x in panels.items()}
    return plots.de_heatmaps(panels, groups, np.arange(panels["true"].shape[1]))


def pictures(rows: Rows, values: Mapping[str, Any], way: str) -> Figure:
    """Draw the cells before and after denoising, by "tsne" or "umap".

    Raises
    ------
    NotApplicable
        If there are none, as of UMAP at test size.
    """
    if way == "umap" and values["fast"]:
        raise NotApplicable("no UMAP at test size (parameter fast)")
    order = (OBSERVED, TRUE, *(cells.NAMES[v] for v in values["variants"]))
    points, widths = (kept(rows, values, name, *order) for name in (way, "width"))
    labels = kept(rows, values, "labels", OBSERVED)[OBSERVED]
    words = {"tsne": "t-SNE ", "umap": "UMAP "}[way]
    return plots.embedding_panels({m: (x, float(widths[m][0])) for m, x in points.items()}, labels, words)


def named(rows: Rows, values: Mapping[str, Any]) -> "HTML":
    """Return the denoised cells of the t-SNE, each with its type where a pointer rests on it."""
    best = cells.NAMES[values["variants"][-1]]
    points, labels = kept(rows, values, "tsne", best)[best], kept(rows, values, "labels", OBSERVED)[OBSERVED]
    return plots.hover({f"denoised ({best})": points}, {f"denoised ({best})": labels}, seed=values["seed"])


def strips(rows: Rows, values: Mapping[str, Any], place: int) -> Figure:
    """Draw pseudotime on the principal curve by stage, observed and denoised, of the ordered data set at a place.

    Raises
    ------
    NotApplicable
        If there are fewer.
    """
    ordered, seed = sets.chosen(values).ordered, values["seed"]
    found = {}
    for name in (OBSERVED, OTHER, *(cells.NAMES[v] for v in values["variants"])) if place < len(ordered) else ():
        arrays = rows.kept(name, ordered[place], seed)
        found |= {name: arrays} if "time" in arrays else {}
    if not found:
        raise NotApplicable(f"this run has no ordered data set number {place + 1} (parameter ordered)")
    first = next(iter(found.values()))
    stages, order = first["stages"], list(first["order"])
    if stages.dtype.kind in "iuf":  # a hundred steps are shown in five parts
        part = pd.cut(stages, 5, labels=[f"steps {20 * k + 1}–{20 * k + 20}" for k in range(5)])
        stages, order = np.asarray(part.astype(str)), list(part.categories)
    r2 = {name: rows.values(name, "r2_curve", ordered[place]).get(seed, np.nan) for name in found}
    times = {name: arrays["time"] for name, arrays in found.items()}
    return plots.pseudotime_strips(times, stages, order, {m: f"R² {r2[m]:.2f}" for m in times}, seed)


def violins(rows: Rows, values: Mapping[str, Any], of: str) -> Figure:
    """Draw violins of markers before and after, by "classes" or by "groups".

    Raises
    ------
    NotApplicable
        If no labelled data set is at hand for the markers.
    """
    found = {}
    for name in (OBSERVED, *(cells.NAMES[v] for v in values["variants"])):
        arrays = rows.kept(name, sets.markers_of(values), values["seed"])
        found |= {name: arrays} if f"violins_{of}" in arrays else {}
    if not found:
        raise NotApplicable("no labelled data set at hand for the markers")
    first = next(iter(found.values()))
    matrices = {name: arrays[f"violins_{of}"] for name, arrays in found.items()}
    return plots.marker_violins(matrices, first[f"of_{of}"], list(first[f"genes_{of}"]))


def bars(rows: Rows) -> Figure:
    """Draw the error on cells kept apart of every model of the defects but those of searched batch sizes."""
    table = parts.errors(parts.table(rows), parts.pairs(rows))
    return plots.score_bars(table, "error on cells kept apart (MSE of logarithms)", 0.0, form=".3f").figure
