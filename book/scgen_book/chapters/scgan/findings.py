"""What the released code does otherwise, as this run has measured it: words for the table, and findings."""

import math
from collections.abc import Mapping
from typing import Any

import anndata
import numpy as np

from scgen_book.chapters.scgan.scores import Scores
from scgen_book.experiments import defects
from scgen_book.experiments.defects import Defect
from scgen_book.experiments.rows import Rows
from scgen_book.experiments.scgan.cells import Case
from scgen_book.experiments.scgan.defects import DEFECTS, shares, splits
from scgen_book.experiments.scgan.looks import APART, REPEATS, STATISTICS
from scgen_book.results import Run

MISSING = "not measured: needs the faithful variant and scores"


def find(run: Run, rows: Rows, realism: Rows, case: Case, values: Mapping[str, Any]) -> None:
    """Record the deviations of parts as findings, and how many updates the critic has for one of the generator."""
    wrong, own = shares(case)
    name = case.names[int(np.abs(wrong - own).argmax())]
    words = {
        "C3": f"weights of the output of a critic of {len(case.names)} classes",
        "C4": f"share of {name} in a batch to be generated",
    }
    named = {key: Defect(words.get(key, of.quantity), of.measure, of.part) for key, of in DEFECTS.items()}
    defects.find(run, rows, named)
    scores = Scores(realism, values)
    if "faithful" in scores.kinds:
        critic, generator = (scores.of("faithful", f"updates of {which}") for which in ("critic", "generator"))
        quantity = "updates of the critic for each of the generator"
        run.finding("C1", quantity, released=critic / generator, otherwise=values["critic_iters"], part=True)


def effects(
    rows: Rows, realism: Rows, case: Case, made: anndata.AnnData, seconds: float, values: Mapping[str, Any]
) -> dict[str, str]:
    """Return by deviation the words for its effect in this run.

    Parameters
    ----------
    rows, realism
        Of the experiments on deviations and on realism.
    case
        The cells.
    made, seconds
        The cells that the chapter has generated, and in which time.
    values
        All parameters of the chapter.
    """
    scores = Scores(realism, values)
    found = _of_training(scores) | _of_parts(rows, case, values) | _of_split(rows, case, values)
    return found | _of_cells(scores, case, made, seconds) | _of_models(scores, case)


def _sides(rows: Rows, name: str) -> tuple[float, float]:
    found = [rows.values(name, side) for side in ("released", "otherwise")]
    return tuple(float(side.iloc[0]) if len(side) else math.nan for side in found)


def _of_training(scores: Scores) -> dict[str, str]:
    if "faithful" not in scores.kinds:
        return {}
    critic, generator = (scores.of("faithful", f"updates of {which}") for which in ("critic", "generator"))
    steps, iters = scores.values["steps"], scores.values["critic_iters"]
    words = (
        f"{critic:,.0f} updates of the critic for {generator:,.0f} of the generator; "
        f"{1000 * scores.of('faithful', 'seconds') / steps:.0f} ms a step"
    )
    if "repaired" in scores.kinds:
        time = 1000 * scores.of("repaired", "seconds") / steps
        words += f", {time:.0f} ms with {iters}, compilation included"
    return {"C1": words}


def _of_parts(rows: Rows, case: Case, values: Mapping[str, Any]) -> dict[str, str]:
    wrong, own = shares(case)
    far, other = int(np.abs(wrong - own).argmax()), np.abs(wrong - own).sum() / 2
    per_class, projection = _sides(rows, "C3")
    return {
        "C2": f"with decay = false the last step size of {values['lr_initial']:g} would be {values['lr_final']:g}",
        "C3": (
            f"output of the critic for {len(case.names)} classes: {per_class:,.0f} weights in place of "
            f"{projection:,.0f}; effect on the cells not measured: one critic is trained in a run"
        ),
        "C4": (
            f"{other:.0%} of the generated cells in a batch would be of another class than by the proportions; "
            f"{case.names[far]}: {wrong[far]:.1%} in place of {own[far]:.1%}"
        ),
    }


