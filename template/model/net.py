"""The network of MyMethod: counts in, codes and reconstructed z-scores out."""

import keras
import numpy as np
import tensorflow as tf

from scgen_lib.models.base import Network
from scgen_lib.models.my_method.settings import MyMethodSettings
from scgen_lib.preprocess import Standardiser


@keras.saving.register_keras_serializable("scgen_lib")
class MyMethodNet(Network):
    """Two linear layers (tensors only).

    Parameters
    ----------
    n_genes
        Number of genes G.
    settings
        Of the model.
    standardiser
        Config of the fitted `Standardiser` that makes the input of the net from counts.
    note
        Whatever else is to be kept with the weights, as JSON.
    """

    settings_type = MyMethodSettings

    def __init__(
        self,
        n_genes: int,
        settings: MyMethodSettings,
        *,
        standardiser: dict | None = None,
        note: dict | None = None,
    ):
        super().__init__(settings, note, n_genes=n_genes, standardiser=standardiser)
        self.standardiser = Standardiser.from_config(standardiser or {})
        shape, seeds = (n_genes, settings.latent_dim), np.random.SeedSequence(settings.seed).generate_state(2)
        first, second = (keras.initializers.GlorotUniform(int(seed)) for seed in seeds)
        self.encoder = self.add_weight(shape, first, name="encoder")
        self.decoder = self.encoder if settings.tied else self.add_weight(shape, second, name="decoder")

    def encode(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """Codes (B, latent_dim) from "counts" (B, G) and "size_factor" (B, 1), float32."""
        return tf.matmul(self.standardiser(batch["counts"], batch["size_factor"]), self.encoder)

    def batch_loss(self, batch: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Mean squared error over all entries, cells × genes."""
        x = self.standardiser(batch["counts"], batch["size_factor"])
        return tf.reduce_mean((tf.matmul(self.encode(batch), self.decoder, transpose_b=True) - x) ** 2)
