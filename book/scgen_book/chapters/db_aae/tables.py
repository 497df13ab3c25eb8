"""Tables of the chapter, each of the rows of one experiment."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import Markdown
from pandas.io.formats.style import Styler

from scgen_book.chance import spread
from scgen_book.experiments.db_aae import batch_size, cells, order, search, sets, truth
from scgen_book.experiments.db_aae import markers as marked
from scgen_book.experiments.db_aae.denoising import GENE_MEAN, TRAINING, TRUE
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.rows import Rows

LEFT = {"text-align": "left", "vertical-align": "top"}


def data(rows: Rows) -> Styler:
    """Return what is in the data sets, and of those not at hand why."""
    lines = []
    for row in rows.rows:
        line: dict[str, Any] = {"data": cells.of_file(row["dataset"])}
        if row["status"] != "ok":
            lines.append(line | {"title": f"not at hand: {row['reason']}"})
            continue
        found, kept = row["scores"], rows.kept(row["method"], row["dataset"])
        line |= {"title": kept["title"][0], "cells": f"{found['cells']:,.0f}", "genes": f"{found['genes']:,.0f}",
                 "genes of the model": f"{found['model_genes']:,.0f}", "zeros": f"{found['zeros']:.0%}",
                 "classes": f"{found['classes']:.0f}" if "classes" in found else kept["reason"][0]}  # fmt: skip
        for size in sets.BATCHES:
            words = f"{found[f'unseen_{size}']:.1%}"
            if f"unseen_{size}_most" in found:
                words += f"; {kept[f'most_{size}'][0]}: {found[f'unseen_{size}_most']:.0%}"
            line[f"unseen, B = {size}"] = words
        lines.append(line)
    return pd.DataFrame(lines).fillna("–").style.hide(axis="index").set_properties(**LEFT)


def searches(rows: Rows) -> pd.DataFrame:
    """Return the best batch size of each search by each objective, its range, and its tie to the number of steps."""
    first, lines = rows.rows[0]["dataset"], []
    for line in rows.wide.to_dict("records"):
        for key in search.OBJECTIVES:
            if line["dataset"] == first and np.isfinite(line.get(f"{key}_best", np.nan)):
                lines.append({
                    "search": line["method"], "objective": key, "best batch size": int(line[f"{key}_best"]),
                    "least": line[f"{key}_least"], "most": line[f"{key}_most"],
                    "rank correlation with the steps": line[f"{key}_steps"], "batch sizes": int(line["sizes"]),
                    "trials": int(line["trials"]),
                })  # fmt: skip
    return pd.DataFrame(lines).set_index(["search", "objective"]).round(3)


def failed(rows: Rows) -> str:
    """Say how many trials failed, and why the first one did; nothing where none has."""
    number = int(rows.wide["failed"].sum()) if rows else 0
    first = [e for r in rows.rows for e in rows.kept(r["method"], r["dataset"]).get("error", ())]
    return f"*{number} trials failed, the first one with:* {first[0]}" if number else ""


def sizes(rows: Rows, values: Mapping[str, Any]) -> dict[str, int]:
    """Return the batch size of each variant on the data set of the chapter: given, found, or the usual 32."""
    found = {}
    for variant in values["variants"]:
        best = rows.values(search.OF_VARIANT[variant], "best", values["dataset"])
        found[variant] = values["batch_size"] or (int(best.iloc[0]) if len(best) else cells.USUAL)
    return found


def long(rows: Rows, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Return `Rows.wide` of some data sets, with the column data for their names."""
    wide = rows.wide
    wide = wide if names is None else wide[wide["dataset"].isin(list(names))]
    return wide.assign(data=wide["dataset"].map(cells.of_file)).reset_index(drop=True)


