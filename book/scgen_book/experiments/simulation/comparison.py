"""Simulation: whether anything can tell the cells that a method makes from real cells that it has not seen.

Every method learns from the same training cells and makes as many cells as there are held-out ones to compare them
with, of types drawn in the proportions of the training cells. What the held-out cells are is told to none of them.

A metric is a result only where it has a ceiling (`evidence.ceilings`).
"""

import math
import warnings
from collections.abc import Mapping
from typing import Literal, NamedTuple

import anndata
import numpy as np
import scipy.sparse as sp

from scgen_book import experiments
from scgen_book.experiments.protocol import (
    BASELINE,
    NEGATIVE,
    POSITIVE,
    Experiment,
    Method,
    Metric,
    NotApplicable,
    Task,
    crossed,
)
from scgen_book.experiments.simulation.cases import Case, SimulationSettings, prepare
from scgen_lib.data import checks, splatter
from scgen_lib.metrics import controls, mixing, realism
from scgen_lib.metrics.arrays import Matrix
from scgen_lib.metrics.controls import Cells
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.scgan import ScGAN

#: What a metric is about → its metrics.
GROUPS = {
    "discrimination": {
        "rf_auc": Metric("AUC of a forest, held-out against new cells", 0.5, negative=("poisson",)),
        "rf_auc_counts": Metric("AUC, all cells as counts", 0.5, negative=("poisson",)),
        "mmd2": Metric("MMD²", 0.0, negative=("poisson",)),
        "mmd2_counts": Metric("MMD², all cells as counts", 0.0, negative=("poisson",)),
        "mmd2_p": Metric("p-value of MMD²", "higher", judged=False),
    },
    "mixing": {
        "knn_mix": Metric("foreign share of 30 neighbours", 0.5, negative=("poisson",)),
        "lisi_mean": Metric("LISI, mean", "higher", negative=("poisson",)),
        "lisi_median": Metric("LISI, median", "higher", negative=("poisson",)),
    },
    "genes": {
        f"{moment}_{kind}": Metric(f"{words} of genes, {measure}", better, negative=("poisson",))
        for moment, words in (("mean", "means"), ("variance", "variances"), ("zeros", "zeros"))
        for kind, measure, better in (
            ("pearson", "r", "higher"),
            ("spearman", "Spearman", "higher"),
            ("rmse", "RMSE", "lower"),
        )
    },
    "cells": {
        "library_ks": Metric("library size, KS", "lower", negative=("poisson",)),
        "library_w1": Metric("library size, W₁ in sd", "lower", negative=("poisson",)),
        "detected_ks": Metric("detected genes, KS", "lower", negative=("poisson",)),
        "detected_w1": Metric("detected genes, W₁ in sd", "lower", negative=("poisson",)),
        "sd_ratio": Metric("spread within a type", 1.0, negative=("poisson",)),
    },
    "correlation": {
        "corr_pearson": Metric("gene–gene correlations, r", "higher", negative=("poisson",)),
        "corr_rms": Metric("gene–gene correlations, RMS difference", "lower", negative=("poisson",)),
        "corr_within_pearson": Metric("correlations within types, r", "higher", negative=("permuted",)),
        "corr_within_rms": Metric("correlations within types, RMS difference", "lower", negative=("permuted",)),
    },
    "types": {
        "accuracy_excess": Metric("types told: accuracy above that on held-out cells", 0.0, negative=("poisson",)),
        "f1_excess": Metric("types told: macro-F1 above that on held-out cells", 0.0, negative=("poisson",)),
        "accuracy": Metric("types told: accuracy", "higher", judged=False),
        "f1": Metric("types told: macro-F1", "higher", judged=False),
        # a simulator has seen more cells than a sample of held-out ones has, and may know means better than that
        "reverse_accuracy": Metric("held-out types told after learning from these cells", "higher", judged=False),
        "markers_jaccard": Metric("overlap of 20 markers a type", "higher", judged=False),
        "markers_lfc": Metric("log fold changes of markers, Spearman", "higher", judged=False),
    },
    "memorisation": {
        "nn_train": Metric("distance to the nearest training cell", 1.0, negative=("bootstrap",)),
        "nn_train_5": Metric("that distance, 5th percentile", "higher", judged=False),
        "copies": Metric("share of copies of training cells", "lower", negative=("bootstrap",)),
        "distinct": Metric("share of distinct cells", "higher", negative=("bootstrap",)),
    },
    "size": {
        "n_train": Metric("training cells", "higher", judged=False),
        "n_cells": Metric("cells a side", "higher", judged=False),
        "n_genes": Metric("genes", "higher", judged=False),
        "n_types": Metric("types", "higher", judged=False),
    },
}
METRICS = {name: metric for group in GROUPS.values() for name, metric in group.items()}
# Names of `realism` that say more than a reader of this comparison needs.
_NAMES = {"accuracy": "forest_accuracy", "f1": "forest_f1"}


