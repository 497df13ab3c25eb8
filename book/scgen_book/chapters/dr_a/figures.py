"""The figures of the chapter on DR-A. Each draws, or says in one line why there is nothing to see."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

from scgen_book import chance, plots, results
from scgen_book.chapters.dr_a.trained import Trained, of_the_paper, said
from scgen_book.experiments.dr_a import scores, training
from scgen_book.experiments.protocol import NotApplicable
from scgen_lib.metrics import clustering

NODES = {
    "cell x": (0.9, 4.0, 1.2),
    "encoder": (0.9, 3.15, 1.2),
    "code z": (0.9, 2.1, 1.2),
    "depth l": (2.3, 3.15, 0.8),
    "decoder": (0.9, 1.15, 1.2),
    "ZINB: μ, θ, π": (0.9, 0.3, 1.2),
    "x̃": (2.3, 1.15, 0.6),
    "prior": (4.1, 3.15, 1.0),
    "D1: prior or code?": (4.1, 2.1, 1.4),
    "D2: data or x̃?": (4.1, 1.15, 1.4),
    "data x": (4.1, 0.3, 1.0),
}
ARROWS = [
    ("cell x", "encoder", "data", "", 0),
    ("encoder", "code z", "data", "m + √v ε", 0),
    ("encoder", "depth l", "data", "", 0),
    ("code z", "decoder", "data", "", 0),
    ("decoder", "ZINB: μ, θ, π", "data", "", 0),
    ("decoder", "x̃", "data", "", 0),
    ("x̃", "D2: data or x̃?", "data", "", 0),
    ("data x", "D2: data or x̃?", "data", "", 0),
    ("code z", "D1: prior or code?", "data", "", 0),
    ("prior", "D1: prior or code?", "data", "", 0),
    ("D1: prior or code?", "encoder", "gradient", "matches the code", 0),
    ("D2: data or x̃?", "decoder", "inert", "never computed", -0.35),
]
#: Panels of the trainings by their keys in the history.
QUANTITIES = {
    "loss": "$L_{AE}$ (nats per cell)",
    "kl_l": "KL of the depth (nats)",
    "v": "mean variance v of the code",
    "z_abs": "mean |z|",
    "l_sd": "sd of $l_m$ over cells",
    "d1": "loss of D1",
    "encoder": "adversarial loss of the encoder",
    "d2": "loss of D2",
}
#: Words of the parts of the model.
PARTS = {
    "z": "z heads",
    "library": "depth heads",
    "zinb": "ZINB heads",
    "reconstruction": "second head x̃",
    "d1": "D1",
    "d2": "D2",
}
#: Rows of the paper's table of which there are published numbers alone.
PUBLISHED = {"ZIFA": "zifa", "SAUCIE": "saucie"}


def model() -> None:
    """Draw the model as released."""
    plots.diagram(NODES, ARROWS, 4.4)


@said
def histories(trained: Trained) -> None:
    """Draw the training of every method at the length shown by epoch, first seed."""
    found = {method: trained.history(method) for method in trained.drawn()}
    plots.history_panels(found, QUANTITIES, log=("v",))


def published(k: int, method: str | None, key: str, beside: str | None = None) -> float:
    """Return the number of the paper's table, or of the port, for a data set, NaN where it has none.

    With `beside` it is NaN too where that is neither the claim's data set nor a kindred one.
    """
    name = f"dra.port.k{k}" if method == training.PORT else f"dra.table2.k{k}.{key}.{method}"
    claim = next((of for of in results.claims("lin2020") if of.id == name), None)
    if claim is None or claim.value is None or beside not in (None, claim.dataset, *claim.kindred):
        return np.nan
    return claim.value


def bars(trained: Trained) -> pd.DataFrame:
    """Return the score of every method at every length beside the published one.

    Returns
    -------
    DataFrame
        panel, method, value, sd and published, NaN where there is none or the data are not those of the paper; methods
        with neither are left out.
    """
    data = trained.case.about["name"]
    key = scores.key_of(data)
    names = PUBLISHED | {name: key for key, name in scores.BASELINES.items()} | {"faithful": "dra"}
    found = []
    for k in trained.lengths:
        for method in [*trained.methods(k), *scores.OTHERS, *PUBLISHED]:
            own = trained.judged(k, method)[trained.values["nmi_average"]].dropna()
            value = published(k, names.get(method, method), key, data)
            if len(own) or value == value:
                found.append((f"K = {k}", method, own.mean(), chance.spread(own), value))
    return pd.DataFrame(found, columns=["panel", "method", "value", "sd", "published"])


@said
def agreement(trained: Trained) -> None:
    """Draw the NMI of every method beside the published one, of the paper's cells where the record has them."""
    shown = of_the_paper(trained)
    shown.need_labels()
    seeds = len({row["seed"] for row in shown.rows})
    where = "this run" if shown is trained else f"record, {seeds} seeds"
    plots.score_panels(bars(shown), f"NMI ({shown.values['nmi_average']}), bars: {shown.case.about['name']}, {where}")


