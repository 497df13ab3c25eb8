"""How trained codes are scored, and what a row keeps of a training: shared by the experiments of the chapter.

The metrics of a set of labels are those of the codes that the model takes, a sample or the mean; of the labels that are
judged both are scored.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.metrics import roc_auc_score

from scgen_book.experiments.dr_a import cases, training
from scgen_book.experiments.dr_a.cases import LABELS, Case
from scgen_book.experiments.protocol import Metric
from scgen_lib.metrics import clustering

#: What decides the score of a code.
SETTINGS = (*training.SETTINGS, *cases.SETTINGS, "kmeans_seeds", "kmeans_n_init", "nmi_average")
#: Words of the metrics by the names of `agreement`.
SCORES = {"geometric": "NMI, geometric", "arithmetic": "NMI, arithmetic", "ARI": "ARI", "k-means sd": "k-means sd"}
KINDS = {"sample": "of samples", "mean": "of means"}
MOVED, AUC, DEPTH = "change of the weights of x̃", "AUC of the logits of D1", "sd over cells of the depth's mean"
# Beyond so many cells logits are kept of every so many-th alone: a histogram shows no more.
MOST_LOGITS = 50_000


def metric(score: str, labels: str, kind: str | None = None) -> str:
    """Return the name of a metric: a key of `SCORES`, the set of labels, and a key of `KINDS` for one kind of code."""
    return f"{SCORES[score]}, {labels}" + (f", {KINDS[kind]}" if kind else "")


def _metrics() -> dict[str, Metric]:
    found = {}
    for labels in LABELS:
        for kind in (None, *KINDS):
            for score, words in SCORES.items():
                way = "lower" if score == "k-means sd" else "higher"
                found[metric(score, labels, kind)] = Metric(words, way, judged=kind is None)
    return found


METRICS = _metrics() | {
    MOVED: Metric("‖w − w₀‖ / ‖w₀‖ of x̃", "higher", judged=False),
    AUC: Metric("AUC of the logits of D1, draws of the prior against codes", 0.5, judged=False),
    DEPTH: Metric(DEPTH, "higher", judged=False),
}


def agreement(code: np.ndarray, labels: pd.Series, seed: int, settings: Mapping) -> dict[str, float]:
    """Return how well k-means clusters of codes agree with labels, the mean over the seeds of k-means.

    Parameters
    ----------
    code, labels
        Codes (N, K) and labels of the same cells; cells without a label are left out.
    seed
        Of the model; each has seeds of k-means of its own.
    settings
        "kmeans_seeds", "kmeans_n_init" and "nmi_average".

    Returns
    -------
    dict
        The keys of `SCORES`: NMI with both means of the entropies, ARI, and the sd of the NMI over seeds of k-means.
    """
    known, n = labels.notna().to_numpy(), settings["kmeans_seeds"]
    rows = []
    for state in range(seed * n, (seed + 1) * n):
        kmeans = KMeans(labels.nunique(), n_init=settings["kmeans_n_init"], random_state=state % 2**32)
        clusters = kmeans.fit_predict(code[known])
        both = [clustering.clustering_scores(labels[known], clusters, mean) for mean in ("geometric", "arithmetic")]
        rows.append({"geometric": both[0]["nmi"], "arithmetic": both[1]["nmi"], "ARI": both[0]["ari"]})
    table = pd.DataFrame(rows)
    return table.mean().to_dict() | {"k-means sd": table[settings["nmi_average"]].std()}


def score(case: Case, answer: Mapping[str, Any], seed: int, settings: Mapping) -> dict[str, float]:
    """Return the values of a training by `METRICS`; those of one that ended are NaN.

    Parameters
    ----------
    case, seed, settings
        Of the row.
    answer
        As `training.train` returns it, or "code": those of the test cells by another method.
    """
    if "ended" in answer:
        return {metric(name, key): np.nan for key in case.labels for name in list(SCORES)[:3]}
    if "code" in answer:
        return {
            metric(name, key): value
            for key, of in case.labels.items()
            for name, value in agreement(answer["code"], of, seed, settings).items()
        }
    taken, found = settings["latent"] or answer["latent"], {}
    for key, of in case.labels.items():
        for kind in KINDS if key == case.judged else [taken]:
            values = agreement(answer["codes"][kind][case.test], of, seed, settings)
            for name, value in values.items():
                found |= {metric(name, key): value} if kind == taken else {}
                found |= {metric(name, key, kind): value} if key == case.judged else {}
    found |= {MOVED: answer["moved"]["reconstruction"], DEPTH: answer["l_sd"]}
    if "d1" in answer["history"]:
        pair = [answer["logits"]["d1_prior"], answer["logits"]["d1_code"]]
        found[AUC] = roc_auc_score(np.repeat([1, 0], [len(part) for part in pair]), np.concatenate(pair))
    return found


def keep(case: Case, answer: Mapping[str, Any], seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return what figures and tables need of a training.

    Returns
    -------
    dict
        "ended" (the reason) of one that ended. Else "history/…" by epoch, float64, "moved" and "sizes" with the "parts"
        that they are of, "code" of the test cells where that is two numbers, (M, 2) float32, which is all that is kept
        of other methods, and, where there is a game, "d1_prior" and "d1_code", float32.
    """
    if "ended" in answer:
        return {"ended": np.array([answer["ended"]])}
    if "code" in answer:  # of another method
        code = np.asarray(answer["code"])
        return {"code": code.astype("float32")} if code.shape[1] == 2 else {}
    found = histories(answer["history"]) | {
        "moved": np.array([*answer["moved"].values()]), "moved_parts": np.array([*answer["moved"]]),
        "sizes": np.array([*answer["sizes"].values()]), "sizes_parts": np.array([*answer["sizes"]]),
    }  # fmt: skip
    code = answer["codes"][settings["latent"] or answer["latent"]][case.test]
    if code.shape[1] == 2:
        found["code"] = code.astype("float32")
    if "d1" in answer["history"]:
        step = -(-case.cells.n_obs // MOST_LOGITS)
        found |= {name: answer["logits"][name][::step].astype("float32") for name in ("d1_prior", "d1_code")}
    return found


def histories(history: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the history of a training as arrays of a row."""
    return {f"history/{name}": np.array(values, float) for name, values in history.items()}


def history(kept: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    """Return the history of a training from the arrays of its row."""
    return {name.removeprefix("history/"): v.tolist() for name, v in kept.items() if name.startswith("history/")}
