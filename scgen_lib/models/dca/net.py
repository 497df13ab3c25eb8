"""The network of DCA: counts in, parameters of the count distribution out."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from scgen_lib import layers, losses
from scgen_lib.models.base import Network
from scgen_lib.models.dca.layers import Elementwise
from scgen_lib.models.dca.losses import released_nb
from scgen_lib.models.dca.settings import DCASettings
from scgen_lib.preprocess import Standardiser


@keras.saving.register_keras_serializable("scgen_lib")
class DCANet(Network):
    """The network of DCA: counts and size factors in, parameters of the count distribution out (tensors only).

    Every hidden block is Dense → batch normalisation without scale → activation → dropout.

    Parameters
    ----------
    n_genes
        Number of genes G.
    settings
        Of the model.
    standardiser
        Config of the fitted `Standardiser` that makes the input of the net from counts.
    mean_start
        Initial bias of the mean head, (G,); None: zeros.
    note
        Whatever else is to be kept with the weights, as JSON.
    """

    settings_type = DCASettings

    def __init__(
        self,
        n_genes: int,
        settings: DCASettings | None = None,
        *,
        standardiser: dict | None = None,
        mean_start: Sequence[float] | None = None,
        note: dict | None = None,
    ):
        s = settings or DCASettings()
        bias = None if mean_start is None else [float(b) for b in mean_start]
        super().__init__(s, note, n_genes=n_genes, standardiser=standardiser, mean_start=bias)
        self.heads, hidden = s.heads, s.hidden
        self.standardiser = Standardiser.from_config(standardiser or {})
        seeds = iter(np.random.SeedSequence(s.seed).generate_state(64))

        def dense(units: int, name: str, **options: object) -> keras.layers.Dense:
            encoder = name.startswith(("enc", "center"))
            l1, l2 = (s.l1_enc or s.l1, s.l2_enc or s.l2) if encoder else (s.l1, s.l2)
            penalty = keras.regularizers.L1L2(l1, l2) if l1 or l2 else None
            kernel = keras.initializers.get({"class_name": s.init, "config": {"seed": int(next(seeds))}})
            return keras.layers.Dense(
                units, kernel_initializer=kernel, kernel_regularizer=penalty, name=name, **options
            )

        def after(name: str) -> list[keras.layers.Layer]:
            """What follows a Dense layer in a hidden block."""
            block = [keras.layers.BatchNormalization(scale=False, name=f"{name}_bn")] if s.batchnorm else []
            block.append(keras.layers.Activation(s.activation, name=f"{name}_act"))
            if s.hidden_dropout:
                block.append(layers.Dropout(s.hidden_dropout, seed=int(next(seeds)), name=f"{name}_dropout"))
            return block

        center = len(hidden) // 2
        encoder = [layers.Dropout(s.input_dropout, seed=int(next(seeds)))] if s.input_dropout else []
        for i, units in enumerate(hidden[:center]):
            encoder += [dense(units, f"enc{i}"), *after(f"enc{i}")]
        self.encoder = _chain(n_genes, [*encoder, dense(hidden[center], "center")])

        self.bottleneck = _chain(hidden[center], after("center"))

        def decoder(suffix: str) -> keras.Sequential:
            blocks = []
            for i, units in enumerate(hidden[center + 1 :], 1):
                blocks += [dense(units, f"dec{i}{suffix}"), *after(f"dec{i}{suffix}")]
            return _chain(hidden[center], blocks or [keras.layers.Identity()])

        outputs = ["mean", *(name for name in ("dispersion", "dropout") if getattr(self.heads, name) is not None)]
        # A fork has one decoder per output; otherwise one serves all.
        self.decoders = [decoder(f"_{name}") for name in outputs] if self.heads.fork else [decoder("")]

        bias = "zeros" if bias is None else keras.initializers.Constant(np.asarray(bias, "float32"))
        self.mean_head = dense(n_genes, "mean", bias_initializer=bias)
        self.mean_head.build((None, hidden[-1]))
        self.dispersion_head = self.dropout_head = None
        if self.heads.dispersion == "gene":
            self.dispersion_head = layers.GeneVector(n_genes, name="dispersion")
        elif self.heads.dispersion:
            self.dispersion_head = dense(n_genes if self.heads.dispersion == "entry" else 1, "dispersion")
            self.dispersion_head.build((None, hidden[-1]))
        if self.heads.tied:
            self.dropout_head = Elementwise(n_genes if self.heads.dropout == "tied" else 1, name="dropout")
        elif self.heads.dropout:
            self.dropout_head = dense(n_genes if self.heads.dropout == "entry" else 1, "dropout")
            self.dropout_head.build((None, hidden[-1]))

    def encode(self, batch: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Bottleneck (B, hidden[middle]) before batch normalisation and activation, as the released code returns it."""
        return self.encoder(self.standardiser(batch["counts"], batch["size_factor"]), training=training)

    def call(self, batch: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Parameters of the distribution of every entry.

        Parameters
        ----------
        batch
            "counts" (B, G) raw counts and "size_factor" (B, 1), float32.
        training
            Whether batch normalisation and dropout are in training mode.

        Returns
        -------
        dict
            "log_mean" (B, G): ln μ with the size factor in it; for the type ``normal`` "mean" (B, G) of ln(1 + x/s);
            "dispersion" θ and "logit" of π, (B, G), (B, 1) or (1, G), where the type has them.
        """
        h = self.bottleneck(self.encode(batch, training), training=training)
        hidden = [decoder(h, training=training) for decoder in self.decoders] * (1 if self.heads.fork else 3)
        mean = self.mean_head(hidden[0])
        if self.settings.ae_type == "normal":
            return {"mean": mean}
        if self.heads.tied:
            mean = -mean
        out = {"log_mean": losses.clip_log_mean(mean) + tf.math.log(batch["size_factor"])}
        if self.heads.dispersion == "gene":
            out["dispersion"] = tf.clip_by_value(tf.exp(self.dispersion_head(h)), 1e-3, losses.DISPERSION_BOUNDS[1])
        elif self.heads.dispersion:
            out["dispersion"] = tf.clip_by_value(
                tf.nn.softplus(self.dispersion_head(hidden[1])), *losses.DISPERSION_BOUNDS
            )
        if self.heads.dropout:
            out["logit"] = self.dropout_head(mean if self.heads.tied else hidden[2])
        return out

    def nll(self, batch: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Loss of every entry (B, G) without lnΓ(x + 1) in the log-space forms; squared error for ``normal``."""
        x, out, ridge = batch["counts"], self(batch, training=training), self.settings.ridge
        if self.settings.ae_type == "normal":
            return (tf.math.log1p(x / batch["size_factor"]) - out["mean"]) ** 2
        if self.settings.ae_type == "poisson":
            return losses.poisson(x, out["log_mean"], normalised=False)
        if self.released:
            loss = released_nb(x, tf.exp(out["log_mean"]), out["dispersion"], logit=out.get("logit"))
            return loss + ridge * tf.sigmoid(out["logit"]) ** 2 if ridge and "logit" in out else loss
        if "logit" in out:
            return losses.zinb(x, **zinb_arguments(out), ridge=ridge, normalised=False)
        return losses.nb(x, out["log_mean"], out["dispersion"], normalised=False)

    @property
    def released(self) -> bool:
        """Whether the loss is as the released code computes it."""
        return self.settings.loss == "released"

    @property
    def adds_factorial(self) -> bool:
        """Whether lnΓ(x + 1) is still to be added to `nll`; it is a constant of the data."""
        return self.settings.ae_type == "poisson" or (self.settings.ae_type != "normal" and not self.released)

    def batch_loss(self, batch: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Mean over all entries, cells × genes."""
        loss = tf.reduce_mean(self.nll(batch, training))
        return loss + tf.reduce_mean(batch["log_factorial"]) if self.adds_factorial else loss


def _chain(width: int, layers: list[keras.layers.Layer]) -> keras.Sequential:
    return keras.Sequential([keras.Input((width,)), *layers])


def zinb_arguments(out: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return the outputs of a `DCANet` under the names of a likelihood's arguments."""
    return {"log_mean": out["log_mean"], "theta": out["dispersion"], "logit": out["logit"]}
