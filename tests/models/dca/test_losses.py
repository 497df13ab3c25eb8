"""The loss of DCA's released code beside the stable one, and the losses of the student models."""

import math

import numpy as np
import pytest
import tensorflow as tf

from scgen_lib import losses
from scgen_lib.models.dca.losses import released_nb, student_improved, student_legacy


def tensors(*arrays, dtype="float64"):
    return [tf.constant(np.asarray(a), dtype) for a in arrays]


def test_stable_form_equals_released_form_on_moderate_parameters():
    rng = np.random.default_rng(1)
    x = rng.integers(0, 100, 1000).astype(float)
    mean, theta = np.exp(rng.uniform(-2, 4, 1000)), np.exp(rng.uniform(-2, 3, 1000))
    logit = rng.uniform(-4, 4, 1000)
    stable = losses.zinb(*tensors(x, np.log(mean), theta, logit)).numpy()
    released = released_nb(*tensors(x, mean, theta), logit=tf.constant(logit)).numpy()
    np.testing.assert_allclose(stable, released, rtol=0, atol=1e-5)
    nb = losses.nb(*tensors(x, np.log(mean), theta)).numpy()
    np.testing.assert_allclose(nb, released_nb(*tensors(x, mean, theta)).numpy(), rtol=0, atol=1e-5)


def test_the_released_form_takes_no_dispersion_at_all_for_a_certain_zero():
    # 0⁰ = 1, as a power has it
    loss = released_nb(*tensors([0.0], [3.0], [0.0], dtype="float32"), logit=tf.constant([-2.0]))
    np.testing.assert_allclose(loss, [0.0], atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_the_released_form_is_finite_for_a_count_that_is_certain_to_be_dropped(jit):
    """From a logit of 17 on, 1 − π is 0 in float32, and what is left is the ε of the original."""
    x, logit = tf.fill((1, 5), 3.0), tf.constant([[15.0, 16.0, 17.0, 20.0, 80.0]])

    @tf.function(jit_compile=jit)
    def loss_and_gradient(logit):
        with tf.GradientTape() as tape:
            tape.watch(logit)
            loss = released_nb(x, tf.fill((1, 5), 2.0), tf.ones((1, 5)), logit=logit)
        return loss, tape.gradient(loss, logit)

    loss, gradient = loss_and_gradient(logit)
    assert np.isfinite(gradient).all()
    counted = released_nb(x, tf.fill((1, 5), 2.0), tf.ones((1, 5)))
    # the original's −ln(1 − π + 1e-10) in float32, whose 1 − π has steps of 6e-8 there
    np.testing.assert_allclose(
        loss - counted, [[15.0, 15.9424, -math.log(1e-10), -math.log(1e-10), -math.log(1e-10)]], rtol=0.02
    )


def test_legacy_student_loss_is_clamped_where_it_fits_and_the_true_loss_is_not():
    mean, theta = tf.Variable(20.0), tf.Variable(2.0)
    with tf.GradientTape() as tape:
        loss = student_legacy(tf.constant(20.0), mean, theta, tf.constant(0.0))
    assert float(loss) == pytest.approx(0, abs=1e-6)  # ε = 1e-9 is below float32's resolution at 1
    assert [float(g) for g in tape.gradient(loss, [mean, theta])] == [0.0, 0.0]
    true = losses.nb(*tensors(20.0, math.log(20.0), 2.0))
    assert float(true) == pytest.approx(3.66, abs=5e-3)


def test_improved_student_loss_cannot_mend_an_infinite_maximum():
    x, logit = tf.constant([[0.0, 5.0]]), tf.zeros((1, 2))
    mended = student_improved(x, tf.constant([[np.nan, 5.0]]), tf.ones((1, 2)), logit)
    assert np.isfinite(mended).all()
    broken = student_improved(x, tf.constant([[5.0, np.inf]]), tf.ones((1, 2)), logit)
    assert not np.isfinite(broken).all()
