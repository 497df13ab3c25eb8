"""What the comparisons have in common: every row is recorded, gaps stay in sight, and controls are told in words."""

import pandas as pd
import pytest

from scgen_book import results
from scgen_book.chapters import comparisons
from scgen_book.experiments import summaries
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.representation.comparison import EXPERIMENT, METRICS

NAMES = {"pca": "PCA", "umap": "UMAP", "umap_2": "UMAP in 2-D", "labels": "labels themselves", "chance": "chance"}


@pytest.fixture
def found(made_up):
    return made_up("representation", {
        "a": {
            "labels": {"nmi": [0.6, 0.6], "ari": [0.5, 0.5]}, "pca": {"nmi": [0.5, 0.7], "ari": [0.4, None]},
            "umap_2": {"nmi": [0.9, 0.9], "ari": [0.8, 0.8]}, "chance": {"nmi": [0.95, 0.95], "ari": [0.0, 0.0]},
        },
        "b": {"labels": "no labels", "pca": "no labels", "umap_2": "no memory", "chance": "no labels"},
    })  # fmt: skip


def test_every_value_and_every_gap_is_recorded_and_written_as_a_table(found, tmp_path):
    run = results.Run("representation", out=str(tmp_path / "new"))
    comparisons.record(found, run, {"umap_2": ("umap", "two")})
    written = pd.read_csv(tmp_path / "new" / "comparison.csv")
    assert len(written) == len(run.records) == len(found.table) == 16 + 4 * len(METRICS)
    told = [(r["metric"], r["value"], r["method"], r["variant"]) for r in run.records if r["dataset"] == "a"]
    assert ("ari", 0.8, "umap", "two") in told
    assert ("nmi", 0.5, "pca", None) in told
    lost = [r for r in run.records if r["value"] is None]
    assert len(lost) == 1 + 4 * len(METRICS)
    assert {r["note"].partition(";")[0] for r in lost} == {"The value is not finite.", "no labels", "no memory"}
    # without a folder nothing is written
    comparisons.record(found, results.Run("representation"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_rows_are_counted_with_their_time(found):
    assert comparisons.counted(found) == "12 rows, 8 of them scored, 6.0 minutes of work"
    assert comparisons.named(found, "dataset") == ["a", "b"]
    assert comparisons.named(found, "seed") == [0, 1]
    assert comparisons.failed(found) == ["**Gaps**: 5 of 12 rows could not be scored, see above."]


def test_gaps_are_listed_one_by_one_or_by_their_reason(found, made_up):
    each = comparisons.gaps(found, NAMES).data
    assert each[["data", "method", "reason"]].values.tolist()[1:] == [
        ["b", "labels themselves", "no labels"], ["b", "PCA", "no labels"], ["b", "UMAP in 2-D", "no memory"],
        ["b", "chance", "no labels"],
    ]  # fmt: skip
    joined = comparisons.gaps(found, NAMES, joined=True).data
    assert joined[["method", "reason"]].values.tolist()[1:] == [
        ["labels themselves, PCA, chance", "no labels"], ["UMAP in 2-D", "no memory"],
    ]  # fmt: skip
    lost = made_up("representation", {"b": {"labels": "no labels", "pca": "no labels"}})
    assert comparisons.gaps(lost, NAMES, joined=True).data["method"].tolist() == ["all"]
    whole = made_up("representation", {"a": {"pca": {"nmi": [0.5]}}})
    assert comparisons.gaps(whole, NAMES).data == "Nothing: every method was scored on every data set and seed."
    assert comparisons.failed(whole) == []


def test_controls_that_do_not_stand_where_they_must_are_told_by_their_names(found):
    checked = summaries.check_controls(EXPERIMENT, found.table)
    assert comparisons.share(checked, "ok") == "0 of 2"
    assert comparisons.share(checked, "beaten") == "1 of 2"
    first, second = comparisons.odd_lines(checked, METRICS, NAMES)
    assert first == (
        "**a**, NMI of k-means clusters: *UMAP in 2-D* (0.9) BEATS the positive control *labels themselves* (0.6); "
        "*chance* is NOT beaten by any."
    )
    assert "*UMAP in 2-D* (0.8) BEATS the positive control *labels themselves* (0.5)" in second
    table = comparisons.controls_table(checked, METRICS, NAMES, "labels").data
    assert table.loc[0, ["data", "labels", "best", "its value"]].tolist() == ["a", 0.6, "UMAP in 2-D", 0.9]
    assert "*" not in table.loc[0, "in words"]


def test_the_overview_places_methods_between_the_controls(made_up):
    found = made_up("representation", {
        "a": {
            "labels": {"nmi": [1.0], "ari": [0.4]}, "pca": {"nmi": [0.6], "ari": [0.3]},
            "log_counts": {"nmi": [0.2], "ari": [0.0]}, "chance": {"nmi": [0.1], "ari": [0.5]},
        },
        "b": {"labels": {"nmi": [0.9]}, "pca": {"nmi": [0.0]}, "chance": {"nmi": [0.1]}},
    })  # fmt: skip
    places = summaries.scaled(EXPERIMENT, found.table)
    # 0.5 of the way on one data set, below doing nothing on the other; by ARI the controls cannot be told apart
    assert list(places.columns) == ["nmi"]
    assert places.loc["pca", "nmi"] == pytest.approx(((0.6 - 0.2) / 0.8 + -0.1 / 0.8) / 2)
    assert places.loc["labels", "nmi"] == 1
    (ax,) = comparisons.overview(found, NAMES, ["ari", "nmi"]).axes
    assert [label.get_text() for label in ax.get_xticklabels()][:2] == ["labels themselves", "PCA"]
    assert {text.get_text() for text in ax.texts} >= {"1.0", "0.2"}
    with pytest.raises(NotApplicable, match="controls"):
        comparisons.overview(made_up("representation", {"a": {"pca": {"nmi": [0.6]}}}), NAMES)
