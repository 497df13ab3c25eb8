"""What the original code really does: words on the effect of each deviation, and the findings of the chapter."""

from collections.abc import Iterator

import keras
import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from scgen_book.chapters.db_aae import figures, parts, tables
from scgen_book.chapters.db_aae.measured import Measured
from scgen_book.experiments.db_aae import cells, search
from scgen_book.experiments.db_aae.defects import BAND
from scgen_book.experiments.db_aae.denoising import GENE_MEAN
from scgen_book.experiments.db_aae.parts import FAITHFUL, FROM_MEANS, REPAIRED
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.results import Run
from scgen_lib.models.db_aae import DBAAE

#: −ln of the least probability that the cross-entropy of Keras 2 takes for one, and of that of Keras 3.
NEVER, NEVER_KERAS_3 = -np.log(2e-7), -np.log(1e-7)
#: Deviation → what was measured of it in `experiments.db_aae.defects`, and more of the finding.
QUANTITIES = {
    "D7": ("time to encode 32 cells, ms", {"part": True}),
    "D9": ("how far one update moves the weights of D, in miniature", {"part": True}),
    "D10": ("share of the promoted trials that fail, in miniature", {"part": True}),
    "D13": ("silhouette of the observed cells of {}", {"figure": "fig-db-aae-tsne"}),
    "D14": ("ARI of k-means with the groups, seeking the number in the name", {}),
}


def effects(of: Measured) -> dict[str, str]:
    """Return by deviation what this run has measured of it, in words; what it has not is left out."""
    told: dict[str, list[str]] = {}
    for words in (_trained, _searched, _taken_apart, _of_the_network, _of_the_tuner, _of_the_figures, _of_markers):
        for key, effect in words(of):
            told.setdefault(key, []).append(effect)
    return {key: "; ".join(effect.rstrip(".") for effect in effects) for key, effects in told.items()}


def _trained(of: Measured) -> Iterator[tuple[str, str]]:
    """Say what the trainings on the data set of the chapter show."""
    histories, own = figures.game(of.denoising, of.values), _scores(of, cells.NAMES["faithful"])
    if "faithful" not in histories or not own:
        return
    history = {key: values.tolist() for key, values in histories["faithful"].items()}
    first, last = (history["d_code_zero"][i] + history["d_code_one"][i] for i in (0, -1))
    words = f"no gradient for {first:.0%} of the cells in the first epoch and {last:.0%} in the last "
    words += f"(D(E(x)) = 0 for {history['d_code_zero'][-1]:.0%}, ≥ 1 for {history['d_code_one'][-1]:.0%}); "
    words += f"adversarial loss then {history['adversarial_loss'][-1]:.3f}, "
    words += f"of at most {NEVER:.3f} (Keras 3: {NEVER_KERAS_3:.3f})"
    if other := histories.get("repaired"):
        low, high = other["d_code_min"][-1], other["d_code_max"][-1]
        words += f"; repaired: loss {other['adversarial_loss'][-1]:.3f}, D(E(x)) from {low:.2f} to {high:.2f}"
    yield "D1", words
    if "moved_heads" in own:
        words = f"weights of the heads move by up to {own['moved_heads']:.1e}, "
        yield "D2", f"{words}their difference by {own['moved_difference']:.1e}"
    size = int(own["batch_size"])
    unseen = DBAAE.faithful().unseen(of.n_cells, size).sum()
    words = f"{unseen} of {of.n_cells} cells are never seen at B = {size}"
    yield "D6", f"{words} (table of the data for 32 and 64)"
    means = of.denoising.values(GENE_MEAN, "fit", of.dataset).get(of.first, np.nan)
    words = f"{own['updates']:,.0f} updates of the faithful model leave an error of the reconstruction of "
    yield "D18", f"{words}{own['fit']:.3f} (gene means {means:.3f})"


def _scores(of: Measured, method: str) -> dict[str, float]:
    """Return the scores of a method on the data set of the chapter, at the seed of the figures."""
    for row in of.denoising.rows:
        if (row["dataset"], row["method"], row["seed"]) == (of.dataset, method, of.first):
            return row["scores"]
    return {}


