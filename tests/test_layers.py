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


# Library size, conditional normalisation and class scores -------------------------------------------------------------

RNG = np.random.default_rng(0)


def one_hot(codes, n=3):
    return tf.one_hot(codes, n)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
def test_every_row_has_the_library_size_whatever_its_scale(dtype, tolerance):
    a = tf.constant(RNG.gamma(0.3, 5.0, (4, 50)), dtype)
    y = layers.to_library_size(a, 20000.0)
    np.testing.assert_allclose(y.numpy().sum(axis=1), 20000, rtol=tolerance)
    np.testing.assert_allclose(layers.to_library_size(37 * a, 20000.0), y, rtol=tolerance)
    # dividing by the sum of the batch would pass for one row only
    np.testing.assert_allclose(layers.to_library_size(a[:1], 20000.0), y[:1], rtol=tolerance)


def test_the_sum_of_a_row_has_no_gradient_and_an_empty_row_stays_empty():
    a = tf.constant([[1.0, 2.0, 5.0], [0.0, 0.0, 0.0]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(a)
        y = layers.to_library_size(a, 100.0)
        total = tf.reduce_sum(y)
    np.testing.assert_array_equal(y[1], 0)
    np.testing.assert_allclose(tape.gradient(total, a), 0, atol=1e-12)


def test_relu_is_rectified_and_has_no_second_derivative():
    x = tf.constant([-2.0, -0.0, 0.0, 3.0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = layers.relu(x)
        slope = inner.gradient(y, x)
    np.testing.assert_array_equal(y, tf.nn.relu(x))
    np.testing.assert_array_equal(slope, [0, 0, 0, 1])
    assert outer.gradient(slope, x) is None


def test_equal_tables_are_plain_batch_normalisation_and_its_moving_statistics():
    x = tf.constant(RNG.normal(3, 2, (16, 5)), tf.float32)
    norm = layers.ConditionalNorm(5, 3, momentum=0.9)
    plain = keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    label = one_hot(RNG.integers(0, 3, 16))
    for training in (True, True, False):
        expected = plain(x, training=training)
        np.testing.assert_allclose(norm(x, label, training=training), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_mean, plain.moving_mean, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, plain.moving_variance, rtol=1e-5)


def test_moving_statistics_keep_their_start_for_long_and_are_left_alone_on_request():
    norm = layers.ConditionalNorm(2, momentum=0.99)
    x = tf.constant([[1.0, -1.0], [3.0, 1.0]])
    for _ in range(10):
        norm(x, tf.ones((2, 1)), training=True)
    np.testing.assert_allclose(norm.moving_mean, np.array([2.0, 0.0]) * (1 - 0.99**10), rtol=1e-5)
    before = norm.moving_mean.numpy()
    norm(5 * x, tf.ones((2, 1)), training=True, track=False)
    np.testing.assert_array_equal(norm.moving_mean, before)


@pytest.mark.parametrize("kind", ["batchnorm", "layernorm"])
def test_every_row_gets_the_scale_and_offset_of_its_class(kind):
    norm = layers.ConditionalNorm(4, 3, kind)
    scale, offset = RNG.normal(size=(2, 3, 4)).astype("float32")
    x, codes = tf.constant(RNG.normal(size=(6, 4)), tf.float32), np.array([0, 1, 2, 2, 1, 0])
    bare = norm(x, one_hot(codes)).numpy()
    norm.scale.assign(scale)
    norm.offset.assign(offset)
    np.testing.assert_allclose(norm(x, one_hot(codes)), bare * scale[codes] + offset[codes], rtol=1e-5, atol=1e-6)
    swapped = np.array([2, 1, 0])[codes]
    norm.scale.assign(scale[[2, 1, 0]])
    norm.offset.assign(offset[[2, 1, 0]])
    np.testing.assert_allclose(norm(x, one_hot(swapped)), bare * scale[codes] + offset[codes], rtol=1e-5, atol=1e-6)


def test_layer_normalisation_looks_at_one_row_in_training_and_outside():
    norm, x = layers.ConditionalNorm(4, 1, "layernorm"), tf.constant(RNG.normal(2, 3, (5, 4)), tf.float32)
    y = norm(x, tf.ones((5, 1)), training=True).numpy()
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-6)
    np.testing.assert_allclose(norm(x[:1], tf.ones((1, 1))), y[:1], rtol=1e-5)
    assert not norm.non_trainable_variables


def test_scores_are_per_class_or_shared_plus_a_projection():
    h, codes = RNG.normal(size=(4, 5)).astype("float32"), np.array([2, 0, 1, 2])
    head = layers.ClassScore(5, 3)
    head.bias.assign([1.0, 2.0, 3.0])
    v = head.vectors.numpy()
    np.testing.assert_allclose(head(h, one_hot(codes)), (h * v[codes]).sum(1) + codes + 1, rtol=1e-5)
    assert np.abs(v).max() <= np.sqrt(6 / (6 * 3))
    head = layers.ClassScore(5, 3, "projection")
    v, w = head.vectors.numpy(), head.shared.numpy()[:, 0]
    np.testing.assert_allclose(head(h, one_hot(codes)), (h * (v[codes] + w)).sum(1), rtol=1e-5)
    assert head.count_params() == 3 * 5 + 5 + 1
