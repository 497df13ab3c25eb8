"""Layers and random numbers of our own: the laws that they follow, in and out of compiled windows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scgen_lib import layers

N = 200_000


@pytest.mark.parametrize("compiled", [False, True])
def test_dropout_keeps_its_share_and_the_mean(compiled):
    layer, ones = layers.Dropout(0.3, seed=0), tf.ones((N,))
    out = tf.function(lambda: layer(ones, training=True), jit_compile=compiled)().numpy()
    assert set(np.unique(out)) == {0.0, np.float32(1 / 0.7)}
    # five standard errors of a share
    assert (out > 0).mean() == pytest.approx(0.7, abs=5 * (0.21 / N) ** 0.5)
    np.testing.assert_array_equal(layer(ones, training=False), ones)


def test_dropout_draws_anew_and_the_same_from_one_seed():
    first, second = (layers.Dropout(0.5, seed=1) for _ in range(2))
    x = tf.ones((1000,))
    masks = [first(x, training=True).numpy() for _ in range(2)]
    assert (masks[0] != masks[1]).any()
    np.testing.assert_array_equal(second(x, training=True), masks[0])


def test_dropout_passes_gradients_of_what_it_keeps():
    layer, x = layers.Dropout(0.5, seed=1), tf.Variable(tf.ones((1000,)))
    with tf.GradientTape() as tape:
        out = layer(x, training=True)
    np.testing.assert_array_equal(tape.gradient(out, x), out)


@pytest.mark.parametrize("compiled", [False, True])
def test_random_numbers_follow_their_distributions(compiled):
    seeds = keras.random.SeedGenerator(3)

    def draw():
        return layers.normal((N,), seeds), layers.uniform((N,), seeds, -1.0)

    normal, uniform = (v.numpy() for v in tf.function(draw, jit_compile=compiled)())
    # five standard errors of mean and sd
    assert normal.mean() == pytest.approx(0, abs=5 * N**-0.5)
    assert normal.std() == pytest.approx(1, abs=5 * (2 * N) ** -0.5)
    assert uniform.mean() == pytest.approx(0, abs=5 * (3 * N) ** -0.5)
    assert -1 <= uniform.min() < -0.99 < 0.99 < uniform.max() <= 1
    assert abs(np.corrcoef(normal, uniform)[0, 1]) < 5 * N**-0.5


@pytest.mark.parametrize("shape", [(16, 12), (7, 3), (1001,)])
def test_random_numbers_of_a_seed_are_the_same_in_and_out_of_a_compiled_program(shape):
    def draw(seeds):
        return layers.uniform(shape, seeds), layers.normal(shape, seeds)

    eager = draw(keras.random.SeedGenerator(5))
    seeds = keras.random.SeedGenerator(5)
    compiled = tf.function(lambda: draw(seeds), jit_compile=True, autograph=False)()
    np.testing.assert_array_equal(eager[0], compiled[0])
    np.testing.assert_allclose(eager[1], compiled[1], rtol=1e-5, atol=1e-6)  # sine and cosine in float32
