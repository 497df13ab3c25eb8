"""The networks of DB-AAE, encoder, decoder and discriminator, and the three updates of a mini-batch."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from scgen_lib import layers
from scgen_lib.models.base import Network
from scgen_lib.models.db_aae.settings import DBAAESettings


@keras.saving.register_keras_serializable("scgen_lib")
class DBAAENet(Network):
    """Encoder E, decoder G and discriminator D of DB-AAE (tensors only).

    Parameters
    ----------
    n_genes
        Number of genes G.
    settings
        Of the model.
    mean_bias
        Means of the genes (G,), where the output of G starts; None: zero biases.
    note
        Whatever else is to be kept with the weights, as JSON.

    Attributes
    ----------
    encoder, decoder, discriminator
        E: (B, G) → μ or [μ, ln σ²], (B, latent_dim) each; G: codes → (B, G); D: codes → (B, 1).
    """

    settings_type = DBAAESettings
    logs_by = dict.fromkeys(
        ("loss", "reconstruction_loss", "adversarial_loss", "d_loss_real", "d_loss_fake", "d_accuracy_real",
         "d_accuracy_fake", "d_code_zero", "d_code_one"), "mean",
    )  # fmt: skip

    def __init__(
        self,
        n_genes: int,
        settings: DBAAESettings | None = None,
        *,
        mean_bias: Sequence[float] | None = None,
        note: dict | None = None,
    ):
        s = settings or DBAAESettings()
        means = None if mean_bias is None else [float(mean) for mean in mean_bias]
        super().__init__(s, note, n_genes=n_genes, mean_bias=means)
        # One stream of seeds a network, so that none depends on the others' sizes.
        of_encoder, of_decoder, of_discriminator, of_noise = np.random.SeedSequence(s.seed).spawn(4)

        def chain(width: int, widths: Sequence[int], seeds: np.random.SeedSequence) -> tuple:
            inputs = keras.Input((width,))
            initial = iter(seeds.generate_state(len(widths) + 2))

            def dense(x: object, units: int, **options: object) -> object:
                kernel = keras.initializers.GlorotUniform(seed=int(next(initial)))
                return keras.layers.Dense(units, kernel_initializer=kernel, **options)(x)

            x = inputs
            for units in widths:
                x = keras.layers.LeakyReLU(negative_slope=s.leak)(dense(x, units))
            return inputs, x, dense

        inputs, x, dense = chain(n_genes, s.hidden, of_encoder)
        heads = ["mu"] if s.latent_mode == "deterministic" else ["mu", "log_variance"]
        self.encoder = keras.Model(inputs, [dense(x, s.latent_dim, name=name) for name in heads], name="encoder")

        inputs, x, dense = chain(s.latent_dim, s.hidden[::-1], of_decoder)
        bias = "zeros" if means is None else keras.initializers.Constant(_start(means, s.decoder_output))
        out = dense(x, n_genes, activation=s.decoder_output, bias_initializer=bias)
        self.decoder = keras.Model(inputs, out, name="decoder")

        inputs, x, dense = chain(s.latent_dim, (s.hidden[-1], s.disc_hidden), of_discriminator)
        last = "relu" if s.disc_output == "relu" else None
        self.discriminator = keras.Model(inputs, dense(x, 1, activation=last), name="discriminator")

        self.prior = keras.random.SeedGenerator(int(of_noise.generate_state(1)[0]))
        # What no mean over an epoch tells: accuracy of D on real and fake codes of the last mini-batch, and the
        # smallest and the largest D(E(x)).
        self.last_accuracy, self.code_range = (
            self.add_weight(shape=(2,), initializer="zeros", trainable=False, name=name)
            for name in ("last_accuracy", "code_range")
        )

    def build_optimizers(self) -> None:
        """Give E with G, and D, an optimiser of their own with the same settings."""
        self.discriminator_optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.optimizer.build(self.autoencoder_variables)

    @property
    def autoencoder_variables(self) -> list[keras.Variable]:
        """Weights of E and G."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    def code(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Expression (B, G) → codes (B, latent_dim); only ``reparam`` draws noise, and only in training."""
        mean, *log_variance = tf.nest.flatten(self.encoder(x))
        if self.settings.latent_mode == "sum":
            return mean + log_variance[0]
        if self.settings.latent_mode == "reparam" and training:
            return mean + tf.exp(0.5 * log_variance[0]) * layers.normal(tf.shape(mean), self.prior)
        return mean

    def call(self, batch: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Denoised expression G(E(x)), (B, G), of "x" (B, G), both log-normalised."""
        return self.decoder(self.code(batch["x"], training))

    @property
    def relu(self) -> bool:
        """Whether D ends in a ReLU that is taken for a probability."""
        return self.settings.disc_output == "relu"

    def adversarial_loss(self, output: tf.Tensor, real: bool) -> tf.Tensor:
        """Mean of −ln p or −ln(1 − p) over D's outputs (B, 1), a ReLU's by `released_crossentropy`."""
        if self.relu:
            return tf.reduce_mean(released_crossentropy(output, real))
        return tf.reduce_mean(tf.math.softplus(-output if real else output))

    def discriminator_step(self, code: tf.Tensor, real: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """One update of D alone, from codes (B, latent_dim); returns loss and accuracy before the update."""
        with tf.GradientTape() as tape:
            output = self.discriminator(code)
            loss = self.adversarial_loss(output, real)
        weights = self.discriminator.trainable_variables
        self.discriminator_optimizer.apply(tape.gradient(loss, weights), weights)
        taken_for_real = output > (0.5 if self.relu else 0.0)
        return loss, tf.reduce_mean(tf.cast(taken_for_real == real, tf.float32))

    def discriminator_steps(self, code: tf.Tensor) -> dict[str, tf.Tensor]:
        """Update D on as many draws of N(0, I) as there are codes, and then on the codes; an optimiser step each."""
        drawn = layers.normal(tf.shape(code), self.prior)
        real_loss, real_accuracy = self.discriminator_step(drawn, real=True)
        fake_loss, fake_accuracy = self.discriminator_step(code, real=False)
        self.last_accuracy.assign(tf.stack([real_accuracy, fake_accuracy]))
        return {
            "d_loss_real": real_loss,
            "d_loss_fake": fake_loss,
            "d_accuracy_real": real_accuracy,
            "d_accuracy_fake": fake_accuracy,
        }

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """D on real codes, D on fake codes, then E and G with D held still: three optimiser steps."""
        x = batch["x"]
        with tf.GradientTape() as tape:
            # The updates of D leave E alone, so that one pass through E serves all three.
            code = self.code(x, training=True)
            with tape.stop_recording():
                logs = self.discriminator_steps(code)
            reconstruction = tf.reduce_mean((x - self.decoder(code)) ** 2)
            output = self.discriminator(code)
            adversarial = self.adversarial_loss(output, real=True)
            loss = self.settings.w_rec * reconstruction + self.settings.w_adv * adversarial
        weights = self.autoencoder_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        probability = output if self.relu else tf.sigmoid(output)
        low, high = tf.reduce_min(probability), tf.reduce_max(probability)
        self.code_range.assign([tf.minimum(self.code_range[0], low), tf.maximum(self.code_range[1], high)])
        return logs | {
            "loss": loss,
            "reconstruction_loss": reconstruction,
            "adversarial_loss": adversarial,
            "d_code_zero": tf.reduce_mean(tf.cast(probability <= 0, tf.float32)),
            "d_code_one": tf.reduce_mean(tf.cast(probability >= 1, tf.float32)),
        }

    def batch_test(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Mean squared error of the reconstruction."""
        return {"loss": tf.reduce_mean((batch["x"] - self(batch)) ** 2)}


def _start(mean: Sequence[float], activation: str) -> np.ndarray:
    """Biases with which a decoder that is given nothing returns the means."""
    mean = np.maximum(np.asarray(mean, "float64"), 1e-6)
    return (np.log(np.expm1(mean)) if activation == "softplus" else mean).astype("float32")


def released_crossentropy(probability: tf.Tensor, real: bool) -> tf.Tensor:
    """−ln(q + ε) of any shape as Keras 2 has it: q is p if `real`, else 1 − p, clipped to [ε, 1 − ε], with ε = 1e-7.

    A p outside of [0, 1] gets no gradient. Keras 3 leaves out the second ε: where q is 0, Keras 2 has −ln 2e-7 =
    15.425, Keras 3 −ln 1e-7 = 16.118 (``binary_crossentropy`` in ``keras/backend.py`` of Keras 2.11).
    """
    eps = 1e-7
    # 1 − p is clipped and not p, lest XLA should add ε to the 1.
    chance = probability if real else 1.0 - probability
    return -tf.math.log(tf.clip_by_value(chance, eps, 1.0 - eps) + eps)
