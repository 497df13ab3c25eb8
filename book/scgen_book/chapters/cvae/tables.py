"""Tables of the chapter on the CVAE."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from IPython.display import Markdown, display

from scgen_book import markdown
from scgen_book.chance import FEWEST, spread
from scgen_book.chapters.cvae import scores
from scgen_book.experiments import evidence
from scgen_book.experiments.cvae import cases, realism
from scgen_book.experiments.rows import Rows
from scgen_lib import training
from scgen_lib.data import checks
from scgen_lib.metrics.realism import cell_table
from scgen_lib.models.cvae.cells import image_side


def published_split(rows: Rows) -> pd.DataFrame | Markdown:
    """Return training and test cells of each published type."""
    kept = rows.kept("split")
    if not kept:
        return Markdown(
            "*Not shown: the file of the labels is not at hand* (`scgen fetch pbmc68k_labels` *fetches it*)."
        )
    table = pd.DataFrame({part: kept[part] for part in ("train", "test")}, index=kept["types"])
    return table.map("{:,}".format).rename_axis(index="type, 68k PBMC")


def describe(cells: AnnData, image_size: int | None) -> dict[str, Any]:
    """Return one column of the summary of the data."""
    about, counts = cells.uns["dataset"], checks.get_counts(cells, allow_empty=True)
    train, side = cells.obs["train"].to_numpy(), image_side(cells.n_vars, image_size)
    dropped = cells.uns.get("dropped", {"cells": 0, "genes": 0})
    few = training.dense(counts[:2000])
    return {
        "title": about.get("title", "own file"),
        "simulated by Splatter": bool(about.get("simulated", False)),
        "cells": f"{cells.n_obs:,}",
        "training / test cells": f"{train.sum():,} / {(~train).sum():,}",
        "genes": f"{cells.n_vars:,}",
        "dropped": f"{about['empty']} empty cells, {dropped['genes']} genes without a count, {about['left_out']} cells "
        "of no or too rare a type",
        "image": f"{side} × {side} pixels, {side**2 - cells.n_vars} without a gene",
        "types": f"one for all cells: {about['untyped']}" if about["untyped"] else cells.obs["cell_type"].nunique(),
        "zeros": f"{1 - np.count_nonzero(few) / few.size:.1%}",
        "median library size": f"{np.median(np.asarray(counts.sum(1)).ravel()):,.0f}",
        "largest count M, all / training cells": f"{counts.max():,} / {counts[train].max():,}",
        "note": about.get("note", "–"),
        "true expression": "known" if "base_cell_means" in cells.layers else "not known",
        "licence": about.get("licence") or ("–" if about.get("simulated") else "your own"),
    }  # fmt: skip


def labels(cells: AnnData) -> pd.DataFrame:
    """Return training and test cells of each type."""
    part = np.where(cells.obs["train"], "train", "test")
    table = pd.crosstab(cells.obs["cell_type"], part)[["train", "test"]]
    return table.sort_values("train", ascending=False).rename_axis(columns=None)


def data(found: Mapping[str, AnnData], missing: Mapping[str, str], image_size: int | None) -> None:
    """Show what the data sets are, their types, and which could not be had."""
    if found:
        display(pd.DataFrame({name: describe(cells, image_size) for name, cells in found.items()}))
        for name, cells in found.items():
            display(labels(cells).rename_axis(index=f"type, {name}"))
    else:
        display(Markdown("*No data: cells are simulated from the saved model, and there is nothing to compare them "
                         "with.*"))  # fmt: skip
    for name, reason in missing.items():
        display(Markdown(f"**{name}** is not shown: {reason}"))


def collapse(rows: Rows) -> pd.DataFrame:
    """Return a line a training: losses of test cells, and the dimensions of z that are used."""
    wide = rows.wide.rename(columns={"dataset": "data", "method": "variant"})
    columns = [name for name in realism.COLLAPSE if name in wide]
    return wide.loc[wide[columns].notna().any(axis=1), ["data", "variant", "seed", *columns]]


def endings(rows: Rows, values: Mapping[str, Any]) -> pd.DataFrame | Markdown:
    """Return how the trainings ended, the mean over the seeds, and their sd from three on; or why there is none."""
    if collapse(rows).empty:
        return Markdown(f"*Not shown: {gap(rows)}*")
    many = len(cases.trainings(values).seeds) > 2
    groups = collapse(rows).groupby(["data", "variant"], sort=False)[list(realism.COLLAPSE)]
    return groups.agg(["mean", "std"] if many else "mean").round(4)


def gap(rows: Rows) -> str:
    """Return why there is no trained model, one sentence."""
    models = [row for row in rows.rows if row["variant"]]
    return f"{models[0]['reason'].removesuffix('.')}." if models else "no model was asked for on these data."


def simulated(cells: AnnData) -> pd.DataFrame:
    """Return numbers, depth and zeros of simulated cells by type."""
    of = cell_table(cells.layers["counts"]).assign(type=cells.obs["cell_type"].to_numpy())
    names = {"library": "median library size", "detected": "median detected genes", "zeros": "median zeros"}
    groups = of.groupby("type", observed=True)
    medians = {column: (column, "median") for column in names}
    return groups.agg(cells=("library", "size"), **medians).rename(columns=names).round(3)


def scored_types(values: Mapping[str, Any]) -> Markdown:
    """Say which types have test cells enough to be scored."""
    lines, least = [], values["min_test_cells"]
    for name, cells in cases.load_all(values)[0].items():
        kept, known = cases.kept_types(cells, least), cells.obs["cell_type"].cat.categories
        said = f": {', '.join(map(markdown.escape, kept)) or 'none'} (parameter `min_test_cells`)."
        lines.append(
            f"**{name}**: {len(kept)} of {len(known)} types have at least {least} test cells and are scored"
            + ("." if len(kept) == len(known) else said)
        )
    return Markdown("\n\n".join(lines))


def all_scores(rows: Rows, values: Mapping[str, Any]) -> None:
    """Show every metric that can tell anything, a table a data set."""
    found, run = scores.scores(rows, values), cases.trainings(values)
    for name in scores.judged(values):
        own = found[found["data"] == name]
        if len(own):
            n, seeds = int(own["n_real"].iloc[0]), len(run.seeds)
            display(Markdown(
                f"**{name}**, {n} cells a side; models: {seeds} seed{'s' * (seeds > 1)}, controls: "
                f"{own['seed'].nunique()}. Mean ± sd over three seeds or more. "
                + evidence.no_ceiling(own.drop(columns="data"), scores.NAMES)
            ))  # fmt: skip
            display(_of_data(own, scores.columns(values)))


def _of_data(own: pd.DataFrame, methods: Sequence[str]) -> pd.DataFrame:
    """Return the table of one data set: mean ± sd, with the test cells in front."""
    results = set(evidence.results_only(own.drop(columns="data"))["metric"])
    metrics = [metric for metric in realism.SHOWN if metric in results]
    means = scores.by_method(own, "mean")
    table, spread = (x.reindex(index=metrics, columns=methods) for x in (means, scores.by_method(own, "std")))
    text = table.map("{:.3g}".format) + spread.map(lambda sd: f" ± {sd:.1g}" if np.isfinite(sd) else "")
    test = means.get(realism.TEST, pd.Series(dtype=float))
    held = {"library_median": ".4g", "zeros_median": ".3g", "logistic_accuracy": ".3g"}
    text.insert(0, "test cells", {m: f"{test.get(m, np.nan):{form}}" for m, form in held.items()})
    labels = {name: metric.label for name, metric in realism.SHOWN.items()}
    return text.rename(index=labels).replace("nan", "–").fillna("–").rename(columns=scores.NAMES)


def each_type(rows: Rows, values: Mapping[str, Any]) -> pd.DataFrame | Markdown:
    """Return the AUC of every type for itself, of the seeds of the trainings."""
    found = scores.type_aucs(rows)
    found = found[found["seed"].isin(cases.trainings(values).seeds)]
    if found.empty:
        return Markdown("*Scores of every type for itself: not asked for in this run (parameter* `by_type`*).*")
    wide = found.pivot_table(index=["data", "label"], columns="method", values="value")
    return wide.reindex(columns=scores.columns(values)).rename(columns=scores.NAMES).round(3)


def truth(rows: Rows, values: Mapping[str, Any]) -> pd.DataFrame | Markdown:
    """Return whether the means of cells are right, on the last data set whose truth is known."""
    run = cases.trainings(values)
    found = scores.scores(rows, values, scores.TRUTH)
    found = found[found["seed"].isin(run.seeds)]
    if found.empty:
        return Markdown("*Not run: no data set of this run has a known truth.*")
    own = found[found["data"] == found["data"].iloc[-1]].replace({"method": scores.NAMES})
    best = f"{run.variants[0]}, posterior z"
    order = ["training cells", "NB per type", *run.variants, *run.apart]
    order += ["faithful, prior z"] * ("faithful" in run.variants) + [best]
    many, wanted = len(run.seeds) > 2, list(scores.TRUTH)
    wide = own.pivot_table(index=["method", "seed"], columns="metric", values="value").groupby("method")[wanted]
    table = wide.agg(["mean", "std"]) if many else wide.mean()
    return table.reindex(index=order).rename_axis(columns=[None, None] if many else None).round(3)


def start(rows: Rows) -> Markdown:
    """Say what the loss is after 18 steps."""
    found, kept = rows.values("faithful", "running loss"), len(rows.rows) - len(rows.own)
    sd = f" ± {spread(found):,.0f}" if len(found) >= FEWEST else ""
    of_the_record = f" ({kept} of them of the record)" if kept else ""
    return Markdown(
        f"Running loss after 18 steps: {found.mean():,.0f}{sd} over {len(found)} seed{'s' * (len(found) > 1)}"
        f"{of_the_record}, from {found.min():,.0f} to {found.max():,.0f}; published 3,376, from one training without a "
        "seed."
    )
