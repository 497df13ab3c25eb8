"""What the comparison of embeddings shows and says of its rows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from scgen_book import experiments, plots
from scgen_book.chance import FEWEST, beyond_chance
from scgen_book.chapters import comparisons
from scgen_book.experiments import paired, recorded, summaries
from scgen_book.experiments.representation.cases import PUBLISHED, RepresentationSettings
from scgen_book.experiments.representation.comparison import EXPERIMENT, METRICS
from scgen_book.experiments.rows import Rows

if TYPE_CHECKING:
    from IPython.display import Markdown
    from pandas.io.formats.style import Styler

#: Words for tables and figures.
NAMES = {
    "labels": "labels themselves",
    "dr_a_faithful": "DR-A faithful",
    "dr_a_repaired": "DR-A repaired",
    "dca": "DCA bottleneck",
    "db_aae": "DB-AAE code",
    "cvae_blind": "CVAE blind",
    "cvae_told": "CVAE told types",
    "pca": "PCA",
    "pca_depth": "PCA, depth kept",
    "umap": "UMAP",
    "umap_2": "UMAP in 2-D",
    "scvi": "scVI",
    "log_counts": "log counts",
    "chance": "chance",
}
#: Words for what epochs are given for.
NETS = NAMES | {"dr_a": "DR-A", "dca": "DCA", "db_aae": "DB-AAE", "cvae": "CVAE"}
#: Model and variant by method, as they are recorded.
MODELS = {f"dr_a_{variant}": ("dr_a", variant) for variant in ("faithful", "repaired")}
#: Where labels come from, those first that favour no method.
KINDS = ("simulated", "known by design", "own labels", "read from expression")
PAPERS = ("dr_a_faithful", "dr_a_repaired", "dca", "db_aae", "cvae_blind")
RIVALS = (*PAPERS, "pca", "umap", "umap_2", "scvi")
# the silhouette does not rank methods
JUDGED = {name: METRICS[name] for name in ("nmi", "ari")}


def described(settings: Mapping[str, Any]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return the data sets of a page, at its first seed, and where the labels of those that are at hand come from.

    Those of the record alone (`experiments.recorded.further`) are described as they are there.

    Parameters
    ----------
    settings
        The parameters of the chapter.

    Raises
    ------
    ParameterError
        If settings are not legal together.
    """
    values = experiments.complete("representation", settings)
    chosen = experiments.settings_of(EXPERIMENT, values)
    RepresentationSettings(**chosen)  # refused before the first is loaded
    lines: dict[str, dict[str, str]] = {}
    kinds: dict[str, str] = {}
    for name, own in recorded.described(EXPERIMENT.name, values, chosen).items():
        if own is None:
            lines[name] = {"labels": recorded.ELSEWHERE}
            continue
        try:
            case = experiments.case(EXPERIMENT, name, values["seeds"][0], own)
        except Exception as error:  # whatever it is, the page goes on with the others
            lines[name] = {"labels": f"not run: {error}"}
            continue
        kinds[name] = case.truth
        left_out = ", ".join(f"{n:,} {reason}" for reason, n in case.left_out.items() if n)
        lines[name] = {
            "labels": kinds[name],
            "types": f"{case.test.obs['cell_type'].nunique()}",
            "training cells": f"{case.train.n_obs:,}",
            "test cells": f"{case.test.n_obs:,}",
            "genes": f"{case.train.n_vars:,}",
            "left out": left_out or "none",
            "note": case.about.get("note") or "–",
        }
    return pd.DataFrame.from_dict(lines, orient="index").fillna("–").rename_axis(index="data"), kinds


def shown(found: Rows, settings: Mapping[str, Any], kinds: Mapping[str, str]) -> tuple[Rows, dict[str, str]]:
    """Return the rows that the page shows, of the record where it has the seeds, and the kinds of their data sets."""
    rows = recorded.shown(found, settings, recorded.further(EXPERIMENT.name, settings))
    there = comparisons.named(rows, "dataset")
    return rows, {name: kind for name, kind in kinds.items() if name in there}


