"""Rows of a comparison: computed alone, gathered, read again when they are up to date, and never lost."""

import json
import math

import pytest

from scgen_book import comparisons
from scgen_book.comparisons import summaries
from scgen_book.comparisons.protocol import BASELINE, NEGATIVE, POSITIVE, Comparison, Method, Metric, NotApplicable
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


def comparison(**changes):
    parts = {
        "name": "toy", "methods": METHODS, "prepare": prepare,
        "metrics": {"error": Metric("error", "lower"), "seed": Metric("seed", 0.0, judged=False)},
        "score": lambda case, output, seed, settings: {"error": output, "seed": seed},
    }  # fmt: skip
    return Comparison(**parts | changes)


def table(of=None, **changes):
    asked = {"datasets": ["a"], "methods": ["nothing", "truth", "good", "poor"], "settings": {"step": 0.5}}
    return comparisons.table(of or comparison(), **asked | changes)


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_a_row_is_plain_data_and_the_same_again():
    first = comparisons.row(comparison(), "a", "good", 2, {"step": 0.5})
    again = comparisons.row(comparison(), "a", "good", 2, {"step": 0.5})
    assert first["scores"] == {"error": 2.0, "seed": 2.0}
    assert first["status"] == "ok"
    assert json.loads(json.dumps(first)) | {"duration_s": 0} == again | {"duration_s": 0}


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
    assert got["metric"].tolist() == ["error", "seed"]
    assert got["value"].isna().all()
    assert summaries.gaps(got).to_dict("records") == [
        {"dataset": dataset, "method": method, "seed": 0, "reason": reason}
    ]


def test_a_value_that_is_not_finite_is_a_gap_of_its_metric_alone():
    got = table(methods=["infinite"]).set_index("metric")
    assert got.loc["error", "reason"] == "The value is not finite."
    assert got.loc["seed", "value"] == 0


def test_a_score_that_the_comparison_does_not_know_is_a_gap():
    wrong = comparison(score=lambda *_: {"eror": 1.0})
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


def test_an_unknown_comparison_is_refused_by_name():
    with pytest.raises(ParameterError, match="denoising, simulation"):
        comparisons.get("denoise")


def test_rows_in_the_folder_are_read_unless_they_are_of_other_settings_or_broken(tmp_path):
    calls = []

    def score(case, output, seed, settings):
        calls.append(output)
        return {"error": output}

    counted = comparison(score=score)
    first = table(counted, folder=tmp_path)
    assert len(calls) == len(list(tmp_path.iterdir())) == 4
    assert table(counted, folder=tmp_path).drop(columns="duration_s").equals(first.drop(columns="duration_s"))
    assert len(calls) == 4
    (tmp_path / comparisons.row_file("a", "good", 0)).write_text('{"key": ')
    table(counted, folder=tmp_path)
    assert len(calls) == 5
    table(counted, folder=tmp_path, settings={"step": 1.0})
    assert len(calls) == 9


def test_rows_that_are_done_outlive_a_stop(tmp_path):
    def stop(case, seed, settings):
        raise KeyboardInterrupt

    stopped = comparison(methods=METHODS | {"poor": Method(stop)})
    with pytest.raises(KeyboardInterrupt):
        table(stopped, folder=tmp_path)
    names = [comparisons.row_file("a", method, 0) for method in ("nothing", "truth", "good")]
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(names)


def test_a_gap_for_want_of_a_package_is_filled_when_the_package_is_there(tmp_path, monkeypatch):
    assert table(methods=["extra"], folder=tmp_path)["reason"].notna().all()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "a_package_that_nobody_has.py").touch()
    assert table(methods=["extra"], folder=tmp_path)["reason"].isna().all()


def test_a_file_of_the_user_is_part_of_the_key_by_its_content(tmp_path):
    file = tmp_path / "mine.h5ad"
    file.write_bytes(b"1")
    before = comparisons.key("toy", str(file), "good", 0, {})
    file.write_bytes(b"2")
    assert comparisons.key("toy", str(file), "good", 0, {}) != before
    assert "/" not in comparisons.row_file(str(file), "good", 0)


def test_summary_has_mean_and_spread_over_seeds_and_keeps_gaps():
    got = summaries.summary(table(methods=["good", "broken"], seeds=[0, 1, 2])).set_index(["method", "metric"])
    good, broken = got.loc[("good", "error")], got.loc[("broken", "error")]
    assert (good["mean"], good["sd"], good["n"]) == (1.5, 0.5, 3)
    assert broken["n"] == 0
    assert broken["reason"] == "RuntimeError: no memory"


def test_controls_that_stand_where_they_must_are_said_to():
    got = summaries.check_controls(comparison(), table())
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
    line = summaries.check_controls(comparison(methods=odd), table(comparison(methods=odd))).iloc[0]
    assert not line["ok"]
    assert not line["beaten"]
    assert "good (1) BEATS the positive control truth (7)" in line["words"]
    assert "nothing is NOT beaten by any" in line["words"]


def test_only_a_negative_control_that_the_metric_can_find_out_is_asked_for():
    rule = {"error": Metric("error", "lower", negative=("shuffled",))}
    methods = METHODS | {"shuffled": Method(lambda *_: 5.0, NEGATIVE)}
    other = comparison(methods=methods, metrics=rule, score=lambda case, output, seed, settings: {"error": output})
    got = table(other, methods=["nothing", "shuffled", "truth", "good"])
    line = summaries.check_controls(other, got).iloc[0]
    assert "shuffled is beaten" in line["words"]
    assert "nothing" not in line["words"]


@pytest.mark.parametrize(("better", "best"), [("lower", 1.0), ("higher", 3.0), (2.2, 2.0)])
def test_better_is_lower_higher_or_nearer(better, best):
    metric = Metric("m", better)
    assert min([1.0, 2.0, 3.0], key=metric.loss) == best


def test_places_are_by_the_mean_and_leave_out_who_knows_the_answer():
    found = summaries.places(table(seeds=[0, 1]), comparison().metrics)
    assert found["error"].dropna().to_dict() == {"good": 1, "nothing": 2, "poor": 3}
