"""DB-AAE on AnnData: fit, tune, denoise, embed."""

import dataclasses
import math
import os
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

import anndata
import joblib
import keras
import numpy as np
import tensorflow as tf

from scgen_lib import optimizers, training
from scgen_lib.data import checks, writing
from scgen_lib.data.stored import Stored, of_columns
from scgen_lib.models.base import Callbacks, CheckpointFile, DenoisingModel, Progress
from scgen_lib.models.db_aae.net import DBAAENet
from scgen_lib.models.db_aae.search import RandomEncoderTrial, scores, whole_batches_in_file_order
from scgen_lib.models.db_aae.settings import DBAAESettings
from scgen_lib.preprocess import LogNormaliser, Matrix
from scgen_lib.settings import Option, checked

# XLA's program takes some 2.5 s to compile and saves about 1 ns a weight in every update.
XLA_PAYS = 2.5e9


class _EpochLogs(keras.callbacks.Callback):
    """Adds to the history what the network notes itself, and says what the validation loss is."""

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.model.code_range.assign([math.inf, -math.inf])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        names = ("d_accuracy_real_last", "d_accuracy_fake_last", "d_code_min", "d_code_max")
        notes = [*self.model.last_accuracy.numpy(), *self.model.code_range.numpy()]
        logs |= {name: float(value) for name, value in zip(names, notes, strict=True) if math.isfinite(value)}
        if "val_loss" in logs:
            logs["val_mse"] = logs.pop("val_loss")


