"""The four models I–IV of a student reproduction of DCA: {no batch norm, batch norm} × {legacy, improved ZINB loss}.

The reproduction is public code without a paper; its course data are not public. The nets are those of its PyTorch
code: three outputs with unbounded exponentials, PyTorch's default initialisation, Adam with coupled weight decay.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import anndata
import keras
import numpy as np
import tensorflow as tf

from scgen_lib import losses, training
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.models.base import FittedModel, NotedNet
from scgen_lib.preprocess import Matrix, SizeFactor, Standardiser, ZScore


class Kind(NamedTuple):
    """What tells the four models apart."""

    batchnorm: bool
    improved_loss: bool


MODELS = {"I": Kind(False, False), "II": Kind(True, False), "III": Kind(False, True), "IV": Kind(True, True)}


class _TorchUniform(keras.initializers.RandomUniform):
    """PyTorch's default for linear layers: U(−1/√fan_in, 1/√fan_in), for the kernel and for the bias."""

    def __init__(self, fan_in: int, seed: int):
        super().__init__(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in), seed=seed)


@keras.saving.register_keras_serializable("scgen_lib")
class StudentNet(NotedNet):
    """Autoencoder G → 64 → 32 → 64 → (M, Θ, Π), tensors only.

    Parameters
    ----------
    n_genes
        Number of genes G.
    kind
        A key of `MODELS`.
    standardiser
        Config of the fitted `Standardiser`.
    weight_decay
        λ of the coupled L2 penalty λ/2 ‖w‖² of all weights and biases, added to the gradient after clipping.
    clip_norm
        Largest global norm of the gradient.
    buggy_step
        Update as the reported training loop does, which steps before it goes backward and then clears the gradient:
        only the weight decay ever reaches the weights.
    note
        Whatever else is to be kept with the weights, as JSON.
    seed
        Fixes the weights.
    """

    logs_by = {  # noqa: RUF012
        "loss": "mean",
        "gradient_norm": "max",
        "largest_mean": "max",
        "largest_dispersion": "max",
    }

    def __init__(
        self,
        n_genes: int,
        *,
        kind: str,
        standardiser: dict | None = None,
        weight_decay: float = 1e-6,
        clip_norm: float = 5.0,
        buggy_step: bool = False,
        note: dict | None = None,
        seed: int = 0,
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        self._config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        self.note = dict(note or {})
        self.kind = MODELS[kind]
        self.standardiser = Standardiser.from_config(standardiser or {})
        self.weight_decay, self.clip_norm, self.buggy_step = weight_decay, clip_norm, buggy_step
        seeds = iter(np.random.SeedSequence(seed).generate_state(16))

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
                loss = tf.reduce_mean(losses.student_improved(x, out["mean"], out["dispersion"], out["logit"]))
            else:
                pi = tf.sigmoid(out["logit"])
                loss = tf.reduce_sum(losses.student_legacy(x, out["mean"], out["dispersion"], pi))
        gradients = tape.gradient(loss, weights)
        norm = tf.linalg.global_norm(gradients)
        gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm, use_norm=norm)
        if self.buggy_step:
            gradients = [tf.zeros_like(g) for g in gradients]
        self.optimizer.apply([g + self.weight_decay * w for g, w in zip(gradients, weights, strict=True)], weights)
        return {
            "loss": loss,
            "gradient_norm": norm,
            "largest_mean": tf.reduce_max(out["mean"]),
            "largest_dispersion": tf.reduce_max(out["dispersion"]),
        }


class Student(FittedModel):
    """One of the four student models, as its code computes it (faithful); `DCA` stands in its place if repaired.

    Parameters
    ----------
    kind
        "I", "II", "III" or "IV".
    size_factor, zscore
        Preprocessing: ``kth`` and ``global`` in the report, ``batch_total`` and ``batch`` in the public code.
    learning_rate, adam_beta1, adam_beta2, adam_eps
        Of Adam; PyTorch's names β₁, β₂ and ε.
    weight_decay, clip_norm, buggy_step, seed
        As in `StudentNet`.

    Notes
    -----
    All of this is the reproduction's and not DCA's own. Defects that are kept: the size factor of the report is the
    cell's lower median count; one mean and sd for the whole matrix; the mean lacks the size factor; evaluation leaves
    batch normalisation in training mode; exponentials are unbounded. Not kept: N × N diagonal matrices (the values are
    the same), log files of zeros. Deviations: other random numbers, and training stops when the loss is no longer
    finite.
    """

    net_type = StudentNet

    def __init__(
        self,
        kind: str,
        *,
        size_factor: SizeFactor = "kth",
        zscore: ZScore = "global",
        learning_rate: float = 5e-4,
        adam_beta1: float = 0.99,
        adam_beta2: float = 0.999,
        adam_eps: float = 1e-9,
        weight_decay: float = 1e-6,
        clip_norm: float = 5.0,
        buggy_step: bool = False,
        seed: int = 0,
    ):
        super().__init__(locals())
        if kind not in MODELS:
            raise ParameterError(f"expected one of the models {', '.join(MODELS)}, got {kind!r}: choose one of these")
        self.snapshots: dict[int, list[np.ndarray]] = {}

    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: int = 300,
        batch_size: int = 32,
        snapshots: Sequence[int] = (),
        checkpoint: str | None = None,
        progress: bool = False,
    ) -> Self:
        """Train on raw counts; there is no validation and no schedule.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``).
        epochs, batch_size
            As in Keras.
        snapshots
            Epochs whose weights are kept, for `at`; an epoch after the loss has left the finite numbers is missing.
        checkpoint, progress
            As in `DCA.fit`; snapshots of the epochs before an interruption are not kept.

        Returns
        -------
        Student
            Itself; ``history["loss"]`` ends with the first value that is not finite, if there is one.
        """
        counts, config = checks.get_counts(adata), self.config
        standardiser = Standardiser(config["size_factor"], config["zscore"]).fit(counts)
        self.net = StudentNet(
            counts.shape[1],
            standardiser=standardiser.get_config(),
            note={"var_names": list(adata.var_names)},
            **{k: config[k] for k in ("kind", "weight_decay", "clip_norm", "buggy_step", "seed")},
        )
        adam = keras.optimizers.Adam(
            config["learning_rate"],
            beta_1=config["adam_beta1"],
            beta_2=config["adam_beta2"],
            epsilon=config["adam_eps"],
        )
        self.net.compile(optimizer=adam)

        def keep(epoch: int, logs: dict) -> None:
            if epoch + 1 in snapshots and math.isfinite(logs["loss"]):
                self.snapshots[epoch + 1] = self.net.get_weights()

        self.history = training.fit(
            self.net,
            self._arrays(counts),
            epochs=epochs,
            batch_size=batch_size,
            seed=config["seed"],
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=keep)],
            may_diverge=True,
            checkpoint=checkpoint,
            progress=progress,
        )
        return self

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
