"""Losses of DR-A: the released likelihood against the stable one, and the bounds of the games."""

import math

import numpy as np
import pytest
import tensorflow as tf

from scgen_lib import losses
from scgen_lib.models.dr_a.games import bhattacharyya, bhattacharyya_maker, cross_entropy, cross_entropy_maker
from scgen_lib.models.dr_a.losses import released_kl, released_zinb


def tensors(*arrays):
    return [tf.constant(np.asarray(a), "float64") for a in arrays]


def test_released_loss_of_dr_a_is_the_stable_one_but_for_its_epsilon():
    rng = np.random.default_rng(0)
    x, log_mean, logit = (
        rng.uniform(0, 1, (4, 6)) * (rng.random((4, 6)) > 0.4),
        rng.normal(-1, 1, (4, 6)),
        rng.normal(0, 2, (4, 6)),
    )
    arguments = tensors(x, log_mean, rng.gamma(2.0, 1.0, 6), logit)
    np.testing.assert_allclose(released_zinb(*arguments), losses.zinb(*arguments, normalised=False), atol=1e-6)


def test_released_divergence_of_dr_a_stays_finite_where_the_variance_is_none():
    mean, log_var = tensors([[0.0, 1.0]], [[0.5, -2.0]])
    np.testing.assert_allclose(released_kl(mean, log_var), losses.kl_standard_normal(mean, log_var), rtol=1e-6)
    assert float(released_kl(*tensors([[0.0]], [[-800.0]]))[0]) == pytest.approx(0.5 * (-1 - math.log(1e-8)))


def logits(seed=0, n=128):
    return tf.constant(np.random.default_rng(seed).uniform(0.1, 3, (n, 1)))


def test_bhattacharyya_distance_of_equal_logits_is_0_and_of_others_above():
    assert float(bhattacharyya(logits(), logits())) == pytest.approx(0, abs=1e-6)
    assert float(bhattacharyya(logits(), logits(1))) > 0.01
    assert float(bhattacharyya(-logits(), logits(1))) > 0.01


def test_encoder_loss_is_least_where_all_logits_are_equal():
    assert float(bhattacharyya_maker(tf.ones((128, 1), "float64"))) == pytest.approx(-2.42602, abs=5e-6)
    assert float(bhattacharyya_maker(logits())) > -0.5 * math.log(128)


@pytest.mark.parametrize("absolute", [False, True])
def test_logits_of_both_signs_break_the_bounds_unless_their_absolute_values_are_taken(absolute):
    # a sum near 0 makes shares of any size
    mixed = tf.concat([logits()[:64], -0.99 * logits()[:64]], axis=0)
    distance = float(bhattacharyya(mixed, mixed, absolute=absolute))
    encoder = float(bhattacharyya_maker(mixed, absolute=absolute))
    assert (distance >= -1e-6) == absolute
    assert (encoder >= -0.5 * math.log(128)) == absolute


def test_absolute_shares_are_the_released_ones_where_signs_agree():
    for sign in (1.0, -1.0):
        pair = sign * logits(), sign * logits(1)
        expected = bhattacharyya(*pair)
        assert float(bhattacharyya(*pair, absolute=True)) == pytest.approx(float(expected), abs=1e-9)


def test_gan_losses_are_cross_entropies_of_logits():
    real, fake = logits() - 1.5, logits(1) - 1.5

    def of(label, logit):
        p = 1 / (1 + np.exp(-logit.numpy()))
        return -np.log(p if label else 1 - p).mean()

    expected = 0.5 * (of(1, real) + of(0, fake))
    assert float(cross_entropy(real, fake)) == pytest.approx(expected)
    assert float(cross_entropy_maker(fake)) == pytest.approx(of(1, fake))
    zero = tf.zeros((4, 1))
    assert float(cross_entropy(zero, zero)) == float(cross_entropy_maker(zero))
    assert float(cross_entropy_maker(zero)) == pytest.approx(math.log(2))