def counted(found: Rows) -> "Markdown":
    """Say how many rows there are, of how many seeds, and how long the networks were trained."""
    from IPython.display import Markdown

    used, seeds = RepresentationSettings(**found.rows[0]["settings"]), len(comparisons.named(found, "seed"))
    epochs = ", ".join(f"{NETS[m]} {n}" for m, n in used.epochs.items()) or "as published"
    return Markdown(
        f"{comparisons.counted(found)}; {seeds} seed{'s' * (seeds > 1)} of split and training, {used.kmeans_seeds} of "
        f"k-means; codes of {used.z_dim} numbers; epochs: {epochs}."
    )


def _ordered(found: Rows, kinds: Mapping[str, str]) -> list[str]:
    """Return the data sets by where their labels come from, then those that are not at hand."""
    shown = sorted(kinds, key=lambda name: KINDS.index(kinds[name]))
    return [*shown, *(name for name in comparisons.named(found, "dataset") if name not in kinds)]


def drawn(found: Rows, kinds: Mapping[str, str]) -> list[str]:
    """Return the data sets of the figures: one of each kind first, four at most."""
    shown = [name for name in _ordered(found, kinds) if name in kinds]
    firsts = [next(name for name in shown if kinds[name] == kind) for kind in KINDS if kind in kinds.values()]
    others = [name for name in shown if name not in firsts]
    return [*firsts, *others][:4] or comparisons.named(found, "dataset")[:1]


def titles(kinds: Mapping[str, str]) -> dict[str, str]:
    """Return words for methods, and for data sets with where their labels come from."""
    return NAMES | {name: f"{name} ({kind})" for name, kind in kinds.items()}


def dots(found: Rows, kinds: Mapping[str, str], *metrics: str) -> None:
    """Draw some metrics for the data sets of the figures."""
    chosen = {name: METRICS[name] for name in metrics}
    means = comparisons.summary(found)
    plots.comparison_dots(means, chosen, datasets=drawn(found, kinds), names=titles(kinds))


