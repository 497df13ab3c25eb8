"""Trainings on counts that stay on disk: the order of cells, what is read, and numbers that are those of memory."""

import h5py
import keras
import numpy as np
import pytest
import scipy.sparse as sp

from scgen_lib import training
from scgen_lib.data import stored
from scgen_lib.data.stored import Stored
from scgen_lib.errors import CheckpointError
from scgen_lib.training import loop, windows


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Runs of 3 cells, pools of 17, windows of two mini-batches."""
    monkeypatch.setattr(stored, "NEIGHBOURS", 3)
    monkeypatch.setattr(stored, "POOL_BYTES", 17 * 6 * 4)
    monkeypatch.setattr(windows, "WINDOW_BYTES", 2 * 8 * 7 * 4)


@pytest.fixture
def on_disk(arrays, tmp_path):
    """The arrays with the first one in a file, dense, so that bytes of a cell are known."""
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        file["x"] = arrays["x"]
    with h5py.File(tmp_path / "cells.h5", "r") as file:
        yield {**arrays, "x": Stored(file["x"])}


def orders(x, rows, epochs=3, seed=0):
    return [training.shuffling(x)(np.random.default_rng([seed, epoch]), rows, 8) for epoch in range(epochs)]


def test_every_cell_comes_once_an_epoch_by_seed_and_epoch_alone(on_disk):
    rows = np.delete(np.arange(50), [4, 11, 12, 40])
    found = orders(on_disk["x"], rows)
    for cells in found:
        np.testing.assert_array_equal(np.sort(cells), rows)
        assert (cells != rows).mean() > 0.8
    # another order of the rows is no other order of the epoch: rows are read in that of the file
    for again, cells in zip(orders(on_disk["x"], rows[::-1]), found, strict=True):
        np.testing.assert_array_equal(again, cells)
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[0], orders(on_disk["x"], rows, seed=1)[0])


def test_a_pool_holds_runs_of_neighbours_in_no_order(on_disk):
    assert on_disk["x"].pool == 17
    pools = [cells[:15] for cells in orders(on_disk["x"], np.arange(50), epochs=20)]
    for pool in pools:
        # runs of 3 cells each, the last run of the file has 2
        assert len({cell // 3 for cell in pool}) <= 7
    # over the epochs a pool is anywhere, and its cells are mixed
    assert len({cell for pool in pools for cell in pool}) == 50
    neighbours = np.mean([(np.diff(pool) == 1).mean() for pool in pools])
    assert neighbours < 0.2


@pytest.mark.parametrize(
    "order",
    [None, *(pytest.param(order, marks=pytest.mark.slow) for order in (training.in_file_order, training.shuffled))],
)
def test_updates_are_those_of_memory_to_the_bit(arrays, on_disk, order, monkeypatch, run, assert_same):
    monkeypatch.setattr(loop, "RESIDENT_BYTES", 0)
    options = {"rows": np.arange(43), "validation_rows": np.arange(43, 50)}
    same = order or training.shuffling(on_disk["x"])
    memory, history = run({**arrays, "x": sp.csr_matrix(arrays["x"])}, order=same, **options)
    disk, on_file = run(on_disk, order=order, **options)
    assert on_file == history
    assert_same(memory, disk)


def test_a_killed_training_ends_like_another(on_disk, tmp_path, run, assert_same):
    class Killed(Exception):
        pass

    def kill(epoch, logs):
        if epoch == 3:
            raise Killed

    options = {"epochs": 5, "checkpoint_every": 2, "validation_rows": np.arange(9)}
    whole, history = run(on_disk, **options)
    killer = keras.callbacks.LambdaCallback(on_epoch_begin=kill)
    with pytest.raises(Killed):
        run(on_disk, checkpoint=tmp_path / "state", callbacks=[killer], **options)
    resumed, continued = run(on_disk, checkpoint=tmp_path / "state", **options)
    assert continued == history
    assert_same(whole, resumed)


def test_a_checkpoint_is_of_the_cells_in_the_file(on_disk, arrays, tmp_path, run):
    run(on_disk, epochs=1, checkpoint=tmp_path / "state")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = arrays["x"] + (np.arange(300).reshape(50, 6) == 150)
        with pytest.raises(CheckpointError, match="of this model, data and settings"):
            run({**on_disk, "x": Stored(file["x"])}, epochs=1, checkpoint=tmp_path / "state")


@pytest.fixture
def read(monkeypatch):
    """How many cells were read from files, each time."""
    found = []
    rows = stored._File.rows

    def counted(self, start, stop):
        found.append(stop - start)
        return rows(self, start, stop)

    monkeypatch.setattr(stored, "GAP", 1)
    monkeypatch.setattr(stored._File, "rows", counted)
    return found


def test_an_epoch_reads_the_file_about_once(on_disk, read, run):
    run(on_disk, epochs=2)
    # a run that lies across two pools is read twice
    assert 2 * 50 <= sum(read) <= 2 * 50 * 1.2
    # and by runs, not by cells
    assert len(read) < 2 * 50 / 2


def test_arrays_made_of_the_same_cells_are_read_once(on_disk, read, run):
    twice = on_disk["x"].map(lambda x: 2 * x)
    run({**on_disk, "twice": twice}, epochs=2)
    assert 2 * 50 <= sum(read) <= 2 * 50 * 1.2


@pytest.mark.parametrize(("n", "times"), [(17, 1), (20, 3)])
def test_validation_cells_that_a_pool_holds_are_read_once(on_disk, read, n, times, run, monkeypatch):
    monkeypatch.setattr(stored, "BLOCK_BYTES", 5 * 6 * 4)
    run(on_disk, epochs=3, rows=np.arange(40, 50), validation_rows=np.arange(n))
    # the training cells fit into a pool too, but come in another order every epoch
    assert sum(read) == 3 * 10 + times * n


def test_predictions_are_those_of_memory(arrays, on_disk):
    twice = [training.predict(lambda b: {"y": 2 * b["x"]}, a, batch_size=16)["y"] for a in (arrays, on_disk)]
    np.testing.assert_array_equal(*twice)
