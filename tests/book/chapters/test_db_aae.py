"""What the chapter on DB-AAE says of its rows follows from them."""

import numpy as np
import pandas as pd
import pytest

from scgen_book import results
from scgen_book.chapters.db_aae import deviations, figures, parts, tables, takeaways
from scgen_book.chapters.db_aae.measured import Measured
from scgen_book.experiments import arrays, get
from scgen_book.experiments.db_aae import parts as of_parts
from scgen_book.experiments.db_aae import search, sets
from scgen_book.experiments.protocol import Metric, NotApplicable
from scgen_book.experiments.rows import Rows

REPAIRED, FAITHFUL = "DB-AAE, repaired", "DB-AAE, faithful"
VALUES = {
    "dataset": "splat_g6", "variants": ["faithful", "repaired"], "seed": 0, "seeds": [0, 1], "masks": [0],
    "simulations": [], "ordered": [], "real_sets": [], "markers": "splat_g6", "batch_size": None, "tune": True,
    "fast": False, "labels": None, "transpose": False, "max_cells": 400, "tune_epochs": 20, "dca_epochs": 3, "n2": 8,
    "n3": 8, "latent_dim": 4, "few_cells": 80, "few_epochs": 20, "more_epochs": 200, "batch_min": 16, "batch_max": 128,
    "batch_step": 8,
}  # fmt: skip


def made(name, *found, kept=None, reason=None):
    """Rows of an experiment from (method, seed, scores)."""
    experiment = get(f"db_aae.{name}")
    of = [
        {"experiment": experiment.name, "dataset": "splat_g6", "method": method, "role": "method", "seed": seed,
         "variant": experiment.methods[method].variant, "status": "ok", "reason": None, "duration_s": 0.0,
         "settings": VALUES, "scores": scores, "claims": {}, "arrays": arrays.packed((kept or {}).get(method, {}))}
        for method, seed, scores in found
    ]  # fmt: skip
    return Rows(experiment, of, reason)


def measured(**given):
    """A run of which little is there: two errors, two searches, and the models of the defects."""
    curve = {"batch_sizes": np.array([16, 24]), "curve.d_accuracy": np.array([90.0, 80.0]), "curve.steps": [9, 6]}
    trained = {"best": 24, "d_accuracy_best": 16, "val_mse_best": 24}
    shuffled = curve | {"curve.d_accuracy": np.array([88.0, 81.0])}
    models = {name: {"kept": 1.0 + i, "genes_at_0": 0.1, "error_at_0": 0.2, "batch_size": 32}
              for i, name in enumerate(of_parts.PARTS)}  # fmt: skip
    found = {
        "values": VALUES,
        "data": made("sets", ("the data", 0, {"cells": 400})),
        "search": made("search", (search.RELEASED, 0, {"best": 16}), (search.MODEL, 0, trained),
                       (search.SHUFFLED, 0, {"best": 16}), kept={search.RELEASED: curve, search.SHUFFLED: shuffled}),
        "denoising": made("denoising", *[(m, s, {"mse": e + s}) for m, e in {"observed": 2, REPAIRED: 1}.items()
                                         for s in (0, 1)]),
        "batches": made("batch_size", (REPAIRED, 0, {"found": 2.0, "default": 2.5, "size_found": 24,
                                                     "size_default": 32})),
        "molecules": made("molecules", reason="no real data set in this run"),
        "parts": made("parts", *[(name, s, scores) for name, scores in models.items() for s in (0, 1)]),
        "defects": made("defects", ("D9", 0, {"released": 0.0, "otherwise": 0.5}),
                        kept={"D9": {"numbers": np.array([]), "words": [""]}}),
    }  # fmt: skip
    return Measured(**found | given)


