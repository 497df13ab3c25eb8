"""What TensorBoard shows of a training of scGAN."""

import os

import keras
import numpy as np
import tensorflow as tf


class Summaries(keras.callbacks.Callback):
    """Writes the course of a training for TensorBoard, over outer steps.

    Scalars of each block: what `ScGAN.history` has. Histograms every so many steps, a multiple of the block, 0 never:
    every weight, its gradient, expression of generated and of some real cells, x (B, G) of label (B, 1), and the
    critic's scores of both.
    """

    def __init__(self, log_dir: str | os.PathLike, x: np.ndarray, label: np.ndarray, histograms_every: int = 0):
        super().__init__()
        self.log_dir, self.x, self.label, self.histograms_every = os.fspath(log_dir), x, label, histograms_every

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Open a file."""
        self.writer = tf.summary.create_file_writer(self.log_dir)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the block."""
        step = self.model.steps_done
        with self.writer.as_default(step):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, value)
            if self.histograms_every and step % self.histograms_every == 0:
                for name, value in self._values().items():
                    tf.summary.histogram(name, value)
        self.writer.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Close the file."""
        self.writer.close()

    def _values(self) -> dict[str, tf.Tensor]:
        # Noise of its own, and statistics left alone: the training does not notice.
        net, rng = self.model, np.random.default_rng(0)
        x, label = tf.constant(self.x), net.one_hot(self.label[:, 0])
        z = tf.constant(rng.standard_normal((len(self.x), net.settings.latent_dim), "float32"))
        alpha = tf.constant(rng.random((len(self.x), 1), "float32"))
        with tf.GradientTape(persistent=True) as tape:
            fake = net.generate(z, label, training=True, track=False)
            apart = tf.stop_gradient(fake)
            generator = net.generator_loss(fake, label)
            critic = net.critic_loss(x, label, apart, label, apart, alpha)["critic"]
        scale = net.settings.critic_input_scale
        values = {
            "cells/real": x,
            "cells/generated": fake,
            "scores/real": net.criticise(scale * x, label),
            "scores/generated": net.criticise(scale * fake, label),
        }
        for name, loss, weights in (
            ("generator", generator, net.generator_weights),
            ("critic", critic, net.critic_weights),
        ):
            for i, (weight, gradient) in enumerate(zip(weights, tape.gradient(loss, weights), strict=True)):
                values[f"{name}/{i}_{weight.name}"] = tf.convert_to_tensor(weight)
                if gradient is not None:
                    values[f"{name}/{i}_{weight.name}_gradient"] = gradient
        return values