class DBAAE(DBAAESettings, DenoisingModel):
    """Adversarial autoencoder with dynamic batching (Ko and Sartorelli 2024): AnnData in, denoised logarithms out.

    ``DBAAE()`` is the repaired model, which computes what the description asks for where the released script does
    otherwise, and has what we added; ``DBAAE.faithful()`` computes what the released script does.

    Attributes
    ----------
    net
        The `DBAAENet`, after `fit` or `load`.
    history
        Name → one value per epoch: "loss", "reconstruction_loss", "adversarial_loss", "d_loss_real", "d_loss_fake";
        "d_accuracy_real", "d_accuracy_fake" in [0, 1], and with the ending "_last" of the last mini-batch; over the
        codes of the epoch "d_code_zero" and "d_code_one", the shares of cells with D(E(x)) = 0 and ≥ 1, where a ReLU
        teaches E nothing, and "d_code_min", "d_code_max"; "val_mse" where cells are held out.

    Notes
    -----
    What the description asks for (title, abstract and the repository's schematic; the article could not be read): D
    answers with a probability (`disc_output`), since outside of (0, 1) no gradient passes a ReLU that is taken for one;
    the batch size is optimised for the model, by a search that trains the model which it scores (`tune_trial`), with
    its step size (`tune_learning_rate`). What it scores by is our choice (`tune_objective`).

    What we added, and nothing describes: `start_at_means`, `latent_mode`, `shuffle`, `cap_batch_size`,
    `validation_cells` and `epochs_of_few`.

    Deviations of the faithful model: two optimisers where one was compiled into two models; fake codes are computed
    within the step and not by `predict`, to the same values; all random numbers are seeded. The released code ran on
    Keras 2: both variants have its RMSprop, with which the paper's numbers were made, and a ReLU is compared by its
    cross-entropy (`net.released_crossentropy`), in which a dead D costs −ln 2e-7 = 15.425.

    References
    ----------
    https://doi.org/10.1016/j.isci.2024.109027 and github.com/LMSCGR/DB-AAE.
    """

    net_type = DBAAENet
    key = "db_aae"

    @checked
    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: Annotated[
            int | None,
            Option("in [1, inf)", "passes over the cells; None: 20, and epochs_of_few below 1,000", origin="n_epochs"),
        ] = None,
        batch_size: Annotated[int, Option("in [1, inf)", "cells per update; `tune` finds one")] = 32,
        validation_split: Annotated[
            float, Option("in [0, 1)", "share of the cells held out for a val_mse", flat=None)
        ] = 0.0,
        callbacks: Callbacks = (),
        checkpoint: CheckpointFile = None,
        progress: Progress = False,
    ) -> Self:
        """Train on raw counts; genes are filtered, cells normalised and variable genes chosen here.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``), in memory or on disk (see `data.stored`).

        Returns
        -------
        DBAAE
            Itself.

        Raises
        ------
        DataError
            Counts that cannot be used.
        InputError
            Fewer cells than one mini-batch, where neither `shuffle` nor `cap_batch_size` lets them be one.
        TrainingError
            A value that is no longer finite.
        CheckpointError
            `checkpoint` is damaged or of another training.
        """
        x, note = self._prepared(adata)
        rows, held_out = self._split(x, validation_split)
        return self._train(
            DBAAENet,
            x,
            rows,
            note,
            epochs=epochs or (self.epochs_of_few if x.shape[0] < 1000 else 20),
            batch_size=batch_size,
            validation_rows=held_out,
            callbacks=callbacks,
            checkpoint=checkpoint,
            progress=progress,
        )

    @checked
    def tune(
        self,
        adata: anndata.AnnData,
        *,
        batch_min: Annotated[int, Option("in [1, inf)", "smallest batch size of the search", origin="hp.Int")] = 16,
        batch_max: Annotated[int, Option("in [1, inf)", "largest batch size of the search", origin="hp.Int")] = 128,
        batch_step: Annotated[int, Option("in [1, inf)", "step between them", origin="hp.Int")] = 8,
        epochs: Annotated[int, Option("in [1, inf)", "epochs of a trial", origin="n_epochs", flat="tune_epochs")] = 20,
        seeds: Annotated[
            int, Option("in [1, inf)", "trials of each batch size, whose mean decides", flat="tune_seeds")
        ] = 1,
        budget: Annotated[
            Literal["epochs", "steps"],
            Option(
                meaning="what all trials have in common: the passes through the cells, or the updates",
                flat="tune_budget",
            ),
        ] = "epochs",
        val_fraction: Annotated[
            float,
            Option("in (0, 0.5]", "share of the cells that a trained model is judged by", origin="validation_split"),
        ] = 0.1,
        directory: Annotated[
            str | os.PathLike | None,
            Option(meaning="folder of the trials; a search that was interrupted continues from it", flat=None),
        ] = None,
        progress: Progress = False,
    ) -> training.Search:
        """Try every batch size of a range ("dynamic batching"); the model itself stays as it is.

        A trial trains the model, with another seed and `tune_learning_rate`, and scores it by held-out cells. That of
        ``DBAAE.faithful()`` is the accuracy of a fresh D against the codes of a random E that no one trains, see
        `RandomEncoderTrial`. With a budget of steps every batch size takes as many updates as a size of 32 in `epochs`.

        Parameters
        ----------
        adata
            As in `fit`.

        Returns
        -------
        training.Search
            The best batch size, and of all trials "d_accuracy", accuracy of D in percent on the last mini-batch,
            "d_equilibrium", distance of its mean over the last epoch from 50 percent, "val_mse", mean squared error of
            held-out cells where a model is trained, and "steps"; one that failed, as with fewer cells than a
            mini-batch, has its error.

        Raises
        ------
        ParameterError
            An impossible range, or no trial that succeeded.
        """
        x, note = self._prepared(adata)
        rate, of_model = self.tune_learning_rate or self.learning_rate, self.tune_trial == "model"

        def score(batch_size: int, seed: int) -> dict[str, float]:
            trial = dataclasses.replace(self, learning_rate=rate, seed=seed)
            rows, held_out = trial._split(x, val_fraction if of_model else 0.0)
            in_32s = -(-len(rows) // 32) if self.shuffle else max(1, len(rows) // 32)
            order = training.exactly(in_32s, trial._order_of(x)) if budget == "steps" else None
            kind = DBAAENet if of_model else RandomEncoderTrial
            trial._train(kind, x, rows, note, epochs=epochs, batch_size=batch_size, order=order)
            net, values = trial.net, scores(trial.history)
            values["steps"] = int(net.discriminator_optimizer.iterations) // 2
            if of_model:
                errors = training.predict(
                    lambda b: {"mse": tf.reduce_mean((b["x"] - net(b)) ** 2, axis=1)}, {"x": x[held_out]}
                )
                values["val_mse"] = float(errors["mse"].mean(dtype="float64"))
            return values

        return training.search_batch_size(
            score,
            objective=self.tune_objective,
            direction="max" if self.tune_objective == "d_accuracy" else "min",
            batch_min=batch_min,
            batch_max=batch_max,
            batch_step=batch_step,
            seeds=range(self.seed, self.seed + seeds),
            directory=directory,
            settings={
                **self.values(), "epochs": epochs, "budget": budget, "val_fraction": val_fraction,
                "data": x.fingerprint() if isinstance(x, Stored) else joblib.hash(x),
            },
            progress=progress,
        )  # fmt: skip

    def _prepared(self, adata: anndata.AnnData) -> tuple[Matrix, dict]:
        """What the net is trained on, and what is kept with it."""
        counts = checks.get_counts(adata, allow_empty=True, stored=True)
        normaliser = LogNormaliser(self.min_cells, self.target_sum, self.n_hvg).fit(counts)
        return normaliser(counts), {"var_names": list(adata.var_names), "normaliser": normaliser.get_config()}

    def _split(self, x: Matrix, share: float) -> tuple[np.ndarray, np.ndarray]:
        return training.split(x.shape[0], share, shuffle=self.validation_cells == "random", seed=self.seed)

    def _order_of(self, x: Matrix) -> training.Order:
        return training.shuffling(x) if self.shuffle else self.order

    def _train(
        self,
        kind: type[DBAAENet],
        x: Matrix,
        rows: np.ndarray,
        note: dict,
        *,
        epochs: int,
        batch_size: int,
        order: training.Order | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **options: object,
    ) -> Self:
        means = None
        if self.start_at_means:
            trained = x[rows]
            means = trained.moments()[0] if isinstance(x, Stored) else np.asarray(trained.mean(axis=0)).ravel()
        self.net = net = kind(x.shape[1], self.settings, mean_bias=means, note=note)
        net.compile(optimizer=optimizers.named(self.optimizer, learning_rate=self.learning_rate))
        net.jit = epochs * -(-len(rows) // batch_size) * sum(math.prod(w.shape) for w in net.weights) >= XLA_PAYS
        return self._fit_net(
            {"x": x},
            epochs=epochs,
            batch_size=min(batch_size, len(rows)) if self.cap_batch_size else batch_size,
            rows=rows,
            order=order or self._order_of(x),
            callbacks=[_EpochLogs(), *callbacks],
            **options,
        )

    @property
    def order(self) -> training.Order:
        """How an epoch walks through the cells; those on disk are shuffled in pools, see `training.shuffling`."""
        return training.shuffled if self.shuffle else whole_batches_in_file_order

    def unseen(self, n_cells: int, batch_size: int) -> np.ndarray:
        """Which of N cells no epoch trains on, (N,) bool: none, or the last N mod B of the file without `shuffle`."""
        rows = np.arange(n_cells)
        return ~np.isin(rows, self.order(np.random.default_rng(0), rows, batch_size))

    # Use of a fitted model -------------------------------------------------------------------------------------------

    @property
    def normaliser(self) -> LogNormaliser:
        """What makes the net's input from counts."""
        return LogNormaliser(**self.fitted().note["normaliser"])

    @property
    def positions(self) -> np.ndarray:
        """Places of the genes that the net has among those of the training, (len(genes),) int."""
        return np.asarray(self.normaliser.genes)

    def normalised(self, adata: anndata.AnnData) -> np.ndarray:
        """Input of the net (N, len(genes)), float32, natural logarithms: what `denoise` is to be compared with.

        Raises
        ------
        DataError
            Other genes than those of the training, or an empty cell.
        """
        return training.dense(self._normalised(adata))

    def _normalised(self, adata: anndata.AnnData) -> Matrix:
        self.check_genes(adata)
        return self.normaliser(checks.get_counts(adata, allow_empty=True, stored=True))

    def denoise(self, adata: anndata.AnnData) -> np.ndarray:
        """Denoised expression (N, len(genes)), float32, on the scale of `normalised`; errors as there."""
        return np.concatenate(list(self.denoised(adata)))

    def denoised(self, adata: anndata.AnnData) -> Iterator[np.ndarray]:
        """Walk through what `denoise` returns: blocks of cells in their order, (B, len(genes)) each, float32."""
        net, x = self.fitted(), self._normalised(adata)
        yield from (block["x"] for block in training.predictions(lambda b: {"x": net(b)}, {"x": x}))

    def denoise_counts(self, adata: anndata.AnnData) -> np.ndarray:
        """Denoised expression in counts (N, len(genes)), float32, at each cell's own depth; see `LogNormaliser`."""
        return self.normaliser.inverse(self.denoise(adata), checks.get_counts(adata, allow_empty=True))

    def embed(self, adata: anndata.AnnData) -> np.ndarray:
        """Codes E(x) (N, latent_dim), float32, without noise; errors as in `normalised`."""
        x = self._normalised(adata)
        return training.predict(lambda b: {"z": self.fitted().code(b["x"])}, {"x": x})["z"]

    def _beside(self, adata: anndata.AnnData, columns: np.ndarray | None) -> writing.Beside:
        x = self._normalised(adata)
        x = x if columns is None else of_columns(x, columns)
        return dataclasses.replace(super()._beside(adata, columns), layers={"log": x})

    def annotate(self, adata: anndata.AnnData) -> anndata.AnnData:
        """Return a copy of the cells with the genes of the net, and what the model makes of them.

        ``layers["log"]`` is the input of the net; the rest is as every model writes it: ``layers["db_aae"]``,
        ``obsm["X_db_aae"]``, ``uns["db_aae"]``.
        """
        out = adata[:, self.genes].copy()
        out.layers["log"] = self.normalised(adata)
        return self._write(adata, out)
