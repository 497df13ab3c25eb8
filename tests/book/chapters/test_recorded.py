"""The record beside the rows of a run, in tables and in words."""

import pytest

from scgen_book import experiments, record
from scgen_book.chapters import recorded
from scgen_book.experiments import rows


@pytest.fixture
def kept(tmp_path, monkeypatch):
    found = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: found)
    row = {
        "experiment": "db_aae.denoising",
        "dataset": "splat_g2",
        "method": "observed",
        "status": "ok",
        "reason": None,
    }
    for seed, value in enumerate((1.0, 2.0, 3.0)):
        row |= {"seed": seed, "settings": {}, "scores": {"mse": value}, "claims": {}, "variant": None, "reason": None}
        found.add(row, 1.0, {"batch": "made up"})
    return found


def test_mean_and_sd_by_data_and_method_follow_the_record(kept):
    table = recorded.table("db_aae.denoising", ["mse_dropped", "mse"], edition="quick")
    label = experiments.get("db_aae.denoising").metrics["mse"].label
    assert table.loc[("splat_g2", "observed")].to_dict() == {label: "2 ± 1", "seeds": 3}
    next(iter(kept.rows.values()))["scores"]["mse"] = 4.0
    assert recorded.table("db_aae.denoising", ["mse"], edition="quick").loc[("splat_g2", "observed"), label] == "3 ± 1"


def test_a_users_own_run_and_an_empty_record_say_so(kept):
    assert "editions of the book" in recorded.table("db_aae.denoising", ["mse"], edition="own").data
    other = recorded.table("db_aae.denoising", ["mse"], edition="quick", other_than="splat_g2").data
    assert "no row of it yet" in other
    kept.rows.clear()
    assert "no row of it yet" in recorded.table("db_aae.denoising", ["mse"], edition="quick").data


def test_the_origin_of_what_is_shown_is_said_with_the_settings_that_differ(made_up):
    found, shown = (
        made_up("denoising", {"splat_g6": {"dca_nb": {"mse": values}, "observed": {"mse": [3.0] * 3}}}, settings)
        for values, settings in (
            ([1.0], {"epochs": 8, "genes": 500, "layers": [8]}),
            ([1.0, 2.0], {"epochs": 1500, "genes": None, "layers": [8]}),
        )
    )
    assert recorded.origin(found, found) == "**In this run**: 1 seed."
    assert recorded.origin(shown, found) == (
        "**In the record**: 2 seeds, at the settings of the full edition: `epochs` 1,500 (this run: 8), `genes` None "
        "(this run: 500)."
    )


def test_rows_of_the_record_alone_say_their_data(made_up):
    of = made_up("denoising", {"splat_g6": {"dca_nb": {"mse": [1.0, 2.0, 3.0]}}}, {"epochs": 8})
    alone = rows.Rows(of.experiment, [], "none was asked for", of.rows)
    words = "**In the record**: six simulated groups, 3 seeds, at the settings of the full edition."
    assert recorded.origin(alone, alone) == words
    none = rows.Rows(of.experiment, [], "none was asked for")
    assert recorded.origin(none, none) == "**In this run**: 0 seeds."


def test_a_run_stands_beside_the_record_by_method(made_up):
    of = {"dca_nb": {"mse": [1.0]}, "observed": {"mse": [3.0]}}
    found = made_up("denoising", {"splat_g6": of | {"magic": "not installed", "pca": {"mcv_mse": [1.0]}}})
    kept = {"dca_nb": {"mse": [1.0, 2.0, 3.0], "mse_cell": [0.5, 0.5, 0.5]}, "observed": {"mse": [3.0, 3.0, 3.0]}}
    shown = made_up("denoising", {"splat_g6": kept, "elsewhere": kept})
    table = recorded.beside(shown, found, ["mse", "mse_cell"], {"dca_nb": "DCA"})
    metrics = experiments.get("denoising").metrics
    assert list(table.index) == [("splat_g6", "DCA"), ("splat_g6", "observed")]
    assert table.loc[("splat_g6", "DCA"), metrics["mse"].label].to_dict() == {"record": "2 ± 1", "this run": "1"}
    assert table.loc[("splat_g6", "DCA"), metrics["mse_cell"].label].to_dict() == {"record": "0.5 ± 0"}
    assert recorded.beside(found, found, ["mse"]) is None
