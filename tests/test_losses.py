"""Likelihoods against scipy, against the released form, and at the edges of float32."""

import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from scipy.special import gammaln

from scgen_lib import losses


def grid(dtype="float64"):
    rng = np.random.default_rng(0)
    x = np.concatenate([np.arange(50), rng.integers(0, 2001, 450)]).astype(dtype)
    mean = np.exp(rng.uniform(-4, 7, 500)).astype(dtype)
    theta = np.exp(rng.uniform(-4, 9, 500)).astype(dtype)
    return x, mean, theta


def tensors(*arrays, dtype="float64"):
    return [tf.constant(np.asarray(a), dtype) for a in arrays]


def exact_nb(x, mean, theta):
    """lnΓ(x + θ) − lnΓ(θ) as a sum of logarithms in extended precision: scipy itself is off by up to 6e-9 here."""
    rising = np.array(
        [
            np.log(t + np.arange(n, dtype=np.longdouble)).sum()
            for n, t in zip(x, theta.astype(np.longdouble), strict=True)
        ]
    )
    factorial = np.array([np.log(np.arange(1, n + 1, dtype=np.longdouble)).sum() for n in x])
    odds = (mean / theta).astype(np.longdouble)
    return (factorial - rising + (theta + x) * np.log1p(odds) - x * np.log(odds)).astype(float)


def test_nb_is_the_negative_binomial():
    x, mean, theta = grid()
    expected = exact_nb(x, mean, theta)
    np.testing.assert_allclose(losses.nb(*tensors(x, np.log(mean), theta)).numpy(), expected, rtol=0, atol=1e-10)
    scipys = -scipy.stats.nbinom.logpmf(x, theta, theta / (theta + mean))
    np.testing.assert_allclose(expected, scipys, rtol=0, atol=1e-8)


def test_nb_in_single_precision():
    # x ln x of a count above 1000 leaves fewer than four exact digits of a loss of about 10 in float32
    x, mean, theta = (a[grid()[0] <= 1000] for a in grid())
    got = losses.nb(*tensors(x, np.log(mean), theta, dtype="float32")).numpy()
    np.testing.assert_allclose(got, exact_nb(x, mean, theta), rtol=1e-4)


def test_probabilities_sum_to_one():
    x = np.arange(4000.0)
    r, theta, logit = math.log(30.0), 2.0, 0.4
    nb = losses.nb(*tensors(x, np.full_like(x, r), np.full_like(x, theta)))
    zinb = losses.zinb(*tensors(x, np.full_like(x, r), np.full_like(x, theta), np.full_like(x, logit)))
    assert np.exp(-nb).sum() == pytest.approx(1, abs=1e-9)
    assert np.exp(-zinb).sum() == pytest.approx(1, abs=1e-9)


def test_zinb_without_inflation_is_nb():
    x, mean, theta = grid()
    args = tensors(x, np.log(mean), theta)
    np.testing.assert_allclose(losses.zinb(*args, tf.constant(-80.0, "float64")), losses.nb(*args), atol=1e-9)


def test_full_inflation_makes_zeros_free_and_counts_cost_the_logit():
    args = tensors([0.0, 3.0], np.log([5.0, 5.0]), [2.0, 2.0])
    zero, counted = losses.zinb(*args, tf.constant(60.0, "float64")).numpy()
    assert zero == pytest.approx(0, abs=1e-12)
    assert counted == pytest.approx(losses.nb(*args).numpy()[1] + 60.0)


def test_nb_tends_to_poisson():
    x, mean = np.arange(60.0), np.full(60, 20.0)
    theta = 1e6
    nb = losses.nb(*tensors(x, np.log(mean), np.full(60, theta))).numpy()
    poisson = losses.poisson(*tensors(x, np.log(mean))).numpy()
    np.testing.assert_allclose(poisson, -scipy.stats.poisson.logpmf(x, 20), atol=1e-10)
    assert (np.abs(nb - poisson) <= ((x - mean) ** 2 + x) / theta).all()


