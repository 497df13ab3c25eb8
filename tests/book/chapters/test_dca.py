"""What the chapter on DCA shows and says follows from its rows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from scgen_book import experiments, record, results
from scgen_book.chapters.dca import cells, figure2, findings, published, scaling, sizes, students, takeaways
from scgen_book.experiments import arrays
from scgen_book.experiments.dca import entries
from scgen_book.experiments.dca.calls import COLUMNS
from scgen_book.experiments.dca.cells import OF_TRUTH
from scgen_book.experiments.dca.students import BOTH_WAYS, named
from scgen_book.experiments.rows import Rows

GROUPS = np.array(["a", "b"] * 20, dtype=object)
VALUES = {
    "variants": ["repaired", "faithful"], "tsne_iterations": 1000, "tsne_angle": 0.5, "fig2_seeds": [0, 1, 2],
    "without_bn": True, "student_epochs": 30,
}  # fmt: skip


def made_up(name, scores, kept=None, reason=None):
    """Rows of an experiment from data set → method → metric → one value a seed; a text is the reason of a gap."""
    experiment, found = experiments.get(name), []
    for dataset, methods in scores.items():
        for method, metrics in methods.items():
            gap = metrics if isinstance(metrics, str) else None
            for seed in range(1 if gap else max(map(len, metrics.values()))):
                row = {"experiment": name, "dataset": dataset, "method": method, "seed": seed, "duration_s": 1.0}
                row |= {"role": experiment.methods[method].role, "variant": experiment.methods[method].variant}
                row["scores"] = {} if gap else {metric: values[seed] for metric, values in metrics.items()}
                row["arrays"] = {} if gap or kept is None else arrays.packed(kept(method))
                row |= {"status": "gap" if gap else "ok", "reason": gap}
                found.append(row | {"claims": {} if gap else dict(experiment.claims(row))})
    return Rows(experiment, found, reason)


def drawn(method):
    """What a row of Figure 2 keeps."""
    rng = np.random.default_rng(0)
    truth = rng.poisson(5, (40, 6))
    dropped = rng.random((40, 6)) < 0.3
    estimate = np.where(dropped, 0, truth) if method == "observed" else truth
    kept = {"figure": rng.normal(size=(40, 2)), "groups": GROUPS, "heat map groups": GROUPS}
    if method in ("zinb", "nb"):
        kept |= {"loss": np.array([3.0, 2.0]), "val_loss": np.array([3.5, 2.5])}
    condensed = entries.condensed(truth, estimate, dropped)
    return kept | {"heat map": np.log1p(estimate)} | {f"entries {name}": x for name, x in condensed.items()}


def of_figure(silhouette, **more):
    values = {"groups": 2.0, "silhouette": silhouette, "silhouette, ten components": silhouette}
    return {name: [v] * len(silhouette) if isinstance(v, float) else v for name, v in (values | more).items()}


def figure(zinb=(0.4, 0.4, 0.5), epochs=(130.0, 140.0, 150.0)):
    ended = {"epochs": list(epochs), "last loss": [2.0, 2.0, 2.0], "best loss": [1.5, 1.5, 1.5]}
    off = {"dropped": [0.5, 0.5, 0.5], "all": [0.2, 0.2, 0.2]}
    quality = {"MSE, all entries": 0.25, "r, all entries": 0.5, "MSE, dropped entries": 0.75}
    return made_up("dca.figure2", {
        "dca_g2_fig2": {
            "true": of_figure([0.6, 0.6, 0.6], dropped=0.0, all=0.0),
            "observed": of_figure([0.1, 0.1, 0.1], dropped=4.0, all=2.0, **quality),
            "zinb": of_figure(list(zinb), **off, **ended, **quality),
            "mse": of_figure([0.2, 0.2, 0.2], **quality),
            "mse, one path": of_figure([0.25, 0.25, 0.25], **off),
            "zinb, logarithm": of_figure([0.3, 0.3, 0.3], dropped=0.7, all=0.3, epochs=100.0),
            "zinb, repaired": of_figure([0.5, 0.5], dropped=[0.1, 0.1], all=[0.1, 0.1], epochs=[90.0, 90.0]),
            "nb": of_figure([0.9], **quality),
        },
    }, drawn)  # fmt: skip


@pytest.fixture
def rows():
    """Made-up rows of all experiments that the takeaways and findings read."""
    judged = {name: [0.5, 0.6, 0.7] for name in COLUMNS}
    at_marks = {
        named(column, part, third): [0.1 * third] * 3
        for column in COLUMNS
        for part in ("test", "validation")
        for third in (1, 2)
    }
    both_ways = {n: [side + 0.1, side + 0.2, side + 0.3] for two in BOTH_WAYS.values() for side, n in enumerate(two)}
    shape = {"cells": [400.0] * 3, "genes": [200.0] * 3}
    curve = {"prevalence": [0.3] * 3} | {
        f"{what}, {label}": [value] * 3
        for label, value in (("π", 0.5), ("w", 0.8), ("μ", 0.7))
        for what in ("AUC", "average precision")
    }
    networks = {
        name: judged | curve | {"AUC of π": [auc] * 3, "median_abs_log_dropout": [off] * 3}
        for name, auc, off in (
            ("BN, ridge 0", 0.5, 0.9), ("BN, ridge 0.05", 0.6, 0.8), ("no BN, ridge 0", 0.55, 0.4),
        )
    }  # fmt: skip
    zeros = judged | {"precision": [0.3] * 3, "recall": [1.0] * 3, "median_abs_log_dropout": [0.5] * 3}
    return {
        "heldout": made_up("dca.heldout", {"mine": {
            "DCA, repaired": {"MCV MSE": [0.4] * 3, "MCV Poisson": [0.2] * 3},
            "none": {"MCV MSE": [0.6] * 3, "MCV Poisson": [0.1] * 3},
            "gene_mean": {"MCV MSE": [0.5] * 3, "MCV Poisson": [0.3] * 3},
        }}),
        "figure2": figure(),
        "students": made_up("dca.students", {"dca_student": {
            "I": shape | {"first epoch with a non-finite loss": [12.0, 14.0, None]} | at_marks,
            "IV": shape | {"r of depth": [0.1, 0.2, 0.3]} | judged | at_marks | both_ways,
        }}, lambda kind: {
            "loss": [3.0, np.nan], "gradient_norm": [1.0, 2.0], "largest_mean": [1e3, 1e5],
            "largest_dispersion": [1e2, 1e4],
        }),
        "repaired": made_up("dca.students_repaired", {"dca_student": networks | {"all zeros, gene mean": zeros}},
                            lambda name: _curves()),
        "defects": made_up("dca.defects", {
            "mine": {"S2": {"released": [0.4], "otherwise": [1.0]}, "C15": "no labels"},
        }),
    }  # fmt: skip


def _curves():
    rng = np.random.default_rng(1)
    probability, dropped = rng.random(50), rng.random(50) < 0.5
    kept = {f"curve {label}": np.array([[0.3, 0.5, 1.0], [1.0, 0.5, 0.0]]) for label in "πwμ"}
    kept |= {f"zeros {label}": entries.histogram(probability, dropped) for label in "πw"}
    of = entries.condensed(rng.poisson(4, 50) + 1, rng.gamma(2, 2, 50), np.ones(50, bool))
    return kept | {f"entries {name}": x for name, x in of.items()}


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def test_all_networks_have_their_published_size():
    told = sizes.compare().splitlines()
    assert len(told) == 16
    assert told[0] == "normal                 30,216 (200 genes)  133,416 (1,000 genes)  as published"
    assert told[-1].startswith("student model IV")
    assert "263,576" in told[-1]


def test_held_out_molecules_are_listed_from_the_best(rows):
    table = cells.heldout(rows["heldout"])
    assert table.index.tolist() == ["DCA, repaired", "gene_mean", "none"]
    assert table.loc["none", ("poisson", "mean")] == 0.1


def test_types_and_truth_are_shown_or_the_reason_why_not():
    scores = {"silhouette": [0.2], "nmi": [0.5], "ari": [0.4]}
    spaces = {"components": np.random.default_rng(0).normal(size=(40, 2)), "types": GROUPS}
    known = {"observed": scores, "DCA, faithful": scores | {"silhouette": [0.3]}, "perfect": "the truth is not known"}
    found = made_up("dca.cells", {"mine": known}, lambda method: spaces)
    assert found.show(cells.types).index.tolist() == ["observed", "DCA, faithful"]
    titles = [ax.get_title() for ax in cells.type_panels(found).axes]
    assert "DCA, faithful\nsilhouette 0.30" in titles
    assert found.show(cells.named).data.count("<title>denoised (DCA, faithful): a</title>") == 20
    assert "not known" in cells.truth(found).data
    truth = {name: [0.5] for name in OF_TRUTH}
    bare = made_up("dca.cells", {"mine": {"observed": truth}}, lambda method: {"untyped": np.array(["no column"])})
    assert cells.types(bare).data == '*Not run, by* `obs["cell_type"]`*: no column.*'
    assert cells.type_panels(bare).data == bare.show(cells.named).data == "*Not shown: no column.*"
    assert cells.truth(bare).loc["observed", "cosine"] == 0.5


def test_figure_2_is_summed_up_without_what_another_table_shows(rows):
    table = figure2.summary(rows["figure2"])
    assert "nb" not in table.index.get_level_values("method")
    zinb = table.loc["dca_g2_fig2", "zinb"]
    assert zinb["silhouette where the figure looks", "mean"] == pytest.approx(0.433)
    assert zinb["seeds", ""] == 3
    quality = figure2.quality(rows["figure2"])
    assert quality.index.tolist() == ["with dropout", "ZINB, faithful", "squared error, faithful", "NB, faithful"]
    assert quality.loc["NB, faithful", "MSE, dropped entries"] == 0.75


def test_the_figures_of_part_a_are_drawn_from_what_rows_kept(rows):
    found = rows["figure2"]
    assert len(figure2.panels(found, 0).axes) >= 5
    assert "no such simulation" in figure2.panels(found, 1).data
    other = [row | {"dataset": "dca_g6_fig2", "arrays": {}} for row in found.rows]
    assert "no such simulation" in figure2.panels(Rows(found.experiment, found.own, recorded=other), 1).data
    labels = [label.get_text() for label in figure2.bars(found).axes[0].get_yticklabels()]
    assert "2 groups: ZINB, repaired (n = 2)" in labels
    assert "40 cells, by group" in [ax.get_xlabel() for ax in figure2.heat_maps(found).axes]
    assert len(figure2.losses(found).axes[0].lines) == 2
    whole, few = (figure2.scatter(found, dropped).axes[0].collections[0].get_array().sum() for dropped in (False, True))
    assert whole == 240 > few > 0
    bare = made_up("dca.figure2", {"six": {"zinb": of_figure([0.1])}})
    assert "not kept" in figure2.scatter(bare, True).data
    assert "not kept" in figure2.heat_maps(bare).data


def test_each_difference_is_of_the_seeds_that_both_have(rows):
    steps = figure2.steps(rows["figure2"]).set_index("difference")
    logarithm = steps.loc["the logarithm at the input, which the figure's notebook leaves out"]
    assert (logarithm["seeds"], logarithm["silhouette"]) == (3, "−0.133 ± 0.058")
    assert logarithm["epochs"] == "−40 ± 10"
    # two groups have no described network here
    assert len(steps) == 2


def test_likelihoods_are_averaged_over_the_seeds():
    scores = {"nb": {"nll": [1.0, 2.0, 3.0], "parameters": [10.0] * 3}, "zinb": {"nll": [1.0], "parameters": [20.0]}}
    found = made_up("dca.likelihoods", {"dca_g2_fig2": scores})
    table = figure2.likelihoods(found).set_index("model")
    assert table.loc["nb"].tolist() == [2, 1, 10]
    assert len(figure2.likelihood_figure(found).axes) == 2


def test_students_are_shown_at_all_marks_and_what_has_diverged_has_no_scores(rows):
    table = students.table(rows["students"], 30)
    assert table.index.tolist()[:3] == [("test", "I", 10), ("test", "I", 20), ("test", "I", 30)]
    assert table.loc[("validation", "I", 20), "recall"] == 0.2
    assert np.isnan(table.loc[("validation", "I", 30), "recall"])
    assert table.loc[("validation", "IV", 30), "recall"] == 0.6
    assert len(students.divergence(rows["students"]).axes) == 3
    assert students.losses(rows["students"])


def test_how_long_a_student_was_trained_without_diverging_is_recorded(rows):
    run = results.Run("dca")
    students.record(rows["students"], run, 30)
    told = {r["seed"]: (r["value"], r["note"]) for r in run.records if r["claim"] == "dca.student.I.nan_epoch"}
    assert told == {0: (12.0, None), 1: (14.0, None), 2: (None, "none up to 30 epochs; value was nan")}


def test_the_figures_of_part_b_are_drawn_from_what_rows_kept(rows):
    found = rows["repaired"]
    assert students.repaired_table(found).loc[("validation", "all zeros, gene mean"), "recall"] == 1
    table = students.curve_table(found)
    assert table.index.tolist() == [f"{label}, ridge {ridge}" for ridge in ("0", "0.05") for label in "πwμ"]
    assert table.loc["w, ridge 0", "AUC"] == 0.8
    told = [text.get_text() for text in students.precision_recall(found, rows["students"], 30).legends[0].get_texts()]
    assert {"all zeros called (0.30)", "IV"} <= set(told)
    # without students there are curves alone
    none = made_up("dca.students", {}, reason="not asked for")
    assert students.precision_recall(found, none, 30)
    assert students.dropped_density(found)
    assert len(students.calibration(found).axes) == 4


def test_findings_are_recorded_both_ways(rows):
    run = results.Run("dca")
    notes = findings.record(run, rows)
    of = {entry["name"]: entry for entry in run.findings}
    assert (of["S2"]["released"], of["S2"]["otherwise"], of["S2"]["part"]) == ([0.4], [1.0], True)
    assert of["C7"]["otherwise"] == [0.6] * 3
    assert (of["C20"]["released"], of["C20"]["otherwise"]) == ([0.9] * 3, [0.4] * 3)
    assert of["C6"]["figure"] == "fig-dca-b3"
    assert of["C16, dca_g2_fig2"]["otherwise"] == [1.5] * 3
    assert of["C17, dca_g2_fig2"]["released"] == [0.4, 0.4, 0.5]
    # what was not measured is no finding
    assert not {"C15", "C19, dca_g2_fig2, dropped", "S1, dca_g2_fig2, epochs"} & of.keys()
    assert notes["C4"].startswith(
        "an N × N matrix holds 2.0 times as many numbers as the counts at 400 cells, 500 times"
    )
    assert notes["C5"].startswith("r of a cell's depth with its summed mean 0.30")
    assert notes["C13"] == "I: M up to 1.0e+05, Θ up to 1.0e+04; IV: M up to 1.0e+05, Θ up to 1.0e+04"


def test_the_rule_of_an_optimiser_is_compared_where_it_is_the_networks_own():
    pairs = findings.of_figure("dca_g2_fig2", "RMSprop")
    assert pairs["S1, dca_g2_fig2, epochs"].part
    assert pairs["S1, dca_g2_fig2, figure"].quantity == "silhouette where the figure looks of dca_g2_fig2"
    assert not [name for name in findings.of_figure("dca_g2_fig2", "Adam") if name.startswith("S1")]


def test_nothing_of_the_parts_that_did_not_run_is_said(rows):
    parts = {"figure2": "dca.figure2", "students": "dca.students", "repaired": "dca.students_repaired"}
    none = {key: made_up(name, {}, reason="not asked for") for key, name in parts.items()}
    told = takeaways.lines(rows | none, VALUES, "mine")
    assert told[0].startswith("**mine**, held-out molecules, DCA (repaired), 3 seeds")
    assert not [line for line in told[1:] if not line.startswith("**Epochs until early stop")]
    run = results.Run("dca")
    assert findings.record(run, rows | none) == {}
    assert [entry["name"] for entry in run.findings] == ["S2"]


def test_the_takeaways_follow_the_numbers(rows):
    told = "\n".join(takeaways.lines(rows, VALUES, "mine"))
    assert "Poisson loss: −0.100 ± 0.000 against gene means, +0.100 ± 0.000 against the counts as they are" in told
    assert "**the measures disagree** on the counts as they are" in told
    assert "the silhouette of the true groups is 0.60 with the true counts and 0.10 with dropout" in told
    assert "ZINB (faithful): 140 ± 10 (n = 3); published about 134 of one run" in told
    assert "30% of the zeros are dropouts" in told
    assert "AUC of 0.50 (0.5 is chance), the posterior w with 0.80, the mean μ alone with 0.70 (seed 0)" in told
    assert "I nan / nan, IV 0.60 / 0.60; calling every zero a dropout has precision 0.30 and recall 1." in told
    assert "the repaired network of part A is trained at 2 of 3 seeds" in told
    assert "median error of ln(1 + x) at dropouts: −0.10 ± 0.00 against ridge 0" in told

    def standing(found):
        lines = takeaways.lines(rows | {"figure2": found}, VALUES, "mine")
        return next(line for line in lines if line.startswith("**dca_g2_fig2** (3 seeds)"))

    assert "better than the counts with dropout, squared error" in standing(figure())
    assert "worse than the counts with dropout, squared error" in standing(figure(zinb=(0.0, 0.0, 0.05)))


def test_what_was_shortened_is_said(rows):
    short = VALUES | {"tsne_iterations": 500, "tsne_angle": 0.8, "without_bn": False, "fig2_seeds": [0, 1]}
    line = next(x for x in takeaways.lines(rows, short, "mine") if x.startswith("**Shortened**"))
    assert line == (
        "**Shortened** in this run: t-SNE takes 500 iterations, where 1,000 are the default; t-SNE sums up distant "
        "cells under an angle of 0.8, where 0.5 is the default; that of part B is not trained without batch "
        "normalisation."
    )
    whole = {"figure2": figure(), "students": rows["students"], "repaired": rows["repaired"]}
    assert not [
        x for x in takeaways.lines(rows | whole, VALUES | {"fig2_seeds": [0, 1]}, "mine") if x.startswith("**Short")
    ]


def test_numbers_of_the_tutorial_and_of_figure_9_stand_beside_the_published_ones():
    scores = {"groups": [2.0] * 3, "silhouette": [0.3, 0.4, 0.5]}
    table = published.tutorial(made_up("dca.tutorial", {"dca_g2_tutorial": {"zinb": scores, "nb": scores}}))
    row = table.loc[("two groups, PC1–2", "DCA, ZINB")]
    assert (row["mean"], row["sd"], row["seeds"], row["published"]) == (0.4, 0.1, 3, 0.33)
    assert np.isnan(table.loc[("two groups, PC1–2", "DCA, NB"), "published"])
    of = {"nb": {"r, all cells": [-0.6], "r, cells with neither": [-0.5]}, "observed": {"r, all cells": [-0.3]}}
    table = published.correlations(made_up("dca.figure9", {"paul_full": of}))
    assert table.loc[("all cells", "DCA, NB"), "published"] == -0.602
    assert table.loc[("cells with neither", "DCA, NB"), "published"] == -0.513
    assert ("cells with neither", "as observed") not in table.index


def test_the_cells_of_figure_9_are_drawn_where_they_were_denoised_here():
    of = {"nb": {"r, all cells": [-0.6]}, "observed": {"r, all cells": [-0.3]}}
    genes = {"genes": np.random.default_rng(0).random((9, 2)), "neither": np.arange(9) < 3}
    drawn_here = made_up("dca.figure9", {"paul_full": of}, kept=lambda method: genes)
    assert [ax.get_title() for ax in published.two_genes(drawn_here).axes] == [
        "as observed, r = -0.30",
        "DCA, NB, r = -0.60",
    ]
    assert "no cells" in published.two_genes(made_up("dca.figure9", {"paul_full": of})).data


def test_of_cells_that_were_not_denoised_here_the_record_has_those_of_both_figures():
    nine, two = (experiments.get(f"dca.figure{n}") for n in (9, 2))
    found = Rows(nine, [], "not asked for", record.current().of(nine))
    assert len(published.two_genes(found).axes) == len(nine.methods)
    recorded = record.current().of(two)
    here = [row for row in recorded if row["dataset"] == "dca_g2_fig2"]
    panels = figure2.panels(Rows(two, here, recorded=recorded), 1)
    assert len([ax for ax in panels.axes if ax.collections]) == 5


def test_times_stand_by_the_number_of_cells_and_for_a_cell():
    of = {f"{n:,} cells": {"an epoch": [n / 1e4, n / 1e4], "denoising": [n / 1e5] * 2} for n in (10_000, 2_000)}
    found = made_up("dca.scaling", {"dca_g2_fig2": of})
    table = scaling.table(found)
    assert list(table.index) == ["2,000", "10,000"]
    assert list(table["an epoch, s"]) == [0.2, 1.0]
    assert list(table["denoising, µs a cell"]) == [10.0, 10.0]
    ax = scaling.figure(found).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    # times in proportion to the cells lie on their own lines
    measured, proportional = (line.get_ydata() for line in ax.lines[:2])
    np.testing.assert_allclose(measured, proportional)