def training(rows: Rows, values: Mapping[str, Any]) -> Styler:
    """Return how the trainings on the data set of the chapter ended, a column a variant."""
    dataset, seed, columns = values["dataset"], values["seed"], {}
    means = rows.values(GENE_MEAN, "fit", dataset).get(seed, np.nan)
    labels = {key: rule.label for key, rule in TRAINING.items() if not key.startswith("moved") and key != "fit"}
    for variant in values["variants"]:
        own = {key: rows.values(cells.NAMES[variant], key, dataset).get(seed) for key in ("fit", *labels)}
        columns[variant] = {"reconstruction MSE, all cells": own["fit"], "the same for gene means": means}
        columns[variant] |= {words: own[key] for key, words in labels.items()}
    return pd.DataFrame(columns).T.style.format(lambda x: f"{x:,.4g}", na_rep="–")


def fits(rows: Rows, values: Mapping[str, Any]) -> pd.DataFrame:
    """Return the errors of the reconstruction of the data set of the chapter: data, method, seed and fit."""
    table = long(rows, [values["dataset"]])
    names = {name: variant for variant, name in cells.NAMES.items()} | {GENE_MEAN: "gene means"}
    table = table[table["method"].isin(names)] if "fit" in table else table.assign(fit=np.nan)[:0]
    return table.assign(method=table["method"].map(names))[["data", "method", "seed", "fit"]]


def truths(rows: Rows, of: sets.Sets) -> pd.DataFrame:
    """Return the scores where the truth is known: data, method, seed and the metrics."""
    table = long(rows, of.truth).replace({"method": {TRUE: "perfect"}})
    return table.reindex(columns=["data", "method", "seed", *truth.METRICS])


def types(rows: Rows, of: sets.Sets) -> pd.DataFrame:
    """Return the scores of cell types: data, method, seed, silhouette, ARI and NMI."""
    table = long(rows, [of.dataset, *of.simulations, *of.real]).reindex(
        columns=["data", "method", "seed", "silhouette", "ari", "nmi"]
    )
    return table.dropna(subset=["ari"]).rename(columns={"ari": "ARI", "nmi": "NMI"})


def orders(rows: Rows, of: sets.Sets) -> pd.DataFrame:
    """Return the scores of the order of cells: data, method, way, seed, r2, spearman, kendall and left_out."""
    table, parts = long(rows, of.ordered), []
    for way in order.WAYS:
        names = {f"{key}_{way}": key for key in (*order.SCORES, "left_out")}
        own = table.reindex(columns=["data", "method", "seed", *names]).rename(columns=names).assign(way=way)
        parts.append(own.dropna(subset=["r2"], how="all"))
    return pd.concat(parts, ignore_index=True)


def _some(table: pd.DataFrame, reason: str) -> pd.DataFrame:
    if table.empty:
        raise NotApplicable(reason)
    return table


def _means(table: pd.DataFrame, by: Iterable[str], columns: Sequence[str], digits: int) -> pd.DataFrame:
    found = table.groupby(list(by), sort=False)[list(columns)].agg(["mean", spread])
    return found.round(digits).replace(np.nan, "–")


def truth_means(rows: Rows, of: sets.Sets) -> pd.DataFrame:
    """Return the means over seeds of `truths`, with the sd of the error at dropped entries from three seeds on.

    Raises
    ------
    NotApplicable
        If no truth is known; the other tables of means say the like of theirs.
    """
    table = _some(truths(rows, of), "the truth of the data is not known")
    groups = table.groupby(["data", "method"], sort=False)
    labels = {key: rule.label for key, rule in truth.METRICS.items()}
    mean = groups[list(labels)].mean().rename(columns=labels)
    mean.insert(2, "sd", groups["mse_dropped"].agg(spread))
    return mean.round(3).replace(np.nan, "–")


def batches(rows: Rows) -> pd.DataFrame:
    """Return the error on cells kept apart with the batch size found and the usual one: variant, batch size, seed."""
    lines = []
    for line in rows.wide.to_dict("records"):
        for key in (batch_size.FOUND, batch_size.DEFAULT):
            words = f"{line[f'size_{key}']:.0f} ({key})"
            lines.append({"variant": cells.VARIANTS[line["method"]], "batch size": words, "seed": line["seed"],
                          "held-out MSE": line[key]})  # fmt: skip
    return pd.DataFrame(lines)


