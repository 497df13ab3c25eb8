"""Negative log-likelihoods of counts, free functions on tensors, entry by entry.

The negative binomial has mean μ and dispersion θ: variance μ + μ²/θ, `scipy.stats.nbinom(n=θ, p=θ/(θ+μ))`. The
zero-inflated one adds a point mass π at zero. Means enter as logarithms and π as a logit, so that nothing overflows and
no ε is needed inside a logarithm; the forms that the original code computes stand at the end of the file.
"""

import math

import tensorflow as tf

# Released code: bounds of the mean and of the dispersion (Eraslan et al. 2019, `dca/layers.py`, `MeanAct`, `DispAct`).
MEAN_BOUNDS = (1e-5, 1e6)
DISPERSION_BOUNDS = (1e-4, 1e4)


def clip_log_mean(log_mean: tf.Tensor) -> tf.Tensor:
    """Bound ln μ̂ as the released code bounds μ̂: 1e-5 … 1e6."""
    return tf.clip_by_value(log_mean, *map(math.log, MEAN_BOUNDS))


def log_factorial(x: tf.Tensor) -> tf.Tensor:
    """lnΓ(x + 1) of counts, any shape and float dtype."""
    return log_rising(tf.ones_like(x), x)


def log_rising(theta: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """Logarithm of the rising factorial, lnΓ(θ + x) − lnΓ(θ), for θ > 0 and x ≥ 0.

    In single precision the two lnΓ of a large θ cancel (an error of 0.65 at θ = 1e6, x = 3) and the library's lnΓ does
    not vectorise; here both are written by Stirling's series at θ + 4, and their difference is taken term by term.
    Exactly 0 at x = 0. In double precision the library's lnΓ is used.

    Parameters
    ----------
    theta, x
        Tensors of one float dtype and broadcastable shapes; θ + x below 1e8.

    Returns
    -------
    tf.Tensor
        The broadcast shape; relative error about 1e-6 in float32.
    """
    if x.dtype == tf.float64:
        return tf.math.lgamma(theta + x) - tf.math.lgamma(theta)

    def four(z: tf.Tensor) -> tf.Tensor:
        return z * (z + 1.0) * (z + 2.0) * (z + 3.0)

    def series(w: tf.Tensor) -> tf.Tensor:
        return (1 / 12 - (1 / 360 - 1 / (1260 * w * w)) / (w * w)) / w

    low, high = theta + 4.0, theta + x + 4.0
    stirling = x * tf.math.log(high) + (low - 0.5) * tf.math.log1p(x / low) - x + series(high) - series(low)
    return stirling - tf.math.log(four(theta + x) / four(theta))


def poisson(x: tf.Tensor, log_mean: tf.Tensor, *, normalised: bool = True) -> tf.Tensor:
    """−ln Poisson(x; μ) = μ − x ln μ + lnΓ(x + 1); shapes and `normalised` as in `nb`."""
    loss = tf.exp(log_mean) - x * log_mean
    return loss + log_factorial(x) if normalised else loss


def nb(x: tf.Tensor, log_mean: tf.Tensor, theta: tf.Tensor, *, normalised: bool = True) -> tf.Tensor:
    """−ln NB(x; μ, θ), in log space.

    Parameters
    ----------
    x
        Counts, (B, G), float.
    log_mean
        ln μ, size factor included, (B, G).
    theta
        Dispersion θ > 0, (B, G), (B, 1) or (G,); float32 is accurate up to 1e4.
    normalised
        False leaves out lnΓ(x + 1), which no parameter moves: a training loop adds it once per data set.

    Returns
    -------
    tf.Tensor
        (B, G), nats.

    References
    ----------
    Eraslan et al. 2019, Methods, eq. for NB; https://doi.org/10.1038/s41467-018-07931-2
    """
    return _nb(x, log_mean - tf.math.log(theta), theta, normalised)[0]


def zinb(
    x: tf.Tensor,
    log_mean: tf.Tensor,
    theta: tf.Tensor,
    logit: tf.Tensor,
    *,
    ridge: float = 0.0,
    normalised: bool = True,
) -> tf.Tensor:
    """−ln ZINB(x; π, μ, θ) + ridge · π², with π = sigmoid(logit).

    Parameters
    ----------
    x, log_mean, theta, normalised
        As in `nb`.
    logit
        ln(π / (1 − π)), (B, G) or (B, 1).
    ridge
        Weight λ ≥ 0 of the penalty λ π² of every entry.

    Returns
    -------
    tf.Tensor
        (B, G), nats (plus the penalty).

    References
    ----------
    Eraslan et al. 2019, Methods; https://doi.org/10.1038/s41467-018-07931-2
    """
    counted, log_zero = _nb(x, log_mean - tf.math.log(theta), theta, normalised)
    not_dropped = _softplus(logit)  # −ln(1 − π)
    # ln(π + (1 − π) NB₀) = ln(1 − π) + logaddexp(logit, ln NB₀)
    zero = not_dropped - (tf.maximum(logit, log_zero) + tf.math.log(1.0 + tf.exp(-tf.abs(logit - log_zero))))
    loss = tf.where(x == 0, zero, counted + not_dropped)
    return loss + ridge * tf.sigmoid(logit) ** 2 if ridge else loss


def dropout_posterior(log_mean: tf.Tensor, theta: tf.Tensor, logit: tf.Tensor) -> tf.Tensor:
    """Probability that a zero is a dropout, w = π / (π + (1 − π) NB₀): the posterior, where π alone is the prior."""
    log_zero = -theta * tf.math.softplus(log_mean - tf.math.log(theta))
    return tf.sigmoid(logit - log_zero)


def _nb(x: tf.Tensor, log_odds: tf.Tensor, theta: tf.Tensor, normalised: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """ℓ_NB and ln NB₀, which share ln(1 + μ/θ); `log_odds` is ln(μ/θ)."""
    log1p_odds = tf.math.softplus(log_odds)
    loss = (theta + x) * log1p_odds - x * log_odds - log_rising(theta, x)
    return (loss + log_factorial(x) if normalised else loss), -theta * log1p_odds


def _softplus(x: tf.Tensor) -> tf.Tensor:
    """ln(1 + eˣ), accurate absolutely and not relatively, which is enough where it is a summand; no costly log1p."""
    return tf.maximum(x, 0.0) + tf.math.log(1.0 + tf.exp(-tf.abs(x)))


def kl_standard_normal(mean: tf.Tensor, log_var: tf.Tensor) -> tf.Tensor:
    """KL divergence of N(μ, σ²), independent dimensions, from N(0, I): −½ Σ (1 + ln σ² − μ² − σ²).

    Parameters
    ----------
    mean, log_var
        μ and ln σ², (B, d) each.

    Returns
    -------
    tf.Tensor
        (B,), nats.

    References
    ----------
    Kingma and Welling 2013, appendix B; https://arxiv.org/abs/1312.6114
    """
    # expm1 keeps what is left of σ² − 1 − ln σ² near σ = 1
    return 0.5 * tf.reduce_sum(mean**2 + (tf.math.expm1(log_var) - log_var), axis=-1)