def scores(found: Rows, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Return the table of all scores, a row a data set and method."""
    means = comparisons.summary(found)
    ordered = pd.concat([means[means["dataset"] == name] for name in _ordered(found, kinds)])
    return plots.score_table(ordered, METRICS, names=titles(kinds))


def glance(found: Rows, kinds: Mapping[str, str]) -> "Styler":
    """Return NMI, a row a method and a column a data set, with where its labels come from."""
    means = comparisons.summary(found)
    wide = means[means["metric"] == "nmi"].pivot_table(index="method", columns="dataset", values="mean", dropna=False)
    wide = wide.reindex(index=comparisons.named(found, "method"), columns=_ordered(found, kinds)).rename(index=NAMES)
    wide.columns = pd.MultiIndex.from_tuples(
        [(name, kinds.get(name, "–")) for name in wide.columns], names=["data", "labels from"]
    )
    return wide.style.format(precision=2, na_rep="–").set_properties(**{"white-space": "nowrap"})


def checked(found: Rows) -> pd.DataFrame:
    """Say whether the controls stand where they must; who is told the types does not take part."""
    table = found.table
    return summaries.check_controls(EXPERIMENT, table[table["method"] != "cvae_told"])


def controls(found: Rows) -> "Markdown":
    """Say in how many places the controls stand as they must, and where they do not."""
    from IPython.display import Markdown

    if (places := checked(found)).empty:
        return Markdown("*No control to check: nothing was scored.*")
    said = (
        f"The positive control is not beaten in {comparisons.share(places, 'ok')} places, and each negative one is "
        f"beaten by some method or baseline in {comparisons.share(places, 'beaten')}; by how many, the table below "
        "says."
    )
    lines = comparisons.odd_lines(places, METRICS, NAMES)
    return Markdown(said + "\n\n" + "\n".join(f"- {line}" for line in lines))


def controls_table(found: Rows) -> "Styler":
    """Return what the controls come to, place by place."""
    return comparisons.controls_table(checked(found), METRICS, NAMES, "labels")


def takeaways(found: Rows, kinds: Mapping[str, str]) -> list[str]:
    """Return what the run shows, in sentences.

    Parameters
    ----------
    found
        The rows.
    kinds
        Where labels come from, by data set, as `described` returns it.
    """
    methods = comparisons.named(found, "method")
    lines = [line for d in drawn(found, kinds) for line in _of_a_dataset(found, d, kinds)]
    if len(kinds) > 1:
        for m in [m for m in PAPERS if m in methods]:
            if words := _standing_beside(found, m, "pca", kinds):
                lines.append(f"**{NAMES[m]} beside PCA**: {words}")
    return [*lines, *comparisons.failed(found), *_short(found), *_few(found)]


def _of_a_dataset(found: Rows, d: str, kinds: Mapping[str, str]) -> list[str]:
    table, lines = found.table, []
    own = table[(table["dataset"] == d) & table["value"].notna()]
    means = comparisons.summary(found)
    means = means[means["dataset"] == d]
    of = means.pivot_table(index="method", columns="metric", values="mean").reindex(columns=METRICS)
    methods = comparisons.named(found, "method")
    have = sorted((m for m in RIVALS if m in methods and m in of.index), key=lambda m: -of.loc[m, "nmi"])
    if have:
        lines.append(f"**{d}** (labels {kinds.get(d, 'unknown')}): {_highest(means, of, have)}")
    if words := paired.surpassing(own, have, "log_counts", JUDGED, NAMES):
        lines.append(
            f"**{d}**, codes that agree with the types better than the log counts that they were made from: {words}"
        )
    for m, other in (("cvae_told", "cvae_blind"), ("dr_a_repaired", "dr_a_faithful"), ("pca_depth", "pca")):
        if words := paired.standing(own, m, [other], JUDGED, NAMES, form=".2f"):
            lines.append(f"**{d}**, {NAMES[m]}, same seeds: {words}")
    return lines


def _highest(means: pd.DataFrame, of: pd.DataFrame, have: Sequence[str]) -> str:
    """Say the NMI of methods, from the highest, and of doing nothing, and whether ARI agrees on the highest."""
    spreads = means[means["metric"] == "nmi"].set_index("method")["sd"]
    worded = {
        m: f"{NAMES[m]} {of.loc[m, 'nmi']:.2f}" + (f" ± {spreads[m]:.2f}" if spreads[m] == spreads[m] else "")
        for m in of.index
    }
    ends = [worded[m] for m in ("log_counts", "chance") if m in worded]
    first, second = (NAMES[of.loc[list(have), name].idxmax()] for name in JUDGED)
    return (
        f"NMI {', '.join(worded[m] for m in have)}"
        + (f"; doing nothing: {', '.join(ends)}. " if ends else ". ")
        + (
            f"Highest by NMI and by ARI: {first}."
            if first == second
            else f"**The measures disagree** on the highest: {first} by NMI, {second} by ARI."
        )
    )


def _standing_beside(found: Rows, m: str, other: str, kinds: Mapping[str, str]) -> str:
    """Say on how many data sets a method is above another by each measure, and where the measures disagree."""
    table, above, sure = found.table, {}, {}
    for name, metric in JUDGED.items():
        gaps = {d: paired.differences(table[table["dataset"] == d], m, other, name) for d in kinds}
        above[metric.label] = {d: np.mean(gap) > 0 for d, gap in gaps.items() if gap}
        signs = [np.sign(np.mean(gap)) for gap in gaps.values() if beyond_chance(gap, np.zeros(len(gap)))]
        sure[metric.label] = f"higher on {signs.count(1)} and lower on {signs.count(-1)}"
    first, second = above.values()
    if not first:
        return ""
    words = "; ".join(f"{label} higher on {sum(of.values())} of {len(of)} data sets" for label, of in above.items())
    if len(comparisons.named(found, "seed")) >= FEWEST:
        words += "; beyond two standard errors over seeds: " + ", ".join(f"{k} {v}" for k, v in sure.items())
    split = [d for d in first if d in second and first[d] != second[d]]
    return words + (f". **The measures disagree** on {', '.join(split)}." if split else ".")


def _short(found: Rows) -> list[str]:
    """Return a sentence on trainings that are shorter than the published ones, or none."""
    used = RepresentationSettings(**found.rows[0]["settings"])
    short = {m: n for m, n in used.epochs.items() if n < (PUBLISHED[m] or 0)}
    told = ", ".join(f"{NETS[m]} {n} of {PUBLISHED[m]} epochs" for m, n in short.items())
    words = f"**Short trainings**: {told}. What networks score here is no measure of what they can."
    return [words] if short else []


def _few(found: Rows) -> list[str]:
    words = (
        "**Fewer than three seeds** of split and training: the spread over seeds is not known, and no difference here "
        "can be told from it."
    )
    return [words] if len(comparisons.named(found, "seed")) < FEWEST else []
