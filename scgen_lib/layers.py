"""Small layers that Keras does not have, and random numbers that are quick inside compiled windows."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from scgen_lib import backend  # noqa: F401

# The generator that TensorFlow selects by itself, and Keras with it, takes about 0.4 µs a number in an XLA program on
# a CPU: 28 ms for a mask of 128 × 512, where Philox takes 0.2 ms. TensorFlow's own functions make other numbers of its
# bits in an XLA program than outside of one; those of `uniform` and `normal` are the same, up to rounding.
_PHILOX = 1


@keras.saving.register_keras_serializable("scgen_lib")
class GeneVector(keras.layers.Layer):
    """One free, trainable number per gene, whatever the input: the constant dispersion of DCA's `nb` and `zinb`.

    The weight is read in every call: evaluated once, as when the net is built, it would get no gradient in eager mode.

    Parameters
    ----------
    n_genes
        Length G of the vector; it starts at 0.
    """

    def __init__(self, n_genes: int, **kwargs: object):
        super().__init__(**kwargs)
        self.n_genes = n_genes
        self.vector = self.add_weight(shape=(n_genes,), initializer="zeros", name="vector")

    def call(self, inputs: object) -> object:
        """Any tensor → (1, G)."""
        return keras.ops.expand_dims(keras.ops.convert_to_tensor(self.vector), 0)

    def get_config(self) -> dict:
        """For Keras' files."""
        return {**super().get_config(), "n_genes": self.n_genes}


@keras.saving.register_keras_serializable("scgen_lib")
class Dropout(keras.layers.Dropout):
    """Keras' dropout, arguments included, with random numbers that an XLA program makes quickly on a CPU."""

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Same shape; in training an entry is 0 with probability `rate`, else it grows by 1 / (1 − rate)."""
        if not training or self.rate == 0:
            return inputs
        kept = uniform(tf.shape(inputs), self.seed_generator) >= self.rate
        return tf.where(kept, inputs / (1.0 - self.rate), 0.0)


def normal(shape: Sequence[int] | tf.Tensor, seeds: keras.random.SeedGenerator) -> tf.Tensor:
    """Draw from N(0, 1), float32, with the next seed of a generator, by the method of Box and Muller."""
    n = tf.reduce_prod(shape)
    u = uniform([2, (n + 1) // 2], seeds)
    radius, angle = tf.sqrt(-2.0 * tf.math.log(1.0 - u[0])), 2.0 * math.pi * u[1]
    return tf.reshape(tf.concat([radius * tf.cos(angle), radius * tf.sin(angle)], 0)[:n], shape)


def uniform(
    shape: Sequence[int] | tf.Tensor, seeds: keras.random.SeedGenerator, low: float = 0.0, high: float = 1.0
) -> tf.Tensor:
    """Draw from U[low, high), float32, in 2²³ equal steps, with the next seed of a generator."""
    key = tf.reshape(tf.bitcast(tf.cast(seeds.next(), tf.int32), tf.uint64), [1])
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=shape, key=key, counter=tf.zeros([2], tf.uint64), alg=_PHILOX, dtype=tf.uint32
    )
    # As the fraction of a float between 1 and 2.
    fraction = tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32))
    between = tf.bitcast(tf.bitwise.bitwise_or(fraction, tf.constant(0x3F800000, tf.uint32)), tf.float32)
    return low + (high - low) * (between - 1.0)
