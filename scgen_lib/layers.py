"""Small layers that Keras does not have, and random numbers that are quick inside compiled windows."""

import math
from collections.abc import Sequence

import keras
import numpy as np
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


def relu(x: tf.Tensor) -> tf.Tensor:
    """max(x, 0) as x times a constant of 0 and 1, any shape.

    A penalty on gradients differentiates twice. The second derivative of this form is absent, where that of
    TensorFlow's own is a tensor of zeros, which would still travel through every layer.
    """
    return x * tf.stop_gradient(tf.cast(x > 0, x.dtype))


def to_library_size(x: tf.Tensor, total: float) -> tf.Tensor:
    """Scale every row of non-negative numbers (B, G) to one sum, any float dtype; a row of zeros stays one."""
    return total * tf.math.divide_no_nan(x, tf.reduce_sum(x, axis=1, keepdims=True))


@keras.saving.register_keras_serializable("scgen_lib")
class ConditionalNorm(keras.layers.Layer):
    """Batch or layer normalisation, then a scale and an offset of the row's class.

    The classes share the statistics. With one class it is the usual normalisation.

    Parameters
    ----------
    units
        Width of what is normalised.
    n_classes
        Number K of classes.
    kind
        ``batchnorm``: statistics of the batch, and moving ones outside of training; ``layernorm``: of every row.
    momentum
        What the moving statistics keep in an update.
    epsilon
        What is added to the variance.

    References
    ----------
    Dumoulin et al. 2016, A learned representation for artistic style, https://arxiv.org/abs/1610.07629
    """

    def __init__(
        self,
        units: int,
        n_classes: int = 1,
        kind: str = "batchnorm",
        momentum: float = 0.999,
        epsilon: float = 1e-5,
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        self._config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        self.momentum, self.epsilon = momentum, epsilon
        self.scale = self.add_weight(shape=(n_classes, units), initializer="ones", name="scale")
        self.offset = self.add_weight(shape=(n_classes, units), initializer="zeros", name="offset")
        self.moving_mean = self.moving_variance = None
        if kind == "batchnorm":
            self.moving_mean = self.add_weight(shape=(units,), initializer="zeros", trainable=False, name="moving_mean")
            self.moving_variance = self.add_weight(
                shape=(units,), initializer="ones", trainable=False, name="moving_variance"
            )

    def call(self, x: tf.Tensor, label: tf.Tensor, training: bool = False, track: bool = True) -> tf.Tensor:
        """Rows (B, units) of classes (B, K), one-hot → (B, units); `track` False leaves the moving statistics alone."""
        if self.moving_mean is None:
            mean, variance = tf.nn.moments(x, axes=1, keepdims=True)
        elif training:
            mean, variance = tf.nn.moments(x, axes=0)
            if track:
                for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
                    moving.assign(self.momentum * moving + (1.0 - self.momentum) * value)
        else:
            mean, variance = tf.convert_to_tensor(self.moving_mean), tf.convert_to_tensor(self.moving_variance)
        scale, offset = (tf.linalg.matmul(label, tf.convert_to_tensor(table)) for table in (self.scale, self.offset))
        return (x - mean) * tf.math.rsqrt(variance + self.epsilon) * scale + offset

    def get_config(self) -> dict:
        """For Keras' files."""
        return {**super().get_config(), **self._config}


@keras.saving.register_keras_serializable("scgen_lib")
class ClassScore(keras.layers.Layer):
    """One score of features h given a class y, the output of a conditional critic.

    Parameters
    ----------
    units
        Width of h.
    n_classes
        Number K of classes.
    kind
        ``per_class``: v_y · h + b_y, with one class the usual linear output; ``projection``: (w + v_y) · h + b.
    seed
        Of the initial weights.

    References
    ----------
    Miyato and Koyama 2018, cGANs with projection discriminator, https://arxiv.org/abs/1802.05637
    """

    def __init__(self, units: int, n_classes: int = 1, kind: str = "per_class", seed: int = 0, **kwargs: object):
        super().__init__(**kwargs)
        self._config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        shared, of_class = np.random.SeedSequence(seed).generate_state(2)
        # Glorot's range for a weight of shape (K, units, 1)
        bound = math.sqrt(6.0 / ((units + 1) * n_classes))
        self.vectors = self.add_weight(
            shape=(n_classes, units),
            initializer=keras.initializers.RandomUniform(-bound, bound, seed=int(of_class)),
            name="vectors",
        )
        self.shared = None
        if kind == "projection":
            start = keras.initializers.GlorotUniform(seed=int(shared))
            self.shared = self.add_weight(shape=(units, 1), initializer=start, name="shared")
        biases = 1 if kind == "projection" else n_classes
        self.bias = self.add_weight(shape=(biases,), initializer="zeros", name="bias")

    def call(self, h: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Features (B, units) and classes (B, K), one-hot → scores (B,)."""
        vector = tf.linalg.matmul(label, tf.convert_to_tensor(self.vectors))
        if self.shared is None:
            bias = tf.linalg.matvec(label, tf.convert_to_tensor(self.bias))
        else:
            vector += tf.convert_to_tensor(self.shared)[:, 0]
            bias = tf.convert_to_tensor(self.bias)
        return tf.reduce_sum(h * vector, axis=1) + bias

    def get_config(self) -> dict:
        """For Keras' files."""
        return {**super().get_config(), **self._config}