def test_takeaways_follow_the_numbers():
    lines = "\n".join(takeaways.lines(measured()))
    assert "**Scale**: 400 cells, 2 seeds, 20 epochs a trial of the search" in lines
    assert f"{REPAIRED}: error over all entries 1.500" in lines
    assert "In the mean better than observed." in lines
    assert "within 2.0 percentage points of each other (at 2 batch sizes)" in lines
    assert "**Batch size, repaired**: the error on cells kept apart differs by −0.5000 between the 24 found" in lines
    assert "error of the reconstruction: +4.0000 by D19" in lines
    worse = made("denoising", *[(m, 0, {"mse": e}) for m, e in {"observed": 1.0, REPAIRED: 3.0}.items()])
    assert "In the mean worse than observed." in "\n".join(takeaways.lines(measured(denoising=worse)))
    same = made("batch_size", (REPAIRED, 0, {"found": 2.0, "default": 2.0, "size_found": 32, "size_default": 32}))
    assert "the search finds the usual one, 32" in takeaways.markdown(measured(batches=same))


def test_what_was_not_measured_is_not_told():
    little = measured(
        search=made("search", reason="no search"), batches=made("batch_size"), parts=made("parts"),
        denoising=made("denoising"), defects=made("defects"), values=VALUES | {"fast": True},
    )  # fmt: skip
    assert [line.split("**")[1] for line in takeaways.lines(little)] == ["Scale"]
    assert deviations.effects(little) == {}


def test_effects_of_deviations_are_told_and_found():
    run, of = results.Run("db_aae"), measured()
    told = deviations.effects(of)
    assert told["D3"].startswith("score on the data, and on the same cells without any structure: B = 16: 90 and 88")
    assert (
        "80 to 90 %, highest at B = 16; in the trained model highest at B = 16, and the error least at B = 24"
        in (told["D4"])
    )
    assert "0.5 where nothing freezes them" in told["D9"]
    assert told["D12"].endswith("with the seeds 0, 1: 1.0000, 1.0000")
    assert told["D3"].endswith("both are the same here (repaired, B = 32)")
    deviations.find(run, of)
    found = {finding["name"]: finding for finding in run.findings}
    assert (found["D1"]["released"], found["D1"]["otherwise"]) == ([2.0, 2.0], [1.0, 1.0])
    assert (
        found["D17"]["quantity"] == "error of the reconstruction (MSE) of splat_g6, cells kept apart, after 20 epochs"
    )
    assert found["D9"]["part"]
    assert "D13" not in found


def test_a_table_or_figure_without_rows_says_why():
    rows = measured().denoising
    for view, given in (
        (tables.type_means, (of_sets(),)), (tables.order_means, (of_sets(),)), (tables.mixtures, ()),
        (tables.markers, (VALUES,)), (figures.strips, (VALUES, 0)), (figures.violins, (VALUES, "groups")),
        (figures.pictures, (VALUES, "tsne")), (figures.adversaries, (VALUES,)), (figures.named, (VALUES,)),
    ):  # fmt: skip
        with pytest.raises(NotApplicable):
            view(rows, *given)
        assert rows.show(view, *given).data.startswith("*Not shown: ")
    assert tables.truth_means(rows, of_sets()).loc[("splat_g6", "observed"), "MSE"] == 2.5


def test_denoised_cells_have_their_type_under_a_pointer():
    kept = {"observed": {"labels": np.array(["a", "b"])}, REPAIRED: {"tsne": np.array([[0.0, 1.0], [2.0, 3.0]])}}
    rows = made("denoising", *[(name, 0, {"mse": 1.0}) for name in kept], kept=kept)
    page = figures.named(rows, VALUES).data
    assert f"denoised ({REPAIRED}): a" in page
    assert f"denoised ({REPAIRED}): b" in page


def of_sets():
    return sets.chosen(VALUES)


def test_batch_sizes_are_those_found_or_given():
    assert tables.sizes(measured().search, VALUES) == {"faithful": 16, "repaired": 24}
    assert tables.sizes(measured().search, VALUES | {"batch_size": 48}) == {"faithful": 48, "repaired": 48}
    assert tables.sizes(made("search"), VALUES) == {"faithful": 32, "repaired": 32}


