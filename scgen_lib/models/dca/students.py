"""The four models I–IV of a student reproduction of DCA: {no batch norm, batch norm} × {legacy, improved ZINB loss}.

The reproduction is public code without a paper; its course data are not public. The nets are those of its PyTorch
code: three outputs with unbounded exponentials, PyTorch's default initialisation, Adam with coupled weight decay.
"""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple, Self

import anndata
import keras
import numpy as np
import tensorflow as tf

from scgen_lib import losses, training
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.models.base import AnnDataModel, CheckpointFile, Network, Progress
from scgen_lib.models.dca.losses import student_improved, student_legacy
from scgen_lib.preprocess import Matrix, SizeFactor, Standardiser, ZScore
from scgen_lib.settings import Option, Settings, checked, declared, option


class Kind(NamedTuple):
    """What tells the four models apart."""

    batchnorm: bool
    improved_loss: bool


MODELS = {"I": Kind(False, False), "II": Kind(True, False), "III": Kind(False, True), "IV": Kind(True, True)}


class _TorchUniform(keras.initializers.RandomUniform):
    """PyTorch's default for linear layers: U(−1/√fan_in, 1/√fan_in), for the kernel and for the bias."""

    def __init__(self, fan_in: int, seed: int):
        super().__init__(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), seed=seed)


@declared
class StudentSettings(Settings):
    """Arguments of `Student`."""

    kind: str = option(
        "I", f"one of {', '.join(MODELS)}", "which of the four models", origin="hasBN, zinb_new", flat=None
    )
    size_factor: SizeFactor = option(
        "kth", meaning="what a cell's counts are divided by; kth in the report, batch_total in the code"
    )
    zscore: ZScore = option(
        "global", meaning="what the input is centred and scaled by: global in the report, batch in the code"
    )
    learning_rate: float = option(5e-4, "in (0, inf)", "step size of Adam", origin="LR")
    beta_1: float = option(0.99, "in [0, 1)", "of the students' Adam", origin="BETA1", flat="adam_beta1")
    beta_2: float = option(0.999, "in [0, 1)", "of the students' Adam", origin="BETA2", flat="adam_beta2")
    epsilon: float = option(1e-9, "in [0, inf)", "of the students' Adam", origin="EPS", flat="adam_eps")
    weight_decay: float = option(1e-6, "in [0, inf)", "coupled L2 penalty of the students, added after clipping")
    clip_norm: float = option(5.0, "in (0, inf)", "largest global norm of the gradient, students", origin="max_norm")
    buggy_step: bool = option(
        False, meaning="train the students with the reported loop, which steps before it goes backward"
    )
    seed: int = option(0, "in [0, 4294967295]", "of weights and the order of cells", flat=None)


