"""Figure 2 of the paper: do the true groups come back, and how far are the denoised counts from the true ones.

A method is one way to denoise the same cells: as the figure's notebook does it, repaired, or with one difference.
The networks of a data set and seed have the same seed, and differ in what their names say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import anndata
import numpy as np

from scgen_book.experiments.dca import cases, entries, networks
from scgen_book.experiments.protocol import (
    METHOD,
    NEGATIVE,
    POSITIVE,
    Experiment,
    Method,
    Metric,
    NotApplicable,
    Task,
)
from scgen_lib.metrics import clustering, denoising
from scgen_lib.metrics.arrays import log_normalise
from scgen_lib.models.dca import DCA

#: Methods that the figure shows, and the repaired network.
SHOWN = ("true", "observed", "zinb", "mse", "zinb, repaired")
SIX_GROUPS = "dca_g6_fig2"
#: Single differences, trained at the seeds of the repaired network alone, and those of two groups alone.
APART = ("mse, one path", "zinb, logarithm")
OF_TWO_GROUPS = ("zinb, described", "zinb, Keras 3")
#: As the description asks for, without what we added.
_NOT_ADDED = {"mean_bias": "zeros", "validation_cells": "last", "keep_weights": "last"}
_CELLS_OF_HEAT_MAP = 300


@dataclass
class Draw:
    """One draw of a simulation: cells, true groups, observed and true counts, and the squared error network's means."""

    cells: anndata.AnnData
    groups: Any
    observed: np.ndarray
    truth: np.ndarray
    dropped: np.ndarray
    means: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def n_groups(self) -> int:
        """Number of the true groups."""
        return self.groups.nunique()


@dataclass
class Denoised:
    """What a method made of the counts: the matrix (N, G), and the losses by epoch where there was a training.

    Attributes
    ----------
    logs
        Whether the matrix is logarithms that only get equal totals, as the figure's notebook has it for six groups.
    counts
        Whether the matrix is compared with the true counts where the groups are looked at.
    shown
        Whether a figure shows its entries.
    spaces
        Where it puts the cells (see `embed`), once it has been scored.
    """

    matrix: np.ndarray
    history: Mapping[str, list[float]] = field(default_factory=dict)
    logs: bool = False
    counts: bool = True
    shown: bool = False
    spaces: dict[str, np.ndarray] = field(default_factory=dict)


def prepare(dataset: str, seed: int, settings: Mapping) -> Draw:
    """Draw the simulation with this seed."""
    cells = cases.simulated(dataset, seed, settings)
    observed, truth = cases.both(cells)
    return Draw(cells, cells.obs["group"], observed, truth, denoising.dropout_mask(observed, truth))


def network(variant: str, *, shown: bool = False, two_groups: bool = False, **changes: Any) -> Any:
    """Return a method: a variant of DCA, with changes of its settings, trained and asked for the means."""

    def run(case: Draw, seed: int, settings: Mapping) -> Denoised:
        if two_groups and case.n_groups != 2:
            raise NotApplicable("this difference is taken apart on two groups alone")
        model: DCA = networks.fit(
            case.cells, variant, seed, settings, **{"ae_type": "zinb-conddisp", "log1p": True} | changes
        )
        return Denoised(model.denoise(case.cells), model.history, shown=shown)

    return run


def _squared_error(case: Draw, seed: int, settings: Mapping) -> np.ndarray:
    """Return what the figure's baseline gives, logarithms; trained once for both ways back."""
    if not case.means:
        plain = {"ae_type": "normal", "size_factor": "none", "zscore": "none"}
        model = networks.fit(case.cells, "faithful", seed, settings, **plain)
        case.means["mse"] = model.parameters(case.cells)["mean"]
    return case.means["mse"]


def _as_in_the_figure(case: Draw, seed: int, settings: Mapping) -> Denoised:
    mean, two = _squared_error(case, seed, settings), case.n_groups == 2
    return Denoised(np.exp(mean) if two else mean, logs=not two, counts=False, shown=True)


def _on_one_path(case: Draw, seed: int, settings: Mapping) -> Denoised:
    return Denoised(np.maximum(np.expm1(_squared_error(case, seed, settings)), 0))


