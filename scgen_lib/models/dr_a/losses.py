"""Likelihood and divergence of DR-A as its released code has them, ε = 1e-8 in their logarithms."""

import tensorflow as tf

from scgen_lib.losses import log_rising


def released_zinb(x: tf.Tensor, log_mean: tf.Tensor, theta: tf.Tensor, logit: tf.Tensor) -> tf.Tensor:
    """ZINB loss of the released code, term by term, without lnΓ(x + 1); arguments, shapes and unit of `losses.zinb`.

    Where μ overflows the terms are ∞ − ∞, and both cases of an entry are multiplied by 0 or 1, so that one that is not
    finite spoils the other: with `losses.zinb` a training goes on there.

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
    """−½ Σ (ln(σ² + ε) + 1 − μ² − σ²); arguments, shapes and unit of `losses.kl_standard_normal`."""
    variance = tf.exp(log_var)
    return 0.5 * tf.reduce_sum(mean**2 + variance - 1.0 - tf.math.log(variance + 1e-8), axis=-1)
