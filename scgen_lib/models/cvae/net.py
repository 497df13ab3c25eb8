"""The networks of the convolutional conditional VAE: counts and types in, codes and images out."""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf
from scipy.special import gammaln

from scgen_lib import layers, losses
from scgen_lib.data import checks
from scgen_lib.models.base import Network
from scgen_lib.models.cvae.cells import image_side
from scgen_lib.models.cvae.settings import CVAESettings
from scgen_lib.preprocess import Matrix, mean_log_factorial

DISPERSION_BOUNDS = (1e-3, 1e4)
LOG_VAR_BOUND = 10.0


@keras.saving.register_keras_serializable("scgen_lib")
class CVAENet(Network):
    """The encoder and the decoder: counts and codes of types in, logits of an image out (tensors only).

    A batch is "counts" (B, G) raw, "label" (B, 1) codes of the types, and "constant" (B, 1), what `constant` returns,
    all float32. Inside the net genes stand in the order of their pixels, and an image is flat, S² pixels.

    Parameters
    ----------
    n_genes
        Number of genes G.
    settings
        Of the model.
    n_labels
        Number of types L.
    maximum
        M, the count that becomes 1 in the image.
    order
        Gene of each pixel, (G,); None: as they come.
    note
        Whatever else is to be kept with the weights, as JSON.
    """

    settings_type = CVAESettings
    logs_by = {"loss": "mean", "reconstruction": "mean", "kl": "mean", "beta": "mean"}  # noqa: RUF012
    jit = False  # in a loop, XLA's convolutions are some twenty times slower on a CPU: benchmarks/cvae.md

    def __init__(
        self,
        n_genes: int,
        settings: CVAESettings | None = None,
        *,
        n_labels: int,
        maximum: float = 1.0,
        order: Sequence[int] | None = None,
        note: dict | None = None,
    ):
        s = settings or CVAESettings()
        order = None if order is None else [int(gene) for gene in order]
        super().__init__(s, note, n_genes=n_genes, n_labels=n_labels, maximum=maximum, order=order)
        self.n_genes, self.n_labels, self.maximum = n_genes, n_labels, maximum
        self.size, self.latent_dim = image_side(n_genes, s.image_size), s.latent_dim
        self.order = None if order is None else np.asarray(order)
        self.kl_weight = keras.Variable(s.beta, trainable=False, name="kl_weight")
        seeds = iter(np.random.SeedSequence(s.seed).generate_state(16))
        self.noise = keras.random.SeedGenerator(int(next(seeds)))

        def kernel() -> keras.initializers.Initializer:
            return keras.initializers.GlorotUniform(int(next(seeds)))

        def dense(units: int, activation: str | None = None, name: str | None = None) -> keras.layers.Layer:
            return keras.layers.Dense(units, activation, kernel_initializer=kernel(), name=name)

        def conv(kind: type[keras.layers.Layer], n: int, stride: int, activation: str | None) -> keras.layers.Layer:
            return kind(n, s.kernel_size, stride, "same", activation=activation, kernel_initializer=kernel())

        image, label = keras.Input((self.size, self.size, 1)), keras.Input((n_labels,))
        label_map = keras.layers.Reshape((self.size, self.size, 1))(dense(self.size**2, name="label_map")(label))
        h = keras.layers.Concatenate()([image, label_map])
        for n in (s.filters, 2 * s.filters):
            h = conv(keras.layers.Conv2D, n, s.strides, "relu")(h)
        h = dense(s.hidden, "relu")(keras.layers.Flatten()(h))
        outputs = [dense(s.latent_dim, name="z_mean")(h), dense(s.latent_dim, name="z_log_var")(h)]
        self.encoder = keras.Model([image, label], outputs, name="encoder")

        z, label = keras.Input((s.latent_dim,)), keras.Input((n_labels,))
        first = (self.size // s.strides**2, self.size // s.strides**2, 2 * s.filters)
        h = dense(math.prod(first), "relu")(keras.layers.Concatenate()([z, label]))
        h = keras.layers.Reshape(first)(h)
        for n in (s.filters, s.filters // 2):
            h = conv(keras.layers.Conv2DTranspose, n, s.strides, "relu")(h)
        # The last activation, sigmoid or softmax, belongs to the likelihood.
        h = keras.layers.Flatten()(conv(keras.layers.Conv2DTranspose, 1, 1, None)(h))
        self.decoder = keras.Model([z, label], h, name="decoder")

        self.dispersion = layers.GeneVector(n_genes, name="dispersion") if s.decoder_likelihood == "nb" else None

    @property
    def rows(self) -> int:
        """Cells at a time outside training, such that the widest layer takes some 32 MiB: more leave the caches."""
        return max(1, min(512, (32 << 20) // (2 * self.settings.filters * self.size**2)))

    # From counts to pixels and back --------------------------------------------------------------------------------

    def one_hot(self, label: tf.Tensor) -> tf.Tensor:
        """Codes (B, 1) → (B, L)."""
        return tf.one_hot(tf.cast(label[:, 0], tf.int32), self.n_labels)

    def pixels(self, counts: tf.Tensor) -> tf.Tensor:
        """(B, G) in the order of the genes → in the order of their pixels."""
        return counts if self.order is None else tf.gather(counts, self.order, axis=1)

    def genes(self, values: tf.Tensor) -> tf.Tensor:
        """Flat images (B, S²), or (B, G), in the order of the pixels → (B, G) in the order of the genes."""
        values = values[:, : self.n_genes]
        return values if self.order is None else tf.gather(values, np.argsort(self.order), axis=1)

    def scale(self, pixels: tf.Tensor) -> tf.Tensor:
        """Counts (B, G) → flat image (B, S²), 0 where there is no gene, 1 where the count is M."""
        if self.settings.input_transform == "max":
            x = pixels / self.maximum
        else:
            x = tf.minimum(tf.math.log1p(pixels) / math.log1p(self.maximum), 1.0)
        return tf.pad(x, [[0, 0], [0, self.size**2 - self.n_genes]])

    def unscale(self, image: tf.Tensor, maximum: float | None = None) -> tf.Tensor:
        """Inverse of `scale` up to the padding, any shape; with another M, if there is one given."""
        maximum = self.maximum if maximum is None else maximum
        if self.settings.input_transform == "max":
            return image * maximum
        return tf.math.expm1(image * math.log1p(maximum))

    # The model -----------------------------------------------------------------------------------------------------

    def encode(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Posterior of the cells: μ and ln σ², (B, d) each."""
        image = tf.reshape(self.scale(self.pixels(batch["counts"])), (-1, self.size, self.size, 1))
        mean, log_var = self.encoder([image, self.one_hot(batch["label"])])
        if self.settings.clip_log_var:
            log_var = tf.clip_by_value(log_var, -LOG_VAR_BOUND, LOG_VAR_BOUND)
        return mean, log_var

    def decode(self, z: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Latent z (B, d) and codes (B, 1) → logits of the flat image, (B, S²)."""
        return self.decoder([z, self.one_hot(label)])

    def call(self, batch: dict[str, tf.Tensor], noise: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Posterior "mean" μ and "log_var" ln σ², (B, d), and "logits" (B, S²) at z = μ + σ · noise, (B, d) or 0."""
        mean, log_var = self.encode(batch)
        z = mean if noise is None else mean + tf.exp(0.5 * log_var) * noise
        return {"mean": mean, "log_var": log_var, "logits": self.decode(z, batch["label"])}

    def mean(self, logits: tf.Tensor, library: tf.Tensor, maximum: float | None = None) -> tf.Tensor:
        """Mean counts in the order of the pixels: (B, S²), or (B, G) of the sum `library` (B, 1) for counts."""
        if self.settings.of_counts:
            return library * tf.nn.softmax(logits[:, : self.n_genes])
        return self.unscale(tf.sigmoid(logits), maximum)

    def theta(self) -> tf.Tensor:
        """Dispersion θ of each pixel's gene, (1, G)."""
        return tf.clip_by_value(tf.exp(self.dispersion(tf.zeros((1, 1)))), *DISPERSION_BOUNDS)

    # The loss ------------------------------------------------------------------------------------------------------

    def constant(self, counts: Matrix) -> np.ndarray:
        """Part of the loss that only data enter, (N, 1): Σ lnΓ(x + 1), less lnΓ(Σ x + 1) for the multinomial."""
        if not self.settings.of_counts:
            return np.zeros((counts.shape[0], 1), "float32")
        constant = mean_log_factorial(counts).astype("float64") * counts.shape[1]
        if self.settings.decoder_likelihood == "multinomial":
            constant -= gammaln(checks.totals(counts) + 1)
        return constant.astype("float32")[:, None]

    def entries(self, x: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        """Loss of each gene (B, G), or pixel (B, S²), without `constant`: nats, or squared error for ``mse``."""
        likelihood = self.settings.decoder_likelihood
        if not self.settings.of_counts:
            x = self.scale(x)
            if not self.settings.pad_loss:
                x, logits = x[:, : self.n_genes], logits[:, : self.n_genes]
            if likelihood == "mse":
                return (x - tf.sigmoid(logits)) ** 2
            return tf.nn.sigmoid_cross_entropy_with_logits(x, logits)
        log_share = tf.nn.log_softmax(logits[:, : self.n_genes])
        if likelihood == "multinomial":
            return -x * log_share
        log_mean = tf.math.log(tf.reduce_sum(x, axis=1, keepdims=True)) + log_share
        if likelihood == "poisson":
            return losses.poisson(x, log_mean, normalised=False)
        return losses.nb(x, log_mean, self.theta(), normalised=False)

    def reconstruction(self, batch: dict[str, tf.Tensor], logits: tf.Tensor) -> tf.Tensor:
        """Reconstruction loss of each cell, (B,): the sum over its pixels or genes."""
        return tf.reduce_sum(self.entries(self.pixels(batch["counts"]), logits), axis=1) + batch["constant"][:, 0]

    def parts(self, batch: dict[str, tf.Tensor], noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Reconstruction loss and KL divergence of each cell, (B,) each."""
        out = self(batch, noise=noise)
        return self.reconstruction(batch, out["logits"]), losses.kl_standard_normal(out["mean"], out["log_var"])

    def batch_parts(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What is logged of a mini-batch: the loss, reconstruction + β · KL, its parts and β; scalars."""
        noise = layers.normal((tf.shape(batch["label"])[0], self.latent_dim), self.noise)
        reconstruction, kl = (tf.reduce_mean(part) for part in self.parts(batch, noise))
        beta = tf.convert_to_tensor(self.kl_weight)
        return {"loss": reconstruction + beta * kl, "reconstruction": reconstruction, "kl": kl, "beta": beta}

    def batch_loss(self, batch: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Loss of a mini-batch; with noise also outside training, as in the released code."""
        return self.batch_parts(batch)["loss"]

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update of encoder and decoder together."""
        with tf.GradientTape() as tape:
            logs = self.batch_parts(batch)
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(logs["loss"], weights), weights)
        return logs
