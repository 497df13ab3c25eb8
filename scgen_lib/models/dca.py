"""DCA, the deep count autoencoder: an autoencoder whose outputs are the parameters of a count distribution.

Eraslan G., Simon L. M., Mircea M., Mueller N. S., Theis F. J., Single-cell RNA-seq denoising using a deep count
autoencoder, Nat. Commun. 10:390 (2019), https://doi.org/10.1038/s41467-018-07931-2
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Literal, Self

import anndata
import keras
import numpy as np
import tensorflow as tf

from scgen_lib import layers, losses, optimizers, training
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.models.base import FittedModel, NotedNet
from scgen_lib.preprocess import Matrix, SizeFactor, Standardiser, ZScore, mean_log_factorial


@dataclasses.dataclass(frozen=True)
class _Heads:
    """Which outputs a type has, and how wide: one per gene and cell, per cell, per gene, or tied to the mean."""

    dispersion: Literal["entry", "cell", "gene"] | None = None
    dropout: Literal["entry", "cell", "tied", "tied-shared"] | None = None
    fork: bool = False

    @property
    def tied(self) -> bool:
        """Whether the dropout head reads the mean, which is then negated."""
        return self.dropout in ("tied", "tied-shared")


AE_TYPES: dict[str, _Heads] = {
    "normal": _Heads(),
    "poisson": _Heads(),
    "nb": _Heads("gene"),
    "nb-conddisp": _Heads("entry"),
    "nb-shared": _Heads("cell"),
    "nb-fork": _Heads("entry", fork=True),
    "zinb": _Heads("gene", "entry"),
    "zinb-conddisp": _Heads("entry", "entry"),
    "zinb-shared": _Heads("cell", "cell"),
    "zinb-fork": _Heads("entry", "entry", fork=True),
    "zinb-elempi": _Heads("entry", "tied"),
    "zinb-elempi-sharedpi": _Heads("entry", "tied-shared"),
}


@keras.saving.register_keras_serializable("scgen_lib")
class DCANet(NotedNet):
    """The network of DCA: counts and size factors in, parameters of the count distribution out (tensors only).

    Every hidden block is Dense → batch normalisation without scale → activation → dropout.

    Parameters
    ----------
    n_genes
        Number of genes G.
    ae_type
        A key of `AE_TYPES`.
    hidden
        Widths of the hidden layers; the middle one is the bottleneck.
    released
        Use the loss as the released code computes it, instead of the same loss in log space.
    standardiser
        Config of the fitted `Standardiser` that makes the input of the net from counts.
    mean_bias
        Initial bias of the mean head, (G,): logarithms of the normalised gene means; None: zeros.
    note
        Whatever else is to be kept with the weights, as JSON.
    batchnorm, activation, init, hidden_dropout, input_dropout, l1, l2, l1_enc, l2_enc, ridge, seed
        As in `DCA`.
    """

    def __init__(
        self,
        n_genes: int,
        *,
        ae_type: str = "zinb-conddisp",
        hidden: Sequence[int] = (64, 32, 64),
        batchnorm: bool = True,
        activation: str = "relu",
        init: str = "glorot_uniform",
        hidden_dropout: float = 0.0,
        input_dropout: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
        l1_enc: float = 0.0,
        l2_enc: float = 0.0,
        ridge: float = 0.0,
        released: bool = False,
        standardiser: dict | None = None,
        mean_bias: Sequence[float] | None = None,
        note: dict | None = None,
        seed: int = 0,
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        self._config = {k: list(v) if isinstance(v, (tuple, np.ndarray)) else v for k, v in config.items()}
        self.note = dict(note or {})
        self.heads, self.ae_type, self.ridge, self.released = AE_TYPES[ae_type], ae_type, ridge, released
        self.standardiser = Standardiser.from_config(standardiser or {})
        seeds = iter(np.random.SeedSequence(seed).generate_state(64))

        def dense(units: int, name: str, **options: object) -> keras.layers.Dense:
            encoder = name.startswith(("enc", "center"))
            l1_here, l2_here = (l1_enc or l1, l2_enc or l2) if encoder else (l1, l2)
            penalty = keras.regularizers.L1L2(l1_here, l2_here) if l1_here or l2_here else None
            kernel = keras.initializers.get({"class_name": init, "config": {"seed": int(next(seeds))}})
            return keras.layers.Dense(
                units, kernel_initializer=kernel, kernel_regularizer=penalty, name=name, **options
            )

        def after(name: str) -> list[keras.layers.Layer]:
            """What follows a Dense layer in a hidden block."""
            block = [keras.layers.BatchNormalization(scale=False, name=f"{name}_bn")] if batchnorm else []
            block.append(keras.layers.Activation(activation, name=f"{name}_act"))
            if hidden_dropout:
                block.append(layers.Dropout(hidden_dropout, seed=int(next(seeds)), name=f"{name}_dropout"))
            return block

        center = len(hidden) // 2
        encoder = [layers.Dropout(input_dropout, seed=int(next(seeds)))] if input_dropout else []
        for i, units in enumerate(hidden[:center]):
            encoder += [dense(units, f"enc{i}"), *after(f"enc{i}")]
        self.encoder = _chain(n_genes, [*encoder, dense(hidden[center], "center")])

        self.bottleneck = _chain(hidden[center], after("center"))

        def decoder(suffix: str) -> keras.Sequential:
            layers = []
            for i, units in enumerate(hidden[center + 1 :], 1):
                layers += [dense(units, f"dec{i}{suffix}"), *after(f"dec{i}{suffix}")]
            return _chain(hidden[center], layers or [keras.layers.Identity()])

        outputs = ["mean", *(name for name in ("dispersion", "dropout") if getattr(self.heads, name) is not None)]
        # A fork has one decoder per output; otherwise one serves all.
        self.decoders = [decoder(f"_{name}") for name in outputs] if self.heads.fork else [decoder("")]

        bias = "zeros" if mean_bias is None else keras.initializers.Constant(np.asarray(mean_bias, "float32"))
        self.mean_head = dense(n_genes, "mean", bias_initializer=bias)
        self.mean_head.build((None, hidden[-1]))
        self.dispersion_head = self.dropout_head = None
        if self.heads.dispersion == "gene":
            self.dispersion_head = layers.GeneVector(n_genes, name="dispersion")
        elif self.heads.dispersion:
            self.dispersion_head = dense(n_genes if self.heads.dispersion == "entry" else 1, "dispersion")
            self.dispersion_head.build((None, hidden[-1]))
        if self.heads.tied:
            self.dropout_head = layers.Elementwise(n_genes if self.heads.dropout == "tied" else 1, name="dropout")
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
        if self.ae_type == "normal":
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
        x, out = batch["counts"], self(batch, training=training)
        if self.ae_type == "normal":
            return (tf.math.log1p(x / batch["size_factor"]) - out["mean"]) ** 2
        if self.ae_type == "poisson":
            return losses.poisson(x, out["log_mean"], normalised=False)
        if self.released:
            loss = losses.released_nb(x, tf.exp(out["log_mean"]), out["dispersion"], logit=out.get("logit"))
            return loss + self.ridge * tf.sigmoid(out["logit"]) ** 2 if self.ridge and "logit" in out else loss
        if "logit" in out:
            return losses.zinb(x, **_zinb_arguments(out), ridge=self.ridge, normalised=False)
        return losses.nb(x, out["log_mean"], out["dispersion"], normalised=False)

    @property
    def adds_factorial(self) -> bool:
        """Whether lnΓ(x + 1) is still to be added to `nll`; it is a constant of the data."""
        return self.ae_type == "poisson" or (self.ae_type != "normal" and not self.released)

    def batch_loss(self, batch: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Mean over all entries, cells × genes."""
        loss = tf.reduce_mean(self.nll(batch, training))
        return loss + tf.reduce_mean(batch["log_factorial"]) if self.adds_factorial else loss


