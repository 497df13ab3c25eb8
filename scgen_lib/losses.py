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


def gan_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy of a discriminator, ½ [BCE(1, real) + BCE(0, fake)], from logits (B, 1); scalar, nats."""
    return 0.5 * tf.reduce_mean(tf.math.softplus(-real)) + 0.5 * tf.reduce_mean(tf.math.softplus(fake))


def gan_generator(fake: tf.Tensor) -> tf.Tensor:
    """Non-saturating loss of what makes the fakes, BCE(1, fake), from logits (B, 1); scalar, nats."""
    return tf.reduce_mean(tf.math.softplus(-fake))


# What the original code computes -------------------------------------------------------------------------------------


def released_crossentropy(probability: tf.Tensor, real: bool) -> tf.Tensor:
    """Binary cross-entropy of probabilities as Keras 2 has it: −ln(q + ε), with q clipped to [ε, 1 − ε] and ε = 1e-7.

    Keras 3 leaves out the second ε: where q is 0, Keras 2 has −ln 2e-7 = 15.425, Keras 3 −ln 1e-7 = 16.118.

    Parameters
    ----------
    probability
        p, any shape; a value outside of [0, 1] is taken for the nearest bound, and gets no gradient.
    real
        True for q = p, False for q = 1 − p.

    Returns
    -------
    tf.Tensor
        Same shape, nats.

    References
    ----------
    ``binary_crossentropy`` in ``keras/backend.py`` of Keras 2.11.
    """
    eps = 1e-7
    # 1 − p is clipped and not p, lest XLA should add ε to the 1.
    chance = probability if real else 1.0 - probability
    return -tf.math.log(tf.clip_by_value(chance, eps, 1.0 - eps) + eps)


def released_dr_a(x: tf.Tensor, log_mean: tf.Tensor, theta: tf.Tensor, logit: tf.Tensor) -> tf.Tensor:
    """ZINB loss as the released DR-A code has it, term by term, without lnΓ(x + 1).

    Where μ overflows the terms are ∞ − ∞, and both cases of an entry are multiplied by 0 or 1, so that one that is not
    finite spoils the other: with `zinb` a training goes on there.

    Parameters
    ----------
    x
        Transformed counts, (B, G).
    log_mean
        ln(μ + ε), (B, G), with the ε = 1e-8 of the release.
    theta, logit
        θ (G,); logit of π, (B, G).

    Returns
    -------
    tf.Tensor
        (B, G), nats.

    References
    ----------
    `zinb_model` in `dra.py`, github.com/eugenelin1/DRA.
    """
    eps = 1e-8
    log_total = tf.math.log(theta + tf.exp(log_mean))
    none = theta * (tf.math.log(theta + eps) - log_total)
    zero = tf.math.softplus(-logit) - tf.math.softplus(-logit + none)
    counted = tf.math.softplus(-logit) + logit - none + x * (log_total - log_mean) - log_rising(theta, x)
    is_zero = tf.cast(x < eps, x.dtype)
    return is_zero * zero + (1.0 - is_zero) * counted


def released_kl(mean: tf.Tensor, log_var: tf.Tensor) -> tf.Tensor:
    """KL divergence from N(0, I) as the released DR-A code has it, −½ Σ (ln(σ² + ε) + 1 − μ² − σ²) with ε = 1e-8.

    Parameters and returns are those of `kl_standard_normal`.
    """
    variance = tf.exp(log_var)
    return 0.5 * tf.reduce_sum(mean**2 + variance - 1.0 - tf.math.log(variance + 1e-8), axis=-1)


def bhattacharyya(real: tf.Tensor, fake: tf.Tensor, *, absolute: bool = False) -> tf.Tensor:
    """Bhattacharyya distance between the logits on real and on fake, taken for distributions over the mini-batch.

    −ln(Σᵢ √abs(pᵢ qᵢ) + 1e-10), with the logits over their sum for p and q, as the released DR-A code has it. Where the
    logits of one side differ in sign, p or q is no distribution, and the distance has no lower bound.

    Parameters
    ----------
    real, fake
        Logits, (B, 1) or (B,) each; the i-th of one is paired with the i-th of the other.
    absolute
        Take abs(s) over Σ abs(s) instead, which are distributions whatever the signs: the distance is at least 0.

    Returns
    -------
    tf.Tensor
        Scalar, nats.

    References
    ----------
    Lin et al. 2020, https://doi.org/10.1186/s12859-020-3401-5, and its code, github.com/eugenelin1/DRA.
    """
    p, q = _share(real, absolute), _share(fake, absolute)
    return -tf.math.log(tf.reduce_sum(tf.sqrt(tf.abs(p * q))) + 1e-10)


def bhattacharyya_encoder(fake: tf.Tensor, *, absolute: bool = False) -> tf.Tensor:
    """What the encoder of DR-A minimises, −ln(Σᵢ √abs(qᵢ) + 1e-10); at least −½ ln B if all logits have one sign.

    Parameters, returns and references are those of `bhattacharyya`.
    """
    return -tf.math.log(tf.reduce_sum(tf.sqrt(tf.abs(_share(fake, absolute)))) + 1e-10)


def _share(logits: tf.Tensor, absolute: bool) -> tf.Tensor:
    if absolute:
        return tf.abs(logits) / (tf.reduce_sum(tf.abs(logits)) + 1e-10)
    return logits / tf.reduce_sum(logits)
