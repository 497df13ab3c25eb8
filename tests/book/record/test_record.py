"""The record: its tables, what an edition lacks, rows that are written down, and rows that are computed once more."""

import numpy as np
import pytest

from scgen_book import claims, experiments
from scgen_book.record import DIGITS, Record, agreement, current, drawn, key_of, named, rounded
from scgen_lib.errors import InputError

BATCH = {
    "batch": "20260101T000000Z", "commit": "0123456789ab", "lock": "ba9876543210", "python": "3.12.1", "cpu": "made up",
    "cores": 1, "gpus": "", "started": "2026-01-01", "rows": 1, "core_s": 1.5,
}  # fmt: skip


def row(seed=0, method="zinb", settings=None, **changes):
    """Return a row of DCA's figure 2 as it is computed, with made-up numbers."""
    found = {
        "experiment": "dca.figure2",
        "dataset": "dca_g2_fig2",
        "method": method,
        "role": "method",
        "variant": "faithful",
        "seed": seed,
        "settings": {"epochs": 3, "hidden_size": [4, 2, 4]} if settings is None else settings,
        "status": "ok",
        "reason": None,
        "cause": None,
        "core_s": 1.5,
        "scores": {"groups": 2.0, "silhouette": 0.123456789, "epochs": None},
        "claims": {"silhouette": "dca.fig2.g2.zinb"},
    }
    return found | changes


def kept(folder, *rows):
    record = Record(folder)
    for one in rows:
        record.add(one, one["core_s"], BATCH)
    for name in {one["experiment"] for one in rows}:
        record.write(name)
    return Record(folder)


def test_what_was_written_is_read_again_in_few_digits(tmp_path):
    record = kept(tmp_path, row(), row(1), row(2, status="gap", reason="it ended", scores={}, claims={}))
    assert len(record.rows) == 3
    found = record.rows[key_of(row())]
    assert found["scores"] == {"groups": 2.0, "silhouette": float(f"{0.123456789:.{DIGITS}g}"), "epochs": None}
    assert found["settings"] == row()["settings"]
    assert found["core_s"] == 1.5
    assert found["batch"] == BATCH["batch"]
    assert record.rows[key_of(row(2))]["reason"] == "it ended"
    assert record.batches[BATCH["batch"]]["commit"] == BATCH["commit"]


def test_a_row_that_is_computed_again_leaves_its_batch(tmp_path):
    later = BATCH | {"batch": "20260102T000000Z", "rows": 1}
    record = kept(tmp_path, row(), row(1))
    record.batches[BATCH["batch"]] |= {"rows": 2, "core_s": 3.0}
    record.add(row(), 1.5, later)
    assert (record.batches[BATCH["batch"]]["rows"], float(record.batches[BATCH["batch"]]["core_s"])) == (1, 1.5)
    record.add(row(1), 1.5, later | {"rows": 2})
    assert record.batches.keys() == {later["batch"]}


def test_a_count_is_kept_whole_however_long_it_is(tmp_path):
    record = kept(tmp_path, row(scores={"groups": 1503877.0, "silhouette": 1503877.4}))
    assert record.rows[key_of(row())]["scores"] == {"groups": 1503877.0, "silhouette": 1503880.0}
    assert "1503877" in (tmp_path / "dca.figure2.csv").read_text()


def test_the_tables_do_not_depend_on_the_order_in_which_rows_came(tmp_path):
    rows = row(), row(1), row(0, "observed", variant=None, claims={})
    kept(tmp_path / "one", *rows), kept(tmp_path / "other", *reversed(rows))
    for table in ("dca.figure2.csv", "settings.json", "claims.csv", "batches.csv"):
        assert (tmp_path / "one" / table).read_text() == (tmp_path / "other" / table).read_text()


def test_a_row_is_as_its_experiment_knows_it(tmp_path):
    record = kept(tmp_path, row(), row(1, settings={"epochs": 9}))
    experiment = experiments.get("dca.figure2")
    (found,) = record.of(experiment, row()["settings"])
    assert len(record.of(experiment)) == 2
    assert found["role"] == "method"
    assert found["variant"] == "faithful"
    assert found["arrays"] == {}
    assert found["claims"]["silhouette"] == "dca.fig2.g2.zinb"


def cells_of_figure_9(seed=0):
    """Return a row of DCA's figure 9 as it is computed, and what it keeps for the figure."""
    arrays = {"genes": np.array([[0.0, 1.23456], [0.1, 2.0], [3.0, 0.5]], "float32"), "neither": np.arange(3) < 1}
    names = {"experiment": "dca.figure9", "dataset": "paul_full", "claims": {}, "scores": {"cells": 3.0}}
    return row(seed, "nb", **names, arrays=experiments.arrays.packed(arrays)), arrays


