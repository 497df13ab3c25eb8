"""Sentences on scores follow from the seeds that both sides have, and from metrics that can tell anything."""

import numpy as np
import pandas as pd

from scgen_book.experiments import evidence


def scores(**methods):
    """A table of one metric each, a value a seed."""
    rows = [
        (s, m, metric, v) for metric, of in methods.items() for m, values in of.items() for s, v in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=["seed", "method", "metric", "value"])


def test_a_metric_is_a_result_only_where_real_cells_stand_clearly_above_the_negative_control():
    found = scores(
        corr_within_pearson={"real": [0.03, 0.05, 0.01], "permuted": [0.01, 0.02, 0.02], "cvae": [0.05]},
        rf_auc={"real": [0.5, 0.48, 0.53], "poisson": [0.9, 0.93, 0.95], "cvae": [0.99]},
        mmd2={"real": [0.0, 0.001], "poisson": [0.1, 0.1]},
        nn_train={"real": [1.0, 1.0, 1.0], "cvae": [1.0]},
    )
    clear = evidence.ceilings(found).set_index("metric")["clear"]
    assert clear.to_dict() == {"corr_within_pearson": False, "rf_auc": True, "mmd2": None}
    assert set(evidence.results_only(found)["metric"]) == {"rf_auc", "mmd2", "nn_train"}
    words = evidence.no_ceiling(found, {"real": "training cells"})
    assert "correlations within types, r (training cells 0.03, permuted 0.0167)" in words
    assert "AUC" not in words
    assert "not known" in evidence.no_ceiling(found[found["seed"] == 0], {})


def test_each_data_set_has_its_own_ceilings():
    low = scores(corr_within_pearson={"real": [0.03, 0.05, 0.01], "permuted": [0.01, 0.02, 0.02]})
    high = scores(corr_within_pearson={"real": [0.8, 0.82, 0.79], "permuted": [0.01, 0.02, 0.02]})
    left = evidence.results_only(pd.concat([low.assign(dataset="low"), high.assign(dataset="high")]))
    assert set(left["dataset"]) == {"high"}


def test_methods_are_compared_on_the_seeds_that_both_have():
    found = scores(rf_auc={"a": [0.7, 0.9, 0.8], "real": [0.6, 0.7, 0.5, 0.4], "poisson": [0.75]})
    assert evidence.surpassed(found, "a", ["real", "poisson", "permuted"], "rf_auc") == ["poisson"]


def test_a_spread_is_said_from_three_seeds_on():
    assert evidence.said(np.array([0.1])) == "+0.10 (1 seed)"
    assert evidence.said(np.array([-0.001])) == "+0.00 (1 seed)"
    assert evidence.said(np.array([0.1, 0.2])) == "+0.15 (2 seeds)"
    assert evidence.said(np.array([0.1, 0.2, 0.3])) == "+0.20 ± 0.10 (3 seeds)"


def test_measures_that_disagree_are_said_to():
    found = scores(rf_auc={"a": [0.7], "b": [0.9]}, mmd2={"a": [0.02], "b": [0.01]})
    assert (
        evidence.compared(found, "a", "b") == "**the two measures disagree**: AUC -0.20 (1 seed), MMD² +0.0100 (1 seed)"
    )
    one = found[found["metric"] == "rf_auc"]
    assert evidence.compared(one, "a", "b") == "better: AUC -0.20 (1 seed)"
    assert evidence.compared(one, "b", "a") == "not better: AUC +0.20 (1 seed)"
    assert evidence.compared(one, "a", "c") == "not scored"
    equal = scores(rf_auc={"a": [1.0], "b": [0.999]}, mmd2={"a": [0.02], "b": [0.05]})
    assert evidence.compared(equal, "a", "b").startswith("better, by AUC no different: AUC +0.00 (1 seed)")
    assert evidence.compared(equal, "b", "a").startswith("not better")


def test_a_gain_by_augmentation_is_counted_in_cases():
    ways = {"no help": [0.2, 0.8], "cells repeated": [0.3, 0.9], "cells generated": [0.6, 0.85]}
    rows = [(s, 0, way, v) for way, of in ways.items() for s, v in zip((0.05, 0.2), of, strict=True)]
    table = pd.DataFrame(rows, columns=["share", "seed", "way", "F1"])
    words = evidence.augmented(table)
    assert words.startswith(
        "F1 with cells generated is above that of every other way in 1 of 2 cases (2 shares, 1 seed)."
    )
    assert "5% left, seed 0: 0.60 against 0.30 (cells repeated)" in words
    assert words.endswith("No general statement follows from fewer than three seeds.")
    more = pd.concat([table.assign(seed=s) for s in range(3)])
    assert "in 3 of 6 cases (2 shares, 3 seeds)" in evidence.augmented(more)
    assert "No general statement" not in evidence.augmented(more)
