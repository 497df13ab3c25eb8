from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from scgen_book import plots

METRICS = {
    "mse": SimpleNamespace(label="squared error", better="lower"),
    "auc": SimpleNamespace(label="AUC", better=0.5),
    "ari": SimpleNamespace(label="ARI", better="higher"),
}
ROLES = {
    "nothing": "negative control",
    "mean": "baseline",
    "net": "method",
    "lost": "method",
    "truth": "positive control",
}


@pytest.fixture(scope="module")
def table():
    rows = []
    for dataset, known in (("a", ("mse", "auc")), ("b", ("ari",))):
        for k, (method, role) in enumerate(ROLES.items()):
            for seed in range(2):
                for metric in known:
                    lost = method == "lost"
                    rows.append({
                        "dataset": dataset, "method": method, "role": role, "seed": seed, "metric": metric,
                        "value": np.nan if lost else 0.1 * k + 0.01 * seed,
                        "reason": "not installed: pip install lost" if lost else None,
                    })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def summary(table):
    groups = table.groupby(["dataset", "method", "role", "metric"], sort=False)
    return groups.agg(
        mean=("value", "mean"), sd=("value", "std"), n=("value", "count"), reason=("reason", "first")
    ).reset_index()


def test_dots_have_a_panel_for_each_metric_a_data_set_has_and_a_row_for_each_method(summary, drawn):
    fig = plots.comparison_dots(summary, METRICS, names={"net": "a net", "a": "first data"})
    assert drawn(fig) == list(dict.fromkeys(ROLES.values()))
    first, second, third = fig.axes
    assert [ax.get_xlabel().replace("\n", " ") for ax in fig.axes] == [
        "squared error (lower is better)", "AUC (nearer to 0.5 is better)", "ARI (higher is better)",
    ]  # fmt: skip
    assert [label.get_text() for label in first.get_yticklabels()] == ["truth", "lost", "a net", "mean", "nothing"]
    assert (first.get_title(loc="left"), second.get_title(loc="left"), third.get_title(loc="left")) == (
        "first data", "", "b",
    )  # fmt: skip
    places = {line.get_xdata()[0]: line.get_marker() for line in first.lines if line.get_marker() in "vsoD"}
    assert list(places.values()) == ["D", "o", "s", "v"]
    assert list(places) == pytest.approx([0.405, 0.205, 0.105, 0.005])


def test_a_panel_has_the_name_of_a_data_set_as_people_say_it(summary, drawn):
    fig = plots.comparison_dots(summary.replace({"dataset": {"b": "splat_g6"}}), METRICS, datasets=["splat_g6"])
    drawn(fig)
    assert fig.axes[0].get_title(loc="left") == "six simulated groups"


def test_a_method_that_was_not_run_says_so_at_its_place(summary, drawn):
    fig = plots.comparison_dots(summary, METRICS, datasets=["b"])
    drawn(fig)
    (ax,) = fig.axes
    (text,) = ax.texts
    assert text.get_text().startswith("not run: not installed")
    assert text.get_position()[1] == [label.get_text() for label in ax.get_yticklabels()].index("lost")


def test_a_data_set_without_any_value_still_has_its_panel(summary, drawn):
    gone = summary.assign(mean=np.nan, sd=np.nan, n=0, reason="the file is absent")
    fig = plots.comparison_dots(gone, METRICS, datasets=["a"])
    drawn(fig)
    (ax,) = fig.axes
    assert len(ax.texts) == len(ROLES)


def test_the_table_gives_mean_spread_and_number_and_keeps_gaps(summary):
    text = plots.score_table(summary, METRICS, names={"a": "first data"})
    assert text.loc[("first data", "net"), "squared error"] == "0.205 ± 0.007 (2)"
    assert text.loc[("first data", "net"), "ARI"] == "–"
    assert text.loc[("first data", "lost"), "squared error"] == "not run"
    assert len(text) == 2 * len(ROLES)


def test_gaps_are_listed_with_their_reasons_and_a_silent_one_is_named(table):
    gaps = plots.gap_table(table)
    assert gaps.to_dict("records") == [
        {"data": d, "method": "lost", "seeds": "0, 1", "reason": "not installed: pip install lost"} for d in "ab"
    ]
    silent = table.assign(value=table["value"].where((table["method"] != "net") | (table["seed"] == 0)))
    told = plots.gap_table(silent[silent["dataset"] == "b"]).set_index("method").loc["net"]
    assert (told["seeds"], told["reason"]) == ("1", "no reason was recorded")
    assert plots.gap_table(table[table["method"] != "lost"]).empty


def test_a_metric_that_has_no_meaning_for_a_method_is_no_gap(table):
    other = table.assign(value=table["value"].where((table["method"] != "net") | (table["metric"] != "auc")))
    assert set(plots.gap_table(other)["method"]) == {"lost"}


def test_a_value_far_beyond_the_others_stands_at_the_edge(summary, drawn):
    far = summary.assign(mean=summary["mean"].where(summary["method"] != "net", 500.0))
    fig = plots.comparison_dots(far, METRICS, datasets=["b"])
    drawn(fig)
    (ax,) = fig.axes
    assert ax.get_xlim()[1] < 1
    assert [text.get_text().strip() for text in ax.texts if "not run" not in text.get_text()] == ["500"]
    assert len([line for line in ax.lines if line.get_marker() in "vsoD"]) == 3
