"""The tables of the chapter on DR-A."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from pandas.io.formats.style import Styler

from scgen_book import external
from scgen_book.chapters.dr_a.figures import published
from scgen_book.chapters.dr_a.trained import Trained, ended, long_form, said, spread
from scgen_book.experiments import arrays, paired
from scgen_book.experiments.dr_a import codes, guards, training
from scgen_book.experiments.dr_a.cases import Case, stands_for
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.rows import Rows

#: Data of the paper's table by their names in the claims, and its methods.
SETS = {
    "rosenberg": "Rosenberg-156k",
    "10x_73k": "Zheng-73k",
    "10x_68k": "Zheng-68k",
    "macosko": "Macosko-44k",
    "zeisel": "Zeisel-3k",
}
METHODS = {
    "dra": "DR-A",
    "pca": "PCA",
    "zifa": "ZIFA",
    "scvi": "scVI",
    "saucie": "SAUCIE",
    "tsne": "t-SNE",
    "umap": "UMAP",
}
#: Trainings of which the codes are compared, in words: the game, and what else the repaired model has.
MODELS = {
    "faithful": "as released",
    "described game": "the described game alone",
    "absolute": "the released game of absolute values",
    "faithful, no adversary": "no game",
    "counts": "no game, likelihood of counts",
    "repaired, no adversary": "no game, all our additions",
    "one Adam": "repaired, but for one Adam for all",
    "repaired": "repaired: described game and our additions",
}


def data(case: Case, values: Mapping[str, Any]) -> pd.DataFrame:
    """Return what the data are: cells, genes, labels, and how often they are trained on."""
    about, cells = case.about, case.cells
    classes = (
        f"{key}: {of.nunique()} classes of {of.value_counts().min()} to {of.value_counts().max()} test cells"
        for key, of in case.labels.items()
    )
    found = {
        "data": about["name"],
        "title": about.get("title", "own file"),
        "simulated": bool(about.get("simulated", False)),
        "cells": f"{cells.n_obs:,}: {len(case.train):,} train, {len(case.test):,} test",
        "dropped": f"{cells.uns['dropped']['cells']} cells without a count in these genes",
        "genes": f"{cells.n_vars} of highest variance ({values['hvg_on']} scale)",
        "zeros": f"{(case.counts == 0).mean():.1%}",
        "labels": "; ".join(classes) or "none: agreement with labels is not measured",
        "mini-batches an epoch": cells.n_obs // values["batch_size"],
        "seeds": f"{len(values['seeds'])} of the model, {values['kmeans_seeds']} of k-means for each",
        "note": about.get("note") or "–",
        "licence": about.get("licence", "your own"),
    }
    return pd.Series(found, name="").to_frame()


def sizes(trained: Trained) -> pd.DataFrame:
    """Return the number of weights of every part, a row a length and method."""
    found = {}
    for k in trained.lengths:
        for method in trained.methods(k):
            if kept := trained.kept(method, k):
                found[f"K = {k}, {method}"] = dict(zip(kept["sizes_parts"], kept["sizes"].tolist(), strict=True))
    return pd.DataFrame(found).T.astype(int)


def endings(*rows: Rows) -> str:
    """Return a line for each training that ended, and for each row that is a gap, with its reason; or nothing."""
    lines = []
    for row in [row for of in rows for row in of.rows]:
        method, _, k = row["method"].rpartition(", K = ")
        name = f"K = {k}, {method}" if method else row["method"]
        if reason := ended(row):
            lines.append(f"{name}, seed {row['seed']} ended: {reason}\n")
        # that a package is missing stands in the table itself
        elif row["status"] == "gap" and not row["reason"].startswith("Not installed"):
            lines.append(f"{name}, seed {row['seed']} was not measured: {row['reason']}\n")
    return "".join(lines)


@said
def agreement(trained: Trained) -> pd.DataFrame:
    """Return the agreement of clusters and labels, mean ± sd over seeds, by length, set of labels and method."""
    trained.need_labels()
    groups = trained.table.groupby(["K", "labels", "method"], sort=False)
    found = groups[["geometric", "arithmetic", "ARI"]].agg(spread)
    if "scvi" in trained.values["baselines"] and not external.has_scvi():
        for k in trained.lengths:
            found.loc[k, trained.case.judged, "scVI"] = "not installed"
    return found.rename(columns={"geometric": "NMI, geometric", "arithmetic": "NMI, arithmetic"})


def further_data(rows: Rows, values: Mapping[str, Any]) -> Styler:
    """Return DR-A and PCA on further data, a row a data set; one that cannot be had says why.

    Where none was asked for they are those of the record.
    """
    k, lines = values["z_dim"], []
    metric = codes.SCORES[values["nmi_average"]]
    own, other = training.named(values["variants"][0], k), training.named("PCA", k)
    asked = {stands_for(dataset): dataset for dataset in values["more_datasets"] or ()}
    for name, dataset in (asked or {row["dataset"]: row["dataset"] for row in rows.rows}).items():
        of = [row for row in rows.rows if row["dataset"] == name]
        if gap := next((row["reason"] for row in of if row["status"] == "gap"), None):
            lines.append({"data": dataset, "DR-A − PCA": f"not run: {gap:.120}"})
            continue
        # on the seeds whose training came to its end
        sides = rows.sides(own, other, metric, name)
        gain = np.subtract(*sides)
        both = set.intersection(*({row["seed"] for row in of if row["method"] == method} for method in (own, other)))
        # the record has no arrays
        simulated = arrays.unpacked(of[0]["arrays"]).get("simulated", [False])[0]
        lines.append({
            "data": dataset + (" (simulated)" if simulated else ""),
            "cells": f"{of[0]['scores']['cells']:,.0f}",
            "classes": f"{of[0]['scores']['classes']:.0f}",
            **{method: spread(side) for method, side in zip(("DR-A", "PCA"), sides, strict=True)},
            "DR-A − PCA": f"{paired.said(gain)}, above in {(gain > 0).sum()} of {len(both)} seed{'s' * (len(both) > 1)}"
            if len(gain) else "all ended",
        })  # fmt: skip
    columns = ["data", "cells", "classes", "DR-A", "PCA", "DR-A − PCA"]
    return pd.DataFrame(lines).reindex(columns=columns).astype(object).fillna("").style.hide(axis="index")


def guarded(trained: Trained, rows: Rows) -> dict[str, dict[int, Mapping[str, Any]]]:
    """Return what the trainings with and without guards have left, by seed.

    Returns
    -------
    dict
        By method and seed the "history", or under "ended" why there is none; a guarded training that is one of the
        scores is taken from there.
    """
    found: dict[str, dict[int, Mapping[str, Any]]] = {guards.WITHOUT: {}, guards.WITH: {}}
    known = guards.known(trained.values)
    name = training.named("faithful", 2)
    taken = [(guards.WITH, row) for row in trained.rows if row["method"] == name and row["seed"] in known]
    taken += [(row["method"], row) for row in rows.rows if row["status"] == "ok"]
    for method, row in taken:
        left = {"ended": ended(row)} if ended(row) else {"history": codes.history(arrays.unpacked(row["arrays"]))}
        found[method][row["seed"]] = left
    both = [seed for seed in guards.risked(trained.values) if all(seed in of for of in found.values())]
    return {method: {seed: of[seed] for seed in both} for method, of in found.items()}


def fates(rows: Rows, trained: Trained) -> Styler:
    """Return what became of trainings of the same seeds without and with the guards.

    Returns
    -------
    Styler
        A row a seed: both in words, and of the guarded one the smallest mean variance of the codes in an epoch and the
        largest shares of entries that the guards held.
    """
    found, lines = guarded(trained, rows), []
    for seed in found[guards.WITH]:
        line = {"seed": seed}
        for name, of in found.items():
            line[name] = of[seed].get("ended") or f"finite, last loss {of[seed]['history']['loss'][-1]:.1f}"
        if history := found[guards.WITH][seed].get("history"):
            line["smallest mean v"] = f"{min(history['v']):.1e}"
            for name, words in (("clipped_v", "ln v"), ("clipped_l_v", "ln l_v"), ("clipped_l", "l")):
                line[f"{words} on its bounds"] = f"{max(history[name]):.1%}"
        lines.append(line)
    return pd.DataFrame(lines).style.hide(axis="index")


def by_part(trained: Trained) -> pd.DataFrame:
    """Return the scores of the means of codes of `MODELS`: method, seed, metric and value."""
    lines, apart = [], trained.apart
    for method in MODELS if apart.case.judged else ():
        of = {name: apart.score(method, kind="mean", name=name) for name in apart.metrics}
        for seed in of["ARI"].index:
            lines += [{"method": method, "seed": seed, "metric": name, "value": of[name][seed]} for name in of]
    return long_form(lines)


@said
def parts(trained: Trained) -> Styler:
    """Return the scores of the parts of the repaired model, and their differences from the released one."""
    if trained.apart.case.judged is None:
        raise NotApplicable("needs labels")
    table, lines = by_part(trained), []
    for method in table["method"].unique():
        line = {"model": MODELS[method]}
        for name, metric in trained.metrics.items():
            line[metric.label] = spread(table.query("method == @method and metric == @name")["value"])
            gain = paired.differences(table, method, "faithful", name) if method != "faithful" else []
            line[f"{metric.label}, less as released"] = paired.said(gain) if gain else "–"
        lines.append(line)
    return pd.DataFrame(lines).style.hide(axis="index")


def paper(trained: Trained) -> Styler:
    """Return the paper's table with the column of this run."""
    lines, first = [], trained.variants[0] if trained.variants else "faithful"
    for k in training.LENGTHS:
        for method, name in METHODS.items():
            line = {"K": k, "method": name} | {title: published(k, method, of) for of, title in SETS.items()}
            own = trained.judged(k, first if method == "dra" else name)["geometric"]
            lines.append(line | {f"this run: {trained.case.about['name']}": spread(own) if len(own) else "–"})
    return pd.DataFrame(lines).style.hide(axis="index").format(precision=4, na_rep="N/A")
