"""What judges generated cells: held-out cells of one seed, with controls, space and classifiers fixed beside them."""

import warnings
from collections.abc import Mapping
from typing import Any

import anndata
import numpy as np

from scgen_book.experiments.scgan import models
from scgen_book.experiments.scgan.cells import FEWEST, Case
from scgen_lib.metrics import realism
from scgen_lib.metrics.conditional import label_fidelity
from scgen_lib.metrics.controls import Cells, parametric
from scgen_lib.metrics.panel import Reference

PARAMETRIC = "NB per class"
CONTROLS = ("real", "bootstrap", "permuted", "poisson", PARAMETRIC, "test")
FOLDS = 5
BY_CLASS = ("rf_auc", "mmd2", "knn_mix")
#: Metrics of `panel.score` by name, as they come.
JUDGED = (
    "rf_auc", "rf_auc_sd", "genes_dropped",
    *(f"{moment}_{name}" for moment in ("mean", "variance", "zeros") for name in ("pearson", "spearman", "rmse")),
    *(f"corr{part}_{name}" for part in ("", "_within") for name in ("pearson", "spearman", "rmse")),
    "mmd2", "mmd2_p", "knn_mix", "lisi_mean", "nn_train", "copies", "sd_ratio", "distinct", "cells",
    *(f"{kind}_{name}" for kind in ("forest", "logistic", "reverse") for name in ("accuracy", "f1")),
    *(f"{of}_{name}" for of in ("library", "detected") for name in ("ks", "w1", "median")), "zeros_median",
    "markers_jaccard", "markers_lfc", "corr_rms", "corr_within_rms", "lisi_median", "mmd2_legacy", "n_clusters",
    "nn_train_5",
)  # fmt: skip


