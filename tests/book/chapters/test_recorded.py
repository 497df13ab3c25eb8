"""The table of the record in the chapters of papers."""

import pytest

from scgen_book import experiments, record
from scgen_book.chapters import recorded


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
    kept.rows.clear()
    assert "no row of it yet" in recorded.table("db_aae.denoising", ["mse"], edition="quick").data