def accuracies(of: Measured) -> tuple[pd.Series, pd.Series] | None:
    """Return the released score of the data, and of the same cells without structure, at the sizes that both have."""
    curves = figures.curves(of.search)
    if not {search.RELEASED, search.SHUFFLED} <= set(curves):
        return None
    real, permuted = (curves[name]["d_accuracy"] for name in (search.RELEASED, search.SHUFFLED))
    both = real.index.intersection(permuted.index)
    return real[both], permuted[both]


def _searched(of: Measured) -> Iterator[tuple[str, str]]:
    """Say what the searches show."""
    if (both := accuracies(of)) is None:
        return
    per_size = ", ".join(f"B = {b}: {both[0][b]:.0f} and {both[1][b]:.0f}" for b in both[0].index)
    yield "D3", f"score on the data, and on the same cells without any structure: {per_size}"
    real = figures.curves(of.search)[search.RELEASED]["d_accuracy"]
    best = of.search.values(search.RELEASED, "best", of.dataset).iloc[0]
    words = f"accuracy {real.min():.0f} to {real.max():.0f} %, highest at B = {best:.0f}"
    if of.parts and "D4" in parts.pairs(of.parts):
        keys = ("d_accuracy_best", "val_mse_best")
        highest, least = (of.search.values(search.MODEL, key, of.dataset).iloc[0] for key in keys)
        words += f"; in the trained model highest at B = {highest:.0f}, and the error least at B = {least:.0f}"
    yield "D4", words


def _taken_apart(of: Measured) -> Iterator[tuple[str, str]]:
    """Say what each defect costs that was put back by itself."""
    if of.values["fast"] or not of.parts:
        return
    table, pairs = parts.table(of.parts), parts.pairs(of.parts)
    for key, pair in pairs.items():
        yield key, parts.standing(table, *pair)
    for method in (*pairs["D19"], FAITHFUL, FROM_MEANS):
        yield "D19", parts.idle(table, method)
    yield "D19", parts.standing(table, FROM_MEANS, FAITHFUL)
    errors = of.parts.values(REPAIRED, "kept")
    seeds, each = ", ".join(map(str, errors.index)), ", ".join(f"{error:.4f}" for error in errors)
    yield "D12", f"error on cells kept apart with the seeds {seeds}: {each}"


def _sides(of: Measured, name: str) -> tuple[float, float] | None:
    """Return a deviation as released and the other way, where both were measured."""
    both = [of.defects.values(name, side) for side in ("released", "otherwise")]
    return (both[0].iloc[0], both[1].iloc[0]) if all(map(len, both)) else None


def _kept(of: Measured, name: str) -> tuple[list[float], str]:
    """Return the numbers and words that a row of a deviation has kept."""
    arrays = of.defects.kept(name)
    return (arrays["numbers"].tolist(), arrays["words"][0]) if arrays else ([], "")


def _of_the_network(of: Measured) -> Iterator[tuple[str, str]]:
    """Say what comes of batches, codes, optimisers and freezing."""
    v = of.values
    sizes = range(v["batch_min"], v["batch_max"] + 1, v["batch_step"])
    if error := _kept(of, "D5")[1]:
        words = f"8 cells at B = 9: “{error}”; of the {len(sizes)} batch sizes {sum(b > 124 for b in sizes)} "
        yield "D5", f"{words}cannot be with the 124 embryo cells of the paper"
    if times := _sides(of, "D7"):
        words = f"codes differ by {_kept(of, 'D7')[0][0]:.1g}; {times[0]:.0f} ms for 32 cells by predict, "
        yield "D7", f"{words}{times[1]:.1f} ms within the step"
    if of.defects.kept("D8"):
        refused = _kept(of, "D8")[1]
        yield "D8", f"refused with “{refused}”" if refused else f"Keras {keras.__version__} does not refuse it"
    if went := _sides(of, "D9"):
        each = {name: _scores(of, cells.NAMES[name]).get("moved_d", np.nan) for name in v["variants"]}
        moved = ", ".join(f"{name}: {far:.2g}" for name, far in each.items())
        words = f"in miniature its weights move by {went[0]:.2g} in Keras {keras.__version__}, and by {went[1]:.2g} "
        yield "D9", f"{words}where nothing freezes them; here those of D move by up to {moved}"