class Judge:
    """All comparisons of one seed.

    Parameters
    ----------
    case
        The cells.
    seed
        Seed of samples, controls, folds and forests.
    settings
        Of the rows.
    """

    def __init__(self, case: Case, seed: int, settings: Mapping[str, Any]):
        self.case, self.seed, self.settings = case, seed, settings
        self.train, self.test = case.of("train"), case.of("test")
        self._references: dict[int, Reference] = {}
        self._made: tuple[int, anndata.AnnData] | None = None

    def generated(self, answer: models.Trained) -> anndata.AnnData:
        """Return as many cells of every class as there are test cells."""
        if self._made is None or self._made[0] != id(answer):
            wanted = models.like(answer.model, self.case)
            made = models.quietly(answer.model.simulate, wanted, seed=self.seed, counts=True)
            self._made = id(answer), made
        return self._made[1]

    def usable(self, made: anndata.AnnData) -> bool:
        """Say whether enough cells have any expression."""
        return bool((np.asarray(made.X.sum(axis=1)) > 0).sum() >= FEWEST)

    def drawn(self, made: anndata.AnnData, layer: str | None = None) -> Cells:
        """Return generated cells without the empty ones, as they are or in a layer."""
        matrix = made.X if layer is None else made.layers[layer]
        full = np.asarray(matrix.sum(axis=1)).ravel() > 0
        known = "cell_type" in made.obs and len(self.case.names) > 1
        return Cells(matrix[full], made.obs["cell_type"].astype(str).to_numpy()[full] if known else None)

    def cells_of(self, control: str) -> Cells:
        """Return the cells of NB per class, or the held-out ones."""
        if control == "test":
            return self.test
        labels = self.test.labels if self.test.labels is not None else np.zeros(self.test.counts.shape[0], int)
        return Cells(parametric(self.train, labels, seed=self.seed), self.test.labels)

    def _n(self, cells: Cells | None = None) -> int:
        most = self.settings["score_cells"]
        sizes = [self.train.counts.shape[0] // 2, self.test.counts.shape[0]]
        sizes += [cells.counts.shape[0]] if cells else []
        return min(*sizes, *([most] if most else []))

    def _reference(self, n: int) -> Reference:
        if n not in self._references:
            trees = self.settings["forest_trees"]
            self._references[n] = Reference(self.train, self.test, n, self.seed, by="variance", trees=trees)
        return self._references[n]

    def score(self, cells: Cells, real: bool = False) -> dict[str, float]:
        """Return every metric of cells against as many held-out ones, none where these are too few."""
        n = self._n(cells)
        if n < FOLDS:
            return {}
        judged = self._reference(n).score(
            cells.sample(n, self.seed),
            trees=self.settings["forest_trees"],
            repeats=1,
            permutations=100,
            min_cells=self.settings["min_test_cells"] // 2,
            real=real,
        )
        return {metric: float(value) for scores in judged.values() for metric, value in scores.items()} | {"cells": n}

    def control(self, name: str) -> dict[str, float]:
        """Return the scores of a control; of the test cells what classifiers of their classes say."""
        if name == PARAMETRIC:
            return self.score(self.cells_of(name))
        if self._n() < FOLDS:
            return {}
        reference = self._reference(self._n())
        if name == "test":
            told = reference.fidelity(reference.points, reference.test.labels) if reference.classifiers else {}
            return told | {"cells": self._n()}
        return self.score(reference.controls[name], real=name == "real")

    def by_class(self, cells: Cells | str) -> dict[str, np.ndarray]:
        """Return AUC, MMD² and foreign neighbours of every class that is large enough, for itself.

        Parameters
        ----------
        cells
            Cells with classes, or the name of a control.

        Returns
        -------
        dict
            "classes", (K,), and "by class", (K, 3), in the order of `BY_CLASS`; nothing where there is none.
        """
        asked = self.settings["by_class"] and self.settings["conditional"] and self.test.labels is not None
        own = self.cells_of(cells) if cells == PARAMETRIC else cells
        if not asked or (not isinstance(own, str) and own.labels is None):
            return {}
        found = {label: self._of_class(label, own) for label in sorted(set(np.asarray(self.test.labels).astype(str)))}
        found = {label: scores for label, scores in found.items() if scores}
        table = np.array([[scores[metric] for metric in BY_CLASS] for scores in found.values()])
        return {"classes": np.array(list(found)), "by class": table} if found else {}

    def _of_class(self, label: str, cells: Cells | str) -> dict[str, float]:
        """Return the scores of one class as `panel.score_by_label` has them, none where a side has too few cells."""
        fewest, trees = self.settings["min_test_cells"], self.settings["forest_trees"]
        train, test = (side.of(label) for side in (self.train, self.test))
        own = cells if isinstance(cells, str) else cells.of(label)
        n = min([train.counts.shape[0] // 2, *(x.counts.shape[0] for x in (test, own) if isinstance(x, Cells))])
        if min(x.counts.shape[0] for x in (test, own) if isinstance(x, Cells)) < fewest or n < FOLDS:
            return {}
        reference = Reference(train, test, n, self.seed, by="variance", trees=trees)
        drawn = reference.controls[own] if isinstance(own, str) else own
        judged = reference.score(
            drawn.sample(n, self.seed), trees=trees, repeats=1, permutations=100, min_cells=fewest, real=own == "real"
        )
        return {metric: float(value) for scores in judged.values() for metric, value in scores.items()}

    def kept(self, cells: Cells, confusion: bool = True) -> dict[str, np.ndarray]:
        """Return what figures draw of cells.

        Returns
        -------
        dict
            "curves", (G, 3), mean, variance and zeros of the genes; "library" and "zeros" of the cells, (N,), with
            "labels" where there are any; "correlations" of the genes that vary most, (100, 100) at most; "confusion"
            of the classes, with "asked for" and "told".
        """
        seed = self.settings["seed"]
        log, known = realism.log(cells.counts, allow_empty=True), realism.log(self.train.counts)
        table = realism.cell_table(cells.counts)
        genes = realism.top_genes(known, min(100, known.shape[1]), by="variance")
        found = {
            "curves": realism.gene_curves(log).to_numpy("float32"),
            "library": table["library"].to_numpy("float32"),
            "zeros": table["zeros"].to_numpy("float32"),
            "correlations": np.asarray(realism.correlations(log, genes), "float32"),
        }
        if cells.labels is None:
            return found
        found["labels"] = np.asarray(cells.labels)
        if confusion:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                space = realism.Space.fit(known, seed=seed)
                told = label_fidelity(
                    space(known), self.train.labels, space(log), cells.labels, classifier="logistic", seed=seed
                )["confusion"]
            found |= {"confusion": told.to_numpy(), "asked for": told.index.to_numpy(), "told": told.columns.to_numpy()}
        return found
