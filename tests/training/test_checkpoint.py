"""Resume without a trace, and what is said of a file that cannot be continued from."""

import errno
import os

import keras
import numpy as np
import pytest

from scgen_lib.errors import CheckpointError


def callbacks():
    return [
        keras.callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=1e3),
        keras.callbacks.EarlyStopping("val_loss", patience=6, min_delta=1e3, restore_best_weights=True),
    ]


@pytest.mark.parametrize("jit", [None, pytest.param(True, marks=pytest.mark.slow, id="xla")])
def test_an_interrupted_training_ends_like_an_uninterrupted_one(arrays, tmp_path, compiled, run, assert_same, jit):
    class Killed(Exception):
        pass

    def kill(epoch, logs):
        if epoch == 4:
            raise Killed

    def run_on(**options):
        rows = {"rows": np.arange(40), "validation_rows": np.arange(40, 50)}
        return run(arrays, epochs=9, model=compiled(jit=jit), checkpoint_every=3, **rows, **options)

    whole, history = run_on(callbacks=callbacks())
    path = tmp_path / "state.npz"
    killer = keras.callbacks.LambdaCallback(on_epoch_begin=kill)
    with pytest.raises(Killed):
        run_on(callbacks=[*callbacks(), killer], checkpoint=path)
    resumed, continued = run_on(callbacks=callbacks(), checkpoint=path)
    assert len(history["loss"]) == 7  # early stopping came first
    assert continued == history
    assert_same(whole, resumed)
    again, finished = run_on(callbacks=callbacks(), checkpoint=path)
    assert finished == history
    assert_same(whole, again)


def test_a_finished_training_can_be_prolonged(arrays, tmp_path, run, assert_same):
    whole, _ = run(arrays, epochs=6)
    run(arrays, epochs=3, checkpoint=tmp_path / "s")
    longer, history = run(arrays, epochs=6, checkpoint=tmp_path / "s")
    assert len(history["loss"]) == 6
    assert_same(whole, longer)


@pytest.mark.parametrize("damage", ["truncated", "not a checkpoint", "flipped"])
def test_a_damaged_checkpoint_is_refused_and_left_as_it_is(arrays, tmp_path, damage, compiled, run, weights):
    path = tmp_path / "state"
    run(arrays, epochs=2, checkpoint=path)
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 255
    path.write_bytes(bytes({"truncated": data[:-200], "not a checkpoint": b"text"}.get(damage, data)))
    before = path.read_bytes()
    model = compiled()
    start = weights(model)
    with pytest.raises(CheckpointError, match="damaged file"):
        run(arrays, model=model, checkpoint=path)
    assert path.read_bytes() == before
    for left, right in zip(start, weights(model), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(arrays, tmp_path, monkeypatch, run):
    path = tmp_path / "state"
    run(arrays, epochs=2, checkpoint=path)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(
        CheckpointError, match=r"state, got 'Permission denied' from the system: see to it that you may"
    ):
        run(arrays, checkpoint=path)


def test_a_checkpoint_of_other_data_is_refused(arrays, tmp_path, run):
    run(arrays, epochs=2, checkpoint=tmp_path / "s")
    with pytest.raises(CheckpointError, match="another one"):
        run({**arrays, "x": arrays["x"] + 1}, checkpoint=tmp_path / "s")


def test_a_failed_save_leaves_the_previous_file_and_nothing_else(arrays, tmp_path, monkeypatch, run):
    path = tmp_path / "state"
    run(arrays, epochs=2, checkpoint=path)
    before = path.read_bytes()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        run(arrays, epochs=4, checkpoint=path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