@keras.saving.register_keras_serializable("scgen_lib")
class StudentNet(Network):
    """Autoencoder G → 64 → 32 → 64 → (M, Θ, Π), tensors only.

    With `buggy_step` the gradient is cleared before it is used, so that only the weight decay ever reaches the weights.

    Parameters
    ----------
    n_genes
        Number of genes G.
    settings
        Of the model.
    standardiser
        Config of the fitted `Standardiser`.
    note
        Whatever else is to be kept with the weights, as JSON.
    """

    settings_type = StudentSettings
    logs_by = {  # noqa: RUF012
        "loss": "mean",
        "gradient_norm": "max",
        "largest_mean": "max",
        "largest_dispersion": "max",
    }

    def __init__(
        self,
        n_genes: int,
        settings: StudentSettings | None = None,
        *,
        standardiser: dict | None = None,
        note: dict | None = None,
    ):
        settings = settings or StudentSettings()
        super().__init__(settings, note, n_genes=n_genes, standardiser=standardiser)
        self.kind = MODELS[settings.kind]
        self.standardiser = Standardiser.from_config(standardiser or {})
        seeds = iter(np.random.SeedSequence(settings.seed).generate_state(16))

        def linear(fan_in: int, units: int, name: str) -> keras.layers.Dense:
            kernel, bias = (_TorchUniform(fan_in, int(next(seeds))) for _ in range(2))
            return keras.layers.Dense(units, kernel_initializer=kernel, bias_initializer=bias, name=name)

        layers, width = [keras.Input((n_genes,))], n_genes
        for i, units in enumerate((64, 32, 64)):
            layers.append(linear(width, units, f"hidden{i}"))
            if self.kind.batchnorm:
                # PyTorch's momentum 0.1 weighs the new value, Keras' 0.9 the old one
                layers.append(keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5))
            layers.append(keras.layers.ReLU())
            width = units
        self.body = keras.Sequential(layers)
        self.pi_head, self.mean_head, self.dispersion_head = (
            linear(64, n_genes, name) for name in ("pi", "mean", "dispersion")
        )
        for head in (self.pi_head, self.mean_head, self.dispersion_head):
            head.build((None, 64))

    def call(self, batch: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """M, Θ (unbounded) and the logit of Π, (B, G) each, from "counts" (B, G) and "size_factor" (B, 1).

        The mean carries no size factor: it is compared with raw counts all the same, as in the original.
        """
        h = self.body(self.standardiser(batch["counts"], batch["size_factor"]), training=training)
        return {
            "mean": tf.exp(self.mean_head(h)),
            "dispersion": tf.exp(self.dispersion_head(h)),
            "logit": self.pi_head(h),
        }

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Gradient → clip by global norm → add the decay → Adam, in PyTorch's order."""
        x, weights = batch["counts"], self.trainable_variables
        with tf.GradientTape() as tape:
            out = self(batch, training=True)
            if self.kind.improved_loss:
                loss = tf.reduce_mean(student_improved(x, out["mean"], out["dispersion"], out["logit"]))
            else:
                pi = tf.sigmoid(out["logit"])
                loss = tf.reduce_sum(student_legacy(x, out["mean"], out["dispersion"], pi))
        gradients = tape.gradient(loss, weights)
        norm = tf.linalg.global_norm(gradients)
        gradients, _ = tf.clip_by_global_norm(gradients, self.settings.clip_norm, use_norm=norm)
        if self.settings.buggy_step:
            gradients = [tf.zeros_like(g) for g in gradients]
        self.optimizer.apply(
            [g + self.settings.weight_decay * w for g, w in zip(gradients, weights, strict=True)], weights
        )
        return {
            "loss": loss,
            "gradient_norm": norm,
            "largest_mean": tf.reduce_max(out["mean"]),
            "largest_dispersion": tf.reduce_max(out["dispersion"]),
        }


class Student(StudentSettings, AnnDataModel):
    """One of the four student models, as its code computes it (faithful); `DCA` stands in its place if repaired.

    Notes
    -----
    All of this is the reproduction's and not DCA's own. Defects that are kept: the size factor of the report is the
    cell's lower median count; one mean and sd for the whole matrix; the mean lacks the size factor; evaluation leaves
    batch normalisation in training mode; exponentials are unbounded. Not kept: N × N diagonal matrices (the values are
    the same), log files of zeros. Deviations: other random numbers, and training stops when the loss is no longer
    finite.
    """

    net_type = StudentNet
    key = "dca_student"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.snapshots: dict[int, list[np.ndarray]] = {}

    @checked
    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: Annotated[int, Option("in [1, inf)", "passes over the cells", origin="EPOCH_NUM", flat=None)] = 300,
        batch_size: Annotated[int, Option("in [2, inf)", "cells per update", flat=None)] = 32,
        snapshots: Annotated[
            Sequence[int],
            Option(
                "in [1, inf)",
                "epochs whose weights are kept, for `at`; an epoch after the loss has left the finite numbers is "
                "missing, and those before an interruption are not kept",
                flat=None,
            ),
        ] = (),
        checkpoint: CheckpointFile = None,
        progress: Progress = False,
    ) -> Self:
        """Train on raw counts; there is no validation and no schedule.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``).

        Returns
        -------
        Student
            Itself; ``history["loss"]`` ends with the first value that is not finite, if there is one.
        """
        counts = checks.get_counts(adata)
        standardiser = Standardiser(self.size_factor, self.zscore).fit(counts)
        note = {"var_names": list(adata.var_names)}
        self.net = StudentNet(counts.shape[1], self.settings, standardiser=standardiser.get_config(), note=note)
        adam = keras.optimizers.Adam(self.learning_rate, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon)
        self.net.compile(optimizer=adam)

        def keep(epoch: int, logs: dict) -> None:
            if epoch + 1 in snapshots and math.isfinite(logs["loss"]):
                self.snapshots[epoch + 1] = self.net.get_weights()

        return self._fit_net(
            self._arrays(counts),
            epochs=epochs,
            batch_size=batch_size,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=keep)],
            may_diverge=True,
            checkpoint=checkpoint,
            progress=progress,
        )

    def at(self, epoch: int) -> Self:
        """Put the weights of a snapshot into the net, and return the model."""
        if epoch not in self.snapshots:
            raise ParameterError(
                f"expected one of the kept epochs {sorted(self.snapshots)}, got {epoch}: training had diverged by "
                "then, or fit was not asked to keep it"
            )
        self.net.set_weights(self.snapshots[epoch])
        return self

    @property
    def diverged_at(self) -> int | None:
        """First epoch (from 1) whose loss is not finite, or None."""
        return next((i for i, loss in enumerate(self.history["loss"], 1) if not math.isfinite(loss)), None)

    def parameters(self, adata: anndata.AnnData) -> dict[str, np.ndarray]:
        """Outputs "mean" M, "dispersion" Θ, "dropout" Π and "posterior" w of every entry, (N, G), float32.

        All cells are evaluated as one batch with batch normalisation in training mode, as in the original, which never
        switches to inference.
        """
        self.check_genes(adata)
        arrays = self._arrays(checks.get_counts(adata, allow_empty=True))
        out = self.net({name: tf.constant(training.dense(a)) for name, a in arrays.items()}, training=True)
        posterior = losses.dropout_posterior(tf.math.log(out["mean"]), out["dispersion"], out["logit"])
        values = {"mean": out["mean"], "dispersion": out["dispersion"], "dropout": tf.sigmoid(out["logit"])}
        return {name: value.numpy() for name, value in {**values, "posterior": posterior}.items()}

    def _arrays(self, counts: Matrix) -> training.Arrays:
        return {"counts": counts, "size_factor": self.fitted().standardiser.factors(counts)[:, None]}
