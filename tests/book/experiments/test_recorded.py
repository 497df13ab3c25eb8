"""Rows of the record beside those of an edition, and in their place where a spread is shown."""

import pytest

from scgen_book import experiments, record
from scgen_book.experiments import recorded, rows


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_an_edition_of_the_book_sees_the_record_and_a_users_own_run_does_not(tmp_path, monkeypatch):
    values = {"datasets": ["splat_g6"], "methods": ["observed"], "seeds": [0], "max_cells": 60, "genes": 40}
    settings = experiments.settings_of(experiments.get("denoising"), experiments.complete("denoising", values))
    kept = record.Record(tmp_path)
    other = experiments.row("denoising", "splat_g6", "observed", 0, settings) | {"seed": 1, "scores": {"mse": 0.25}}
    kept.add(other, 1.0, {"batch": "made up"})
    monkeypatch.setattr(record, "current", lambda: kept)
    shown = rows.run("denoising", values | {"edition": "quick"})
    assert [row["seed"] for row in shown.rows] == [0, 1]
    assert [row["seed"] for row in rows.run("denoising", values | {"edition": "own"}).rows] == [0]
    assert [row["seed"] for row in rows.run("denoising", values | {"edition": "quick", "fast": True}).rows] == [0]
    assert [row["seed"] for row in recorded.of("denoising").rows] == [1]


def test_a_spread_is_shown_of_the_record_where_it_has_the_seeds_on_the_same_data(tmp_path, monkeypatch):
    of = experiments.get("denoising")
    own = experiments.row(of, "splat_g6", "observed", 0, {"max_cells": 60}) | {"status": "ok", "scores": {"mse": 0.1}}
    found = rows.Rows(of, [own])
    kept = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: kept)
    for seed in range(3):
        assert recorded.shown(found, {"edition": "quick"}) is found
        more = own | {"seed": seed, "settings": {"max_cells": None}, "scores": {"mse": seed}}
        kept.add(more, 1.0, {"batch": "made up"})
    shown = recorded.shown(found, {"edition": "quick"})
    assert shown.values("observed", "mse").to_dict() == {0: 0.0, 1: 1.0, 2: 2.0}
    assert len(shown) == 0
    assert recorded.shown(found, {"edition": "own"}) is found
    assert recorded.shown(found, {"edition": "quick", "fast": True}) is found
    # what the record says of other data is not shown in place of these
    elsewhere = rows.Rows(of, [own | {"dataset": "elsewhere"}])
    assert recorded.shown(elsewhere, {"edition": "quick"}) is elsewhere
    # nor where it lacks seeds of a method
    more = rows.Rows(of, [own, own | {"method": "dca"}])
    assert recorded.shown(more, {"edition": "quick"}) is more
    # of a method that has not run here, for want of a package, nothing is asked
    lacking = rows.Rows(of, [own, own | {"method": "scvi", "status": "gap", "reason": "not installed", "scores": {}}])
    assert len(recorded.shown(lacking, {"edition": "quick"}).rows) == 3


def test_what_is_shown_is_read_with_its_own_settings_and_the_seeds_of_its_methods(tmp_path, monkeypatch):
    of = experiments.get("denoising")
    own = experiments.row(of, "splat_g6", "observed", 0, {"max_cells": 60}) | {"status": "ok", "scores": {"mse": 0.1}}
    found = rows.Rows(of, [own])
    kept = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: kept)
    method = next(name for name, chosen in of.methods.items() if chosen.role == "method")
    for dataset in ("splat_g6", "also", "too_few"):
        for seed in range(5 if dataset != "too_few" else 2):
            row = own | {"dataset": dataset, "seed": seed, "settings": {"max_cells": None}}
            kept.add(row, 1.0, {"batch": "made up"})
            if seed < 4:
                kept.add(row | {"method": method}, 1.0, {"batch": "made up"})
    values = {"edition": "quick", "max_cells": 60, "seeds": [0], "out": None}
    shown = recorded.shown(found, values, ["also", "too_few", "unknown"])
    assert {row["dataset"] for row in shown.rows} == {"splat_g6", "also"}
    assert recorded.page(shown, found, values) == values | {"max_cells": None, "seeds": [0, 1, 2, 3]}
    assert recorded.page(found, found, values) == values