def _of_split(rows: Rows, case: Case, values: Mapping[str, Any]) -> dict[str, str]:
    down, every = splits(case, values)[0], case.labels
    without = [name for name in case.names if not ((down == "test") & (every == name)).any()]
    (fewer, right), (batches, n) = _sides(rows, "C8"), _sides(rows, "C9")
    batch = min(values["batch_size"], int((case.part == "train").sum()))
    picture = _sides(rows, "C10")
    return {
        "C8": f"{fewer:.0f} test cells in place of {right:.0f}; classes without one: {', '.join(without) or 'none'}",
        "C9": f"{batches:.0f} of {n:.0f} cells of the figure in batches of {batch}; here all, once",
        "C10": (
            f"real cells whose nearest neighbour in the picture is of their class: {picture[0]:.0%} the original way, "
            f"{picture[1]:.0%} with 50 components of logarithms"
            if math.isfinite(picture[0])
            else "not measured: needs two classes, and 5,000 cells at most"
        ),
    }


def _of_cells(scores: Scores, case: Case, made: anndata.AnnData, seconds: float) -> dict[str, str]:
    sums, real = np.asarray(made.X.sum(axis=1)).ravel(), case.cells.obs["scgan_total"]
    kept = (made.var_names == case.cells.var_names).mean()
    medians = real.groupby(case.cells.obs["cell_type"], observed=True).median()
    size = scores.values["library_size"]
    worked = (
        f"generated totals {sums.mean():,.0f} in place of a median of {real.median():,.0f} counts; had it worked, "
        f"{sums.mean() * size:.2g}"
    )
    if scores.usable:
        auc = scores.by_method().loc["rf_auc"]
        worked += f"; AUC {auc[scores.best]:.2f} as generated, {auc[scores.as_counts]:.2f} as counts"
    classes = f", {made.obs['cell_type'].nunique()} classes by name" if "cell_type" in made.obs else ""
    return {
        "C7": worked,
        "C11": f"{_list_as_number()} for scGAN; here {made.n_obs:,} cells in {seconds:.2f} s, without data",
        "C12": f"{kept:.0%} of the gene names kept{classes}",
        "C13": (
            f"sd / mean of the totals: {real.std() / real.mean():.2f} real, {sums.std() / sums.mean():.1g} generated; "
            f"medians of the classes {medians.min():,.0f} to {medians.max():,.0f} real"
        ),
    }


def _list_as_number() -> str:
    """Return what the released code raises, which takes a list for a number."""
    try:
        int([5])  # type: ignore[call-overload]
    except TypeError as error:
        return type(error).__name__
    return "no error"


def _of_models(scores: Scores, case: Case) -> dict[str, str]:
    from scgen_book.experiments.scgan.defects import finite_share, total_of_nothing

    kinds, best, seeds = scores.kinds, scores.best, len(scores.values["seeds"])
    slopes = [row["scores"]["smallest slope"] for row in scores.rows.rows if "smallest slope" in row["scores"]]
    empty = ", ".join(f"{kind} {scores.of(kind, 'empty'):.1%}" for kind in kinds)
    same, other = (scores.of(best, name) for name in REPEATS)
    spread = "; of trainings not measured with fewer than three seeds"
    if seeds > 2 and scores.usable:
        spread = f"; sd of the AUC over {seeds} seeds {scores.by_method('std').loc['rf_auc', best]:.2g}"
    found = {
        "C5": (
            f"a flat critic: {1 - finite_share(0.0):.0%} of its gradients are not finite, "
            f"{1 - finite_share(1e-12):.0%} with 10⁻¹² under the root; in this run the smallest mean slope of a block "
            f"was {min(slopes):.2g}"
        ),
        "C6": (
            f"a cell of zeros keeps a total of {total_of_nothing(scores.values['library_size']):g}; largest share of "
            f"empty cells in a block: {empty}"
        ),
        "C14": f"values that differ between two generations: {same:.0f} with one seed, {other:,.0f} with two{spread}",
        "C15": _statistics(scores),
    }
    train, test = (scores.of(best, name) for name in APART)
    apart = f"MMD² of {best} from training cells {train:.4f}, from held-out cells {test:.4f}"
    return found | ({"C16": apart} if scores.usable else {})


def _statistics(scores: Scores) -> str:
    if scores.values["gen_norm"] != "batchnorm":
        return "not measured: this generator has no moving statistics"
    words = []
    for kind in scores.kinds:
        r, apart, momentum = (scores.of(kind, name) for name in STATISTICS)
        words.append(f"{kind} (momentum {momentum:g}) {r:.3f}, mean difference {apart:.1%}")
    return f"gene means with statistics of the batch against moving ones, r: {'; '.join(words)}"
