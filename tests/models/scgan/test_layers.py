"""Layers of scGAN: library size, normalisation and scores that know the class, and slopes of a critic."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scgen_lib.models.scgan import layers

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


def test_slopes_of_a_linear_critic_are_the_norm_of_its_weights():
    w = tf.Variable([3.0, -4.0, 12.0])
    x = tf.constant(np.random.default_rng(0).normal(size=(6, 3)), tf.float32)
    with tf.GradientTape() as tape:
        slopes = layers.input_slopes(lambda v: tf.linalg.matvec(v, w) + 7.0, x)
        penalty = tf.reduce_mean((slopes - 1.0) ** 2)
    np.testing.assert_allclose(slopes, 13.0, rtol=1e-6)
    assert float(penalty) == pytest.approx(144.0)
    np.testing.assert_allclose(tape.gradient(penalty, w), 2 * 12 * w.numpy() / 13, rtol=1e-5)


@pytest.mark.parametrize(("epsilon", "finite"), [(1e-12, True), (0.0, False)])
def test_a_slope_of_zero_has_a_gradient_with_epsilon_only(epsilon, finite):
    w = tf.Variable([0.0, 0.0])
    with tf.GradientTape() as tape:
        slopes = layers.input_slopes(lambda v: tf.linalg.matvec(v, w), tf.ones((2, 2)), epsilon=epsilon)
        penalty = tf.reduce_mean((slopes - 1.0) ** 2)
    assert np.isfinite(tape.gradient(penalty, w)).all() == finite
