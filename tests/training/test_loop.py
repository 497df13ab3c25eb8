"""The loop against plain Keras arithmetic: same updates, and what it sums up, validates and refuses."""

import gc

import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from scgen_lib import training
from scgen_lib.errors import InputError


@pytest.mark.parametrize("jit", [True, False])
def test_updates_are_those_of_a_plain_loop(arrays, jit, compiled, run, weights):
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


def test_logs_are_summed_up_by_mean_or_maximum(arrays, run):
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


def test_same_seed_same_numbers_and_other_seed_others(arrays, compiled, run, weights, assert_same):
    first, _ = run(arrays)
    second, _ = run(arrays)
    assert_same(first, second)
    other = compiled()
    training.fit(other, arrays, epochs=4, batch_size=8, seed=1)
    assert not np.array_equal(weights(first)[0], weights(other)[0])


def test_validation_uses_its_rows_only_and_inference_mode(arrays, run):
    model, history = run(arrays, rows=np.arange(40), validation_rows=np.arange(40, 50), epochs=1)
    batch = {k: tf.constant(a[40:]) for k, a in arrays.items()}
    assert history["val_loss"][0] == pytest.approx(float(model.batch_loss(batch, training=False)), rel=1e-5)


def test_a_batch_larger_than_the_data_is_one_small_batch(arrays, compiled):
    model = compiled()
    history = training.fit(model, arrays, epochs=2, batch_size=64, seed=0)
    assert int(model.optimizer.iterations) == 2
    assert len(history["loss"]) == 2


def test_no_training_cells_is_an_input_error(arrays, run):
    with pytest.raises(InputError, match="at least one training cell"):
        run(arrays, rows=np.array([], int))


def test_a_training_leaves_no_graph_behind(arrays, run):
    from tensorflow.python.framework.func_graph import FuncGraph

    def graphs():
        gc.collect()
        return sum(isinstance(thing, FuncGraph) for thing in gc.get_objects())

    run(arrays, epochs=1)
    before = graphs()
    run(arrays, epochs=1)
    assert graphs() <= before


def test_predict_keeps_rows_in_order_across_batches(arrays):
    out = training.predict(lambda b: {"twice": 2 * b["x"]}, {"x": sp.csr_matrix(arrays["x"])}, batch_size=16)
    np.testing.assert_array_equal(out["twice"], 2 * arrays["x"])
