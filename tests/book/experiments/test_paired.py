"""Words about two methods on the same seeds."""

import pandas as pd

from scgen_book.experiments import paired
from scgen_book.experiments.protocol import Metric

LOWER = Metric("error", "lower")
HIGHER = Metric("score", "higher")


def long(**values):
    """A table of metric_method=values by seed."""
    return pd.DataFrame(
        [
            {"seed": seed, "metric": name.split("_")[0], "method": name.split("_")[1], "value": value}
            for name, each in values.items()
            for seed, value in enumerate(each)
        ]
    )


def test_differences_are_of_equal_seeds():
    values = long(error_a=[1.0, 5.0, 9.0], error_b=[0.5, 4.0])
    assert paired.differences(values, "a", "b", "error") == [0.5, 1.0]
    assert paired.differences(values, "a", "nobody", "error") == []
    assert set(paired.differences(values, "a", "a", "error")) == {0.0}


def test_a_mean_is_said_with_its_sign_and_from_three_seeds_on_with_its_spread():
    assert paired.said([-0.5, -0.25]) == "−0.375"
    assert paired.said([1.0, 2.0, 3.0], ".1f") == "+2.0 ± 1.0"


def test_measures_that_disagree_are_said_to():
    values = long(error_a=[1.0, 2.0], error_b=[2.0, 3.0], score_a=[0.1, 0.2], score_b=[0.2, 0.3])
    words = paired.standing(values, "a", ["b", "nobody"], {"error": LOWER, "score": HIGHER}, {"b": "B"}, ".1f")
    assert words == "error: −1.0 against B; score: −0.1 against B. In the mean **the measures disagree** on B."
    assert paired.standing(values, "a", ["b"], {"error": LOWER}, form=".0f") == (
        "error: −1 against b. In the mean better than b."
    )
    assert paired.standing(values, "b", ["a"], {"error": LOWER, "score": LOWER}, form=".1f").endswith(
        "In the mean worse than a by all of these."
    )
    assert paired.standing(values, "a", ["nobody"], {"error": LOWER}) == ""


def test_what_seeds_alone_do_is_named_from_three_seeds_on():
    near, clear = long(error_a=[1.0, 3.0, 2.0], error_b=[2.0, 1.0, 3.0]), long(error_a=[1, 5, 9], error_b=[2, 6.1, 10])
    assert paired.standing(near, "a", ["b"], {"error": LOWER}).endswith(
        "some differences from b lie within what seeds alone do."
    )
    assert paired.standing(clear, "a", ["b"], {"error": LOWER}).endswith("In the mean better than b.")


def test_the_better_ones_by_each_measure_are_named_and_those_on_whom_they_disagree():
    values = long(error_a=[1.0], error_b=[2.0], error_c=[4.0], error_n=[3.0],
                  score_a=[3.0], score_b=[1.0], score_c=[1.0], score_n=[2.0])  # fmt: skip
    both = {"error": LOWER, "score": HIGHER}
    words = paired.surpassing(values, ["a", "b", "c", "nobody"], "n", both, {"b": "B"}, ".0f")
    assert words == "error: a −2, B −1; score: a +1. **The measures disagree** on B."
    assert paired.surpassing(values, ["c"], "n", both) == "error: none; score: none."
    assert paired.surpassing(values, ["nobody"], "n", both) == ""
    near = long(error_a=[1.0, 3.0, 1.9], error_n=[2.0, 1.0, 3.0])
    assert paired.surpassing(near, ["a"], "n", {"error": LOWER}) == "error: a −0.033 ± 1.762 (within chance)."


def test_one_difference_at_a_time_is_paired_and_says_where_two_measures_disagree():
    values = long(score_a=[3.0, 4.0], score_b=[1.0, 1.0], error_a=[2.0, 3.0], error_b=[1.0, 1.5], epochs_a=[9, 12])
    metrics = {"score": HIGHER, "error": LOWER, "epochs": Metric("epochs", 0.0)}
    asked = {"more": ("a", "b"), "less": ("b", "a"), "none": ("a", "nobody")}
    found = paired.steps(values.assign(dataset="x"), asked, metrics, {"score": ".1f"})
    assert found["difference"].tolist() == ["more", "less"]
    assert found.iloc[0].tolist() == ["x", "more", 2, "+2.5", "+1.250", "–", True]
    agree = long(score_a=[3.0], score_b=[1.0], error_a=[1.0], error_b=[2.0]).assign(dataset="x")
    assert not paired.steps(agree, {"more": ("a", "b")}, metrics, {})["disagree"].any()
