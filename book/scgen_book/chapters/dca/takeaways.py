"""What a run of the chapter on DCA shows, in sentences that follow from its rows by rule."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from scgen_book.chance import spread
from scgen_book.chapters.dca import figure2 as part_a
from scgen_book.chapters.dca import students as part_b
from scgen_book.experiments import paired
from scgen_book.experiments.protocol import Metric
from scgen_book.experiments.rows import Rows


def lines(rows: Mapping[str, Rows], values: Mapping[str, Any], name: str) -> list[str]:
    """Return the sentences.

    Parameters
    ----------
    rows
        By experiment: heldout, figure2, students, repaired.
    values
        The parameters of the chapter, as they are in this run.
    name
        Of the data set.
    """
    said = [_of_heldout(rows["heldout"], values, name)]
    if figure2 := rows["figure2"]:
        for dataset in dict.fromkeys(figure2.wide["dataset"]):
            said += _of_groups(figure2, dataset)
        said += [_of_steps(dataset, own) for dataset, own in part_a.steps(figure2).groupby("dataset", sort=False)]
    said += _of_epochs(part_a.with_epochs(figure2))
    said += _shortened(rows, values)
    if rows["repaired"]:
        said += [_of_posterior(rows["repaired"])]
        said += _of_students(rows["students"], rows["repaired"], values["student_epochs"])
        said += [_of_ridge(rows["repaired"])]
    return said


def _lower(words: str) -> Metric:
    return Metric(words, "lower")


def _higher(words: str) -> Metric:
    return Metric(words, "higher")


def _seeds(n: int) -> str:
    return f"{n} seed{'s' * (n > 1)}"


def _of_heldout(found: Rows, values: Mapping[str, Any], name: str) -> str:
    if not found:
        return f"**{name}**, held-out molecules: {found.reason}."
    best, n = values["variants"][0], found.wide["seed"].nunique()
    against = {"gene_mean": "gene means", "none": "the counts as they are"}
    judges = {"MCV Poisson": _lower("Poisson loss"), "MCV MSE": _lower("squared error of ln(1 + x)")}
    standing = paired.standing(found.table, f"DCA, {best}", list(against), judges, against)
    return f"**{name}**, held-out molecules, DCA ({best}), {_seeds(n)}, differences on the same molecules: {standing}"


def _of_groups(found: Rows, dataset: str) -> list[str]:
    own, rows = found.table[found.table["dataset"] == dataset], found.wide[found.wide["dataset"] == dataset]
    mean = rows.groupby("method")["silhouette"].mean()
    looked = {
        "silhouette": _higher("silhouette where the figure looks"),
        "silhouette, ten components": _higher("on ten principal components"),
    }
    words = {"observed": "the counts with dropout", "mse": "squared error", "true": "the true counts"}
    true, observed = (mean.get(method, math.nan) for method in ("true", "observed"))
    said = [
        f"**{dataset}** ({_seeds(rows['seed'].nunique())}): the silhouette of the true groups is {true:.2f} with the "
        f"true counts and {observed:.2f} with dropout. ZINB (faithful), differences on the same cells: "
        + paired.standing(own, "zinb", list(words), looked, words, ".2f")
    ]
    ended = rows[(rows["groups"] == 2) & (rows["method"] == "zinb")].get("epochs", pd.Series(dtype=float)).dropna()
    if len(ended):
        sd, of_paper = spread(ended), part_a.published()["dca.fig2.g2.epochs"]
        said.append(
            f"**{dataset}**, epochs until early stop, ZINB (faithful): {ended.mean():.0f}"
            f"{'' if math.isnan(sd) else f' ± {sd:.0f}'} (n = {len(ended)}); "
            f"published about {of_paper:.0f} of one run, read off its loss plot."
        )
    return said


def _of_steps(dataset: str, steps: pd.DataFrame) -> str:
    each = [
        f"{row['difference']} {row['silhouette']}, {row['dropped']}, {row['epochs']}"
        f"{' (**the two measures disagree**)' if row['disagree'] else ''}"
        for row in steps.to_dict("records")
    ]
    return (
        f"**{dataset}, one difference at a time** (n = {steps['seeds'].max()}), by which the silhouette, the squared "
        f"error at dropped entries and the epochs change: {'; '.join(each)}."
    )


def _of_epochs(longer: pd.DataFrame) -> list[str]:
    if longer.empty:
        return []
    each = "; ".join(f"{row.code}, {row.dataset} {row.r:+.2f} ({row.runs} runs)" for row in longer.itertuples())
    return [
        f"**Epochs until early stop and silhouette**, r over runs that ended by themselves: {each}. An association: "
        "no run was made longer or shorter to see what that does."
    ]


def _shortened(rows: Mapping[str, Rows], values: Mapping[str, Any]) -> list[str]:
    said, iterations, angle = [], values["tsne_iterations"], values["tsne_angle"]
    if figure2 := rows["figure2"]:
        at = figure2.wide.loc[figure2.wide["method"] == "zinb, repaired", "seed"].nunique()
        if iterations != 1000:
            said.append(f"t-SNE takes {iterations:,} iterations, where 1,000 are the default")
        if angle != 0.5:
            said.append(f"t-SNE sums up distant cells under an angle of {angle:g}, where 0.5 is the default")
        if at < len(values["fig2_seeds"]):
            said.append(f"the repaired network of part A is trained at {at} of {len(values['fig2_seeds'])} seeds")
    if rows["repaired"] and not values["without_bn"]:
        said.append("that of part B is not trained without batch normalisation")
    return [f"**Shortened** in this run: {'; '.join(said)}."] if said else []


def _of_posterior(found: Rows) -> str:
    values = part_b.first(found, part_b.FREE)
    prior, posterior, mean = (values[f"AUC, {label}"] for label in ("π", "w", "μ"))
    return (
        f"**Prior and posterior**: {values['prevalence']:.0%} of the zeros are dropouts. Without ridge the prior π "
        f"ranks zeros with an AUC of {prior:.2f} (0.5 is chance), the posterior w with {posterior:.2f}, "
        f"the mean μ alone with {mean:.2f} (seed {values['seed']})."
    )


def _of_students(students: Rows, repaired: Rows, epochs: int) -> list[str]:
    if not students:
        return []
    last = part_b.scores(students, epochs).query("part == 'validation' and epochs == @epochs")
    last = last.groupby("model")[["precision", "recall"]].mean()
    all_zeros = repaired.values("all zeros, gene mean", "precision").mean()
    return [
        "**Student models** under the report's rule, precision / recall: "
        + ", ".join(f"{kind} {r.precision:.2f} / {r.recall:.2f}" for kind, r in last.iterrows())
        + f"; calling every zero a dropout has precision {all_zeros:.2f} and recall 1."
    ]


def _of_ridge(found: Rows) -> str:
    judges = {
        "precision": _higher("precision"),
        "recall": _higher("recall"),
        "distance": _lower("distance to the truth"),
        "median_abs_log_dropout": _lower("median error of ln(1 + x) at dropouts"),
    }
    others = {part_b.FREE: "ridge 0", "all zeros, gene mean": "gene means for all zeros"}
    return "**Ridge** 0.05 (not chosen on the truth) with the posterior rule, differences on the same cells: " + (
        paired.standing(found.table, part_b.TAMED, list(others), judges, others, ".2f")
    )
