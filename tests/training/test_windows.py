"""Windows of mini-batches: how they are cut, ordered, compiled and streamed makes no other numbers."""

import threading

import keras
import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from scgen_lib.errors import InputError
from scgen_lib.training import loop, windows


def test_the_length_of_a_window_changes_nothing(arrays, monkeypatch, run, assert_same):
    whole, _ = run(arrays)
    monkeypatch.setattr(windows, "WINDOW_BATCHES", 4)
    parts, _ = run(arrays)
    assert_same(whole, parts)


def test_xla_compiles_what_has_mini_batches_enough_to_pay_for_it(arrays, monkeypatch, run):
    asked, function = [], tf.function

    def watched(*args, **options):
        if "jit_compile" in options and options.get("autograph") is False:
            asked.append(options["jit_compile"])
        return function(*args, **options)

    monkeypatch.setattr(tf, "function", watched)
    monkeypatch.setattr(windows, "XLA_PAYS", 12)
    # six whole mini-batches an epoch, and one for validation
    for epochs, expected in ((1, [False, False]), (2, [True, False])):
        run(arrays, epochs=epochs, validation_rows=np.arange(5))
        assert asked == expected
        asked.clear()


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_streamed_batches_train_like_resident_ones(arrays, monkeypatch, kind, run, weights):
    resident, history = run(arrays, validation_rows=np.arange(5))
    monkeypatch.setattr(loop, "RESIDENT_BYTES", 0)
    monkeypatch.setattr(windows, "WINDOW_BYTES", 700)
    streamed, streamed_history = run({**arrays, "x": kind(arrays["x"])}, validation_rows=np.arange(5))
    np.testing.assert_allclose(streamed_history["loss"], history["loss"], rtol=1e-6)
    np.testing.assert_allclose(streamed_history["val_loss"], history["val_loss"], rtol=1e-5)
    for left, right in zip(weights(resident), weights(streamed), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("resident", [True, False])
def test_an_order_of_ones_own_decides_the_mini_batches(arrays, monkeypatch, resident, run, compiled):
    if not resident:
        monkeypatch.setattr(loop, "RESIDENT_BYTES", 0)
    seen = []

    class Witness(type(compiled())):
        def batch_step(self, batch):
            return {"loss": tf.reduce_sum(batch["x"]), "largest": tf.constant(0.0)}

    def first_rows_twice(rng, rows, batch_size):
        seen.append(int(rng.integers(1000)))
        return np.concatenate([rows[:batch_size], rows[:batch_size]])

    model = Witness()
    model.compile(optimizer="adam")
    _, history = run(arrays, epochs=3, model=model, order=first_rows_twice)
    assert history["loss"] == pytest.approx([arrays["x"][:8].sum()] * 3)
    assert len(set(seen)) > 1, "every epoch has random numbers of its own"


def test_an_order_without_a_mini_batch_is_an_input_error(arrays, run):
    def whole_batches(rng, rows, batch_size):
        return rows[: len(rows) // batch_size * batch_size]

    with pytest.raises(InputError, match="expected at least one mini-batch, got 5 training cells"):
        run(arrays, rows=np.arange(5), order=whole_batches)


@pytest.mark.parametrize("resident", [True, False])
def test_nothing_tunes_the_input_and_keeps_the_end_of_an_epoch_waiting(arrays, resident):
    made = windows.Windows(arrays, np.arange(50), 8, resident, epochs=1)
    assert made.dataset().options().autotune.enabled is False


def test_the_next_epoch_is_made_while_this_one_ends(arrays, monkeypatch, run):
    monkeypatch.setattr(loop, "RESIDENT_BYTES", 0)
    asked, next_one, in_time = [], threading.Event(), []

    def order(rng, rows, batch_size):
        asked.append(rows)
        # the first call tells how many mini-batches an epoch has, the second one is the first epoch's
        if len(asked) == 3:
            next_one.set()
        return rows

    end = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: in_time.append(next_one.wait(30)))
    run(arrays, epochs=2, order=order, callbacks=[end])
    assert in_time == [True, True]


def test_streamed_arrays_begin_where_tensorflow_takes_them_as_they_are(arrays):
    made = windows.Windows(arrays, np.arange(50), 8, resident=False, epochs=1)
    for ((window, _, last),) in made._stream(0):
        for values in (*window.values(), *last.values()):
            assert values.ctypes.data % windows.ALIGNMENT == 0
