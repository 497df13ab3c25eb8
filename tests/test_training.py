"""The engine against plain Keras arithmetic: same updates, whatever the window; resume without a trace."""

import errno
import gc
import os

import keras
import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from scgen_lib import training
from scgen_lib.errors import CheckpointError, InputError


class Net(training.WindowModel):
    """A small regression net with dropout, so that random state matters."""

    logs_by = {"loss": "mean", "largest": "max"}  # noqa: RUF012

    def __init__(self, dropout=0.2):
        super().__init__()
        self.net = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(5, use_bias=False, kernel_initializer=keras.initializers.GlorotUniform(seed=1)),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(dropout, seed=2),
                keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed=3)),
            ]
        )
        self.dropout = dropout

    def get_config(self):
        return {"dropout": self.dropout}

    def batch_loss(self, batch, training):
        return tf.reduce_mean((self.net(batch["x"], training=training) - batch["y"]) ** 2)

    def batch_step(self, batch):
        return {**super().batch_step(batch), "largest": tf.reduce_max(batch["y"])}


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    x = rng.poisson(0.6, (50, 6)).astype("float32")
    return {"x": x, "y": (x @ np.arange(6.0)[:, None]).astype("float32")}


def compiled(dropout=0.2, learning_rate=0.01, jit=None):
    model = Net(dropout)
    model.jit = jit
    model.compile(optimizer=keras.optimizers.Adam(learning_rate))
    return model


def run(arrays, epochs=4, model=None, **kwargs):
    model = model or compiled()
    history = training.fit(model, arrays, epochs=epochs, batch_size=8, seed=0, **kwargs)
    return model, history


def weights(model):
    return model.get_weights()


def assert_same(a, b):
    for left, right in zip(weights(a), weights(b), strict=True):
        np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("jit", [True, False])
def test_updates_are_those_of_a_plain_loop(arrays, jit):
    model, history = run(arrays, model=compiled(dropout=0.0, jit=jit))
    plain = compiled(dropout=0.0)
    losses = []
    for epoch in range(4):
        order = np.random.default_rng([0, epoch]).permutation(50)
        total = 0.0
        for start in range(0, 50, 8):  # six batches of 8 and one of 2
            rows = order[start : start + 8]
            total += len(rows) * float(plain.batch_step({k: tf.constant(a[rows]) for k, a in arrays.items()})["loss"])
        losses.append(total / 50)
    # one program against single operations: the order of float32 sums differs
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-4)
    for left, right in zip(weights(model), weights(plain), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-5)


def test_logs_are_summed_up_by_mean_or_maximum(arrays):
    _, history = run(arrays, epochs=2)
    assert history["largest"] == [arrays["y"].max()] * 2


def test_a_maximum_may_be_negative_and_outlives_the_reset():
    largest = training.Max()
    for values in ([-3.0, -2.0, -5.0], [-7.0]):
        largest.reset_state()
        for value in values:
            largest.update_state(tf.constant(value))
        found = largest.result()
        largest.reset_state()
        assert float(found) == max(values)


def test_same_seed_same_numbers_and_other_seed_others(arrays):
    first, _ = run(arrays)
    second, _ = run(arrays)
    assert_same(first, second)
    other = compiled()
    training.fit(other, arrays, epochs=4, batch_size=8, seed=1)
    assert not np.array_equal(weights(first)[0], weights(other)[0])


def test_the_length_of_a_window_changes_nothing(arrays, monkeypatch):
    whole, _ = run(arrays)
    monkeypatch.setattr(training, "WINDOW_BATCHES", 4)
    parts, _ = run(arrays)
    assert_same(whole, parts)


