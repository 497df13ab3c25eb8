"""MyMethod on AnnData: fit and embed."""

from typing import Annotated, Self

import anndata
import keras
import numpy as np

from scgen_lib import training
from scgen_lib.data import checks
from scgen_lib.models.base import AnnDataModel, Callbacks, CheckpointFile, Epochs, Progress
from scgen_lib.models.my_method.net import MyMethodNet
from scgen_lib.models.my_method.settings import MyMethodSettings
from scgen_lib.preprocess import Matrix, Standardiser
from scgen_lib.settings import Option, checked


class MyMethod(MyMethodSettings, AnnDataModel):
    """MyMethod (Author et al. 2026): AnnData in, codes of cells out.

    ``MyMethod()`` is the repaired model, which computes what the paper describes, with what we added to it;
    ``MyMethod.faithful()`` computes what the released code does.

    Attributes
    ----------
    net
        The `MyMethodNet`, after `fit` or `load`.
    history
        Name → one value per epoch: "loss".

    Notes
    -----
    What the description asks for: `tied`. What we added: nothing.
    """

    net_type = MyMethodNet
    key = "my_method"

    @checked
    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: Epochs = 100,
        batch_size: Annotated[int, Option("in [1, inf)", "cells an update")] = 64,
        callbacks: Callbacks = (),
        checkpoint: CheckpointFile = None,
        progress: Progress = False,
    ) -> Self:
        """Train on raw counts.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``); no empty cell, no gene without counts.

        Returns
        -------
        MyMethod
            Itself.

        Raises
        ------
        DataError
            Counts that cannot be used.
        TrainingError
            A value that is no longer finite.
        CheckpointError
            `checkpoint` is damaged or of another training.
        """
        counts = checks.get_counts(adata)
        standardiser = Standardiser().fit(counts).get_config()
        note = {"var_names": list(adata.var_names)}
        self.net = MyMethodNet(counts.shape[1], self.settings, standardiser=standardiser, note=note)
        self.net.compile(optimizer=keras.optimizers.Adam(self.learning_rate))
        return self._fit_net(
            self._arrays(counts),
            epochs=epochs,
            batch_size=batch_size,
            callbacks=callbacks,
            checkpoint=checkpoint,
            progress=progress,
        )

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
            (N, latent_dim), float32.

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
