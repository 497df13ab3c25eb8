"""The tables of the chapter on scGAN: data, trainings, scores, classes and augmentation."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from scgen_book import markdown
from scgen_book.chapters.scgan.figures import helped
from scgen_book.chapters.scgan.scores import Scores, compared
from scgen_book.experiments import arrays, evidence
from scgen_book.experiments.rows import Rows
from scgen_book.experiments.scgan.augmentation import ALL, CLAIMED
from scgen_book.experiments.scgan.cells import Case, rare
from scgen_book.experiments.scgan.judge import BY_CLASS
from scgen_book.experiments.scgan.realism import AS_COUNTS, LABELS
from scgen_book.results import Run
from scgen_lib import files, training


def data(case: Case, values: Mapping[str, Any]) -> pd.DataFrame:
    """Show what is known of the data and left of them, and return the cells of every class and part."""
    about, facts, cells = case.about, case.cells.uns["scgan"], case.cells
    some = training.dense(cells.layers["counts"][:2000])
    clusters = f"Louvain clusters at resolution {values['resolution']:g}: {case.why_clusters}"
    summary = {
        "title": about.get("title", "own file"),
        "simulated": bool(about.get("simulated", False)),
        "cells": f"{cells.n_obs:,} of {case.shape[0]:,}",
        "genes": f"{cells.n_vars:,} of {case.shape[1]:,}",
        "dropped classes": ", ".join(facts["dropped"]["classes"]) or "none",
        "cells without a class": case.unlabelled,
        "training / validation / test cells": " / ".join(f"{facts['cells'][p]:,}" for p in ("train", "valid", "test")),
        "classes": f"{len(case.names)}, {'given' if case.why_clusters is None else clusters}",
        "zeros": f"{1 - np.count_nonzero(some) / some.size:.1%}",
        "total counts of a cell, 5 % to 95 %": " to ".join(
            f"{v:,.0f}" for v in np.quantile(cells.obs["scgan_total"], [0.05, 0.95])
        ),
        "scaled to": f"{values['library_size']:,.0f}",
        "note": about.get("note", "–"),
        "licence": about.get("licence") or ("–" if about.get("simulated") else "your own"),
    }
    display(pd.DataFrame({about["name"]: summary}))
    table = pd.crosstab(cells.obs["cell_type"], case.part).reindex(columns=["train", "valid", "test"], fill_value=0)
    table.insert(0, "prior", (table["train"] / table["train"].sum()).map("{:.1%}".format))
    return table.rename_axis(index="class", columns=None)


def keep_data(run: Run, case: Case, values: Mapping[str, Any]) -> None:
    """Record the size of the published data, and write the cells into the folder ``out``."""
    if values["dataset"] == "pbmc68k":
        run.add("scgan.data.cells", "cells", case.shape[0], seed=values["split_seed"])
        if case.why_clusters is not None and values["resolution"] == 0.15:
            run.add("scgan.data.clusters", "clusters", len(case.names), seed=values["split_seed"])
    if values["out"] is not None:
        Path(values["out"]).mkdir(parents=True, exist_ok=True)
        files.write_h5ad(case.cells, Path(values["out"]) / "processed.h5ad")


def record(run: Run, rows: Rows) -> None:
    """Record every value of the rows on realism, cells as counts under a variant of their own."""

    def told(row: Mapping[str, Any], metric: str) -> dict[str, Any]:
        variant, name = row["variant"], metric.removesuffix(AS_COUNTS)
        return {
            "metric": name, "variant": variant if name == metric else f"{variant}{AS_COUNTS}",
            "method": "scgan" if variant else row["method"],
        }  # fmt: skip

    rows.record(run, told)


def trainings(rows: Rows, values: Mapping[str, Any]) -> Any:
    """Return how every training ended, and write the courses of all of them into the folder ``out``."""
    scores, lines, courses = Scores(rows, values), [], []
    for seed in map(int, values["seeds"]):
        for kind in scores.kinds:
            of = {name: scores.of(kind, f"{name}, last block", seed) for name in ("step", "critic", "penalty", "slope")}
            if np.isnan(of["step"]):
                continue  # this training has failed
            lines.append({
                "model": kind, "seed": seed, "outer steps": int(of["step"]),
                "updates of critic": int(scores.of(kind, "updates of critic", seed)),
                "of generator": int(scores.of(kind, "updates of generator", seed)), "loss of critic": of["critic"],
                "penalty": of["penalty"], "slope": of["slope"],
                "step size": scores.of(kind, "learning_rate, last block", seed),
                "seconds": scores.of(kind, "seconds", seed),
            })  # fmt: skip
            courses.append(scores.history(kind, seed).assign(model=kind, seed=seed))
    if values["out"] is not None:
        pd.concat(courses).to_csv(Path(values["out"]) / "history.csv", index=False)
    return pd.DataFrame(lines).style.hide(axis="index").format(precision=4)


def scale(rows: Rows, values: Mapping[str, Any]) -> Markdown:
    """Say how the trainings compare in size with the published one."""
    scores, seeds = Scores(rows, values), len(values["seeds"])
    published = values["steps"] >= 1_000_000 and list(values["gen_layers"]) == [256, 512, 1024]
    return Markdown(
        f"{values['steps']:,} of the 1,000,000 published steps, networks of {scores.of(scores.best, 'weights'):,.0f} "
        f"weights, {seeds} seed{'s' * (seeds > 1)}: "
        + ("the published size." if published else "**a small stand-in for the published training**.")
    )


@compared
def realism(scores: Scores) -> pd.DataFrame:
    """Return all scores, a row a metric, a column a method, without those that can tell nothing."""
    metrics = [metric for metric in LABELS if metric in scores.results]
    mean, spread = (scores.by_method(s).reindex(index=metrics, columns=scores.columns) for s in ("mean", "std"))
    shown = mean.map("{:.3g}".format) + spread.map(lambda sd: f" ± {sd:.1g}" if np.isfinite(sd) else "")
    told = scores.by_method().reindex(index=metrics, columns=["test"])["test"]
    shown.insert(0, "test cells", told.map("{:.3g}".format))
    n, seeds = int(scores.of(scores.best, "cells")), len(scores.values["seeds"])
    controls = scores.table["seed"].nunique()
    display(
        Markdown(
            f"{n} cells a side; models: {seeds} seed{'s' * (seeds > 1)}, controls: {controls}. Mean ± sd over three "
            f"seeds or more. {evidence.no_ceiling(scores.table, {'real': 'training cells'})}"
        )
    )
    words = {metric: label for metric, (label, _) in LABELS.items()}
    return shown.rename(index=words).replace({"nan": "–"}).rename_axis(index=None, columns=None)


@compared
def by_class(scores: Scores) -> Any:
    """Return AUC, MMD² and foreign neighbours of the classes that are large enough for it."""
    lines = [
        {"label": label, "metric": metric, "method": method, "value": value}
        for row in scores.rows.rows
        if row["seed"] in scores.values["seeds"]
        for method, found in _by_class(row)
        for label, values in zip(found["classes"], found["by class"], strict=True)
        for metric, value in zip(BY_CLASS, values, strict=True)
    ]
    if not lines:
        asked = f"none has {scores.values['min_test_cells']} test cells, or the model knows no classes"
        return Markdown(f"*No class for itself: {asked if scores.values['by_class'] else 'not asked for'}.*")
    shown = pd.DataFrame(lines).pivot_table(index=["label", "metric"], columns="method", values="value")
    shown = shown[[column for column in scores.columns if column in shown]]
    words = {metric: label for metric, (label, _) in LABELS.items()}
    return shown.map("{:.3g}".format).rename(index=words, level=1).rename_axis(index=["class", ""], columns=None)


def _by_class(row: Mapping[str, Any]) -> list[tuple[str, dict[str, np.ndarray]]]:
    kept = {name: array for name, array in row["arrays"].items() if name.startswith(("classes", "by class"))}
    found = arrays.unpacked(kept)
    of = {suffix: {n: found[f"{n}{suffix}"] for n in ("classes", "by class")}
          for suffix in ("", AS_COUNTS) if f"classes{suffix}" in found}  # fmt: skip
    return [(f"{row['method']}{suffix}", table) for suffix, table in of.items()]


def augmentation(rows: Rows, run: Run, case: Case, values: Mapping[str, Any]) -> pd.DataFrame:
    """Record the F1 of every way of helping the class, and return all scores by share and way."""
    best, steps, seeds = values["variants"][0], values["augment_steps"], len(values["augment_seeds"])
    name, table = rare(case, values), helped(rows)
    for (seed, way), own in table.groupby(["seed", "way"]):
        if way in CLAIMED:
            run.add(f"scgan.augmentation.{CLAIMED[way]}", "F1", own["F1"].mean(), seed=seed, variant=best)
        run.add(None, f"augmentation, F1, {way}", own["F1"].mean(), seed=seed, variant=best, method="scgan")
    scores = ["precision", "recall", "F1"]
    shown = table.groupby(["share", "cells", "way"], sort=False)[scores].mean().round(3)
    full = [rows.values(ALL, metric).mean() for metric in scores]
    shown.loc[(1.0, int((case.labels[case.part == "train"] == name).sum()), ALL), :] = np.round(full, 3)
    display(
        Markdown(
            f"Class: **{markdown.escape(name)}**, {case.wanted('test')[name]} test cells; {steps:,} steps a model, "
            f"{seeds} seed{'s' * (seeds > 1)}."
        )
    )
    return shown