def test_cells_of_a_figure_are_kept_where_its_experiment_says_so(tmp_path):
    experiment, (found, arrays) = experiments.get("dca.figure9"), cells_of_figure_9()
    record = kept(tmp_path, found | {"arrays": {}})
    assert not record.has(experiment, key_of(found))  # a row without them is computed once more
    record = kept(tmp_path, found)
    assert record.has(experiment, key_of(found))
    (read,) = record.of(experiment)
    read = experiments.arrays.unpacked(read["arrays"])
    np.testing.assert_allclose(read["genes"], arrays["genes"], rtol=10.0 ** (1 - drawn.DIGITS))
    np.testing.assert_array_equal(read["neither"], arrays["neither"])
    other = row()
    assert kept(tmp_path / "other", other).has(experiments.get("dca.figure2"), key_of(other))


def test_kept_arrays_may_be_texts_and_of_several_lengths(tmp_path):
    arrays = {"figure": np.eye(4, 2), "groups": np.array(["Group1", "Group2"] * 2), "loss": np.array([2.0, 1.5])}
    record = kept(tmp_path, found := row(dataset="dca_g6_fig2", arrays=experiments.arrays.packed(arrays)))
    (read,) = record.of(experiments.get("dca.figure2"))
    read = experiments.arrays.unpacked(read["arrays"])
    assert read.keys() == arrays.keys()
    for name, values in arrays.items():
        np.testing.assert_array_equal(read[name], values)
    assert record.has(experiments.get("dca.figure2"), key_of(found))


def test_of_other_seeds_the_record_keeps_no_cells(tmp_path):
    found, _ = cells_of_figure_9(seed=3)
    assert kept(tmp_path, found | {"arrays": {}}).has(experiments.get("dca.figure9"), key_of(found))


def test_a_row_of_other_settings_has_cells_of_its_own(tmp_path):
    experiment, (found, _) = experiments.get("dca.figure9"), cells_of_figure_9()
    other = found | {"settings": {"epochs": 9}, "arrays": {}}
    record = kept(tmp_path, found, other)
    assert not record.has(experiment, key_of(other))
    assert [bool(row["arrays"]) for row in record.of(experiment, other["settings"])] == [False]


def test_kept_cells_have_the_correlation_that_their_row_tells():
    experiment = experiments.get("dca.figure9")
    cells = {row["method"]: row for row in current().of(experiment) if row["arrays"]}
    assert cells.keys() == experiment.methods.keys()
    for found in cells.values():
        genes = experiments.arrays.unpacked(found["arrays"])["genes"]
        # of values in four digits
        assert np.corrcoef(genes.T)[0, 1] == pytest.approx(found["scores"]["r, all cells"], abs=1e-3)


def test_rows_of_a_seed_follow_the_order_of_the_methods(tmp_path):
    methods = ("zinb", "observed", "true")
    record = kept(tmp_path, *(row(seed, name, variant=None, claims={}) for seed in (1, 0) for name in methods))
    found = [(of["seed"], of["method"]) for of in record.of(experiments.get("dca.figure2"))]
    assert found == [(seed, name) for seed in (0, 1) for name in ("true", "observed", "zinb")]


def test_values_that_a_claim_speaks_of_carry_their_settings(tmp_path):
    (found,) = kept(tmp_path, row()).claimed()
    assert found["claim"] == "dca.fig2.g2.zinb"
    assert found["variant"] == "faithful"
    assert found["value"] == rounded(0.123456789)
    assert found["settings"] == row()["settings"]


def test_where_something_is_kept_does_not_make_other_settings():
    assert named({"a": 1, "tune_dir": "here"}) == named({"tune_dir": "there", "a": 1})
    assert named({"a": 1}) != named({"a": 2})


def test_no_folder_is_an_empty_record_and_lost_settings_are_named(tmp_path):
    assert Record(tmp_path / "none").rows == {}
    kept(tmp_path, row())
    (tmp_path / "settings.json").write_text("{}")
    with pytest.raises(InputError, match=r"expected the settings \w+ of .*dca.figure2.csv in settings.json"):
        Record(tmp_path)


@pytest.fixture
def here(monkeypatch):
    """Let the rows of `kept` come from this machine's processor."""
    monkeypatch.setattr(agreement.provenance, "processor", lambda: BATCH["cpu"])


def silhouette(value, seed=0):
    return row(seed, scores={"silhouette": value})


def test_a_number_is_held_against_the_recorded_one_and_then_against_the_spread(tmp_path, here):
    record = kept(tmp_path, *(silhouette(0.5 + x, seed) for seed, x in enumerate((-0.1, 0.0, 0.1))))
    words = {value: agreement.judge(record, silhouette(value)).word for value in (0.4, 0.400001, 0.45, 90.0)}
    assert list(words.values()) == ["identical", "identical", "within the spread", "different"]
    told = str(agreement.judge(record, silhouette(90.0)))
    assert told == "dca.figure2 dca_g2_fig2 zinb 0: different (silhouette: 0.4 recorded, 90 now)"
    assert agreement.judge(record, silhouette(0.4) | {"dataset": "another"}) is None


