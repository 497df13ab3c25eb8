"""Rows of an experiment: computed alone, gathered, read again when they are up to date, shown, and never lost."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest

from scgen_book import claims, experiments, results
from scgen_book.experiments import protocol, rows, summaries
from scgen_book.experiments.protocol import BASELINE, NEGATIVE, POSITIVE, Experiment, Method, Metric, NotApplicable
from scgen_lib.errors import ParameterError


def prepare(dataset, seed, settings):
    if dataset == "absent":
        raise NotApplicable("expected a data set that is there, got 'absent': give another")
    return {"base": len(dataset) + seed}


def fail(case, seed, settings):
    raise RuntimeError("no\n memory")


METHODS = {
    "nothing": Method(lambda case, seed, settings: 5.0, NEGATIVE),
    "truth": Method(lambda case, seed, settings: 0.0, POSITIVE),
    "good": Method(lambda case, seed, settings: 1.0 + seed * settings["step"]),
    "poor": Method(lambda case, seed, settings: 9.0, BASELINE),
    "broken": Method(fail),
    "infinite": Method(lambda case, seed, settings: math.inf),
    "extra": Method(lambda case, seed, settings: 1.0, needs="a_package_that_nobody_has"),
}


def experiment(**changes):
    parts = {
        "name": "toy", "methods": METHODS, "prepare": prepare,
        "metrics": {"error": Metric("error", "lower"), "draw": Metric("seed", 0.0, judged=False)},
        "score": lambda case, output, seed, settings: {"error": output, "draw": seed},
    }  # fmt: skip
    return Experiment(**parts | changes)


def table(of=None, **changes):
    asked = {"datasets": ["a"], "methods": ["nothing", "truth", "good", "poor"], "settings": {"step": 0.5}}
    return rows.table(of or experiment(), **asked | changes)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_a_row_is_plain_data_and_the_same_again():
    first = experiments.row(experiment(), "a", "good", 2, {"step": 0.5})
    again = experiments.row(experiment(), "a", "good", 2, {"step": 0.5})
    assert first["scores"] == {"error": 2.0, "draw": 2.0}
    assert first["status"] == "ok"
    assert json.loads(json.dumps(first)) | {"duration_s": 0, "core_s": 0} == again | {"duration_s": 0, "core_s": 0}


@pytest.mark.parametrize(
    ("dataset", "method", "reason"),
    [
        ("a", "broken", "RuntimeError: no memory"),
        ("a", "extra", "Not installed: the package a_package_that_nobody_has, which is an optional extra."),
        ("absent", "good", "expected a data set that is there, got 'absent': give another"),
    ],
)
def test_what_fails_leaves_a_gap_with_its_reason_in_every_metric(dataset, method, reason):
    got = table(datasets=[dataset], methods=[method])
    assert got["reason"].tolist() == [reason, reason]
    assert got["metric"].tolist() == ["error", "draw"]
    assert got["value"].isna().all()
    assert summaries.gaps(got).to_dict("records") == [
        {"dataset": dataset, "method": method, "seed": 0, "reason": reason}
    ]


def test_a_value_that_is_not_finite_is_a_gap_of_its_metric_alone():
    got = table(methods=["infinite"]).set_index("metric")
    assert got.loc["error", "reason"] == "The value is not finite."
    assert got.loc["draw", "value"] == 0


def test_a_score_that_the_experiment_does_not_know_is_a_gap():
    wrong = experiment(score=lambda *_: {"eror": 1.0})
    assert "eror" in table(wrong, methods=["good"])["reason"].iloc[0]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"methods": ["god"]}, "good"),
        ({"datasets": []}, "data set"),
        ({"seeds": []}, "seed"),
        ({"methods": []}, "method"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(changes, word):
    with pytest.raises(ParameterError, match=word):
        table(**changes)


def test_an_unknown_experiment_is_refused_by_name():
    with pytest.raises(ParameterError, match=r"expected an experiment \(db_aae, .* got 'denoise': use one of them"):
        experiments.get("denoise")
    known = ", ".join(experiments.chapter("denoising").experiments)
    with pytest.raises(ParameterError, match=rf"expected an experiment \({known}\), got 'denoising.figure': use one"):
        experiments.get("denoising.figure")
    with pytest.raises(ParameterError, match=r"expected a chapter .*, got 'dcaa': use one of them"):
        experiments.chapter("dcaa")


def test_rows_in_the_folder_are_read_unless_they_are_of_other_settings_or_broken(tmp_path):
    calls = []

    def score(case, output, seed, settings):
        calls.append(output)
        return {"error": output}

    counted = experiment(score=score)
    first = table(counted, folder=tmp_path)
    assert len(calls) == len(list(tmp_path.iterdir())) == 4
    assert table(counted, folder=tmp_path).drop(columns="duration_s").equals(first.drop(columns="duration_s"))
    assert len(calls) == 4
    (tmp_path / rows.row_file("toy", "a", "good", 0)).write_text('{"key": ')
    table(counted, folder=tmp_path)
    assert len(calls) == 5
    table(counted, folder=tmp_path, settings={"step": 1.0})
    assert len(calls) == 9


def test_rows_that_are_done_outlive_a_stop(tmp_path):
    def stop(case, seed, settings):
        raise KeyboardInterrupt

    stopped = experiment(methods=METHODS | {"poor": Method(stop)})
    with pytest.raises(KeyboardInterrupt):
        table(stopped, folder=tmp_path)
    names = [rows.row_file("toy", "a", method, 0) for method in ("nothing", "truth", "good")]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)


def test_a_gap_for_want_of_a_package_is_filled_when_the_package_is_there(tmp_path, monkeypatch):
    assert table(methods=["extra"], folder=tmp_path)["reason"].notna().all()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "a_package_that_nobody_has.py").touch()
    assert table(methods=["extra"], folder=tmp_path)["reason"].isna().all()


def test_a_file_of_the_user_is_part_of_the_key_by_its_content(tmp_path):
    file = tmp_path / "mine.h5ad"
    file.write_bytes(b"1")
    before = experiments.key("toy", str(file), "good", 0, {})
    file.write_bytes(b"2")
    assert experiments.key("toy", str(file), "good", 0, {}) != before
    assert "/" not in rows.row_file("toy", str(file), "good", 0)


def test_summary_has_mean_and_spread_over_seeds_and_keeps_gaps():
    got = summaries.summary(table(methods=["good", "broken"], seeds=[0, 1, 2])).set_index(["method", "metric"])
    good, broken = got.loc[("good", "error")], got.loc[("broken", "error")]
    assert (good["mean"], good["sd"], good["n"]) == (1.5, 0.5, 3)
    assert broken["n"] == 0
    assert broken["reason"] == "RuntimeError: no memory"


def test_controls_that_stand_where_they_must_are_said_to():
    got = summaries.check_controls(experiment(), table())
    assert got["metric"].tolist() == ["error"]
    line = got.iloc[0]
    assert line["ok"]
    assert line["beaten"]
    assert line["words"] == "no method beats truth; nothing is beaten by 1 of 2"


def test_a_method_that_beats_the_truth_and_a_negative_that_nobody_beats_are_named():
    odd = METHODS | {
        "truth": Method(lambda *_: 7.0, POSITIVE),
        "nothing": Method(lambda *_: 0.5, "negative control"),
    }
    line = summaries.check_controls(experiment(methods=odd), table(experiment(methods=odd))).iloc[0]
    assert not line["ok"]
    assert not line["beaten"]
    assert "good (1) BEATS the positive control truth (7)" in line["words"]
    assert "nothing is NOT beaten by any" in line["words"]


def test_only_a_negative_control_that_the_metric_can_find_out_is_asked_for():
    rule = {"error": Metric("error", "lower", negative=("shuffled",))}
    methods = METHODS | {"shuffled": Method(lambda *_: 5.0, NEGATIVE)}
    other = experiment(methods=methods, metrics=rule, score=lambda case, output, seed, settings: {"error": output})
    got = table(other, methods=["nothing", "shuffled", "truth", "good"])
    line = summaries.check_controls(other, got).iloc[0]
    assert "shuffled is beaten" in line["words"]
    assert "nothing" not in line["words"]


@pytest.mark.parametrize(("better", "best"), [("lower", 1.0), ("higher", 3.0), (2.2, 2.0)])
def test_better_is_lower_higher_or_nearer(better, best):
    metric = Metric("m", better)
    assert min([1.0, 2.0, 3.0], key=metric.loss) == best


def test_places_are_by_the_mean_and_leave_out_who_knows_the_answer():
    found = summaries.places(table(seeds=[0, 1]), experiment().metrics)
    assert found["error"].dropna().to_dict() == {"good": 1, "nothing": 2, "poor": 3}


# What a chapter shows of the rows -------------------------------------------------------------------------------------


def found(methods=("good",), seeds=(2, 0, 1), datasets=("a",), of=None):
    of, tasks = of or experiment(), [(d, m, s) for d in datasets for s in seeds for m in methods]
    return rows.Rows(of, rows.computed(of, tasks, {"step": 0.5}))


def test_rows_are_a_table_of_values_and_a_wide_one_of_those_that_have_any():
    told = found(("good", "broken"), (0, 1))
    assert len(told) == 4
    assert list(told.table.columns) == list(rows.COLUMNS)
    assert told.table["reason"].notna().sum() == 4
    assert told.wide.to_dict("records") == [
        {"dataset": "a", "method": "good", "role": "method", "seed": s, "error": 1 + s / 2, "draw": s} for s in (0, 1)
    ]
    # a metric that nobody has gets no column, and without rows there is none
    assert list(found(of=experiment(score=lambda *_: {"draw": 1})).wide)[4:] == ["draw"]
    assert list(found(("broken",)).wide) == ["dataset", "method", "role", "seed"]


def test_values_are_by_seed_without_gaps_and_of_one_data_set():
    told = found(("good", "poor"), (2, 0, 1), ("a", "bb"))
    assert told.values("good", "error").to_dict() == {2: 2.0, 0: 1.0, 1: 1.5}
    assert told.values("good", "error", "bb").to_dict() == {2: 2.0, 0: 1.0, 1: 1.5}
    assert told.values("god", "error").empty
    assert told.values("good", "errors").empty
    assert found(("infinite",)).values("infinite", "error").empty
    assert found(("infinite",)).values("infinite", "draw").to_dict() == {2: 2.0, 0: 0.0, 1: 1.0}


def test_two_sides_are_at_the_seeds_that_both_have():
    sometimes = Method(lambda case, seed, settings: 1 / seed)
    told = found(("good", "some"), (0, 1, 2), of=experiment(methods=METHODS | {"some": sometimes}))
    one, other = told.sides("good", "some", "error")
    assert (one.tolist(), other.tolist()) == ([1.5, 2.0], [1.0, 0.5])
    one, other = told.sides("good", "absent", "error")
    assert (len(one), len(other)) == (0, 0)


def test_the_values_of_rows_are_recorded_under_their_claims():
    claim = claims.claims()[0].id
    methods = METHODS | {"good": dataclasses.replace(METHODS["good"], variant="faithful")}
    of = experiment(methods=methods, claims=lambda row: {"error": claim} if row["method"] == "good" else {})
    run = results.Run("toy")
    found(("good", "broken", "infinite"), (1,), of=of).record(run)
    told = [(r["claim"], r["metric"], r["value"], r["seed"], r["variant"], r["method"]) for r in run.records]
    assert told == [
        (claim, "error", 1.5, 1, "faithful", "good"),
        (None, "draw", 1.0, 1, "faithful", "good"),
        (None, "error", None, 1, None, "infinite"),
        (None, "draw", 1.0, 1, None, "infinite"),
    ]
    assert {r["dataset"] for r in run.records} == {"a"}


def test_a_view_is_shown_or_the_reason_why_there_is_nothing_to_see():
    told = found(("good",))
    assert told
    assert told.show(lambda rows, word: (rows, word), "x") == (told, "x")
    lost = found(("broken",))
    assert not lost
    assert lost.reason == "RuntimeError: no memory"
    assert lost.show(pytest.fail).data == "*Not shown: RuntimeError: no memory.*"
    # one that has a value is enough
    assert found(("broken", "good"))
    none = rows.Rows(experiment(), [], "there is no truth.")
    assert none.show(pytest.fail).data == "*Not shown: there is no truth.*"
    assert rows.Rows(experiment(), []).reason == "no row was asked for"


def test_a_table_has_a_dash_where_there_is_no_number():
    shown = found(("good",)).show(lambda rows: pd.DataFrame({"a": [0.25, None, -0.001], "b": [1.5, 2.0, 3.0]}))
    assert shown["a"].tolist() == ["0.250", "–", "-0.001"]
    assert shown["b"].tolist() == [1.5, 2.0, 3.0]


def test_a_figure_is_left_to_matplotlib():
    import matplotlib.pyplot as plt

    assert found(("good",)).show(lambda rows: plt.figure()) is None
    plt.close("all")


# What a notebook asks for ---------------------------------------------------------------------------------------------


def asked(values):
    if not values["datasets"]:
        raise NotApplicable("no data in this run")
    return protocol.crossed(values)


@pytest.fixture
def toy(monkeypatch):
    """A chapter with one experiment, in place of that on denoising; what its methods have been asked for."""
    calls = []

    def good(case, seed, settings):
        calls.append(("good", seed))
        return case["base"] + settings["step"]

    def prepare(dataset, seed, settings):
        calls.append(("prepare", seed))
        return {"base": float(seed)}

    of = experiment(
        name="denoising", prepare=prepare, methods={"good": Method(good)}, settings=("step",), asked=asked,
        score=lambda case, output, seed, settings: {"error": output},
        keep=lambda case, output, seed, settings: {"codes": np.full((2, 3), output, "float32")},
    )  # fmt: skip
    monkeypatch.setattr(experiments, "get", lambda name: of)
    monkeypatch.setattr(experiments, "chapter", lambda name: protocol.Chapter("denoising", ("denoising",)))
    return calls


VALUES = {"datasets": ["a"], "methods": ["good"], "seeds": [0, 1], "step": 0.5, "width": 3, "out": None, "rows": None}


def test_the_rows_that_the_parameters_ask_for_are_computed_with_the_settings_among_them(toy):
    told = rows.run("denoising", VALUES)
    assert told.values("good", "error").to_dict() == {0: 0.5, 1: 1.5}
    assert told.rows[0]["settings"] == {"step": 0.5}
    np.testing.assert_array_equal(told.kept("good", "a", 1)["codes"], np.full((2, 3), 1.5))
    assert told.kept("god") == {}


def test_what_an_experiment_has_no_rows_for_is_its_reason(toy):
    assert rows.run("denoising", VALUES | {"datasets": []}).reason == "no data in this run"
    assert rows.run("denoising", VALUES, unless="part B was not asked for").reason == "part B was not asked for"
    assert toy == []


@pytest.mark.parametrize("given", [{"out": "here"}, {"rows": "here/rows"}, {"rows": "here/rows", "out": "there"}])
def test_rows_are_kept_in_their_folder_or_in_that_of_the_run(toy, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    first = rows.run("denoising", VALUES | given)
    assert {path.name for path in (tmp_path / "here/rows").iterdir()} == {
        "denoising__a__good__0.json", "denoising__a__good__1.json",
    }  # fmt: skip
    before = len(toy)
    again = rows.run("denoising", VALUES | given | {"seeds": [1, 2]})
    assert toy[before:] == [("prepare", 2), ("good", 2)]
    assert again.rows[0] == first.rows[1]
    np.testing.assert_array_equal(again.kept("good", seed=1)["codes"], first.kept("good", seed=1)["codes"])
    assert not (tmp_path / "there").exists()


def test_what_a_notebook_has_trained_in_sight_is_scored_and_not_trained_again(toy, tmp_path):
    values = VALUES | {"out": str(tmp_path)}
    told = rows.run("denoising", values, made={("a", "good", 1): 7.0})
    assert told.values("good", "error").to_dict() == {0: 0.5, 1: 7.0}
    assert ("good", 1) not in toy
    # an up-to-date row is read all the same
    assert rows.run("denoising", values, made={("a", "good", 1): 9.0}).values("good", "error")[1] == 7.0


def test_a_copy_of_a_registered_experiment_is_computed_by_its_own_methods(toy):
    own = dataclasses.replace(experiments.get("denoising"), methods={"mine": Method(lambda case, seed, settings: 4.0)})
    table_of = rows.table(own, datasets=["a"], settings={"step": 0.0})
    assert table_of["value"].tolist() == [4.0]


def recorded(seed, **scores):
    return experiments.row(experiment(), "a", "good", seed, {"step": 0.5}) | {"scores": scores, "arrays": {}}


def test_rows_of_the_record_show_the_spread_and_are_not_those_of_this_run():
    own = experiments.row(experiment(), "a", "good", 0, {"step": 0.5})
    found = rows.Rows(experiment(), [own], recorded=[recorded(0, error=9.0), recorded(1, error=3.0)])
    assert found.values("good", "error").to_dict() == {0: 1.0, 1: 3.0}
    assert len(found) == 1
    run = results.Run("toy")
    found.record(run)
    assert {record["seed"] for record in run.records} == {0}


def test_the_record_alone_may_be_shown():
    found = rows.Rows(experiment(), [], "the record has no row of it yet", [recorded(1, error=3.0)])
    assert found
    assert len(found) == 0
    assert found.wide["error"].tolist() == [3.0]
    assert found.kept("good") == {}
    assert not rows.Rows(experiment(), [], "the record has no row of it yet")