def test_gaps_are_told_with_their_reason_once():
    rows = measured().denoising
    gap = rows.rows[0] | {"dataset": "goolam", "status": "gap", "reason": "no such file", "scores": {}}
    lost = rows.rows[0] | {"method": "DCA", "status": "gap", "reason": "it diverged", "scores": {}}
    told = tables.gaps(Rows(rows.experiment, [*rows.rows, gap, gap | {"seed": 1}, lost]))
    assert told.splitlines() == ["- *goolam:* no such file", "- *splat_g6, DCA:* it diverged"]


def long(**by_method):
    """A table of method={metric: values by seed}."""
    rows = [
        {"method": m.replace("_", " "), "seed": s, "metric": k, "value": v}
        for m, scores in by_method.items()
        for k, each in scores.items()
        for s, v in enumerate(each)
    ]
    return pd.DataFrame(rows)


def test_harm_is_told_by_every_measure_and_disagreement_is_said():
    values = long(
        repaired={"kept": [1.0, 2.0], "dropped": [3.0, 3.0]},
        D1={"kept": [1.1, 2.1], "dropped": [2.0, 2.0]},
        D2={"kept": [1.0, 2.0], "dropped": [3.0, 3.0]},
        D6={"kept": [0.9, 1.9], "dropped": [2.9, 2.9]},
        D19={"kept": [1.5, 2.5], "dropped": [3.1, 3.1]},
    )
    pairs = {key: (key, "repaired") for key in parts.PUT_BACK}
    assert parts.differ(values, pairs["D19"]) == {"kept": [0.5, 0.5], "dropped": pytest.approx([0.1, 0.1])}
    assert parts.harm(values, pairs) == (
        "error of the reconstruction: +0.5000 by D19; error at the dropped entries: +0.1000 by D19. "
        "**The measures disagree** on whether there is harm in D1."
    )
    better = values.assign(value=values["value"].where(values["method"] == "repaired", 0.0))
    assert parts.harm(better, pairs).startswith("error of the reconstruction: rises by none;")


def test_searches_that_choose_the_same_batch_size_make_no_difference():
    sizes = {of_parts.OF_RELEASED: 16, of_parts.OF_ACCURACY: 16, of_parts.OF_ERROR: 24}
    rows = made("parts", *[(name, 0, {"kept": size / 16, "batch_size": size}) for name, size in sizes.items()])
    table, pairs = parts.table(rows), parts.pairs(rows)
    assert table["method"].tolist() == ["repaired, B = 16", "repaired, B = 24"]
    assert parts.differ(table, pairs["D3"]) == {"kept": [0.0]}
    assert parts.standing(table, *pairs["D3"]) == "both are the same here (repaired, B = 16)"
    assert parts.differ(table, pairs["D4"]) == {"kept": [-0.5]}


def test_genes_at_0_are_told_with_their_share_of_the_error():
    told = parts.idle(long(faithful={"genes_at_0": [0.1, 0.3], "error_at_0": [0.8, 0.9]}), "faithful")
    assert told == "faithful: 20% of the genes at 0 in every cell, with 85% of the error of the reconstruction"


def test_a_method_stands_beside_all_others_by_each_metric_that_the_table_has():
    table = pd.DataFrame({"method": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "error": [1.0, 2.0, 2.0, 3.0],
                          "score": [0.1, 0.2, 0.2, 0.3], "empty": [np.nan] * 4})  # fmt: skip
    by = {"error": Metric("error", "lower"), "score": Metric("score", "higher"), "empty": Metric("empty", "lower"),
          "not there": Metric("not there", "lower")}  # fmt: skip
    assert parts.stands(table, "a", by, ".1f") == (
        "a: error 1.5; score 0.2. Differences on the same seeds: error: −1.0 against b; score: −0.1 against b. "
        "In the mean **the measures disagree** on b."
    )


def test_no_words_below_a_table_show_nothing():
    assert tables.below("") == []
    assert tables.below("*lost*")[0].data == "*lost*"