def test_value_and_gradient_are_finite_at_extreme_outputs():
    h = np.array(np.meshgrid(*[[-80.0, 0.0, 80.0]] * 3, [0.0, 1.0, 1e4]), "float32").reshape(4, -1)
    mean, dispersion, logit = (tf.Variable(v) for v in h[:3])
    with tf.GradientTape() as tape:
        theta = tf.clip_by_value(tf.nn.softplus(dispersion), *losses.DISPERSION_BOUNDS)
        loss = losses.zinb(tf.constant(h[3]), losses.clip_log_mean(mean), theta, logit, ridge=0.1)
    assert np.isfinite(loss).all()
    for gradient in tape.gradient(loss, [mean, dispersion, logit]):
        assert np.isfinite(gradient).all()


def test_ridge_adds_the_squared_probability():
    x, mean, theta = grid()
    args = [*tensors(x, np.log(mean), theta), tf.constant(np.linspace(-5, 5, 500))]
    difference = losses.zinb(*args, ridge=0.05) - losses.zinb(*args)
    np.testing.assert_allclose(difference, 0.05 / (1 + np.exp(-np.linspace(-5, 5, 500))) ** 2, atol=1e-10)


def test_unnormalised_losses_lack_only_the_factorial():
    x, mean, theta = grid()
    args = tensors(x, np.log(mean), theta)
    factorial = gammaln(x + 1)
    logit = tf.constant(0.3, "float64")
    for loss, arguments in ((losses.nb, args), (losses.zinb, [*args, logit]), (losses.poisson, args[:2])):
        difference = loss(*arguments) - loss(*arguments, normalised=False)
        # a zero contributes lnΓ(1) = 0, so the identity holds for the zero-inflated loss as well
        np.testing.assert_allclose(difference, factorial, atol=1e-8)


def test_rising_factorial_of_large_dispersions_does_not_cancel():
    # the difference of two library lnΓ is off by 1.5e-3 at θ = 1e4 and by 0.65 at θ = 1e6
    for theta in (1e4, 1e6):
        got = float(losses.log_rising(tf.constant(theta), tf.constant(3.0)))
        assert got == pytest.approx(gammaln(theta + 3) - gammaln(theta), rel=1e-6)
    assert float(losses.log_rising(tf.constant(7.3), tf.constant(0.0))) == 0.0


def test_posterior_exceeds_prior_and_tends_to_one():
    rng = np.random.default_rng(2)
    r, theta, logit = rng.uniform(-5, 5, 300), np.exp(rng.uniform(-3, 5, 300)), rng.uniform(-5, 5, 300)
    pi = 1 / (1 + np.exp(-logit))
    w = losses.dropout_posterior(*tensors(r, theta, logit)).numpy()
    zero = (theta / (theta + np.exp(r))) ** theta
    np.testing.assert_allclose(w, 1 - (1 - pi) * zero / (pi + (1 - pi) * zero), atol=1e-10)
    assert (w >= pi - 1e-12).all()
    assert float(losses.dropout_posterior(*tensors(14.0, 5.0, -3.0))) == pytest.approx(1, abs=1e-6)


def test_kl_divergence_from_the_standard_normal():
    mean, log_var = tensors([[0.0, 0.0], [3.0, -1.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0], [-1.0, 0.5]])
    kl = losses.kl_standard_normal(mean, log_var)
    np.testing.assert_allclose(kl[:2], [0.0, 5.0])
    # numerically, dimension by dimension
    z = np.linspace(-15, 15, 200_001)
    p = scipy.stats.norm([[0.0], [2.0]], np.exp([[-0.5], [0.25]]))
    integrand = p.pdf(z) * (p.logpdf(z) - scipy.stats.norm.logpdf(z))
    np.testing.assert_allclose(kl[2], np.trapezoid(integrand, z, axis=1).sum(), rtol=1e-6)


def test_small_kl_divergences_keep_their_digits_in_single_precision():
    # ½ (eᵛ − 1 − v) ≈ v²/4
    kl = losses.kl_standard_normal(*tensors([[0.0]], [[1e-3]], dtype="float32"))
    np.testing.assert_allclose(kl, 0.25e-6, rtol=1e-3)
