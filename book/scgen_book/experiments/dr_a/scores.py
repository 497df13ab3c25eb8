"""Do the codes know the cell types: trained and other codes of each length, clustered and compared with the labels."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scanpy as sc
from sklearn.decomposition import PCA

from scgen_book import external
from scgen_book.experiments.dr_a import cases, codes, training
from scgen_book.experiments.dr_a.cases import LABELS, Case
from scgen_book.experiments.protocol import BASELINE, Experiment, Method, NotApplicable, Task
from scgen_lib.metrics import clustering

#: Files of the authors' matrices by the names of the claims; any other data are beside those of the first.
KEYS = {"macosko_720": "macosko", "10x_68k_720": "10x_68k", "10x_73k_720": "10x_73k", "rosenberg_720": "rosenberg"}


def _pca(case: Case, k: int, seed: int, settings: Mapping) -> np.ndarray:
    x = case.logs / case.logs.max()
    return PCA(k, random_state=seed).fit(x[case.train]).transform(x[case.test])


def _tsne(case: Case, k: int, seed: int, settings: Mapping) -> np.ndarray:
    return clustering.tsne((case.logs / case.logs.max())[case.test], seed)


def umap(x: np.ndarray, seed: int, k: int = 2) -> np.ndarray:
    """Return k coordinates of cells (N, D) by UMAP, from up to 15 neighbours: (N, k)."""
    graph = sc.AnnData(x)
    sc.pp.neighbors(graph, n_neighbors=min(15, graph.n_obs - 1), use_rep="X", random_state=seed)
    return sc.tl.umap(graph, n_components=k, random_state=seed, copy=True).obsm["X_umap"]


def _umap(case: Case, k: int, seed: int, settings: Mapping) -> np.ndarray:
    return umap((case.logs / case.logs.max())[case.test], seed, k)


def _scvi(case: Case, k: int, seed: int, settings: Mapping) -> np.ndarray:
    train, test = (case.cells.layers["counts"][part] for part in (case.train, case.test))
    return external.scvi(train, test, n_latent=k, epochs=settings["epoch"], seed=seed)[0]


#: Other methods by their names in tables: only PCA and scVI learn from the training cells.
OTHERS: dict[str, Callable[[Case, int, int, Mapping], np.ndarray]] = {
    "PCA": _pca, "t-SNE": _tsne, "UMAP": _umap, "scVI": _scvi,
}  # fmt: skip
#: The same by their names among the parameters.
BASELINES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP", "scvi": "scVI"}


def _method(name: str, k: int) -> Method:
    def other(case: Case, seed: int, settings: Mapping) -> dict[str, Any]:
        if case.judged is None:
            raise NotApplicable(case.unscored)
        return {"code": OTHERS[name](case, k, seed, settings)}

    def trained(case: Case, seed: int, settings: Mapping) -> dict[str, Any]:
        return training.train(case, name, k, seed, settings, save=True)

    if name in OTHERS:
        return Method(other, BASELINE, needs="scvi" if name == "scVI" else None)
    return Method(trained, variant=name if name in ("faithful", "repaired") else None)


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every length of the code with what is trained there, and the other methods, at every seed."""
    names = [training.named(method, k) for k in training.lengths(values) for method in training.variants(k, values)]
    others = [name for key, name in BASELINES.items() if key in values["baselines"]]
    names += [training.named(name, k) for k in training.lengths(values) for name in others if name != "t-SNE" or k == 2]
    return [(cases.stands_for(values["dataset"]), name, s) for s in values["seeds"] for name in names]


def key_of(dataset: str) -> str:
    """Return the name of a data set in the ids of the claims."""
    return KEYS.get(Path(dataset.removesuffix(".gz")).stem, "zeisel")


def claims(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims of a row's values: those of the paper's Table 2, and of the port."""
    method, k = training.split(row["method"])
    held = [key for key in LABELS if codes.metric("geometric", key) in row["scores"]]
    judged = next((key for key in held if key == row["settings"].get("label_set")), next(iter(held), None))
    names = {name: key for key, name in BASELINES.items()} | dict.fromkeys(("faithful", "repaired"), "dra")
    if judged is None or k not in training.LENGTHS:
        return {}
    if method == training.PORT:
        return {codes.metric("arithmetic", judged): f"dra.port.k{k}"}
    if method not in names:
        return {}
    return {codes.metric("geometric", judged): f"dra.table2.k{k}.{key_of(row['dataset'])}.{names[method]}"}


EXPERIMENT = Experiment(
    name="dr_a.scores",
    methods=training.ByLength(_method, [*training.VARIANTS, *OTHERS]),
    metrics=codes.METRICS,
    prepare=cases.prepare,
    score=codes.score,
    settings=codes.SETTINGS,
    asked=asked,
    claims=claims,
    keep=codes.keep,
)
