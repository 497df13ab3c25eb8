"""The figures of the chapter on scGAN, drawn from what rows have kept; they are drawn, not returned."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE

from scgen_book import chance, plots
from scgen_book.chapters.scgan.scores import Scores, compared
from scgen_book.experiments.rows import Rows
from scgen_book.experiments.scgan import looks
from scgen_book.experiments.scgan.augmentation import ALL
from scgen_book.experiments.scgan.cells import Case, rare
from scgen_book.experiments.scgan.judge import PARAMETRIC
from scgen_lib.metrics import panel

QUANTITIES = ("mean", "variance", "zeros")


def network(latent_dim: int) -> None:
    """Draw the two networks with the published widths."""

    def dense(widths: list[int], after: str) -> list[tuple[str, str]]:
        return [(f"dense, {after}", f"{n:,}") for n in widths]

    generator = [("noise z and class y", f"{latent_dim}"), *dense([256, 512, 1024], "norm by class, ReLU")]
    critic = [("cell and class y", "G genes"), *dense([1024, 512, 256], "ReLU"), ("output of the class", "1")]
    plots.network_diagram({
        "generator": [*generator, ("dense, ReLU", "G genes"), ("LSN", "G genes, sum L")], "critic": critic,
    })  # fmt: skip


def training(rows: Rows, values: Mapping[str, Any]) -> None:
    """Draw the course of the trainings of the first seed."""
    scores = Scores(rows, values)
    plots.gan_curves({kind: scores.history(kind) for kind in scores.kinds})


def embedding(rows: Rows, values: Mapping[str, Any]) -> None:
    """Draw held-out cells, those in the course of the first training, and those of every model."""
    scores = Scores(rows, values)
    kept, steps = {kind: scores.kept(kind) for kind in scores.kinds}, values["steps"]
    stages = [name.removeprefix("points ") for name in kept[scores.best] if name.startswith("points ")]
    stages = sorted((step for step in stages if step.isdigit()), key=int)[-looks.STAGES :]
    sets = {"held-out": _points(scores.kept("test"))}
    sets |= {f"{scores.best},\nstep {int(s):,}": _points(kept[scores.best], f" {s}") for s in stages}
    sets |= {f"{kind},\nstep {steps:,}": _points(kept[kind]) for kind in scores.kinds}
    plots.simulated_embeddings(
        _coordinates({name: points for name, (points, _) in sets.items()}, int(values["seed"])),
        {name: labels for name, (_, labels) in sets.items()},
    )


def _points(kept: Mapping[str, np.ndarray], suffix: str = "") -> tuple[np.ndarray, np.ndarray]:
    return kept[f"points{suffix}"], kept[f"point labels{suffix}"]


def _coordinates(points: Mapping[str, np.ndarray], seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Return the same cells in PCA, fixed on training cells, and in t-SNE of 50 of its components."""
    stacked = np.concatenate(list(points.values()))
    found = {"PCA": stacked[:, :2]}
    found["t-SNE"] = TSNE(init="pca", perplexity=min(30, len(stacked) // 4), random_state=seed).fit_transform(stacked)
    cuts = np.cumsum([len(x) for x in points.values()])[:-1]
    return {method: dict(zip(points, np.split(x, cuts), strict=True)) for method, x in found.items()}


@compared
def bars(scores: Scores, metric: str, words: str, best: float, form: str = ".2f") -> None:
    """Draw one score as bars, with a spread where there are three seeds."""
    table = scores.table[scores.table["metric"] == metric]
    table = panel.summary(table, by=("method",)).reindex(scores.columns)
    table["sd"] = table["sd"].where(table["n"] >= 3)
    models = [*scores.kinds, scores.as_counts]
    table = table.reset_index().assign(control=lambda t: ~t["method"].isin(models))
    plots.score_bars(table, words, best, form=form)


def _curves(scores: Scores) -> dict[str, pd.DataFrame]:
    drawn = {"real": "test", **{m: m for m in (PARAMETRIC, *scores.kinds, scores.as_counts)}}
    return {name: pd.DataFrame(scores.kept(m)["curves"], columns=QUANTITIES) for name, m in drawn.items()}


@compared
def genes(scores: Scores) -> None:
    """Draw mean, variance and zeros of every gene against held-out cells."""
    curves = _curves(scores)
    plots.gene_agreement(curves["real"], {name: curve for name, curve in curves.items() if name != "real"})


@compared
def mean_variance(scores: Scores) -> None:
    """Draw variance and zeros of the genes against their mean."""
    plots.mean_variance(_curves(scores))


def _cells(kept: Mapping[str, np.ndarray], what: str) -> pd.DataFrame:
    return pd.DataFrame({what: kept[what], "label": kept.get("labels", "all")})


@compared
def library(scores: Scores) -> None:
    """Draw the library sizes of the cells of a class, real, of the baseline and as counts."""
    drawn = {"real": "test", PARAMETRIC: PARAMETRIC, scores.as_counts: scores.as_counts}
    tables = {name: _cells(scores.kept(m), "library") for name, m in drawn.items()}
    plots.cell_violins(tables, "library", "library size", log=True)


@compared
def zeros(scores: Scores) -> None:
    """Draw the share of zeros in the cells of a class; scGAN has no classes to show beside those of cscGAN."""
    drawn = {"real": "test", **{m: m for m in (PARAMETRIC, *scores.kinds, scores.as_counts)}}
    kept = {name: scores.kept(m) for name, m in drawn.items()}
    every = "labels" not in kept["real"] or not scores.values["conditional"]
    shown = {name: _cells(of, "zeros") for name, of in kept.items() if every or "labels" in of}
    plots.cell_violins(shown, "zeros", "share of zeros in a cell")


@compared
def correlations(scores: Scores) -> None:
    """Draw the correlations of the genes that vary most."""
    drawn = {"real": "test", **{m: m for m in (PARAMETRIC, *scores.kinds, scores.as_counts)}}
    plots.correlation_maps({name: scores.kept(m)["correlations"] for name, m in drawn.items()})


@compared
def confusions(scores: Scores) -> Any:
    """Draw which classes a classifier sees in cells of each class."""
    from IPython.display import Markdown

    kept = {"real": scores.kept("test"), **{m: scores.kept(m) for m in (PARAMETRIC, *scores.kinds)}}
    tables = {
        name: pd.DataFrame(of["confusion"], of["asked for"], of["told"])
        for name, of in kept.items()
        if "confusion" in of
    }
    if not tables:
        return Markdown("*Not shown: it needs two classes.*")
    plots.confusions(tables)
    return None


def augmentation(rows: Rows, case: Case, values: Mapping[str, Any]) -> None:
    """Draw how well the class is found by the share of its cells that is left, with and without help."""
    table, full = helped(rows), rows.values(ALL, "F1")
    averaged = table.groupby(["share", "way"], sort=False)["F1"].agg(mean="mean", sd=chance.spread).reset_index()
    plots.augmentation_curve(averaged, f"F1 of {rare(case, values)}", (full.mean(), chance.spread(full)))


def helped(rows: Rows) -> pd.DataFrame:
    """Return what the ways of helping give: share, cells, seed, way, precision, recall and F1."""
    from scgen_book.experiments import arrays

    tables = [
        pd.DataFrame(arrays.unpacked(row["arrays"])).assign(seed=row["seed"], way=row["method"])
        for row in rows.rows
        if row["status"] == "ok" and row["method"] != ALL
    ]
    # a share by itself, as all ways of it were tried
    table = pd.concat(tables, ignore_index=True)
    shares = list(dict.fromkeys(table["share"]))
    return table.sort_values("share", key=lambda s: s.map(shares.index), kind="stable").reset_index(drop=True)