def test_xla_compiles_what_has_mini_batches_enough_to_pay_for_it(arrays, monkeypatch):
    asked, function = [], tf.function

    def watched(*args, **options):
        if "jit_compile" in options and options.get("autograph") is False:
            asked.append(options["jit_compile"])
        return function(*args, **options)

    monkeypatch.setattr(tf, "function", watched)
    monkeypatch.setattr(training, "XLA_PAYS", 12)
    # six whole mini-batches an epoch, and one for validation
    for epochs, expected in ((1, [False, False]), (2, [True, False])):
        run(arrays, epochs=epochs, validation_rows=np.arange(5))
        assert asked == expected
        asked.clear()


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_matrix])
def test_streamed_batches_train_like_resident_ones(arrays, monkeypatch, kind):
    resident, history = run(arrays, validation_rows=np.arange(5))
    monkeypatch.setattr(training, "RESIDENT_BYTES", 0)
    monkeypatch.setattr(training, "WINDOW_BYTES", 700)
    streamed, streamed_history = run({**arrays, "x": kind(arrays["x"])}, validation_rows=np.arange(5))
    np.testing.assert_allclose(streamed_history["loss"], history["loss"], rtol=1e-6)
    np.testing.assert_allclose(streamed_history["val_loss"], history["val_loss"], rtol=1e-5)
    for left, right in zip(weights(resident), weights(streamed), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("resident", [True, False])
def test_an_order_of_ones_own_decides_the_mini_batches(arrays, monkeypatch, resident):
    if not resident:
        monkeypatch.setattr(training, "RESIDENT_BYTES", 0)
    seen = []

    class Witness(Net):
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


def test_an_order_without_a_mini_batch_is_an_input_error(arrays):
    def whole_batches(rng, rows, batch_size):
        return rows[: len(rows) // batch_size * batch_size]

    with pytest.raises(InputError, match="expected at least one mini-batch, got 5 training cells"):
        run(arrays, rows=np.arange(5), order=whole_batches)


def test_validation_uses_its_rows_only_and_inference_mode(arrays):
    model, history = run(arrays, rows=np.arange(40), validation_rows=np.arange(40, 50), epochs=1)
    batch = {k: tf.constant(a[40:]) for k, a in arrays.items()}
    assert history["val_loss"][0] == pytest.approx(float(model.batch_loss(batch, training=False)), rel=1e-5)


def test_a_batch_larger_than_the_data_is_one_small_batch(arrays):
    model = compiled()
    history = training.fit(model, arrays, epochs=2, batch_size=64, seed=0)
    assert int(model.optimizer.iterations) == 2
    assert len(history["loss"]) == 2


def callbacks():
    return [
        keras.callbacks.ReduceLROnPlateau("val_loss", patience=1, min_delta=1e3),
        keras.callbacks.EarlyStopping("val_loss", patience=6, min_delta=1e3, restore_best_weights=True),
    ]


def test_an_interrupted_training_ends_like_an_uninterrupted_one(arrays, tmp_path):
    class Killed(Exception):
        pass

    def kill(epoch, logs):
        if epoch == 4:
            raise Killed

    def run_on(**options):
        rows = {"rows": np.arange(40), "validation_rows": np.arange(40, 50)}
        return run(arrays, epochs=9, model=compiled(jit=True), checkpoint_every=3, **rows, **options)

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


def test_a_finished_training_can_be_prolonged(arrays, tmp_path):
    whole, _ = run(arrays, epochs=6)
    run(arrays, epochs=3, checkpoint=tmp_path / "s")
    longer, history = run(arrays, epochs=6, checkpoint=tmp_path / "s")
    assert len(history["loss"]) == 6
    assert_same(whole, longer)


@pytest.mark.parametrize("damage", ["truncated", "not a checkpoint", "flipped"])
def test_a_damaged_checkpoint_is_refused_and_left_as_it_is(arrays, tmp_path, damage):
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


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(arrays, tmp_path, monkeypatch):
    path = tmp_path / "state"
    run(arrays, epochs=2, checkpoint=path)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(
        CheckpointError, match=r"state, but the system says 'Permission denied': see to it that you may"
    ):
        run(arrays, checkpoint=path)


def test_a_checkpoint_of_other_data_is_refused(arrays, tmp_path):
    run(arrays, epochs=2, checkpoint=tmp_path / "s")
    with pytest.raises(CheckpointError, match="another one"):
        run({**arrays, "x": arrays["x"] + 1}, checkpoint=tmp_path / "s")


def test_a_failed_save_leaves_the_previous_file_and_nothing_else(arrays, tmp_path, monkeypatch):
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


def test_no_training_cells_is_an_input_error(arrays):
    with pytest.raises(InputError, match="at least one training cell"):
        run(arrays, rows=np.array([], int))


def test_a_training_leaves_no_graph_behind(arrays):
    from tensorflow.python.framework.func_graph import FuncGraph

    def graphs():
        gc.collect()
        return sum(isinstance(thing, FuncGraph) for thing in gc.get_objects())

    run(arrays, epochs=1)
    before = graphs()
    run(arrays, epochs=1)
    assert graphs() <= before


@pytest.mark.parametrize("resident", [True, False])
def test_nothing_tunes_the_input_and_keeps_the_end_of_an_epoch_waiting(arrays, resident):
    windows = training._Windows(arrays, np.arange(50), 8, resident, epochs=1)
    assert windows.dataset().options().autotune.enabled is False


def test_calls_in_parallel_come_back_in_order(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert training.in_parallel(divmod, [(7, 2), (9, 4), (5, 5)]) == [(3, 1), (2, 1), (1, 0)]
    assert training.in_parallel(divmod, []) == []


def test_predict_keeps_rows_in_order_across_batches(arrays):
    out = training.predict(lambda b: {"twice": 2 * b["x"]}, {"x": sp.csr_matrix(arrays["x"])}, batch_size=16)
    np.testing.assert_array_equal(out["twice"], 2 * arrays["x"])


def test_split_takes_the_last_cells_or_a_seeded_draw():
    rows, validation = training.split(95, 0.1, shuffle=False, seed=0)
    assert validation.tolist() == list(range(85, 95))
    assert rows.tolist() == list(range(85))
    drawn = training.split(95, 0.1, shuffle=True, seed=0)
    assert drawn[1].tolist() != validation.tolist()
    assert sorted([*drawn[0], *drawn[1]]) == list(range(95))
    np.testing.assert_array_equal(drawn[1], training.split(95, 0.1, shuffle=True, seed=0)[1])
