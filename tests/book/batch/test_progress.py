import io
import json
import logging
import os

import pytest

from scgen_book.batch import progress


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def write(path, content):
    """Write a file as a run does, later than what was there before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    last = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(json.dumps(content))
    stamp = max(path.stat().st_mtime_ns, last + 1)
    os.utime(path, ns=(stamp, stamp))


def entry(status, cell=0, cells=0, duration_s=0.0, earlier_s=None):
    return {"status": status, "cell": cell, "cells": cells, "duration_s": duration_s, "earlier_s": earlier_s}


def board(tmp_path, clock, *names, rows=(), kept=(), live=False, side_by_side=1):
    stream = io.StringIO()
    runs = {name: (str(tmp_path / name), [str(tmp_path / name / "rows" / row) for row in rows]) for name in names}
    options = {"side_by_side": side_by_side, "stream": stream, "live": live, "clock": clock}
    return progress.board(runs, kept=dict(kept), **options), stream


def test_a_file_gets_a_line_when_a_run_starts_and_one_when_it_ends(tmp_path, clock):
    shown, stream = board(tmp_path, clock, "one", "three")
    shown.look()
    assert stream.getvalue() == ""
    write(tmp_path / "one/run.json", entry("started", 1, 9))
    shown.look()
    clock.now = 30
    write(tmp_path / "one/run.json", entry("started", 2, 9))
    shown.look()
    shown.look()
    clock.now = 61
    write(tmp_path / "one/run.json", entry("ok", 9, 9, 61.0))
    write(tmp_path / "three/run.json", entry("started", 1, 2))
    shown.look()
    clock.now = 70
    write(tmp_path / "three/run.json", entry("failed", 2, 2, 9.0))
    shown.close()
    # no earlier duration is known, and none is made up
    assert stream.getvalue() == (
        "one    starts\none    done in 1 min 1 s  (1 of 2)\nthree  starts\nthree  FAILED after 9 s  (2 of 2)\n"
    )


def test_runs_that_end_at_once_are_counted_one_by_one(tmp_path, clock):
    shown, stream = board(tmp_path, clock, "one", "two", "three", side_by_side=2)
    for name in ("one", "two"):
        write(tmp_path / name / "run.json", entry("started", 1, 9))
    shown.look()
    clock.now = 20
    for name in ("one", "two"):
        write(tmp_path / name / "run.json", entry("ok", 9, 9, 20.0))
    shown.look()
    assert [line[-9:] for line in stream.getvalue().splitlines() if "done" in line] == [" (1 of 3)", " (2 of 3)"]


def test_the_time_left_is_what_the_same_run_took_before(tmp_path, clock):
    write(tmp_path / "one/run.json", entry("ok", 9, 9, 100.0))
    # the last time that this one ended well is kept through a stop
    write(tmp_path / "two/run.json", entry("started", 1, 9, 0.0, earlier_s=200.0))
    shown, stream = board(tmp_path, clock, "one", "two", live=True, side_by_side=2)
    write(tmp_path / "one/run.json", entry("started", 4, 9))
    write(tmp_path / "two/run.json", entry("started", 1, 9))
    shown.look()
    clock.now = 40
    stream.truncate(0)
    shown.look()
    lines = stream.getvalue().splitlines()
    assert lines[-3].endswith("one  cell 4 of 9, 40 s, about 1 min left")
    assert lines[-2:] == ["two  cell 1 of 9, 40 s, about 3 min left", "40 s  (0 of 2, about 3 min left)"]
    # it takes longer: nobody knows how long
    clock.now = 120
    stream.truncate(0)
    shown.look()
    assert "one  cell 4 of 9, 2 min 0 s\n" in stream.getvalue()
    assert stream.getvalue().endswith("2 min 0 s  (0 of 2)\n")


def test_a_duration_of_another_machine_is_taken_at_this_ones_pace(tmp_path, clock):
    shown, stream = board(tmp_path, clock, "one", "two", kept={"one": 100, "two": 300})
    write(tmp_path / "one/run.json", entry("started", 1, 9))
    shown.look()
    clock.now = 200
    write(tmp_path / "one/run.json", entry("ok", 9, 9, 200.0))
    shown.look()
    assert stream.getvalue().splitlines() == [
        "one  starts, about 2 min left", "one  done in 3 min 20 s  (1 of 2, about 10 min left)"
    ]  # fmt: skip


def test_rows_that_are_jobs_are_counted_and_what_they_took_says_how_long_the_others_take(tmp_path, clock):
    write(tmp_path / "one/run.json", entry("ok", 9, 9, 20.0))
    shown, stream = board(tmp_path, clock, "one", rows=["a", "b", "c"], live=True, side_by_side=2)
    clock.now = 50
    write(tmp_path / "one/rows/a", {"duration_s": 50.0})
    shown.look()
    # two rows of 50 s side by side, then the notebook
    assert "one  row 1 of 3, 0 s, about 1 min left\n" in stream.getvalue()
    assert shown.runs[0].left(50) == (100.0, 20.0)
    for row in "bc":
        write(tmp_path / f"one/rows/{row}", {"duration_s": 50.0})
    write(tmp_path / "one/run.json", entry("started", 2, 9))
    shown.look()
    assert "one  cell 2 of 9, 0 s, about 20 s left\n" in stream.getvalue()


def test_rows_that_a_notebook_computes_are_counted_without_those_of_before(tmp_path, clock):
    write(tmp_path / "one/rows/old.json", {})
    os.utime(tmp_path / "one/rows/old.json", ns=(1, 1))
    shown, stream = board(tmp_path, clock, "one", live=True)
    write(tmp_path / "one/run.json", entry("started", 2, 9))
    shown.look()
    assert "one  cell 2 of 9, 0 s\n" in stream.getvalue()
    for row in "ab":
        write(tmp_path / f"one/rows/{row}.json", {"duration_s": 1.0})
    shown.look()
    assert "one  cell 2 of 9, 2 rows, 0 s\n" in stream.getvalue()


def test_a_terminal_keeps_no_line_of_what_is_in_work(tmp_path, clock):
    shown, stream = board(tmp_path, clock, "one", live=True)
    write(tmp_path / "one/run.json", entry("started", 2, 9))
    shown.look()
    assert stream.getvalue().endswith("one  cell 2 of 9, 0 s\n0 s  (0 of 1)\n")
    clock.now = 3
    shown.close()
    assert stream.getvalue().endswith("\x1b[2F\x1b[Jone  stopped after 3 s\n")
    shown.close()
    assert stream.getvalue().count("stopped") == 1


def test_a_reader_that_has_gone_stops_nothing(tmp_path, clock):
    shown, stream = board(tmp_path, clock, "one")
    stream.close()
    write(tmp_path / "one/run.json", entry("started", 1, 9))
    shown.look()
    shown.close()


@pytest.mark.parametrize(("seconds", "words"), [(1, "5 s"), (43, "45 s"), (100, "2 min"), (7200, "2.0 h")])
def test_what_is_not_known_to_the_second_is_not_said_to_the_second(seconds, words):
    assert progress.rough(seconds) == words


def test_what_snakemake_says_of_failed_jobs_is_left_out_and_what_else_goes_wrong_is_not():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    progress.hush(handler)
    for level, words in [
        (logging.INFO, "Select jobs to execute..."),
        (logging.INFO, "Nothing to be done (all requested files are present and up to date)."),
        (logging.ERROR, 'RuleException:\nCalledProcessError in file "Snakefile", line 3:'),
        (logging.ERROR, "WorkflowError:\nAt least one job did not complete successfully."),
        (logging.ERROR, "WorkflowError:\nexpected a parameter of this notebook"),
    ]:
        handler.handle(logging.LogRecord("snakemake", level, "", 0, words, (), None))
    assert stream.getvalue() == (
        "Nothing to be done (all requested files are present and up to date).\n"
        "WorkflowError:\nexpected a parameter of this notebook\n"
    )