def _chain(width: int, layers: list[keras.layers.Layer]) -> keras.Sequential:
    return keras.Sequential([keras.Input((width,)), *layers])


def _zinb_arguments(out: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    return {"log_mean": out["log_mean"], "theta": out["dispersion"], "logit": out["logit"]}


class DCA(FittedModel):
    """Deep count autoencoder (Eraslan et al. 2019): AnnData in, denoised expression out.

    The variant ``faithful`` computes what the released code does; ``repaired`` what the description asks for where the
    code does otherwise, and what we added. The notes have both lists.

    Parameters
    ----------
    variant
        ``repaired`` or ``faithful``.
    ae_type
        Distribution and tying of its parameters, a key of `AE_TYPES`.
    hidden
        Widths of the hidden layers, an odd number of them.
    batchnorm, activation, init
        Batch normalisation on or off; Keras names of the activation and the kernel initialiser.
    hidden_dropout, input_dropout
        Dropout rates in [0, 1).
    l1, l2, l1_enc, l2_enc
        Penalties of all kernels, and instead of these of the encoder's, ≥ 0.
    ridge
        Weight of the penalty π² of the dropout probabilities, ≥ 0.
    size_factor, zscore, log1p
        Preprocessing of the input, see `Standardiser`.
    optimizer, learning_rate, clip_value
        Name of the optimiser as in `optimizers.named`, its step size, and the largest absolute value of a gradient's
        entry (None: any).
    additions
        Whether ``repaired`` has what we added; ``faithful`` never has.
    seed
        Fixes weights, dropout, validation cells and the order of cells.

    Attributes
    ----------
    net
        The `DCANet`, after `fit` or `load`.
    history
        Name → one value per epoch: "loss", "val_loss", "learning_rate".

    Notes
    -----
    What the description asks for, and ``repaired`` has:

    - the likelihood itself: the loss is in log space, where the released code adds ε = 1e-10 in each logarithm.

    What we added, and nothing describes (left out with ``additions=False``):

    - the bias of the mean head starts at ln of the normalised gene means and not at 0;
    - validation cells are drawn at random (seeded) and are not the last ones of the file;
    - the best weights are put back after training and the last ones are not kept.

    What the description has and neither variant, since the released code has it otherwise by default: θ is the
    exponential of its head (softplus here), and no hidden layer is normalised (``batchnorm=False``). ``faithful``
    deviates from the code in nothing that is known, other than the random numbers.

    References
    ----------
    https://doi.org/10.1038/s41467-018-07931-2 and github.com/theislab/dca at commit 6abd124.
    """

    net_type = DCANet

    def __init__(
        self,
        *,
        variant: Literal["repaired", "faithful"] = "repaired",
        ae_type: str = "zinb-conddisp",
        hidden: Sequence[int] = (64, 32, 64),
        batchnorm: bool = True,
        activation: str = "relu",
        init: str = "glorot_uniform",
        hidden_dropout: float = 0.0,
        input_dropout: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
        l1_enc: float = 0.0,
        l2_enc: float = 0.0,
        ridge: float = 0.0,
        size_factor: SizeFactor = "total_median",
        zscore: ZScore = "gene",
        log1p: bool = True,
        optimizer: str = "RMSprop",
        learning_rate: float = 1e-3,
        clip_value: float | None = 5.0,
        additions: bool = True,
        seed: int = 0,
    ):
        super().__init__(locals())
        if variant not in ("repaired", "faithful"):
            raise ParameterError(f"expected variant 'repaired' or 'faithful', got {variant!r}: choose one of the two")
        if ae_type not in AE_TYPES:
            raise ParameterError(f"expected ae_type to be one of {', '.join(AE_TYPES)}, got {ae_type!r}: choose one")
        if len(hidden) % 2 == 0 or min(hidden, default=0) < 1:
            raise ParameterError(
                f"expected hidden to be an odd number of widths of at least 1, got {list(hidden)}: the middle one is "
                "the bottleneck, as in [64, 32, 64]"
            )
        self.variant, self.seed = variant, seed

    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: int = 300,
        batch_size: int = 32,
        validation_split: float = 0.1,
        reduce_lr: int = 10,
        early_stop: int = 15,
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
            At most this many epochs; cells per update.
        validation_split
            Share of the cells kept for early stopping, in [0, 1).
        reduce_lr, early_stop
            Epochs without progress of the validation loss after which the step size falls tenfold, and after which
            training ends; 0 switches it off.
        callbacks
            Further Keras callbacks.
        checkpoint
            File for the state of the training; an interrupted training continues from it with the same numbers.
        progress
            Show a progress bar.

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
        counts = checks.get_counts(adata)
        repaired = self.variant == "repaired"
        added = repaired and self.config["additions"]
        rows, validation = training.split(counts.shape[0], validation_split, shuffle=added, seed=self.seed)
        standardiser = Standardiser(*(self.config[k] for k in ("size_factor", "zscore", "log1p"))).fit(counts)
        arrays = self._arrays(counts, standardiser)
        mean_bias = None
        if added and self.config["ae_type"] != "normal":
            bias = np.log(checks.totals(counts, 0) / counts.shape[0] / arrays["size_factor"].mean())
            mean_bias = -bias if AE_TYPES[self.config["ae_type"]].tied else bias
        names = [
            "ae_type",
            "hidden",
            "batchnorm",
            "activation",
            "init",
            "hidden_dropout",
            "input_dropout",
            "l1",
            "l2",
            "l1_enc",
            "l2_enc",
            "ridge",
            "seed",
        ]
        self.net = DCANet(
            counts.shape[1],
            **{name: self.config[name] for name in names},
            released=not repaired,
            standardiser=standardiser.get_config(),
            mean_bias=mean_bias,
            note={"var_names": list(adata.var_names)},
        )
        self.net.compile(optimizer=optimizers.named(self.config["optimizer"], **self._optimizer_config()))
        watchers = [*callbacks]
        if len(validation) and reduce_lr:
            watchers.append(
                keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=reduce_lr, min_delta=1e-4)
            )
        if len(validation) and early_stop:
            watchers.append(keras.callbacks.EarlyStopping("val_loss", patience=early_stop, restore_best_weights=added))
        self.history = training.fit(
            self.net,
            arrays,
            epochs=epochs,
            batch_size=batch_size,
            seed=self.seed,
            rows=rows,
            validation_rows=validation,
            callbacks=watchers,
            checkpoint=checkpoint,
            progress=progress,
        )
        return self

    def _optimizer_config(self) -> dict:
        config = {"learning_rate": self.config["learning_rate"]}
        return config | ({"clipvalue": self.config["clip_value"]} if self.config["clip_value"] else {})

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
            if net.ae_type == "normal":
                return values | {"mean": out["mean"]}
            values["mean"] = tf.exp(out["log_mean"])
            entries = tf.ones_like(values["mean"])
            if "dispersion" in out:
                values["dispersion"] = out["dispersion"] * entries
            if "logit" in out:
                values["dropout"] = tf.sigmoid(out["logit"]) * entries
                values["posterior"] = losses.dropout_posterior(**_zinb_arguments(out))
            return values

        return training.predict(outputs, self._checked(adata))

    def denoise(self, adata: anndata.AnnData) -> np.ndarray:
        """Denoised expression (N, G), float32, in counts: the mean of the distribution, at the cell's own depth.

        For the type ``normal``, whose net works on ln(1 + x/s), that mean is mapped back.
        """
        mean = self.parameters(adata)["mean"]
        if self.fitted().ae_type != "normal":
            return mean
        factor = self.fitted().standardiser.factors(checks.get_counts(adata))
        return np.expm1(mean) * factor[:, None]

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

    def annotate(self, adata: anndata.AnnData) -> anndata.AnnData:
        """Write ``layers["dca"]``, ``obsm["X_dca"]`` and ``uns["dca"]`` (settings, history) into `adata`; return it."""
        adata.layers["dca"] = self.denoise(adata)
        adata.obsm["X_dca"] = self.embed(adata)
        adata.uns["dca"] = self.record(self.config)
        return adata

    def _checked(self, adata: anndata.AnnData) -> training.Arrays:
        self.check_genes(adata)
        return self._arrays(checks.get_counts(adata, allow_empty=True), self.fitted().standardiser)
