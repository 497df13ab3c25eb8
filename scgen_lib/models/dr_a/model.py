"""DR-A on AnnData: fit, embed."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import anndata
import keras
import numpy as np
import tensorflow as tf

from scgen_lib import training
from scgen_lib.data import checks
from scgen_lib.data.stored import Stored
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.models.base import AnnDataModel, Callbacks, CheckpointFile, Progress
from scgen_lib.models.dr_a.net import DRANet
from scgen_lib.models.dr_a.settings import DRASettings
from scgen_lib.preprocess import Matrix, UnitScaler, legacy_split, mean_log_factorial
from scgen_lib.settings import Option, checked


class DRA(DRASettings, AnnDataModel):
    """DR-A (Lin et al. 2020): AnnData in, a low-dimensional code of every cell out.

    ``DRA()`` is the repaired model, which plays the game of dual matching that the paper describes, and has additions
    of our own; ``DRA.faithful()`` computes what the released code does. The notes list what is which.

    Attributes
    ----------
    net
        The `DRANet`, after `fit` or `load`.
    history
        Name → one value per epoch: means of "loss", its parts "nll", "kl_l" and "kl_z", "v" (variance of z), "l_sd" (sd
        of the mean library size in a mini-batch), "z_abs" (absolute z), and the shares "clipped_v", "clipped_l_v" and
        "clipped_l" that the guards hold. With an adversary, for each of "d1", "encoder" and "d2": the mean of its loss
        over its own steps, its smallest value "…_min", and the share of mini-batches "…_mixed" with logits of both
        signs; where the model learns from D2 also "generator", the loss of x̃ against it.

    Notes
    -----
    The faithful model deviates from the released code in `guards` and in nothing else that is known, other than the
    random numbers: ln v is clipped to ± `log_var_clip`, since nothing keeps v from 0, where √v has no derivative;
    ln l_v is clipped to [−10, 4] and a sampled l to ±20, since e^l can overflow. Trainings that these guards carry
    through end in the release at values that are not finite; with ``guards=False`` they end so here, too, as a
    `TrainingError`: three of six with the published settings of K = 2 on Zeisel's cells do
    (``benchmarks/originals.md``).

    What the description asks for: dual matching, in which encoder, decoder and x̃ learn from D2, too, in the encoder's
    turns (`dual`); discriminators that oppose, where the released D1 lowers the distance that it should raise
    (`adversarial`); batch normalisation by statistics of the data; `lam`, `g_iter` and `actv` with the meaning of their
    names, where `lam` weighs the encoder's steps and not its loss, since Adam would cancel it. What we added, and
    nothing describes: the cross-entropy of logits for the game, Adams of their own speed for it (`adv_learning_rate`,
    `adv_beta_1`), `clip_norm`, `likelihood_input`, `library_bottleneck`, `scale_cells`, `latent` and the guards.

    ``trans="dense"`` calls a function in the release that does not exist; here it is the minimum and maximum of a gene.

    References
    ----------
    https://doi.org/10.1186/s12859-020-3401-5 and github.com/eugenelin1/DRA.
    """

    net_type = DRANet
    key = "dr_a"

    @checked
    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: Annotated[
            int, Option("in [1, inf)", "epochs; there is no early stopping", origin="--epoch", flat="epoch")
        ] = 200,
        batch_size: Annotated[
            int,
            Option("in [2, inf)", "cells per update, fewer than there are training cells", origin="--batch_size"),
        ] = 128,
        train_rows: Sequence[int] | None = None,
        callbacks: Callbacks = (),
        checkpoint: CheckpointFile = None,
        progress: Progress = False,
    ) -> Self:
        """Train on counts of chosen genes; the released model takes 720.

        A mini-batch is `batch_size` consecutive training cells from a random start, and an epoch has
        floor(N / batch_size) of them, with N the number of all cells. Of counts that stay on disk, mini-batches are cut
        from as many passes over shuffled training cells as that takes, see `training.shuffling`.

        Parameters
        ----------
        adata
            All cells, training and test, with counts in ``layers["counts"]`` (else ``X``), in memory or on disk (see
            `data.stored`).
        train_rows
            Positions of the training cells, in the order in which windows move over them; None: the first four fifths
            of `legacy_split`.

        Returns
        -------
        DRA
            Itself.

        Raises
        ------
        DataError
            Counts that cannot be used, or a training cell without any.
        ParameterError
            A batch size out of range.
        TrainingError
            A value that is no longer finite.
        CheckpointError
            `checkpoint` is damaged or of another training.
        """
        counts = checks.get_counts(adata, allow_empty=True, stored=True)
        n, genes = counts.shape
        rows = np.asarray(legacy_split(n)[0] if train_rows is None else train_rows)
        if batch_size >= len(rows):
            raise ParameterError(
                f"expected batch_size from 2 to {len(rows) - 1}, one less than the training cells, got {batch_size}: "
                "change it"
            )
        of_training = self.scale_cells == "training"
        scaler = UnitScaler(self.trans, unit=self.actv != "lin", clip=of_training)
        arrays = {"x": scaler.fit(counts[rows] if of_training else counts)(counts)}
        if self.likelihood_input == "counts":
            arrays["counts"] = counts
        modelled = arrays.get("counts", arrays["x"])
        arrays["log_factorial"] = mean_log_factorial(modelled)[:, None] * np.float32(genes)
        self.net = DRANet(
            genes,
            self.settings,
            library_prior=_library_prior(modelled[rows]),
            iterations=n // batch_size,
            note={"var_names": list(adata.var_names), "scaler": scaler.get_config()},
        )
        self.net.compile()

        def windows(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
            # The released code never draws the last row.
            starts = rng.integers(0, len(rows) - batch_size, n // batch_size)
            return rows[starts[:, None] + np.arange(batch_size)].ravel()

        if isinstance(counts, Stored):
            # consecutive cells of a permutation lie all over the file
            windows = training.exactly(n // batch_size, training.shuffling(counts))
        self._fit_net(
            arrays,
            epochs=epochs,
            batch_size=batch_size,
            rows=rows,
            order=windows,
            callbacks=callbacks,
            checkpoint=checkpoint,
            progress=progress,
        )
        self.history = {
            name.replace("_exp", "_min"): [-math.log(v) if v else math.inf for v in values]
            if name.endswith("_exp")
            else values
            for name, values in self.history.items()
        }
        return self

    def transform(self, adata: anndata.AnnData) -> Matrix:
        """Expression x (N, G), float32, as the encoder sees it; CSR if the counts are and `trans` is ``sparse``.

        Of counts that stay on disk, it is made where it is read.
        """
        self.check_genes(adata)
        return UnitScaler.from_config(self.fitted().note["scaler"])(
            checks.get_counts(adata, allow_empty=True, stored=True)
        )

    def posterior(self, adata: anndata.AnnData) -> dict[str, np.ndarray]:
        """Posteriors of code and library size.

        Parameters
        ----------
        adata
            Cells × the genes of the training, in the same order.

        Returns
        -------
        dict
            "z_mean", "z_variance" (N, K), "l_mean", "l_variance" (N, 1), float32; l is a natural logarithm.

        Raises
        ------
        DataError
            Other genes than those of the training.
        """
        net = self.fitted()

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            q = net.encode(batch["x"])
            variances = {f"{name}_variance": tf.exp(q[f"{name}_log_var"]) for name in ("z", "l")}
            return {"z_mean": q["z_mean"], "l_mean": q["l_mean"]} | variances

        return training.predict(outputs, {"x": self.transform(adata)})

    @checked
    def embed(
        self,
        adata: anndata.AnnData,
        latent: Annotated[
            Literal["sample", "mean"] | None, Option(meaning="of the posterior; None: as in the constructor")
        ] = None,
    ) -> np.ndarray:
        """Codes (N, K), float32, without dropout; a sample is the same in every call.

        Parameters
        ----------
        adata
            Cells × the genes of the training, in the same order.
        """
        q = self.posterior(adata)
        if (latent or self.latent) == "mean":
            return q["z_mean"]
        noise = np.random.default_rng([self.seed, 0]).standard_normal(q["z_mean"].shape, "float32")
        return q["z_mean"] + np.sqrt(q["z_variance"]) * noise

    def logits(self, adata: anndata.AnnData) -> dict[str, np.ndarray]:
        """What the discriminators make of real and fake, above 0 where they take it for real, if they oppose.

        Parameters
        ----------
        adata
            Cells × the genes of the training, in the same order.

        Returns
        -------
        dict
            "d1_prior", "d1_code", "d2_data" and "d2_reconstruction", (N,) each, float32; codes are samples.
        """
        net, z = self.fitted(), self.embed(adata, "sample")
        rng = np.random.default_rng([self.seed, 1])
        prior = rng.standard_normal(z.shape) if self.sampler == "normal" else rng.uniform(-1, 1, z.shape)

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {
                "d1_prior": net.d1(batch["prior"]),
                "d1_code": net.d1(batch["z"]),
                "d2_data": net.d2(net.real(batch["x"])),
                "d2_reconstruction": net.d2(net.reconstruct(batch["z"])),
            }

        out = training.predict(outputs, {"prior": prior, "z": z, "x": self.transform(adata)})
        return {name: values[:, 0] for name, values in out.items()}

    def moved(self) -> dict[str, float]:
        """How far each of the net's `parts` has come from its seeded start: ‖w − w₀‖ / ‖w₀‖, 0 if it never moved."""
        start = DRANet.from_config(self.fitted().get_config()).parts

        def norm(weights: Sequence[np.ndarray]) -> float:
            return float(np.sqrt(sum(np.sum(np.square(w, dtype="float64")) for w in weights)))

        change = {}
        for name, weights in self.net.parts.items():
            before, after = ([keras.ops.convert_to_numpy(w) for w in part] for part in (start[name], weights))
            change[name] = norm([b - a for a, b in zip(before, after, strict=True)]) / norm(before)
        return change


def _library_prior(values: Matrix) -> list[float]:
    """Mean and population variance of the logarithm of the cells' sums."""
    total = checks.totals(values)
    if not (total > 0).all():
        raise DataError(
            f"expected a count in every training cell, got none in {int((total <= 0).sum())} of {len(total)}: remove "
            "these cells, or choose other genes"
        )
    logs = np.log(total)
    if logs.var() == 0:
        raise DataError("expected training cells of different depth, got one depth for all: give raw counts")
    return [float(logs.mean()), float(logs.var())]
