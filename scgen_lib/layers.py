"""Small layers that Keras does not have, and random numbers that are quick inside compiled windows."""

from collections.abc import Sequence

import keras
import tensorflow as tf

# The generator that TensorFlow selects by itself, and Keras with it, takes about 0.4 µs a number in an XLA program on
# a CPU: 28 ms for a mask of 128 × 512, where this one takes 0.3 ms. It also works outside of XLA.
_GENERATOR = "philox"


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
class Elementwise(keras.layers.Layer):
    """a ⊙ x + c with one a and c per gene, or one of each for all genes: the dropout head of DCA's `zinb-elempi`.

    Parameters
    ----------
    units
        Length of a and c: G, or 1.
    """

    def __init__(self, units: int, **kwargs: object):
        super().__init__(**kwargs)
        self.units = units
        self.scale = self.add_weight(shape=(units,), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(units,), initializer="zeros", name="shift")

    def call(self, inputs: object) -> object:
        """(B, G) → (B, G)."""
        return inputs * self.scale + self.shift

    def get_config(self) -> dict:
        """For Keras' files."""
        return {**super().get_config(), "units": self.units}


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
    """Draw from N(0, 1), float32, with the next seed of a generator."""
    return tf.random.stateless_normal(shape, seeds.next(), alg=_GENERATOR)


def uniform(
    shape: Sequence[int] | tf.Tensor, seeds: keras.random.SeedGenerator, low: float = 0.0, high: float = 1.0
) -> tf.Tensor:
    """Draw from U[low, high), float32, with the next seed of a generator."""
    return tf.random.stateless_uniform(shape, seeds.next(), low, high, alg=_GENERATOR)
