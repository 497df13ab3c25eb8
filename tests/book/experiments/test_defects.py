"""Deviations of the released code, measured both ways in rows, become findings of a run."""

import math

import pandas as pd
import pytest

from scgen_book import claims, experiments, results
from scgen_book.experiments import defects, rows
from scgen_book.experiments.defects import Defect, Pair
from scgen_book.experiments.protocol import Experiment, Method, Metric
from scgen_lib.errors import ParameterError


def late(case, seed, settings):
    if seed == 2:
        raise RuntimeError("diverged")
    return case + seed, 10.0


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="module")
def names():
    """Two deviations of a paper."""
    return list(claims.deviations("dca"))[:2]


def measured(names, seeds=(0, 1, 2)):
    first, second = names
    found = {
        first: Defect("genes, cells", late, figure="fig-a"),
        f"{second}, more": Defect("share", lambda case, seed, settings: (math.nan, 1.0), part=False),
    }
    of = defects.experiment("toy.defects", found, prepare=lambda *_: 1.0, asked=lambda values: [])
    tasks = [("a", name, seed) for seed in seeds for name in found]
    return found, rows.Rows(of, rows.computed(of, tasks, {}))


def test_a_deviation_is_a_method_whose_row_has_both_sides(names):
    found, told = measured(names)
    assert list(told.experiment.methods) == list(found)
    assert told.values(names[0], "released").to_dict() == {0: 1.0, 1: 2.0}
    assert told.values(names[0], "otherwise").to_dict() == {0: 10.0, 1: 10.0}
    assert not any(metric.judged for metric in told.experiment.metrics.values())


def test_what_was_measured_on_both_sides_is_a_finding_over_the_seeds(names):
    found, told = measured(names)
    run = results.Run("dca")
    defects.find(run, told, found)
    # the one that diverged is no seed of it, and the one without a finite value is none
    (finding,) = run.findings
    assert (finding["name"], finding["quantity"], finding["part"]) == (names[0], "genes, cells", True)
    assert (finding["released"], finding["otherwise"], finding["figure"]) == ([1.0, 2.0], [10.0, 10.0], "fig-a")


def test_a_deviation_that_the_paper_does_not_have_is_refused(names):
    found, told = measured(names)
    run = results.Run("dca")
    with pytest.raises(ParameterError, match=r"expected a deviation in .*, got 'Z9'"):
        defects.find(run, told, {"Z9": next(iter(found.values()))})


def test_a_difference_between_methods_of_other_rows_is_paired_by_seed(names):
    methods = {
        "old": Method(lambda case, seed, settings: seed),
        "new": Method(lambda case, seed, settings: 1 / seed),
    }
    of = Experiment(
        "toy", methods, {"error": Metric("error", "lower")}, lambda *_: None,
        lambda case, answer, seed, settings: {"error": answer},
    )  # fmt: skip
    tasks = [(d, m, s) for d in "ab" for m in methods for s in ((0, 1, 2) if d == "a" else (4,))]
    told = rows.Rows(of, rows.computed(of, tasks, {}))
    run = results.Run("dca")
    pairs = {names[0]: Pair("old", "new", "error", "error of it", figure="fig-b")}
    defects.find_pairs(run, told, pairs)
    defects.find_pairs(run, told, pairs, "b")
    first, second = run.findings
    assert (first["released"], first["otherwise"]) == ([1.0, 2.0], [1.0, 0.5])
    assert (second["released"], second["otherwise"]) == ([4.0], [0.25])
    assert (first["part"], first["figure"], first["quantity"]) == (False, "fig-b", "error of it")
    # without rows there is nothing to find
    defects.find_pairs(run, rows.Rows(of, [], "no part of this run"), pairs)
    assert len(run.findings) == 2


def test_the_key_of_a_deviation_follows_what_measures_it(names):
    _, told = measured(names)
    assert len({experiments.key(told.experiment, "a", name, 0, {}) for name in told.experiment.methods}) == 2
    assert isinstance(told.table, pd.DataFrame)
