"""The game of DR-A: what its discriminators minimise, and what those do who make the fakes.

Logits are (B, 1) or (B,), losses scalars in nats.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import tensorflow as tf


class Game(NamedTuple):
    """Loss of a discriminator, from its logits on real and on fake, and of the maker of the fakes, from the latter."""

    discriminator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
    maker: Callable[[tf.Tensor], tf.Tensor]


def bhattacharyya(real: tf.Tensor, fake: tf.Tensor, *, absolute: bool = False) -> tf.Tensor:
    """−ln(Σᵢ √abs(pᵢ qᵢ) + 1e-10), the Bhattacharyya distance, with the logits over their sum for p and q.

    Where the logits of one side differ in sign, p or q is no distribution, and the distance has no lower bound.
    `absolute` takes abs(s) over Σ abs(s) instead, which are distributions whatever the signs: it is at least 0.

    References
    ----------
    Lin et al. 2020, https://doi.org/10.1186/s12859-020-3401-5, and its code, github.com/eugenelin1/DRA.
    """
    p, q = _share(real, absolute), _share(fake, absolute)
    return -tf.math.log(tf.reduce_sum(tf.sqrt(tf.abs(p * q))) + 1e-10)


def bhattacharyya_maker(fake: tf.Tensor, *, absolute: bool = False) -> tf.Tensor:
    """−ln(Σᵢ √abs(qᵢ) + 1e-10), as in `bhattacharyya`; at least −½ ln B if all logits have one sign."""
    return -tf.math.log(tf.reduce_sum(tf.sqrt(tf.abs(_share(fake, absolute)))) + 1e-10)


def _share(logits: tf.Tensor, absolute: bool) -> tf.Tensor:
    if absolute:
        return tf.abs(logits) / (tf.reduce_sum(tf.abs(logits)) + 1e-10)
    return logits / tf.reduce_sum(logits)


def cross_entropy(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """½ [BCE(1, real) + BCE(0, fake)]."""
    return 0.5 * tf.reduce_mean(tf.math.softplus(-real)) + 0.5 * tf.reduce_mean(tf.math.softplus(fake))


def cross_entropy_maker(fake: tf.Tensor) -> tf.Tensor:
    """BCE(1, fake), which does not saturate."""
    return tf.reduce_mean(tf.math.softplus(-fake))


GAMES = {
    "bhattacharyya": Game(bhattacharyya, bhattacharyya_maker),
    "bhattacharyya_abs": Game(partial(bhattacharyya, absolute=True), partial(bhattacharyya_maker, absolute=True)),
    "bce": Game(cross_entropy, cross_entropy_maker),
}