def groups(trained: Trained) -> np.ndarray | pd.Series:
    """Return the class of each test cell in words."""
    if trained.case.judged is None:
        return np.full(len(trained.case.test), "all cells")
    return trained.case.test_labels.astype(object).fillna("unlabelled")


@said
def flat_codes(trained: Trained) -> None:
    """Draw codes of two numbers beside those of other methods, the test cells by class, first seed."""
    if 2 not in trained.lengths:
        raise NotApplicable("codes of two numbers were not asked for (parameter `z_dims`)")
    panels = {}
    for method in [*trained.methods(2), *scores.OTHERS]:
        score = trained.judged(2, method)[trained.values["nmi_average"]].mean()
        if kept := trained.kept(method, 2):
            panels[method + (f"\nNMI {score:.2f}" if score == score else "")] = (kept["code"], np.nan)
    if not panels:
        raise NotApplicable("no training of this length came to its end")
    plots.embedding_panels(panels, groups(trained), "z")


def layouts(trained: Trained, code: np.ndarray | None) -> dict[str, tuple[np.ndarray, float]]:
    """Return codes of the test cells in two dimensions by t-SNE and UMAP, as `plots.embedding_panels` takes them.

    Empty where the codes are two numbers themselves, or there are no labels to draw them by, or no codes.
    """
    if trained.shown <= 2 or trained.case.judged is None or code is None:
        return {}
    seed = trained.values["seed"]
    found = {"t-SNE": clustering.tsne(code, seed), "UMAP": scores.umap(code, seed)}
    return {f"{name} of z, K = {trained.shown}": (xy, np.nan) for name, xy in found.items()}


def clusters(trained: Trained, code: np.ndarray | None) -> pd.Categorical | None:
    """Return the k-means cluster of codes of the test cells; None without labels or codes."""
    if trained.case.judged is None or code is None:
        return None
    of, n_init = trained.case.test_labels, trained.values["kmeans_n_init"]
    found = KMeans(of.nunique(), n_init=n_init, random_state=0).fit_predict(code)
    return pd.Categorical.from_codes(found, [f"cluster {c + 1}" for c in range(found.max() + 1)])


@said
def maps(trained: Trained, flat: dict[str, tuple[np.ndarray, float]], by: Any = None) -> None:
    """Draw `layouts` by class, or by `clusters`."""
    if not flat:
        _refuse_maps(trained)
    plots.embedding_panels(flat, groups(trained) if by is None else by, "dimension ")


@said
def named(trained: Trained, flat: dict[str, tuple[np.ndarray, float]]) -> Any:
    """Return the last of the `layouts` with the class of a cell where a pointer rests on it."""
    if not flat:
        _refuse_maps(trained)
    return plots.hover({"test cells": list(flat.values())[-1][0]}, {"test cells": groups(trained)})


def _refuse_maps(trained: Trained) -> None:
    """Say why there is no map."""
    if trained.shown <= 2:
        raise NotApplicable("maps of longer codes need codes of more than two numbers")
    if trained.case.judged is None:
        raise NotApplicable("maps by class and by cluster need labels")
    raise NotApplicable("no training of this length came to its end")


@said
def contingency(trained: Trained, found: pd.Categorical | None) -> None:
    """Draw which classes `clusters` hold."""
    trained.need_labels()
    if found is None:
        raise NotApplicable("no training of this length came to its end")
    of = trained.case.test_labels
    known = of.notna().to_numpy()
    plots.cluster_table(pd.crosstab(of[known].astype(str), found.codes[known] + 1))


@said
def moved(trained: Trained) -> None:
    """Draw how far training has moved the weights of each part, first seed."""
    found = {}
    for method in trained.drawn():
        kept = trained.kept(method)
        found[method] = {PARTS.get(p, p): d for p, d in zip(kept["moved_parts"], kept["moved"].tolist(), strict=True)}
    plots.weights_moved(found)


@said
def logits(trained: Trained) -> None:
    """Draw the logits of D1 on draws of the prior and on codes, first seed of each variant."""
    if trained.values["adversarial"] == "none":
        raise NotApplicable("logits of D1 need an adversary")
    found = {f"D1, {variant}": trained.kept(variant) for variant in trained.variants}
    panels = {
        name: {"prior": kept["d1_prior"], "code": kept["d1_code"]} for name, kept in found.items() if "d1_prior" in kept
    }
    if not panels:
        raise NotApplicable("no training of this length came to its end")
    plots.logit_histograms(panels)