def _of_the_tuner(of: Measured) -> Iterator[tuple[str, str]]:
    """Say what comes of Hyperband, and of widths that nothing reads."""
    numbers, stopped = _kept(of, "D10")
    if not numbers:
        return
    n = {name: int(number) for name, number in zip(BAND, numbers, strict=True)}
    words = f"in miniature {n['lost']} of {n['trials']} trials fail, of those promoted {n['promoted_lost']} of "
    words += f"{n['promoted']}; Hyperband asks for {n['least']} to {n['most']} epochs, and the fit does its own "
    yield "D10", f"{words}whatever is asked" + (f"; the search ends with “{stopped}”" if stopped else "")
    words = f"in miniature {n['drawn']} values are drawn and 1 is read: {n['trials']} trials build {n['networks']} "
    words += f"network and try {n['sizes']} of 15 batch sizes; the width that is named twice keeps its first range, "
    yield "D11", f"{words}up to {n['widest']}"


def _of_the_figures(of: Measured) -> Iterator[tuple[str, str]]:
    """Say what the scripts of the figures do."""
    if widths := _sides(of, "D13"):
        words = f"silhouette of the observed cells {widths[1]:.3f} with one logarithm, {widths[0]:.3f} with two"
        yield "D13", words
    if sought := _sides(of, "D14"):
        words = f"under that name lie 8 groups: k-means finds them with ARI {sought[1]:.2f} if it seeks 8, "
        yield "D14", f"{words}{sought[0]:.2f} if it seeks the 6 of the name"
    numbers, error = _kept(of, "D15")
    if numbers:
        words = f"of a script so indented {numbers[0]:.0f} of {numbers[1]:.0f} statements run ({error}); "
        yield "D15", f"{words}of the files that the two scripts read, none is written"


def counted(of: Measured) -> pd.DataFrame | None:
    """Return the markers of three groups together by method, with equal and with loose thresholds."""
    try:
        found = tables.markers(of.denoising, of.values)
    except NotApplicable:
        return None
    return found.groupby("method")[list(found)[:2]].sum()


def _of_markers(of: Measured) -> Iterator[tuple[str, str]]:
    """Say what equal thresholds change."""
    best = of.values["variants"][-1]
    if (found := counted(of)) is not None and {"observed", cells.NAMES[best]} <= set(found.index):
        equal, loose = found.loc[cells.NAMES[best]]
        words = f"markers of three groups: observed {found.loc['observed'].iloc[0]}; denoised ({best}) {equal} "
        yield "D16", f"{words}with equal thresholds, {loose} with those of the paper"


def find(run: Run, of: Measured) -> None:
    """Record the findings of the chapter: each deviation measured both ways, by itself."""
    if not of.values["fast"] and of.parts:
        _find_parts(run, of)
    for key, (quantity, more) in QUANTITIES.items():
        released, otherwise = (of.defects.values(key, side) for side in ("released", "otherwise"))
        quantity = quantity.format(cells.of_file(of.dataset))
        run.finding(key, quantity, released=released, otherwise=otherwise, **more)
    best = cells.NAMES[of.values["variants"][-1]]
    if (found := counted(of)) is not None and best in found.index:
        equal, loose = found.loc[best]
        quantity = "markers of three groups after denoising"
        run.finding("D16", quantity, released=loose, otherwise=equal, figure="fig-db-aae-groups")


def _find_parts(run: Run, of: Measured) -> None:
    v, name = of.parts.rows[0]["settings"], cells.of_file(of.dataset)
    after = {
        "D17": f", after {v['tune_epochs']} epochs",
        "D18": f", of {v['few_cells']} cells after {v['few_epochs']} and {v['more_epochs']} epochs",
    }
    table = parts.table(of.parts)
    for key, pair in parts.pairs(of.parts).items():
        gap = parts.differ(table, pair)
        for metric, difference in gap.items():
            # the reconstruction always, another measure where it says otherwise
            if metric == "kept" or np.sign(np.mean(difference)) != np.sign(np.mean(gap["kept"])):
                label = parts.MEASURES[metric].label
                released, otherwise = (parts.values(table, side, metric) for side in pair)
                run.finding(
                    key if metric == "kept" else f"{key}, {label}",
                    f"{label} (MSE) of {name}, cells kept apart{after.get(key, '')}",
                    released=released, otherwise=otherwise, figure="fig-db-aae-defects",
                )  # fmt: skip


def table(run: Run, of: Measured) -> Styler:
    """Record the findings and return the table of what the original code does otherwise, with their effects."""
    find(run, of)
    return run.deviations(effects(of))
