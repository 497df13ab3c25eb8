"""All metrics of generated cells at once, against held-out real cells and beside what simple controls score."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
import scipy.sparse as sp

from scgen_lib.errors import DataError, ParameterError
from scgen_lib.metrics.conditional import (
    distinct,
    diversity,
    label_classifier,
    label_fidelity,
    label_scores,
    marker_agreement,
    marker_table,
)
from scgen_lib.metrics.controls import Cells, controls
from scgen_lib.metrics.mixing import knn_mix, lisi, mmd2, nn_train
from scgen_lib.metrics.realism import Space, corr_agreement, log, per_cell, per_gene, rf_auc, top_genes


def score(
    train: Cells,
    test: Cells,
    methods: Mapping[str, Cells],
    *,
    seeds: Sequence[int] = range(3),
    n: int | None = None,
    trees: int = 1000,
    folds: int = 5,
    repeats: int = 2,
    permutations: int = 500,
    genes: int = 100,
    by: Literal["mean", "variance"] = "mean",
    min_cells: int = 50,
    allow_empty: bool = False,
) -> pd.DataFrame:
    """Score generated cells and the four controls against held-out real cells, all with as many cells.

    Parameters
    ----------
    train, test
        Raw counts of training and of held-out cells, with labels or without. Space, bandwidth, genes and the classifier
        of labels are fixed on the training cells outside the control real.
    methods
        Generated cells by the name of what generated them; the labels are those asked for.
    seeds
        Seeds: each draws its own sample of every side, its own controls, folds and forests.
    n
        Cells a side; None takes as many as all have, and half of the training cells at most.
    trees, folds, repeats
        As in `realism.rf_auc`; `conditional.label_fidelity` takes the same number of trees.
    permutations
        As in `mixing.mmd2`.
    genes, by
        Genes of `realism.corr_agreement` and how they are chosen (`realism.top_genes`).
    min_cells
        Cells below which a label is left out within labels in `realism.corr_agreement`.
    allow_empty
        Whether cells without any count may stand; they are rows of zeros, as in the controls always.

    Returns
    -------
    DataFrame
        Columns seed, method, metric, value, space, n_real and n_fake. Method test has only the label fidelity of the
        held-out cells; metrics of labels are absent where one of the sides has none.
    """
    names = ("real", "bootstrap", "permuted", "poisson", "test")
    if taken := sorted(set(methods) & set(names)):
        raise ParameterError(f"expected methods of other names than {', '.join(names)}, got {taken[0]!r}: rename it")
    for name, cells in {"train": train, "test": test, **methods}.items():
        if cells.counts.shape[1] != train.counts.shape[1]:
            raise DataError(
                f"expected the {train.counts.shape[1]} genes of the training cells, got {cells.counts.shape[1]} of "
                f"{name}: use the same genes in the same order"
            )
        # refused now, and not after the other methods have been scored for minutes
        log(cells.counts, allow_empty=allow_empty)
    available = min(train.counts.shape[0] // 2, *(c.counts.shape[0] for c in (test, *methods.values())))
    n = available if n is None else n
    if not folds <= n <= available:
        raise DataError(
            f"expected {folds} to {available} cells a side, got an n of {n}: generate more cells or sample fewer"
        )
    judge = {"trees": trees, "folds": folds, "repeats": repeats, "permutations": permutations, "min_cells": min_cells}
    rows = []
    for seed in seeds:
        reference = Reference(train, test, n, seed, genes=genes, by=by, trees=trees)
        found = {
            name: reference.score(_sample(cells, n, seed), **judge, real=name == "real")
            for name, cells in {**reference.controls, **methods}.items()
        }
        if reference.classifiers:
            found["test"] = {"pc50": reference.fidelity(reference.points, reference.test.labels)}
        rows += [
            (seed, name, metric, float(value), space, n, n)
            for name, spaces in found.items()
            for space, scores in spaces.items()
            for metric, value in scores.items()
        ]
    return pd.DataFrame(rows, columns=["seed", "method", "metric", "value", "space", "n_real", "n_fake"])


def score_by_label(
    train: Cells, test: Cells, methods: Mapping[str, Cells], *, min_cells: int = 50, **settings
) -> pd.DataFrame:
    """Score each label for itself: principal components, controls and all metrics of `score` on its cells alone.

    Parameters
    ----------
    train, test, methods
        As in `score`, with labels.
    min_cells
        Cells in `test` and in every method below which a label is left out.
    **settings
        Other parameters of `score`.

    Returns
    -------
    DataFrame
        As `score` returns it, with a first column label. Empty if no label has enough cells.
    """
    if unlabelled := [
        name for name, cells in {"train": train, "test": test, **methods}.items() if cells.labels is None
    ]:
        raise DataError(f"expected labels on every side, got none of {unlabelled[0]}: give one a cell")

    tables = []
    for label in sorted(set(np.asarray(test.labels).astype(str))):
        parts = {name: cells.of(label) for name, cells in methods.items()}
        if min(part.counts.shape[0] for part in (test.of(label), *parts.values())) >= min_cells:
            table = score(train.of(label), test.of(label), parts, min_cells=min_cells, **settings)
            tables.append(table.assign(label=label))
    columns = ["label", "seed", "method", "metric", "value", "space", "n_real", "n_fake"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def summary(table: pd.DataFrame, by: Sequence[str] = ("method", "metric")) -> pd.DataFrame:
    """Average a table of `score` or `score_by_label` over its seeds, apart for the columns of `by`.

    Returns
    -------
    DataFrame
        mean, sd (ddof 1, NaN for one seed) and n, the seeds with a value; rows in the order of the table.
    """
    return table.groupby(list(by), sort=False)["value"].agg(mean="mean", sd="std", n="count")


class Reference:
    """What one seed fixes before any method is looked at: held-out cells, controls, space, genes and classifiers.

    Parameters
    ----------
    train, test, genes, by, trees
        As in `score`.
    n
        Cells a side: so many held-out cells are drawn, and so many are in every control.
    seed
        Seed of all draws and fits.

    Attributes
    ----------
    test
        The held-out cells that all are compared with.
    controls
        The cells of real, bootstrap, permuted and poisson (`controls.controls`).
    classifiers
        Classifiers of labels; none without two labels.
    """

    def __init__(
        self,
        train: Cells,
        test: Cells,
        n: int,
        seed: int = 0,
        *,
        genes: int = 100,
        by: Literal["mean", "variance"] = "mean",
        trees: int = 1000,
    ) -> None:
        self.seed, self.test = seed, _sample(test, n, seed)
        self.controls, fixed = controls(train, n, seed)
        # controls of sparse cells may be empty, and `score` has refused the others where they are unwanted
        everything, outside = log(train.counts, allow_empty=True), train.take(fixed)
        self.space = Space.fit(everything[fixed], seed=seed)
        self.genes = top_genes(everything[fixed], genes, by)
        self.log = log(self.test.counts, allow_empty=True)
        self.points = self.space(self.log)
        # the control "real" is part of the training cells and must not be compared with itself
        self.train, self.train_without_real = self.space(everything), self.space(everything[fixed])
        labelled = train.labels is not None and test.labels is not None
        self.classifiers = {}
        if labelled and len(set(outside.labels)) > 1:
            for kind in ("forest", "logistic"):
                self.classifiers[kind] = label_classifier(self.train_without_real, outside.labels, kind, trees, seed)
            self.markers = marker_table(everything[fixed], outside.labels)

    def score(
        self,
        cells: Cells,
        *,
        trees: int = 1000,
        folds: int = 5,
        repeats: int = 2,
        permutations: int = 500,
        min_cells: int = 50,
        real: bool = False,
    ) -> dict[str, dict[str, float]]:
        """Compare cells with the held-out ones.

        Parameters
        ----------
        cells
            As many cells as there are held-out ones, at any depth; their labels are those asked for.
        trees, folds, repeats, permutations, min_cells
            As in `score`.
        real
            Whether these are the control real.

        Returns
        -------
        dict
            Space (log, pc50 or counts) → metric → value; metrics of labels are absent where one side has none.
        """
        x, y = self.log, log(cells.counts, allow_empty=True)
        points, a, b = self.space(y), self.test.labels, cells.labels
        known = self.train_without_real if real else self.train
        one = (np.zeros(x.shape[0]), np.zeros(y.shape[0]))
        found = {
            "log": rf_auc(x, y, trees=trees, folds=folds, repeats=repeats, seed=self.seed)
            | per_gene(x, y)
            | corr_agreement(x, y, self.genes, a, b, min_cells)
            | (diversity(x, one[0], y, one[1]) if a is None or b is None else diversity(x, a, y, b)),
            "pc50": mmd2(self.points, points, self.space.bandwidth, permutations=permutations, seed=self.seed)
            | {"knn_mix": knn_mix(self.points, points)}
            | lisi(self.points, points)
            | nn_train(known, self.points, points),
            "counts": per_cell(self.test.counts, cells.counts) | {"distinct": distinct(cells.counts)},
        }
        if self.classifiers and b is not None:
            found["pc50"] |= self.fidelity(points, b)
            if len(set(b)) > 1:
                back = label_fidelity(points, b, self.points, a, classifier="logistic")
                found["pc50"] |= {f"reverse_{name}": back[name] for name in ("accuracy", "f1")}
                found["log"] |= marker_agreement(self.markers, marker_table(y, b))
        return found

    def fidelity(self, points: np.ndarray, labels: Sequence) -> dict[str, float]:
        """Let the classifiers tell the labels of points of the space: accuracy and macro-F1 of each."""
        told = {kind: label_scores(model, points, labels) for kind, model in self.classifiers.items()}
        return {f"{kind}_{name}": scores[name] for kind, scores in told.items() for name in ("accuracy", "f1")}


def _sample(cells: Cells, n: int, seed: int) -> Cells:
    counts = sp.csr_matrix(cells.counts) if sp.issparse(cells.counts) else np.asarray(cells.counts)
    return Cells(counts, cells.labels).sample(n, seed)
