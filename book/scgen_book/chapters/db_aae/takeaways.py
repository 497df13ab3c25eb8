"""What a run of the chapter shows, computed by rule."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from scgen_book.chapters.db_aae import deviations, parts, tables
from scgen_book.chapters.db_aae.measured import Measured
from scgen_book.experiments import paired
from scgen_book.experiments.db_aae import batch_size, cells, order, sets
from scgen_book.experiments.db_aae.denoising import TRUE
from scgen_book.experiments.db_aae.parts import DESCRIBED, FAITHFUL, FROM_MEANS, MEASURES, REPAIRED
from scgen_book.experiments.protocol import Metric

OF_TRUTH = {
    "mse_dropped": MEASURES["dropped"],
    "mse": MEASURES["all"],
    "mse_means": Metric("distance to the means that counts were drawn from", "lower"),
}


def lines(of: Measured) -> list[str]:
    """Return what the run shows, a sentence or a few a line, in Markdown."""
    several = (_scale, _truth, _search, _sizes, _taken_apart, _types, _order, _molecules)
    return [line for function in several for line in function(of)]


def markdown(of: Measured) -> str:
    """Return `lines` as a list."""
    return "\n".join(f"- {line}" for line in lines(of))


def _scale(of: Measured) -> Iterator[str]:
    """Say what a smaller run than the claims ask for leaves out."""
    v = of.values
    if of.dataset != sets.DEFAULT or not (of.n_cells == v["max_cells"] or v["tune_epochs"] < 20):
        return
    asked = sets.chosen(v)
    seeds, epochs = len(asked.seeds), v["tune_epochs"]
    left = [name for name in (*sets.SIMULATIONS, *sets.REAL) if name not in asked.all]
    yield (
        f"**Scale**: {of.n_cells:,} cells, {seeds} seed{'s' if seeds > 1 else ''}, {epochs} "
        f"epoch{'s' if epochs > 1 else ''} a trial of the search, at most {v['dca_epochs']} of DCA; {v['n2']}, "
        f"{v['n3']} and {v['latent_dim']} units in the layers; the claims ask for 2,000 cells, five seeds, 20 epochs, "
        "and 1,024, 512 and 512 units." + (f" Left to a run at full scale: {', '.join(left)}." if left else "")
    )


def _each(title: str, table: pd.DataFrame, by: Mapping[str, Metric], method: str, form: str = ".3f") -> Iterator[str]:
    """Say how a method stands on each data set of a table; bounds and what nobody would use are left out."""
    for name in dict.fromkeys(table["data"]):
        own = table[table["data"].eq(name) & ~table["method"].isin(["perfect", TRUE, "50 PCs"])]
        if method in set(own["method"]):
            yield f"**{title.format(name)}**: {parts.stands(own, method, by, form)}"


def _best(of: Measured) -> str:
    return cells.NAMES[of.values["variants"][-1]]


def _truth(of: Measured) -> Iterator[str]:
    if not of.denoising:
        return
    table = tables.truths(of.denoising, sets.chosen(of.values))
    fits = tables.fits(of.denoising, of.values)
    for variant in of.values["variants"]:
        yield from _each("{}", table, OF_TRUTH, cells.NAMES[variant])
    for variant in of.values["variants"]:
        updates = of.denoising.values(cells.NAMES[variant], "updates", of.dataset).get(of.first, 0)
        own = fits[fits["method"].isin([variant, "gene means"])]
        yield from _each(
            f"Reconstruction of {{}}, {updates:,.0f} updates", own, {"fit": MEASURES["kept"]}, variant, ".4f"
        )


def _search(of: Measured) -> Iterator[str]:
    if (both := deviations.accuracies(of)) is not None:
        apart = np.abs(both[0] - both[1]).max()
        yield (
            f"**The released search** scores the data, and the same cells without any structure, within {apart:.1f} "
            f"percentage points of each other (at {len(both[0])} batch sizes)."
        )


def _sizes(of: Measured) -> Iterator[str]:
    for variant in of.values["variants"] if of.batches else ():
        own = {key: of.batches.values(cells.NAMES[variant], key) for key in of.batches.experiment.metrics}
        gain = (own[batch_size.FOUND] - own[batch_size.DEFAULT]).dropna()
        if not len(gain):
            continue
        found, usual = (f"{own[f'size_{key}'].iloc[0]:.0f}" for key in (batch_size.FOUND, batch_size.DEFAULT))
        if found == usual:
            yield f"**Batch size, {variant}**: the search finds the usual one, {usual}."
        else:
            yield (
                f"**Batch size, {variant}**: the error on cells kept apart differs by "
                f"{paired.said(gain.tolist(), '.4f')} between the {found} found and {usual}, on the same seeds."
            )


def _taken_apart(of: Measured) -> Iterator[str]:
    if of.values["fast"] or not of.parts:
        return
    table, pairs = parts.table(of.parts), parts.pairs(of.parts)
    idle = "; ".join(parts.idle(table, name) for name in (FAITHFUL, FROM_MEANS))
    yield (
        "**Defects of the training**, put back one at a time, by which the error rises most: "
        f"{parts.harm(table, pairs)}"
    )
    yield f"**What the description asks for**, alone: {parts.standing(table, DESCRIBED, FAITHFUL)}"
    yield f"**What we added**, to that: {parts.standing(table, REPAIRED, DESCRIBED)}"
    yield (
        f"**Outputs that start at 0** (D19). {idle}. The faithful model, started at the means: "
        f"{parts.standing(table, FROM_MEANS, FAITHFUL)}"
    )
    if "D20" in pairs:
        yield f"**Keras 3** (D20), its RMSprop in the faithful model: {parts.standing(table, *pairs['D20'])}"


def _types(of: Measured) -> Iterator[str]:
    if of.denoising:
        by = {name: Metric(name, "higher") for name in ("ARI", "NMI", "silhouette")}
        yield from _each("Clusters of {}", tables.types(of.denoising, sets.chosen(of.values)), by, _best(of))


def _order(of: Measured) -> Iterator[str]:
    asked = sets.chosen(of.values)
    if of.denoising and asked.ordered:
        scores = {"r2": "R²", "spearman": "rank correlation"}
        by = {f"{k}_{way}": Metric(f"{w}, {words}", "higher")
              for way, words in order.WAYS.items() for k, w in scores.items()}  # fmt: skip
        table = tables.long(of.denoising, asked.ordered)
        there = ["data", "method", "seed", *(name for name in by if name in table)]
        yield from _each("Order of {}", table[there].dropna(subset=there[3:], how="all"), by, _best(of))


def _molecules(of: Measured) -> Iterator[str]:
    if of.molecules:
        by = {name: Metric(name, "lower") for name in ("Poisson loss", "MSE")}
        yield from _each("Held-out molecules of {}", tables.molecules(of.molecules), by, _best(of), ".4f")
