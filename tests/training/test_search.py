"""Search of the batch size: what it tries, which one wins, and what a kill or a failing trial leaves."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from scgen_lib.errors import CheckpointError, InputError, ParameterError
from scgen_lib.training import search_batch_size as search

VALUES = {b: float((b - 48) ** 2) for b in range(16, 129, 8)}

# A search in a process of its own: a line in LOG for each trial that starts and ends.
SCRIPT = """
import os, sys, time
from scgen_lib.training import search_batch_size as search
log, folder, die_at = sys.argv[1:]

def write(text):
    with open(log, "a") as file:
        file.write(text + "\\n")

def score(batch_size, seed):
    write(f"start {batch_size}")
    if batch_size == int(die_at):
        write("wait")
        time.sleep(60)
    if batch_size == 40:
        raise ValueError("no forty")
    write(f"end {batch_size}")
    return {"mse": abs(batch_size - 24.0)}

found = search(score, objective="mse", direction="min", batch_max=48, directory=folder)
write(f"best {found.best} of {found.trials['batch_size'].tolist()}, {found.trials['error'].dropna().to_dict()}")
"""


def stub(batch_size, seed):
    return {"loss": VALUES[batch_size] + seed}


def started(tmp_path, name, die_at=0, **variables):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / f"{name}.log"), str(tmp_path / "project"), str(die_at)]
    output = (tmp_path / f"{name}.out").open("w")
    return subprocess.Popen(command, env={**os.environ, **variables}, stdout=output, stderr=subprocess.STDOUT)


def lines(tmp_path, name):
    log = tmp_path / f"{name}.log"
    return log.read_text().splitlines() if log.exists() else []


def wait_for(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the process has ended early"
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)


def test_published_range_has_15_batch_sizes_each_tried_once_with_every_seed():
    tried = []

    def score(batch_size, seed):
        tried.append((batch_size, seed))
        return stub(batch_size, seed)

    found = search(score, objective="loss", direction="min", seeds=(3, 4))
    assert sorted(tried) == [(b, s) for b in range(16, 129, 8) for s in (3, 4)]
    assert found.curve.index.tolist() == list(range(16, 129, 8))
    assert len(found.curve) == 15
    np.testing.assert_allclose(found.curve["loss"], [v + 3.5 for v in VALUES.values()])
    np.testing.assert_allclose(found.curve["loss_sd"], np.sqrt(0.5))  # of two numbers 1 apart
    assert (found.curve["n"] == 2).all()


@pytest.mark.parametrize(("direction", "best"), [("min", 48), ("max", 128)])
def test_the_better_end_of_the_objective_wins(direction, best):
    assert search(stub, objective="loss", direction=direction).best == best


@pytest.mark.parametrize("direction", ["min", "max"])
def test_a_tie_goes_to_the_smallest_batch(direction):
    found = search(lambda batch_size, seed: {"v": 100.0 if batch_size in (24, 64) else 50.0}, objective="v",
                   direction=direction)  # fmt: skip
    assert found.best == {"max": 24, "min": 16}[direction]


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_trial_that_fails_is_reported_and_never_wins(capfd):
    def score(batch_size, seed):
        if batch_size == 128:
            raise InputError("expected 128 cells, got 124: lower the batch size")
        if batch_size == 120:
            return {"acc": float("nan")}
        return {"acc": float(batch_size)}

    found = search(score, objective="acc", direction="max")
    assert found.best == 112
    errors = found.trials.set_index("batch_size")["error"]
    assert errors[128] == "expected 128 cells, got 124: lower the batch size"
    assert errors[120] == "ArithmeticError: acc is nan"
    assert errors.notna().sum() == 2
    assert found.curve.index.max() == 112
    assert capfd.readouterr() == ("", "")


def test_a_search_without_any_success_says_why():
    def score(batch_size, seed):
        raise RuntimeError("out of memory")

    with pytest.raises(ParameterError, match="15 that failed, the first one with 'RuntimeError: out of memory'"):
        search(score, objective="loss", direction="min")


def test_a_finished_search_is_read_and_not_run_again(tmp_path):
    first = search(stub, objective="loss", direction="min", directory=tmp_path / "project")

    def never(batch_size, seed):
        raise AssertionError

    again = search(never, objective="loss", direction="min", directory=tmp_path / "project")
    assert again.trials.equals(first.trials)


@pytest.mark.parametrize("directory", [".", "", "deep/..", "~"])
def test_a_search_finds_its_trials_again_in_any_folder(tmp_path, monkeypatch, directory):
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    first = search(stub, objective="loss", direction="min", batch_max=24, directory=directory)

    def never(batch_size, seed):
        raise AssertionError

    again = search(never, objective="loss", direction="min", batch_max=24, directory=tmp_path)
    assert len(first.trials) == 2
    assert again.trials.equals(first.trials)


def test_another_search_does_not_continue_this_one(tmp_path):
    search(stub, objective="loss", direction="min", directory=tmp_path, settings={"epochs": 20})
    with pytest.raises(CheckpointError, match="got another one in"):
        search(stub, objective="loss", direction="min", directory=tmp_path, settings={"epochs": 21})


@pytest.mark.parametrize("limits", [{"batch_min": 0}, {"batch_min": 64, "batch_max": 32}, {"batch_step": 0}])
def test_an_impossible_range_is_refused(limits):
    with pytest.raises(ParameterError, match="1 ≤ batch_min ≤ batch_max"):
        search(stub, objective="loss", direction="min", **limits)


def test_a_search_is_quiet(capfd):
    search(stub, objective="loss", direction="min", batch_max=24)
    assert capfd.readouterr() == ("", "")
    search(stub, objective="loss", direction="min", batch_max=24, progress=True)
    assert "2/2" in capfd.readouterr().err


def test_a_killed_search_continues_where_it_was(tmp_path):
    process = started(tmp_path, "killed", die_at=32)
    try:
        wait_for(lambda: "wait" in lines(tmp_path, "killed"), process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert lines(tmp_path, "killed") == ["start 16", "end 16", "start 24", "end 24", "start 32", "wait"]
    statuses = [json.loads(f.read_text())["status"] for f in sorted((tmp_path / "project").glob("*/trial.json"))]
    assert statuses == ["COMPLETED", "COMPLETED", "RUNNING"]
    tried = []

    def score(batch_size, seed):
        tried.append(batch_size)
        return {"mse": abs(batch_size - 24.0)}

    found = search(score, objective="mse", direction="min", batch_max=48, directory=tmp_path / "project")
    assert tried == [32, 40, 48]
    assert found.trials["mse"].tolist() == [8, 0, 8, 16, 24]


@pytest.mark.slow
def test_chief_and_worker_share_one_search(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    address = {"KERASTUNER_ORACLE_IP": "127.0.0.1", "KERASTUNER_ORACLE_PORT": port}
    chief = started(tmp_path, "chief", KERASTUNER_TUNER_ID="chief", **address)
    worker = started(tmp_path, "worker", KERASTUNER_TUNER_ID="worker0", **address)
    try:
        for process in (worker, chief):
            assert process.wait(timeout=90) == 0, [f.read_text() for f in tmp_path.glob("*.out")]
    finally:
        for process in (worker, chief):
            process.kill()
            process.wait()
    best = "best 24 of [16, 24, 32, 40, 48], {3: 'ValueError: no forty'}"
    assert lines(tmp_path, "chief") == [best]  # the chief trains nothing, and knows the errors of others
    assert lines(tmp_path, "worker")[-1] == best
    assert [line for line in lines(tmp_path, "worker") if line.startswith("start")] == [
        f"start {b}" for b in (16, 24, 32, 40, 48)
    ]