def embed(case: Draw, answer: Denoised, seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return where the figure looks at the groups (N, 2), and ten principal components (N, 10)."""
    x = answer.matrix
    x = x * (np.median(x.sum(1)) / x.sum(1, keepdims=True)) if answer.logs else log_normalise(x)
    two = case.n_groups == 2
    flat = (
        clustering.pca(x, 2, seed)
        if two
        else clustering.tsne(x, seed, settings["tsne_iterations"], settings["tsne_angle"])
    )
    return {"figure": flat, "PCA-10": clustering.pca(x, 10, seed)}


def _distances(case: Draw, matrix: np.ndarray) -> dict[str, float]:
    """Return squared errors and r of ln(1 + x), without any scaling."""
    found = {}
    for which, mask in (("all entries", np.ones_like(case.dropped)), ("dropped entries", case.dropped)):
        with np.errstate(invalid="ignore"):
            y, t = np.log1p(matrix[mask]), np.log1p(case.truth[mask])
            found[f"MSE, {which}"] = ((y - t) ** 2).mean()
            found[f"r, {which}"] = np.corrcoef(y, t)[0, 1] if y.std() else np.nan
    return found


def score(case: Draw, answer: Denoised, seed: int, settings: Mapping) -> dict[str, float]:
    """Return silhouettes of the true groups, squared errors against the true counts, and how the training ended."""
    answer.spaces = embed(case, answer, seed, settings)
    found = {"groups": case.n_groups}
    names = {"figure": "silhouette", "PCA-10": "silhouette, ten components"}
    found |= {names[name]: clustering.silhouette(x, case.groups, seed) for name, x in answer.spaces.items()}
    if answer.counts:
        off = (log_normalise(answer.matrix) - log_normalise(case.truth)) ** 2
        found |= {"dropped": off[case.dropped].mean(), "all": off.mean()}
    if answer.shown:
        found |= _distances(case, answer.matrix)
    if answer.history:
        loss = answer.history.get("val_loss", answer.history["loss"])
        found |= {"epochs": len(loss), "last loss": loss[-1], "best loss": min(loss)}
    return found


def keep(case: Draw, answer: Denoised, seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return the embedding with its groups, the history, and cells and entries for the figures that show them."""
    found = {"figure": answer.spaces["figure"].astype("float32"), "groups": case.groups.astype(str).to_numpy()}
    found |= {name: np.asarray(answer.history[name]) for name in ("loss", "val_loss") if name in answer.history}
    if answer.shown:
        drawn = np.sort(np.random.default_rng(0).permutation(len(case.observed))[:_CELLS_OF_HEAT_MAP])
        genes = _differential(case.cells)
        if not answer.logs:
            found["heat map"] = log_normalise(answer.matrix)[drawn][:, genes].astype("float32")
        found["heat map groups"] = found["groups"][drawn]
        if not answer.logs:
            found |= {f"entries {k}": x for k, x in entries.condensed(case.truth, answer.matrix, case.dropped).items()}
    return found


def _differential(cells: anndata.AnnData) -> np.ndarray:
    """Say which genes are differentially expressed in the simulation; all where that is not known: (G,), bool."""
    known = any(cells.var.columns.str.startswith("de_fac"))
    factors = cells.var.filter(like="de_fac_group")
    return (factors != 1).any(axis=1).to_numpy() if known else np.ones(cells.n_vars, bool)


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every method on every draw; what is repaired or taken apart at the seeds of that alone."""
    cases.refuse_unless("A", values)
    chosen, seeds = values["fig2_repaired_seeds"], values["fig2_seeds"]
    apart = (seeds if chosen is None else chosen) if "repaired" in values["variants"] else []
    first = [(name, s) for name in values["fig2_datasets"][:1] for s in seeds[:1]]
    tasks = []
    for name in values["fig2_datasets"]:
        for seed in seeds:
            methods = ["true", "observed", "zinb", "mse"]
            single = seed in apart and values["fig2_apart"]
            methods += APART if single else ()
            methods += ["zinb, repaired"] if seed in apart else []
            methods += OF_TWO_GROUPS if single else ()
            methods += ["nb"] if (name, seed) in first else []
            tasks += [(name, method, seed) for method in methods]
    return tasks


def claims(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims of Figure 2 by metric: silhouettes, and epochs of two groups."""
    groups, method = row["scores"]["groups"], row["method"]
    if groups not in (2, 6) or method not in SHOWN:
        return {}
    found = {"silhouette": f"dca.fig2.g{groups:.0f}.{method.split(',')[0]}"}
    return found | ({"epochs": "dca.fig2.g2.epochs"} if method == "zinb" and groups == 2 else {})


def drawn(dataset: str, method: str) -> tuple[str, ...]:
    """Return what the record keeps of the six groups, whose t-SNE takes longest: the cells in it, and losses."""
    return ("figure", "groups", "loss", "val_loss") if dataset == SIX_GROUPS and method in SHOWN else ()


EXPERIMENT = Experiment(
    name="dca.figure2",
    methods={
        "true": Method(lambda case, seed, settings: Denoised(case.truth, shown=True), POSITIVE),
        "observed": Method(lambda case, seed, settings: Denoised(case.observed, shown=True), NEGATIVE),
        "zinb": Method(network("faithful", shown=True, log1p=False), METHOD, variant="faithful"),
        "mse": Method(_as_in_the_figure, METHOD, variant="faithful"),
        "mse, one path": Method(_on_one_path),
        "zinb, logarithm": Method(network("faithful")),
        "zinb, repaired": Method(network("repaired"), METHOD, variant="repaired"),
        "zinb, described": Method(network("repaired", two_groups=True, **_NOT_ADDED)),
        "zinb, Keras 3": Method(network("faithful", two_groups=True, log1p=False, optimizer="RMSprop-keras3")),
        "nb": Method(network("faithful", shown=True, ae_type="nb-conddisp", log1p=False)),
    },
    metrics={
        "groups": Metric("true groups", "higher", judged=False),
        "silhouette": Metric("silhouette where the figure looks", "higher"),
        "silhouette, ten components": Metric("silhouette on ten principal components", "higher"),
        "dropped": Metric("squared error at dropped entries", "lower"),
        "all": Metric("squared error at all entries", "lower"),
        "MSE, all entries": Metric("squared error of ln(1 + x), unscaled, all entries", "lower"),
        "r, all entries": Metric("r of ln(1 + x), all entries", "higher"),
        "MSE, dropped entries": Metric("squared error of ln(1 + x), unscaled, dropped entries", "lower"),
        "r, dropped entries": Metric("r of ln(1 + x), dropped entries", "higher"),
        "epochs": Metric("epochs", "lower", judged=False),
        "last loss": Metric("validation loss of the last epoch", "lower", judged=False),
        "best loss": Metric("validation loss of the best epoch", "lower", judged=False),
    },
    prepare=prepare,
    score=score,
    keep=keep,
    settings=(*networks.SETTINGS, "tsne_iterations", "tsne_angle", "max_cells"),
    asked=asked,
    claims=claims,
    drawn=drawn,
)