def batch_means(rows: Rows) -> pd.DataFrame:
    """Return mean, sd from three seeds on, and number of seeds of `batches`."""
    groups = batches(rows).groupby(["variant", "batch size"], sort=False)["held-out MSE"]
    return groups.agg(["mean", spread, "count"]).round(4).replace(np.nan, "–")


def molecules(rows: Rows) -> pd.DataFrame:
    """Return the errors of the held-out molecules: data, method, seed, MSE and Poisson loss."""
    table = long(rows).rename(columns={"mse": "MSE", "poisson": "Poisson loss"})
    return table.reindex(columns=["data", "method", "seed", "MSE", "Poisson loss"])


def molecule_means(rows: Rows) -> pd.DataFrame:
    """Return means over the draws of `molecules`, with their sd from three on."""
    return _means(molecules(rows), ["data", "method"], ["MSE", "Poisson loss"], 4)


def type_means(rows: Rows, of: sets.Sets) -> pd.DataFrame:
    """Return means over seeds of `types`, with their sd from three on."""
    table = _some(types(rows, of), 'no labels that score in obs["cell_type"] (the table of the data says why)')
    return _means(table, ["data", "method"], ["silhouette", "ARI", "NMI"], 3)


def mixtures(rows: Rows) -> pd.DataFrame:
    """Return how well the designed proportions of mixtures are found from the components."""
    name = "R² of the proportions"
    table = long(rows).rename(columns={"mixtures": name})
    table = table.dropna(subset=[name]) if name in table else table.assign(**{name: np.nan})[:0]
    table = _some(table, "no mixtures in this run")
    return table.groupby(["data", "method"], sort=False)[[name]].agg(["mean", spread]).round(4)


def order_means(rows: Rows, of: sets.Sets) -> pd.DataFrame:
    """Return means over seeds of `orders`, with their sd from three on, and of the cells that are left out."""
    table, by = _some(orders(rows, of), "no data with a known order in this run"), ["data", "way", "method"]
    ranked = table.sort_values(["data", "way"], kind="stable")
    found = _means(ranked, by, list(order.SCORES), 3)
    found["cells left out", ""] = table.groupby(by)["left_out"].mean().round(3)
    return found


def below(words: str) -> list[Markdown]:
    """Return what is displayed below a table: nothing where there are no words, which would show as an object."""
    return [Markdown(words)] if words else []


def gaps(*several: Rows) -> str:
    """Return a line of Markdown for each data set and method that lack a row, with the reason."""
    whole: dict[tuple[str, str], set[str]] = {}
    there = {row["dataset"] for rows in several for row in rows.rows if row["status"] == "ok"}
    for rows in several:
        for row in rows.rows:
            if row["status"] != "ok":
                whole.setdefault((cells.of_file(row["dataset"]), row["reason"]), set())
                if row["dataset"] in there:
                    whole[cells.of_file(row["dataset"]), row["reason"]].add(row["method"])
    lines = [f"- *{', '.join([name, *sorted(methods)])}:* {reason}" for (name, reason), methods in whole.items()]
    return "\n".join(lines)


def markers(rows: Rows, values: Mapping[str, Any]) -> pd.DataFrame:
    """Return how many markers three groups have, by group and method.

    Raises
    ------
    NotApplicable
        If no labelled data set is at hand for the markers.
    """
    lines = []
    for row in rows.rows:
        for group in marked.GROUPS if f"markers, {marked.GROUPS[0]}" in row["scores"] else ():
            counts = {words: int(row["scores"][f"{key}, {group}"]) for key, words in marked.COUNTED.items()}
            lines.append({"group": group, "method": row["method"]} | counts)
    if not lines:
        raise NotApplicable("no labelled data set at hand for the markers")
    return pd.DataFrame(lines).set_index(["group", "method"]).sort_index(level=0, sort_remaining=False)
