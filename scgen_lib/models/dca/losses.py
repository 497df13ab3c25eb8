"""The loss of DCA as its released code has it, and those of the student models."""

import math

import tensorflow as tf

from scgen_lib.losses import log_factorial, log_rising


def released_nb(x: tf.Tensor, mean: tf.Tensor, theta: tf.Tensor, *, logit: tf.Tensor | None = None) -> tf.Tensor:
    """NB or, with `logit`, ZINB loss as the released DCA code has it: ε = 1e-10 in logarithms, θ ≤ 1e6, NaN → ∞.

    Parameters
    ----------
    x, mean, theta, logit
        Counts, μ, θ and the logit of π, (B, G) each or broadcastable.

    Returns
    -------
    tf.Tensor
        (B, G), nats.

    References
    ----------
    `dca/loss.py`, classes `NB` and `ZINB`, github.com/theislab/dca at commit 6abd124.
    """
    loss = _released(x, mean, theta, logit)
    return tf.where(tf.math.is_nan(loss), math.inf, loss)


def _released(x: tf.Tensor, mean: tf.Tensor, theta: tf.Tensor, logit: tf.Tensor | None) -> tf.Tensor:
    eps = 1e-10
    theta = tf.minimum(theta, 1e6)
    loss = (
        # lnΓ(θ + ε) + lnΓ(x + 1) − lnΓ(x + θ + ε), without the cancellation that the library's lnΓ has in float32
        log_factorial(x)
        - log_rising(theta + eps, x)
        + (theta + x) * tf.math.log(1.0 + mean / (theta + eps))
        + x * (tf.math.log(theta + eps) - tf.math.log(mean + eps))
    )
    if logit is None:
        return loss
    pi = tf.sigmoid(logit)
    # (θ / (θ + μ))^θ, as a power that vectorises; 0⁰ = 1
    none = tf.exp(tf.math.xlogy(theta, theta / (theta + mean + eps)))
    zero = -tf.math.log(pi + (1.0 - pi) * none + eps)
    # The original adds ε to 1 − π. XLA adds it to the 1, where it vanishes, so that from a logit of 17 on the logarithm
    # would be that of 0. The larger of the two has the sum's logarithm but for 0.002 where π is next to 1.
    return tf.where(x < 1e-8, zero, loss - tf.math.log(tf.maximum(1.0 - pi, eps)))


def student_legacy(x: tf.Tensor, mean: tf.Tensor, theta: tf.Tensor, pi: tf.Tensor) -> tf.Tensor:
    """ZINB loss of the student models I and II, −ln(1[x = 0] π + (1 − π) q + ε) with ε = 1e-9.

    Two faults of the original are kept: ln q lacks −lnΓ(x + 1), so it exceeds 0 for well-fitted large counts, and it is
    then clamped at 0, which removes the gradient of those entries. The models sum it over the batch.

    Parameters
    ----------
    x, mean, theta, pi
        Counts, M, Θ and Π, (B, G) each.

    Returns
    -------
    tf.Tensor
        (B, G).
    """
    eps = 1e-9
    log_q = (
        tf.math.lgamma(x + theta + eps)
        - tf.math.lgamma(theta + eps)
        + theta * (tf.math.log(theta + eps) - tf.math.log(mean + theta + eps))
        + x * (tf.math.log(mean + eps) - tf.math.log(mean + theta + eps))
    )
    q = tf.exp(tf.where(log_q > 0, tf.zeros_like(log_q), log_q))
    return -tf.math.log(tf.where(x == 0, pi, tf.zeros_like(pi)) + (1.0 - pi) * q + eps)


def student_improved(x: tf.Tensor, mean: tf.Tensor, theta: tf.Tensor, logit: tf.Tensor) -> tf.Tensor:
    """ZINB loss of the student models III and IV: the released DCA form after their patches of M, Θ and the loss.

    NaN parameters become ε and infinite M, Θ and NaN entries of the loss the larger of max M and max Θ. The patch is
    without effect where that maximum is itself infinite, as in the original.

    Parameters
    ----------
    x, mean, theta, logit
        Counts, M, Θ and the logit of Π, (B, G) each.

    Returns
    -------
    tf.Tensor
        (B, G), nats.
    """
    mean, theta = (tf.where(tf.math.is_nan(v), 1e-10, v) for v in (mean, theta))
    largest = tf.maximum(tf.reduce_max(mean), tf.reduce_max(theta))
    mean, theta = (tf.where(tf.math.is_inf(v), largest, v) for v in (mean, theta))
    loss = _released(x, mean, theta, logit)
    return tf.where(tf.math.is_nan(loss), largest, loss)