def test_seeds_that_all_gave_one_number_judge_no_other_processor(tmp_path, monkeypatch):
    record = kept(tmp_path, *(silhouette(0.0, seed) for seed in range(5)))
    assert agreement.judge(record, silhouette(44.0)).word == "too few seeds to say"
    monkeypatch.setattr(agreement.provenance, "processor", lambda: "made up")
    assert agreement.judge(record, silhouette(44.0)).word == "different"


def test_rows_that_are_not_identical_name_another_processor(tmp_path, monkeypatch):
    record = kept(tmp_path, *(silhouette(0.5 + x, seed) for seed, x in enumerate((-0.1, 0.0, 0.1))))
    elsewhere = [agreement.judge(record, silhouette(value)) for value in (0.4, 0.45)]
    assert str(elsewhere[0]).endswith("0: identical")
    assert str(elsewhere[1]).endswith("(silhouette: 0.4 recorded, 0.45 now; recorded on another processor, made up)")
    assert agreement.told(elsewhere).endswith("; of the 1 not identical another processor recorded 1")
    assert agreement.told(elsewhere[:1], "**{}**") == "**1** identical"
    monkeypatch.setattr(agreement.provenance, "processor", lambda: "made up")
    here = agreement.judge(record, silhouette(0.45))
    assert str(here).endswith("(silhouette: 0.4 recorded, 0.45 now)")
    assert agreement.told([here]).endswith("; of the 1 not identical another processor recorded 0")


def test_one_seed_has_no_spread_and_what_has_ended_is_not_what_has_not(tmp_path, here):
    record = kept(tmp_path, silhouette(0.4))
    assert agreement.judge(record, silhouette(0.5)).word == "too few seeds to say"
    assert agreement.judge(record, silhouette(None)).word == "different"
    gap = agreement.judge(record, row(status="gap", reason="it ended", scores={}))
    assert str(gap) == "dca.figure2 dca_g2_fig2 zinb 0: different (a gap now: it ended)"


def test_times_are_not_compared(tmp_path):
    of = {"experiment": "db_aae.defects", "method": "D7", "claims": {}}
    record = kept(tmp_path, row(**of, scores={"released": 3.0}))
    assert agreement.judge(record, row(**of, scores={"released": 9.0})).word == "identical"


def test_rows_are_drawn_by_experiment_and_by_what_they_took(tmp_path):
    record = kept(tmp_path, *(row(seed, core_s=10.0 * seed) for seed in range(5)))
    assert len(agreement.drawn(record, 3, seed=0)) == 3
    assert agreement.drawn(record, 3, seed=0) == agreement.drawn(record, 3, seed=0)
    assert {one["seed"] for one in agreement.drawn(record, 9, longest_s=20)} == {0, 1, 2}
    assert agreement.drawn(record, 9, experiment="dr_a.scores") == []
    assert agreement.counted([agreement.judge(record, row())]) == dict(zip(agreement.WORDS, (1, 0, 0, 0), strict=True))


def test_a_row_is_not_drawn_whose_package_is_missing(tmp_path, monkeypatch):
    record = kept(tmp_path, row(), row(1), row(method="mse"))
    monkeypatch.setattr(
        experiments, "installed", lambda method: method.run is not experiments.get("dca.figure2").methods["mse"].run
    )
    assert [one["method"] for one in agreement.drawn(record, 9)] == ["zinb", "zinb"]


@pytest.mark.parametrize(("was", "edited"), [("0.123457", "0.223457"), (",2,", ",3,"), (",1.5,", ",0.5,")])
def test_a_row_that_was_edited_by_hand_is_refused_by_name(tmp_path, was, edited):
    kept(tmp_path, row(1))
    table = tmp_path / "dca.figure2.csv"
    before = table.read_text()
    assert was in before
    table.write_text(before.replace(was, edited, 1))
    with pytest.raises(InputError, match=r"expected the row dca_g2_fig2 zinb 1 \w+ of .* as it was written down, got"):
        Record(tmp_path)
    table.write_text(before)
    assert len(Record(tmp_path).rows) == 1


def test_the_record_of_the_book_is_whole():
    record = Record()
    known = {item.id for item in claims.claims()}
    assert {claim for claim, _ in record.claims.values()} <= known
    for (experiment, _, method, _, _), row in record.rows.items():
        assert method in experiments.get(experiment).methods
        assert set(row["scores"]) <= set(experiments.get(experiment).metrics)
        assert row["batch"] in record.batches
    of_rows = {drawn.table(record.folder, key) for key in record.rows}
    assert set((record.folder / "drawn").iterdir()) <= of_rows
    for batch in record.batches.values():
        # of code that somebody else can have
        assert batch["commit"]
        assert not batch["commit"].endswith("+")
        assert int(batch["rows"]) == sum(row["batch"] == batch["batch"] for row in record.rows.values())