class Made(NamedTuple):
    """Simulated cells: as they come, and as counts where they come on another scale."""

    cells: Cells
    counts: Matrix | None = None
    real: bool = False


def score(case: Case, made: Made, seed: int, settings: Mapping) -> dict[str, float]:
    """Compare simulated with held-out cells by all of `METRICS` that apply.

    What needs types is left out where the cells have none, the library size where it is the same in all cells.
    """
    chosen, reference = SimulationSettings(**settings), case.reference
    forest = {"trees": chosen.forest_trees, "repeats": chosen.repeats}
    permutations = chosen.permutations
    spaces = reference.score(
        made.cells, **forest, permutations=permutations, min_cells=chosen.min_test_cells, real=made.real
    )
    found = {name: value for scores in spaces.values() for name, value in scores.items()}
    for name in ("accuracy", "f1"):
        if (own := _NAMES[name]) in found:
            found[name] = found[own]
            found[f"{name}_excess"] = found[own] - reference.fidelity(reference.points, reference.test.labels)[own]
    if case.labelled and made.cells.labels is None:
        # a spread over all types is another quantity
        del found["sd_ratio"]
    if made.counts is None:
        again = {name: found[name] for name in ("rf_auc", "mmd2")}
    else:
        logs = realism.log(made.counts, allow_empty=True)
        again = realism.rf_auc(reference.log, logs, **forest, seed=seed)
        again |= mixing.mmd2(reference.points, reference.space(logs), reference.space.bandwidth, permutations=0)
    found |= {f"{name}_counts": again[name] for name in ("rf_auc", "mmd2")}
    found |= {"n_train": case.cells.n_obs, "n_cells": len(case.wanted), "n_genes": case.cells.n_vars}
    found["n_types"] = len(set(case.train.labels)) if case.labelled else 0
    return {name: found[name] for name in METRICS if name in found and math.isfinite(found[name])}


def control(case: Case, name: str) -> Made:
    """One of the four controls of `scgen_lib.metrics.controls`."""
    return Made(case.reference.controls[name], real=name == "real")


def real(case: Case, seed: int, settings: Mapping) -> Made:
    """Training cells that the space has not seen, in place of simulated ones: what a perfect simulator scores."""
    return control(case, "real")


def bootstrap(case: Case, seed: int, settings: Mapping) -> Made:
    """Training cells drawn with replacement: a simulator that has memorised them."""
    return control(case, "bootstrap")


def permuted(case: Case, seed: int, settings: Mapping) -> Made:
    """Every gene permuted by itself within a type: its distribution is kept, what genes do together is lost."""
    return control(case, "permuted")


def poisson(case: Case, seed: int, settings: Mapping) -> Made:
    """Poisson counts around the mean of a type at the median depth: nothing is learnt but means."""
    return control(case, "poisson")


def parametric(case: Case, seed: int, distribution: Literal["nb", "poisson"]) -> Made:
    """Independent genes with moments of each type and library sizes of training cells."""
    types = case.wanted if case.labelled else np.zeros(len(case.wanted), int)
    counts = controls.parametric(case.train, types, distribution=distribution, seed=seed)
    return Made(Cells(counts, case.wanted if case.labelled else None))


def nb_per_type(case: Case, seed: int, settings: Mapping) -> Made:
    """A negative binomial for each gene and type, library sizes of training cells."""
    return parametric(case, seed, "nb")


def poisson_per_type(case: Case, seed: int, settings: Mapping) -> Made:
    """A Poisson distribution for each gene and type, library sizes of training cells."""
    return parametric(case, seed, "poisson")


def splat(case: Case, seed: int, settings: Mapping) -> Made:
    """Splat, each type by itself, with gene means and library sizes from moments of its training cells.

    Splat draws the genes anew, so that its genes are nobody's: those of a type get the names of the type's genes by
    rank of their mean. Outliers are left out, since the moments hold them already; biological variation is Splat's
    default.
    """
    blocks, rows = [], []
    types = case.cells.obs["cell_type"].astype(str).to_numpy()
    for code, (name, n) in enumerate(case.target.items()):
        counts = sp.csr_matrix(case.train.counts[types == name])
        totals = checks.totals(counts)
        means = checks.totals(sp.diags(1 / totals) @ counts, 0)
        genes = np.argsort(-means, kind="stable")[: np.count_nonzero(means)]
        draw = int(np.random.SeedSequence([seed, code]).generate_state(1)[0])
        made = splatter.simulate(
            n_genes=len(genes), batch_cells=(n,), out_prob=0.0, seed=draw, light=True, **splatter.estimate(counts)
        )
        ranked = np.argsort(-made.var["gene_mean"].to_numpy(), kind="stable")
        values = np.zeros((n, counts.shape[1]), np.int64)
        values[:, genes] = sp.csr_matrix(made.X).toarray()[:, ranked]
        blocks.append(sp.csr_matrix(values))
        rows.append(np.flatnonzero(case.wanted == name))
    made = sp.vstack(blocks, format="csr")[np.argsort(np.concatenate(rows))]
    return Made(Cells(made, case.wanted if case.labelled else None))


