"""MyMethod, a linear autoencoder: it stands here for the model of a paper, and trains in seconds.

Author A., Author B., Title of the paper, Journal 1:1 (2026), https://doi.org/10.0000/example
"""

import os
from collections.abc import Sequence
from typing import Literal, Self

import anndata
import keras
import numpy as np
import tensorflow as tf

from scgen_lib import training
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.models.base import FittedModel, NotedNet
from scgen_lib.preprocess import Matrix, Standardiser


@keras.saving.register_keras_serializable("scgen_lib")
class MyMethodNet(NotedNet):
    """The network: counts and size factors in, codes and reconstructed z-scores out (tensors only).

    Parameters
    ----------
    n_genes
        Number of genes G.
    z_dim
        Length of the code.
    tied
        Decode with the transposed weights of the encoder.
    standardiser
        Config of the fitted `Standardiser` that makes the input of the net from counts.
    note
        Whatever else is to be kept with the weights, as JSON.
    seed
        Fixes the weights.
    """

    def __init__(
        self,
        n_genes: int,
        *,
        z_dim: int = 2,
        tied: bool = False,
        standardiser: dict | None = None,
        note: dict | None = None,
        seed: int = 0,
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        self._config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "note", "__class__")}
        self.note = dict(note or {})
        self.standardiser = Standardiser.from_config(standardiser or {})
        first, second = np.random.SeedSequence(seed).generate_state(2)
        self.encoder = self.add_weight((n_genes, z_dim), keras.initializers.GlorotUniform(int(first)), name="encoder")
        self.decoder = self.encoder
        if not tied:
            initial = keras.initializers.GlorotUniform(int(second))
            self.decoder = self.add_weight((n_genes, z_dim), initial, name="decoder")

    def encode(self, batch: dict[str, tf.Tensor]) -> tf.Tensor:
        """Codes (B, z_dim) from "counts" (B, G) and "size_factor" (B, 1), float32."""
        return tf.matmul(self.standardiser(batch["counts"], batch["size_factor"]), self.encoder)

    def batch_loss(self, batch: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Mean squared error over all entries, cells × genes."""
        x = self.standardiser(batch["counts"], batch["size_factor"])
        return tf.reduce_mean((tf.matmul(self.encode(batch), self.decoder, transpose_b=True) - x) ** 2)


class MyMethod(FittedModel):
    """MyMethod (Author et al. 2026): AnnData in, codes of cells out.

    The variant ``faithful`` computes what the released code does, ``repaired`` what the paper describes, with what we
    added to it; see the list of deviations.

    Parameters
    ----------
    variant
        ``repaired`` or ``faithful``.
    z_dim
        Length of the code, ≥ 1.
    learning_rate
        Step size of Adam.
    seed
        Fixes weights and the order of cells.

    Attributes
    ----------
    net
        The `MyMethodNet`, after `fit` or `load`.
    history
        Name → one value per epoch: "loss".

    Notes
    -----
    Deviations of ``repaired`` from the released code, which the description asks for: the decoder has weights of its
    own, where the released one uses those of the encoder. What we added: nothing.
    """

    net_type = MyMethodNet

    def __init__(
        self,
        *,
        variant: Literal["repaired", "faithful"] = "repaired",
        z_dim: int = 2,
        learning_rate: float = 1e-2,
        seed: int = 0,
    ):
        super().__init__(locals())
        if variant not in ("repaired", "faithful"):
            raise ParameterError(f"expected variant 'repaired' or 'faithful', got {variant!r}: choose one of the two")
        self.variant, self.seed = variant, seed

    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: int = 100,
        batch_size: int = 64,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        checkpoint: str | os.PathLike | None = None,
        progress: bool = False,
    ) -> Self:
        """Train on raw counts.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``); no empty cell, no gene without counts.
        epochs, batch_size
            As in Keras.
        callbacks
            Further Keras callbacks.
        checkpoint
            File for the state of the training; an interrupted training continues from it with the same numbers.
        progress
            Show a progress bar.

        Returns
        -------
        MyMethod
            Itself.

        Raises
        ------
        DataError
            Counts that cannot be used.
        CheckpointError
            `checkpoint` is damaged or of another training.
        """
        counts = checks.get_counts(adata)
        self.net = MyMethodNet(
            counts.shape[1],
            z_dim=self.config["z_dim"],
            tied=self.variant == "faithful",
            standardiser=Standardiser().fit(counts).get_config(),
            note={"var_names": list(adata.var_names)},
            seed=self.seed,
        )
        self.net.compile(optimizer=keras.optimizers.Adam(self.config["learning_rate"]))
        self.history = training.fit(
            self.net,
            self._arrays(counts),
            epochs=epochs,
            batch_size=batch_size,
            seed=self.seed,
            callbacks=callbacks,
            checkpoint=checkpoint,
            progress=progress,
        )
        return self

    def _arrays(self, counts: Matrix) -> training.Arrays:
        return {"counts": counts, "size_factor": self.net.standardiser.factors(counts)[:, None]}

    def embed(self, adata: anndata.AnnData) -> np.ndarray:
        """Codes of cells.

        Parameters
        ----------
        adata
            Cells × the genes of the training, in the same order.

        Returns
        -------
        ndarray
            (N, z_dim), float32.

        Raises
        ------
        ParameterError
            The model is not fitted.
        DataError
            Other genes than those of the training.
        """
        self.check_genes(adata)
        arrays = self._arrays(checks.get_counts(adata))
        return training.predict(lambda batch: {"z": self.net.encode(batch)}, arrays)["z"]
