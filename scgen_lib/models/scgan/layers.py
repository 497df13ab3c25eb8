"""What scGAN alone has: normalisation and scores that know the class of a cell, cells of one total, and slopes."""

import math
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf


class ConditionalNorm(keras.layers.Layer):
    """Batch or layer normalisation, then a scale and an offset of the row's class; the classes share the statistics.

    ``batchnorm`` has statistics of the batch, and moving ones outside of training, ``layernorm`` those of every row.

    References
    ----------
    Dumoulin et al. 2016, A learned representation for artistic style, https://arxiv.org/abs/1610.07629
    """

    epsilon = 1e-5

    def __init__(self, units: int, n_classes: int = 1, kind: str = "batchnorm", momentum: float = 0.999):
        super().__init__()
        self.momentum = momentum
        self.scale = self.add_weight((n_classes, units), "ones", name="scale")
        self.offset = self.add_weight((n_classes, units), "zeros", name="offset")
        self.moving_mean = self.moving_variance = None
        if kind == "batchnorm":
            self.moving_mean = self.add_weight((units,), "zeros", trainable=False, name="moving_mean")
            self.moving_variance = self.add_weight((units,), "ones", trainable=False, name="moving_variance")

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


class ClassScore(keras.layers.Layer):
    """One score of features h given a class y, the output of a conditional critic.

    ``per_class``: v_y · h + b_y, with one class the usual linear output; ``projection``: (w + v_y) · h + b.

    References
    ----------
    Miyato and Koyama 2018, cGANs with projection discriminator, https://arxiv.org/abs/1802.05637
    """

    def __init__(self, units: int, n_classes: int = 1, kind: str = "per_class", seed: int = 0):
        super().__init__()
        shared, of_class = np.random.SeedSequence(seed).generate_state(2)
        # Glorot's range for a weight of shape (K, units, 1)
        bound = math.sqrt(6.0 / ((units + 1) * n_classes))
        start = keras.initializers.RandomUniform(-bound, bound, seed=int(of_class))
        self.vectors = self.add_weight((n_classes, units), start, name="vectors")
        self.shared = None
        if kind == "projection":
            start = keras.initializers.GlorotUniform(seed=int(shared))
            self.shared = self.add_weight((units, 1), start, name="shared")
        biases = 1 if kind == "projection" else n_classes
        self.bias = self.add_weight((biases,), "zeros", name="bias")

    def call(self, h: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Features (B, units) and classes (B, K), one-hot → scores (B,)."""
        vector = tf.linalg.matmul(label, tf.convert_to_tensor(self.vectors))
        if self.shared is None:
            bias = tf.linalg.matvec(label, tf.convert_to_tensor(self.bias))
        else:
            vector += tf.convert_to_tensor(self.shared)[:, 0]
            bias = tf.convert_to_tensor(self.bias)
        return tf.reduce_sum(h * vector, axis=1) + bias


def relu(x: tf.Tensor) -> tf.Tensor:
    """max(x, 0) as x times a constant of 0 and 1, any shape.

    A penalty on gradients differentiates twice. The second derivative of this form is absent, where that of
    TensorFlow's own is a tensor of zeros, which would still travel through every layer.
    """
    return x * tf.stop_gradient(tf.cast(x > 0, x.dtype))


def to_library_size(x: tf.Tensor, total: float) -> tf.Tensor:
    """Scale every row of non-negative numbers (B, G) to one sum, any float dtype; a row of zeros stays one."""
    return total * tf.math.divide_no_nan(x, tf.reduce_sum(x, axis=1, keepdims=True))


def input_slopes(critic: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, *, epsilon: float = 1e-12) -> tf.Tensor:
    """Slopes s = (Σ_genes (∂D/∂x)² + ε)^½ (B,) of a critic from cells (B, G) to scores (B,); differentiable in it.

    The penalty of a Wasserstein GAN is λ times the mean of (s − 1)²; where s is 0, its root has a derivative if ε > 0.

    References
    ----------
    Gulrajani et al. 2017, Improved training of Wasserstein GANs, eq. 3; https://arxiv.org/abs/1704.00028
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        score = critic(x)
    return tf.sqrt(tf.reduce_sum(tape.gradient(score, x) ** 2, axis=1) + epsilon)