def cvae(case: Case, seed: int, settings: Mapping, variant: str) -> Made:
    """The convolutional conditional VAE; without types, all cells are of one."""
    chosen = SimulationSettings(**settings)
    model = CVAE.variant(variant, z_source=chosen.cvae_z_source, seed=seed)
    model.fit(case.cells, epochs=chosen.cvae_epochs, checkpoint=experiments.checkpoint())
    return _of(case, model.simulate(case.target, seed=seed), "counts")


def cvae_faithful(case: Case, seed: int, settings: Mapping) -> Made:
    """The convolutional conditional VAE as its code computes it."""
    return cvae(case, seed, settings, "faithful")


def cvae_repaired(case: Case, seed: int, settings: Mapping) -> Made:
    """The convolutional conditional VAE with a likelihood of counts."""
    return cvae(case, seed, settings, "repaired")


def gan(case: Case, seed: int, settings: Mapping, conditional: bool) -> Made:
    """A Wasserstein GAN of cells of equal depth, with types or without."""
    chosen = SimulationSettings(**settings)
    first, last = chosen.gan_lr
    # What the released code has no name for is of the other variant alone.
    ours = {"critic_input_scale": chosen.gan_input_scale, "bn_momentum": chosen.gan_momentum}
    model = ScGAN.variant(
        chosen.gan_variant,
        conditional=conditional,
        gen_layers=chosen.gan_layers,
        critic_layers=chosen.gan_layers[::-1],
        lr_initial=first,
        lr_final=last,
        seed=seed,
        **(ours if chosen.gan_variant == "repaired" else {}),
    )
    steps, size = chosen.gan_steps, min(chosen.gan_batch_size, case.cells.n_obs)
    model.fit(
        case.cells,
        steps=steps,
        batch_size=size,
        steps_per_epoch=math.gcd(steps, 100),
        checkpoint=experiments.checkpoint(),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # empty cells count in every score
        made = model.simulate(case.target if conditional else len(case.wanted), seed=seed, counts=True)
    return _of(case, made, None)


def scgan(case: Case, seed: int, settings: Mapping) -> Made:
    """scGAN: cells of the whole data set, without types."""
    return gan(case, seed, settings, conditional=False)


def cscgan(case: Case, seed: int, settings: Mapping) -> Made:
    """cscGAN: cells of a given type."""
    if not case.labelled:
        raise NotApplicable("expected types of cells for cscGAN, got none: name their column with labels")
    return gan(case, seed, settings, conditional=True)


def _of(case: Case, made: anndata.AnnData, layer: str | None) -> Made:
    """Simulated cells of a model: its counts, or its own scale and the counts beside it."""
    types = made.obs["cell_type"].astype(str).to_numpy() if case.labelled and "cell_type" in made.obs else None
    return Made(Cells(made.layers[layer], types)) if layer else Made(Cells(made.X, types), made.layers["counts"])


def asked(values: Mapping) -> list[Task]:
    """Return every data set × seed × method, and the controls at their further seeds."""
    SimulationSettings(**experiments.settings_of(EXPERIMENT, values))  # refused before the first row
    controls = [m for m in values["methods"] if "control" in EXPERIMENT.methods[m].role]
    more = [int(s) for s in values["control_seeds"] if s not in values["seeds"]]
    return crossed(values) + [(d, m, s) for d in values["datasets"] for s in more for m in controls]


EXPERIMENT = Experiment(
    name="simulation",
    methods={
        "real": Method(real, POSITIVE),
        "cvae_faithful": Method(cvae_faithful, variant="faithful"),
        "cvae_repaired": Method(cvae_repaired, variant="repaired"),
        "scgan": Method(scgan),
        "cscgan": Method(cscgan),
        "nb_per_type": Method(nb_per_type, BASELINE),
        "poisson_per_type": Method(poisson_per_type, BASELINE),
        "splatter": Method(splat, BASELINE),
        "bootstrap": Method(bootstrap, NEGATIVE),
        "permuted": Method(permuted, NEGATIVE),
        "poisson": Method(poisson, NEGATIVE),
    },
    metrics=METRICS,
    prepare=prepare,
    score=score,
    settings=(SimulationSettings,),
    asked=asked,
)
