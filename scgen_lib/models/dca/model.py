"""DCA on AnnData: fit, denoise, embed."""

from collections.abc import Iterator
from typing import Annotated, Self

import anndata
import keras
import numpy as np
import tensorflow as tf

from scgen_lib import losses, optimizers, training
from scgen_lib.data import checks
from scgen_lib.models.base import Callbacks, CheckpointFile, DenoisingModel, Progress
from scgen_lib.models.dca.net import DCANet, zinb_arguments
from scgen_lib.models.dca.settings import DCASettings
from scgen_lib.preprocess import Matrix, Standardiser, mean_log_factorial
from scgen_lib.settings import Option, checked


class DCA(DCASettings, DenoisingModel):
    """Deep count autoencoder (Eraslan et al. 2019): AnnData in, denoised expression out.

    ``DCA()`` is the repaired model, which computes what the description asks for where the released code does
    otherwise, and has what we added; ``DCA.faithful()`` computes what the released code does.

    Attributes
    ----------
    net
        The `DCANet`, after `fit` or `load`.
    history
        Name → one value per epoch: "loss", "val_loss", "learning_rate".

    Notes
    -----
    What the description asks for: `loss`, the likelihood itself. What we added, and nothing describes: `mean_bias`,
    `validation_cells` and `keep_weights`.

    What the description has and neither variant, since the released code has it otherwise by default: θ is the
    exponential of its head (softplus here), and no hidden layer is normalised (``batchnorm=False``). The faithful
    model deviates from the code in nothing that is known, other than the random numbers.

    References
    ----------
    https://doi.org/10.1038/s41467-018-07931-2 and github.com/theislab/dca at commit 6abd124.
    """

    net_type = DCANet
    key = "dca"

    @checked
    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: Annotated[int, Option("in [1, inf)", "epochs at most", origin="dca -e")] = 300,
        batch_size: Annotated[int, Option("in [2, inf)", "cells per update", origin="dca -b")] = 32,
        validation_split: Annotated[
            float, Option("in [0, 1)", "share of the cells kept for early stopping", origin="Keras' argument")
        ] = 0.1,
        reduce_lr: Annotated[
            int,
            Option(
                "in [0, inf)",
                "epochs without progress before the step size falls tenfold; 0: never",
                origin="dca --reducelr",
            ),
        ] = 10,
        early_stop: Annotated[
            int,
            Option("in [0, inf)", "epochs without progress before training ends; 0: never", origin="dca --earlystop"),
        ] = 15,
        callbacks: Callbacks = (),
        checkpoint: CheckpointFile = None,
        progress: Progress = False,
    ) -> Self:
        """Train on raw counts.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``), in memory or on disk (see `data.stored`); no
            empty cell, no gene without counts.

        Returns
        -------
        DCA
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
        counts = checks.get_counts(adata, stored=True)
        random = self.validation_cells == "random"
        rows, validation = training.split(counts.shape[0], validation_split, shuffle=random, seed=self.seed)
        standardiser = Standardiser(self.size_factor, self.zscore, self.log1p).fit(counts)
        arrays = self._arrays(counts, standardiser)
        bias = None
        if self.mean_bias == "gene_means" and self.ae_type != "normal":
            bias = np.log(checks.totals(counts, 0) / counts.shape[0] / arrays["size_factor"].mean())
            bias = -bias if self.heads.tied else bias
        self.net = DCANet(
            counts.shape[1],
            self.settings,
            standardiser=standardiser.get_config(),
            mean_start=bias,
            note={"var_names": list(adata.var_names)},
        )
        clip = {"clipvalue": self.clip_value} if self.clip_value else {}
        self.net.compile(optimizer=optimizers.named(self.optimizer, learning_rate=self.learning_rate, **clip))
        watchers = [*callbacks]
        if len(validation) and reduce_lr:
            watchers.append(
                keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=reduce_lr, min_delta=1e-4)
            )
        if len(validation) and early_stop:
            best = self.keep_weights == "best"
            watchers.append(keras.callbacks.EarlyStopping("val_loss", patience=early_stop, restore_best_weights=best))
        return self._fit_net(
            arrays,
            epochs=epochs,
            batch_size=batch_size,
            rows=rows,
            validation_rows=validation,
            callbacks=watchers,
            checkpoint=checkpoint,
            progress=progress,
        )

    def _arrays(self, counts: Matrix, standardiser: Standardiser) -> training.Arrays:
        return {
            "counts": counts,
            "size_factor": standardiser.factors(counts)[:, None],
            "log_factorial": mean_log_factorial(counts)[:, None],
        }

    def parameters(self, adata: anndata.AnnData) -> dict[str, np.ndarray]:
        """Fitted distribution of every entry.

        Parameters
        ----------
        adata
            Cells × the genes of the training, in the same order.

        Returns
        -------
        dict
            "mean" (N, G) with the size factor in it, counts (for ``normal``: of ln(1 + x/s)); "dispersion" (N, G),
            "dropout" π and "posterior" w (N, G), where the type has them; "latent" (N, bottleneck); float32.

        Raises
        ------
        DataError
            Other genes than those of the training.
        """
        net = self.fitted()

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            out = net(batch, training=False)
            values = {"latent": net.encode(batch)}
            if self.ae_type == "normal":
                return values | {"mean": out["mean"]}
            values["mean"] = tf.exp(out["log_mean"])
            entries = tf.ones_like(values["mean"])
            if "dispersion" in out:
                values["dispersion"] = out["dispersion"] * entries
            if "logit" in out:
                values["dropout"] = tf.sigmoid(out["logit"]) * entries
                values["posterior"] = losses.dropout_posterior(**zinb_arguments(out))
            return values

        return training.predict(outputs, self._checked(adata))

    def denoise(self, adata: anndata.AnnData) -> np.ndarray:
        """Denoised expression (N, G), float32, in counts: the mean of the distribution, at the cell's own depth.

        For the type ``normal``, whose net works on ln(1 + x/s), that mean is mapped back.
        """
        return np.concatenate(list(self.denoised(adata)))

    def denoised(self, adata: anndata.AnnData) -> Iterator[np.ndarray]:
        """Walk through what `denoise` returns: blocks of cells in their order, (B, G) each, float32."""
        net, arrays = self.fitted(), self._checked(adata)

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            out = net(batch, training=False)
            return {"mean": out["mean"] if self.ae_type == "normal" else tf.exp(out["log_mean"])}

        start = 0
        for block in training.predictions(outputs, arrays):
            mean = block["mean"]
            if self.ae_type == "normal":
                mean = np.expm1(mean) * arrays["size_factor"][start : start + len(mean)]
            start += len(mean)
            yield mean

    def embed(self, adata: anndata.AnnData) -> np.ndarray:
        """Bottleneck (N, hidden[middle]), float32, before batch normalisation and activation."""
        return training.predict(lambda b: {"latent": self.fitted().encode(b)}, self._checked(adata))["latent"]

    def nll(self, adata: anndata.AnnData) -> float:
        """Mean loss of an entry in nats, on any cells (squared error for ``normal``), without penalties of weights."""
        net = self.fitted()
        loss = training.predict(
            lambda b: {"nll": tf.reduce_mean(net.nll(b), axis=1, keepdims=True)}, arrays := self._checked(adata)
        )
        return float(np.mean(loss["nll"] + (arrays["log_factorial"] if net.adds_factorial else 0.0), dtype="float64"))

    def _checked(self, adata: anndata.AnnData) -> training.Arrays:
        self.check_genes(adata)
        return self._arrays(checks.get_counts(adata, allow_empty=True, stored=True), self.fitted().standardiser)
