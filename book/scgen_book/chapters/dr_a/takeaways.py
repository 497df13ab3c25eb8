"""What a run of the chapter on DR-A shows, in sentences that its numbers decide."""

from collections.abc import Mapping
from typing import Any

from scgen_book import results
from scgen_book.chapters.dr_a.findings import ends, notes
from scgen_book.chapters.dr_a.tables import MODELS, by_part
from scgen_book.chapters.dr_a.trained import Trained, long_form
from scgen_book.experiments import paired
from scgen_book.experiments.rows import Rows

#: Published settings.
USUAL = {
    "epoch": 200,
    "X_dim": 720,
    "g_h_l1": 512,
    "beta1": 0.9,
    "batch_size": 128,
    "keep": 0.9,
    "leak": 0.2,
    "lam": 1.0,
}
#: Trainings that are told against others, with the words for their difference.
STEPS = (
    ("described game", "faithful", "What the description asks for"),
    ("repaired, no adversary", "faithful, no adversary", "What we added"),
    ("repaired", "faithful", "Both, the repaired model"),
)


def takeaways(trained: Trained, of_guards: Rows, of_defects: Rows, effects: Mapping[str, str]) -> list[str]:
    """Return the sentences of what a run shows, in Markdown.

    Parameters
    ----------
    trained
        Of the rows of the scores and the parts.
    of_guards, of_defects
        Rows of ``dr_a.guards`` and ``dr_a.defects``.
    effects
        By deviation, its measured effect in the table of peculiarities.
    """
    lines = [scale(trained), *caveats(trained)]
    if trained.case.judged is not None:
        for k in trained.lengths:
            lines += _of_length(trained, k)
        lines += [_sample_or_mean(trained, variant) for variant in trained.variants if trained.of(variant)]
        if trained.values["kmeans_seeds"] > 2:
            sd = trained.table["k-means sd"].mean()
            lines.append(
                f"**k-means alone** moves the NMI of one and the same code by {sd:.3f} (sd over its seeds, mean of all "
                "codes)."
            )
    lines += steps(trained)
    if words := guards(trained, of_guards):
        lines.append(words)
    if "R1" in notes(trained, of_defects):
        lines.append(f"**Dual matching**: {effects['R1']}.")
    return lines


def updates(trained: Trained) -> int:
    """Return the number of updates of the autoencoder in a training."""
    return trained.values["epoch"] * (trained.case.cells.n_obs // trained.values["batch_size"])


def scale(trained: Trained) -> str:
    """Say how long is trained, and which settings are other than the published ones."""
    values: Mapping[str, Any] = trained.values
    smaller = [
        f"{name} {values[name]} (published {value})"
        for name, value in USUAL.items()
        if values[name] not in (None, value)
    ]
    return (
        f"**Scale**: {updates(trained):,} updates of the autoencoder, where the published Zeisel run has 4,600"
        + (f"; other than published are {', '.join(smaller)}" if smaller else "")
        + "."
    )


def caveats(trained: Trained) -> list[str]:
    """Say where the data are not the paper's, and where seeds are too few."""
    lines, name = [], trained.case.about["name"]
    of_the_table = [claim for claim in results.claims("lin2020") if claim.id.startswith("dra.table2.")]
    if any(name in claim.kindred for claim in of_the_table):
        lines.append(f"**{name} is kindred data**: cells of the paper, another choice of genes. Its verdicts say so.")
    elif all(name != claim.dataset for claim in of_the_table):
        lines.append(
            f"**{name} stands in** for the paper's data: no number of it reproduces or contradicts the paper's table."
        )
    if trained.case.judged is not None and len(trained.seeds) < 3:
        lines.append(
            "**Fewer than three seeds** of the model: the spread over seeds is not known, and no difference here can "
            "be told from it."
        )
    return lines


def _of_length(trained: Trained, k: int) -> list[str]:
    """Say which method is the highest at a length, and how each variant stands against others."""
    average, metrics, seeds = trained.values["nmi_average"], trained.metrics, len(trained.seeds)
    own = trained.judged(k).dropna(subset=[average])
    means = own.groupby("method", sort=False)[list(metrics)].mean()
    if means.empty:
        return []
    data, epochs = trained.case.about["name"], trained.values["epoch"]
    scope = f"{data}, {seeds} seed{'s' * (seeds > 1)} of the model, {epochs} epochs"
    tops = [means[name].idxmax() for name in metrics]
    lines = [
        f"**K = {k}** ({scope}): NMI {', '.join(f'{m} {v:.2f}' for m, v in means[average].items())}. "
        "The highest by NMI and "
        + (f"by ARI is {tops[0]}." if tops[0] == tops[1] else f"by ARI are not the same: {tops[0]} and {tops[1]}.")
    ]
    table = long_form(own.melt(["method", "seed"], list(metrics), "metric", "value").to_dict("records"))
    for variant in trained.variants:
        if words := paired.standing(table, variant, [f"{variant}, no adversary", "PCA"], metrics, form=".2f"):
            lines.append(f"**K = {k}, {variant}**, on the same seeds: {words}")
    return lines


def _sample_or_mean(trained: Trained, variant: str) -> str:
    """Say how the variance of the codes went, and what a sample and a mean score."""
    sample, mean = (trained.score(variant, kind=kind).mean() for kind in ("sample", "mean"))
    v = trained.history(variant)["v"]
    return (
        f"**A sample or a mean** ({variant}, K = {trained.shown}): the mean variance of the codes went from {v[0]:.2g} "
        f"to {v[-1]:.2g} in the first seed; NMI {sample:.3f} of samples and {mean:.3f} of means."
    )


def steps(trained: Trained) -> list[str]:
    """Say what the described game and our additions do by themselves and together."""
    table, lines = by_part(trained), []
    where = "" if trained.apart is trained else f", {trained.apart.case.about['name']} in the record"
    for method, other, title in STEPS:
        if words := paired.standing(table, method, [other], trained.metrics, names=MODELS, form=".2f"):
            lines.append(f"**{title}** (K = {trained.shown}, means of codes{where}): {words}")
    return lines


def guards(trained: Trained, of_guards: Rows) -> str:
    """Say how many trainings the guards have kept from ending; empty where none was tried."""
    found = ends(trained, of_guards)
    seeds, lost, kept, held = (found[name] for name in ("seeds", "lost", "kept", "held"))
    if not seeds:
        return ""
    return (
        f"**Guards** (faithful, K = 2, {seeds} seed{'s' * (seeds > 1)}, {updates(trained):,} updates): {lost} of "
        f"{seeds} trainings ended at values that are not finite without them, {kept} with them, which held something "
        f"in {held}. "
        + (
            "What the faithful variant shows of such a seed, the released formulas do not reach."
            if lost > kept
            else "In trainings of this length the guards hide no such end; of longer ones this says nothing."
        )
    )
