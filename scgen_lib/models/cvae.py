"""A convolutional conditional variational autoencoder that simulates the counts of cells of a chosen type.

The gene vector of a cell is folded into a square image, the network learns it together with the cell's type, and new
cells are drawn from its decoder. The method was released as software, without an article: umiche, module
deepconvcvae, github.com/2003100127/umiche at commit 4fabb37. Conditional VAE: Lopez-Martin M. et al., Conditional
variational autoencoder for prediction and feature recovery applied to intrusion detection in IoT, Sensors 17:1967
(2017), https://doi.org/10.3390/s17091967
"""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

import anndata
import keras
import numpy as np
import pandas as pd
import scipy.sparse as sp
import tensorflow as tf
from scipy.special import gammaln

from scgen_lib import layers, losses, training
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.models.base import wanted_cells
from scgen_lib.models.cvae_cells import data_in, gene_order, image_size, libraries, split, write_table
from scgen_lib.models.first import FittedModel, NotedNet
from scgen_lib.preprocess import Matrix, mean_log_factorial

__all__ = ["CVAE", "VARIANTS", "CVAENet", "data_in", "image_size", "split", "write_table"]

# Likelihoods of counts; the others compare scaled pixels.
COUNT_LIKELIHOODS = ("nb", "poisson", "multinomial")
LIKELIHOODS = ("mse", "bce", *COUNT_LIKELIHOODS)
DISPERSION_BOUNDS = (1e-3, 1e4)
LOG_VAR_BOUND = 10.0

# What the released code does, and what this project does about it; None in the arguments of `CVAE` means these. The
# description asks for z_loc and z_scale of ``repaired`` alone, the rest of it is ours.
VARIANTS: dict[str, dict] = {
    "faithful": {
        "decoder_likelihood": "mse",
        "input_transform": "max",
        "optimizer": "rmsprop",
        "kl_warmup": 0,
        "maximum_of": "all",
        "validate_on": "test",
        "pad_loss": True,
        "z_loc": 1.0,
        "z_scale": 2.0,
    },
    "repaired": {
        "decoder_likelihood": "nb",
        "input_transform": "log1p_max",
        "optimizer": "adam",
        "kl_warmup": 10,
        "maximum_of": "train",
        "validate_on": "train",
        "pad_loss": False,
        "z_loc": 0.0,
        "z_scale": 1.0,
    },
}
CHOICES = {
    "variant": tuple(VARIANTS),
    "decoder_likelihood": LIKELIHOODS,
    "input_transform": ("max", "log1p_max"),
    "optimizer": ("rmsprop", "adam"),
    "maximum_of": ("all", "train"),
    "validate_on": ("test", "train"),
    "gene_order": ("file", "mean", "correlation"),
    "z_source": ("normal", "posterior"),
    "emission": ("floor", "round", "sample"),
}


@keras.saving.register_keras_serializable("scgen_lib")
class CVAENet(NotedNet):
    """The encoder and the decoder: counts and codes of types in, logits of an image out (tensors only).

    A batch is "counts" (B, G) raw, "label" (B, 1) codes of the types, and "constant" (B, 1), what `constant` returns,
    all float32. Inside the net genes stand in the order of their pixels.

    Parameters
    ----------
    n_genes, n_labels
        Number G of genes and L of types.
    image_size, filters, kernel_size, strides, hidden, latent_dim, beta, seed
        As in `CVAE`.
    likelihood, transform, pad_loss
        As ``decoder_likelihood``, ``input_transform`` and ``pad_loss`` in `CVAE`, none of them None.
    maximum
        M, the count that becomes 1 in the image.
    clip_log_var
        Bound ln σ² to ±10.
    order
        Gene of each pixel, (G,); None: as they come.
    note
        Whatever else is to be kept with the weights, as JSON.
    """

    logs_by = {"loss": "mean", "reconstruction": "mean", "kl": "mean", "beta": "mean"}  # noqa: RUF012
    jit = False  # in a loop, XLA's convolutions are some twenty times slower on a CPU: benchmarks/cvae.md

    def __init__(
        self,
        n_genes: int,
        n_labels: int,
        *,
        image_size: int,
        filters: int = 16,
        kernel_size: int = 3,
        strides: int = 2,
        hidden: int = 16,
        latent_dim: int = 2,
        likelihood: str = "mse",
        transform: str = "max",
        maximum: float = 1.0,
        beta: float = 1.0,
        pad_loss: bool = True,
        clip_log_var: bool = False,
        order: Sequence[int] | None = None,
        note: dict | None = None,
        seed: int = 0,
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        self._config = {k: list(map(int, v)) if k == "order" and v is not None else v for k, v in config.items()}
        self.note = dict(note or {})
        self.n_genes, self.n_labels, self.latent_dim = n_genes, n_labels, latent_dim
        self.size, self.filters = image_size, filters
        self.likelihood, self.transform, self.maximum = likelihood, transform, maximum
        self.pad_loss, self.clip_log_var = pad_loss, clip_log_var
        self.order = None if order is None else np.asarray(order)
        self.kl_weight = keras.Variable(beta, trainable=False, name="kl_weight")
        seeds = iter(np.random.SeedSequence(seed).generate_state(16))
        self.noise = keras.random.SeedGenerator(int(next(seeds)))

        def kernel() -> keras.initializers.Initializer:
            return keras.initializers.GlorotUniform(int(next(seeds)))

        def dense(units: int, activation: str | None = None, name: str | None = None) -> keras.layers.Layer:
            return keras.layers.Dense(units, activation, kernel_initializer=kernel(), name=name)

        def conv(kind: type[keras.layers.Layer], n: int, stride: int, activation: str | None) -> keras.layers.Layer:
            return kind(n, kernel_size, stride, "same", activation=activation, kernel_initializer=kernel())

        side = image_size // strides**2
        image, label = keras.Input((image_size, image_size, 1)), keras.Input((n_labels,))
        label_map = keras.layers.Reshape((image_size, image_size, 1))(dense(image_size**2, name="label_map")(label))
        h = keras.layers.Concatenate()([image, label_map])
        for n in (filters, 2 * filters):
            h = conv(keras.layers.Conv2D, n, strides, "relu")(h)
        h = dense(hidden, "relu")(keras.layers.Flatten()(h))
        outputs = [dense(latent_dim, name="z_mean")(h), dense(latent_dim, name="z_log_var")(h)]
        self.encoder = keras.Model([image, label], outputs, name="encoder")

        z, label = keras.Input((latent_dim,)), keras.Input((n_labels,))
        h = dense(side**2 * 2 * filters, "relu")(keras.layers.Concatenate()([z, label]))
        h = keras.layers.Reshape((side, side, 2 * filters))(h)
        for n in (filters, filters // 2):
            h = conv(keras.layers.Conv2DTranspose, n, strides, "relu")(h)
        # The last activation, sigmoid or softmax, belongs to the likelihood.
        h = keras.layers.Flatten()(conv(keras.layers.Conv2DTranspose, 1, 1, None)(h))
        self.decoder = keras.Model([z, label], h, name="decoder")

        self.dispersion = layers.GeneVector(n_genes, name="dispersion") if likelihood == "nb" else None

    @property
    def counts_likelihood(self) -> bool:
        """Whether the decoder describes counts, given their sum, and not pixels."""
        return self.likelihood in COUNT_LIKELIHOODS

    def one_hot(self, label: tf.Tensor) -> tf.Tensor:
        """Codes (B, 1) → (B, L)."""
        return tf.one_hot(tf.cast(label[:, 0], tf.int32), self.n_labels)

    def pixels(self, counts: tf.Tensor) -> tf.Tensor:
        """(B, G) in the order of the genes → in the order of their pixels."""
        return counts if self.order is None else tf.gather(counts, self.order, axis=1)

    def genes(self, values: tf.Tensor) -> tf.Tensor:
        """Flat images (B, S²), or (B, G), in the order of the pixels → (B, G) in the order of the genes."""
        values = values[:, : self.n_genes]
        return values if self.order is None else tf.gather(values, np.argsort(self.order), axis=1)

    def scale(self, pixels: tf.Tensor) -> tf.Tensor:
        """Counts (B, G) → flat image (B, S²), 0 where there is no gene, 1 where the count is M."""
        if self.transform == "max":
            x = pixels / self.maximum
        else:
            x = tf.minimum(tf.math.log1p(pixels) / math.log1p(self.maximum), 1.0)
        return tf.pad(x, [[0, 0], [0, self.size**2 - self.n_genes]])

    def unscale(self, image: tf.Tensor, maximum: float | None = None) -> tf.Tensor:
        """Inverse of `scale` up to the padding, any shape; with another M, if there is one given."""
        maximum = self.maximum if maximum is None else maximum
        return image * maximum if self.transform == "max" else tf.math.expm1(image * math.log1p(maximum))

    def encode(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Posterior of the cells: μ and ln σ², (B, d) each."""
        image = tf.reshape(self.scale(self.pixels(batch["counts"])), (-1, self.size, self.size, 1))
        mean, log_var = self.encoder([image, self.one_hot(batch["label"])])
        return mean, tf.clip_by_value(log_var, -LOG_VAR_BOUND, LOG_VAR_BOUND) if self.clip_log_var else log_var

    def decode(self, z: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Latent z (B, d) and codes (B, 1) → logits of the flat image, (B, S²)."""
        return self.decoder([z, self.one_hot(label)])

    def mean(self, logits: tf.Tensor, library: tf.Tensor, maximum: float | None = None) -> tf.Tensor:
        """Mean counts in the order of the pixels: (B, S²), or (B, G) of the sum `library` (B, 1) for counts."""
        if self.counts_likelihood:
            return library * tf.nn.softmax(logits[:, : self.n_genes])
        return self.unscale(tf.sigmoid(logits), maximum)

    def theta(self) -> tf.Tensor:
        """Dispersion θ of each pixel's gene, (1, G)."""
        return tf.clip_by_value(tf.exp(self.dispersion(tf.zeros((1, 1)))), *DISPERSION_BOUNDS)

    def reconstruction(self, batch: dict[str, tf.Tensor], logits: tf.Tensor) -> tf.Tensor:
        """Reconstruction loss of each cell, (B,): sum over its pixels or genes; nats, or squared error for ``mse``."""
        x = self.pixels(batch["counts"])
        if self.counts_likelihood:
            log_share = tf.nn.log_softmax(logits[:, : self.n_genes])
            if self.likelihood == "multinomial":
                entries = -x * log_share
            else:
                log_mean = tf.math.log(tf.reduce_sum(x, axis=1, keepdims=True)) + log_share
                if self.likelihood == "poisson":
                    entries = losses.poisson(x, log_mean, normalised=False)
                else:
                    entries = losses.nb(x, log_mean, self.theta(), normalised=False)
        else:
            x = self.scale(x)
            if not self.pad_loss:
                x, logits = x[:, : self.n_genes], logits[:, : self.n_genes]
            if self.likelihood == "mse":
                entries = (x - tf.sigmoid(logits)) ** 2
            else:
                entries = tf.nn.sigmoid_cross_entropy_with_logits(x, logits)
        return tf.reduce_sum(entries, axis=1) + batch["constant"][:, 0]

    def call(self, batch: dict[str, tf.Tensor], noise: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Encode and decode.

        Parameters
        ----------
        batch
            See the class.
        noise
            ε of z = μ + σ ε, (B, d); None: 0.

        Returns
        -------
        dict
            "mean" μ and "log_var" ln σ² of the posterior, (B, d); "logits" of the flat image, (B, S²).
        """
        mean, log_var = self.encode(batch)
        z = mean if noise is None else mean + tf.exp(0.5 * log_var) * noise
        return {"mean": mean, "log_var": log_var, "logits": self.decode(z, batch["label"])}

    def parts(self, batch: dict[str, tf.Tensor], noise: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Reconstruction loss and KL divergence of each cell, (B,) each."""
        out = self(batch, noise=noise)
        return self.reconstruction(batch, out["logits"]), losses.kl_standard_normal(out["mean"], out["log_var"])

    def batch_parts(self, batch: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Means of `parts` over the mini-batch, with fresh noise."""
        noise = layers.normal((tf.shape(batch["label"])[0], self.latent_dim), self.noise)
        return tuple(tf.reduce_mean(part) for part in self.parts(batch, noise))

    def batch_loss(self, batch: dict[str, tf.Tensor], training: bool) -> tf.Tensor:
        """Mean over the cells of reconstruction + β · KL; noise also outside training, as in the released code."""
        reconstruction, kl = self.batch_parts(batch)
        return reconstruction + self.kl_weight * kl

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One update of encoder and decoder together."""
        with tf.GradientTape() as tape:
            reconstruction, kl = self.batch_parts(batch)
            loss = reconstruction + self.kl_weight * kl
        weights = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        beta = tf.convert_to_tensor(self.kl_weight)
        return {"loss": loss, "reconstruction": reconstruction, "kl": kl, "beta": beta}

    def constant(self, counts: Matrix) -> np.ndarray:
        """Part of the loss that only data enter, (N, 1): Σ lnΓ(x + 1), less lnΓ(Σ x + 1) for the multinomial."""
        if not self.counts_likelihood:
            return np.zeros((counts.shape[0], 1), "float32")
        constant = mean_log_factorial(counts).astype("float64") * counts.shape[1]
        if self.likelihood == "multinomial":
            constant -= gammaln(libraries(counts) + 1)
        return constant.astype("float32")[:, None]


class CVAE(FittedModel):
    """Convolutional conditional VAE (umiche, DeepConvCVAE): labelled AnnData in, simulated cells of chosen types out.

    The variant ``faithful`` computes what the released code does; ``repaired`` has what its tutorial says, and
    additions of our own, a likelihood of counts above all. The notes list both. Arguments that are None take the value
    of the variant, listed in `VARIANTS`.

    Parameters
    ----------
    variant
        ``repaired`` or ``faithful``.
    image_size
        Side S of the image in pixels, a multiple of 4 with S² ≥ G; None: the smallest.
    filters, kernel_size, strides
        Filters of the first convolution, even; side of its kernel, odd; strides, 2.
    hidden, latent_dim
        Width of the last hidden layer of the encoder; dimensions d of z.
    optimizer, learning_rate
        ``rmsprop`` or ``adam``, and its step size in (0, 0.1].
    beta, kl_warmup
        Weight β ≥ 0 of the KL divergence, and over how many epochs it rises linearly to it.
    decoder_likelihood
        What the decoder is compared by: squared error (``mse``) or binary cross-entropy (``bce``) of scaled pixels, or
        a likelihood of the counts given their sum: ``nb``, ``poisson``, ``multinomial``.
    input_transform
        Pixels are count / M (``max``) or ln(1 + count) / ln(1 + M), at most 1 (``log1p_max``).
    maximum_of
        Whether M is the largest count of ``all`` cells or of the ``train`` ones.
    validate_on
        Cells of the validation loss: all cells outside training (``test``), or a share of the ``train`` ones.
    pad_loss
        Whether ``mse`` and ``bce`` count the pixels without a gene.
    gene_order
        Order of the genes in the image: as they come (``file``), by decreasing ``mean``, or by hierarchical clustering
        of their ``correlation`` (average linkage, training cells; memory grows with G², 2 GB at 20,000 genes).
    z_loc, z_scale, z_source
        Simulated cells have z ~ N(z_loc, z_scale²) (``normal``), or z from the posterior of a training cell of their
        type, drawn at random (``posterior``).
    count_scale
        The M that turns pixels into counts; None: the one of the training.
    emission
        Counts from means: rounded down (``floor``), rounded (``round``), or drawn (``sample``) from the likelihood
        (``mse``, ``bce``: Poisson). None: ``sample`` for likelihoods of counts, else ``floor``.
    seed
        Fixes weights, noise, validation cells, the order of cells, and simulated cells.

    Attributes
    ----------
    net
        The `CVAENet`, after `fit` or `load`.
    history
        Name → one value per epoch: "loss", "reconstruction" (sum over pixels or genes, mean over cells), "kl" (nats),
        "beta", and "val_loss" where there are validation cells.

    Notes
    -----
    Deviations of ``faithful`` from the released code: pixels without a gene are not exported, and gene names and names
    of types are; counts are scaled by M and not by the constant 260 (``count_scale=260`` gives it); new cells are
    decoded many at a time; seeds are set.

    What the description (the tutorial, with the loss that it prints) asks for:

    - z of new cells from N(0, 1), the distribution that the KL divergence of that loss draws z to;
    - any number of types and of dimensions of z, and one order of the types' names; ``faithful`` has these too.

    What we added to ``repaired``, and nothing describes:

    - a negative binomial likelihood of counts with a dispersion per gene, on gene pixels only, in place of the squared
      error, and with it counts that are drawn, with library sizes of training cells of the type;
    - input on a logarithmic scale, its maximum from training cells, and validation on training cells set aside;
    - Adam, β that rises during the first epochs, and ln σ² bounded to ±10.

    References
    ----------
    github.com/2003100127/umiche, module deepconvcvae, at commit 4fabb37; https://doi.org/10.3390/s17091967
    """

    net_type = CVAENet

    def __init__(
        self,
        *,
        variant: Literal["repaired", "faithful"] = "repaired",
        image_size: int | None = None,
        filters: int = 16,
        kernel_size: int = 3,
        strides: int = 2,
        hidden: int = 16,
        latent_dim: int = 2,
        optimizer: str | None = None,
        learning_rate: float = 1e-3,
        beta: float = 1.0,
        kl_warmup: int | None = None,
        decoder_likelihood: str | None = None,
        input_transform: str | None = None,
        maximum_of: str | None = None,
        validate_on: str | None = None,
        pad_loss: bool | None = None,
        gene_order: str = "file",
        z_loc: float | None = None,
        z_scale: float | None = None,
        z_source: str = "normal",
        count_scale: float | None = None,
        emission: str | None = None,
        seed: int = 0,
    ):
        super().__init__(locals())
        _check(self.config)
        self.variant, self.seed = variant, seed
        #: All settings, the variant's where an argument is None.
        self.settings = self.config | {k: v for k, v in VARIANTS[variant].items() if self.config[k] is None}
        if emission is None:
            self.settings["emission"] = (
                "sample" if self.settings["decoder_likelihood"] in COUNT_LIKELIHOODS else "floor"
            )

    @property
    def labels(self) -> list[str]:
        """Names of the types in the order of their codes."""
        return self.fitted().note["labels"]

    @property
    def maximum(self) -> float:
        """M, the count that is 1 in the image."""
        return self.fitted().maximum

    def fit(
        self,
        adata: anndata.AnnData,
        *,
        label_key: str = "cell_type",
        train: np.ndarray | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        validation_split: float = 0.1,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        checkpoint: str | os.PathLike | None = None,
        progress: bool = False,
    ) -> Self:
        """Train on raw counts and types.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``); no empty cell, no gene without counts.
        label_key
            Column of ``obs`` with the types; their codes follow the order of first appearance.
        train
            Training cells, as indices or as a mask (N,); None: all. The others are looked at only where
            ``maximum_of="all"`` or ``validate_on="test"``.
        epochs, batch_size
            Epochs of the training; cells per update.
        validation_split
            Share of the training cells set aside with ``validate_on="train"``, in [0, 1).
        callbacks
            Further Keras callbacks; `simulate` works in them.
        checkpoint
            File for the state of the training; an interrupted training continues from it with the same numbers.
        progress
            Show a progress bar.

        Returns
        -------
        CVAE
            Itself.

        Raises
        ------
        DataError
            Counts or labels that cannot be used.
        ParameterError
            An image too small for the genes.
        TrainingError
            A value that is no longer finite.
        CheckpointError
            `checkpoint` is damaged or of another training.
        """
        checks.check_label_key(label_key, "cvae_library")
        counts = checks.get_counts(adata)
        names = checks.check_labels(adata, label_key, min_classes=1).astype(str)
        labels = list(pd.unique(names))
        everything = np.arange(adata.n_obs)
        chosen = everything if train is None else everything[np.asarray(train)]
        if self.settings["validate_on"] == "test":
            rows, validation = chosen, np.setdiff1d(everything, chosen)
        else:
            rows, validation = (
                chosen[part] for part in training.split(len(chosen), validation_split, shuffle=True, seed=self.seed)
            )
        maximum_of = everything if self.settings["maximum_of"] == "all" else rows
        codes = pd.Index(labels).get_indexer(names)
        self.net = CVAENet(
            adata.n_vars,
            len(labels),
            image_size=image_size(adata.n_vars, self.config["image_size"]),
            **{name: self.config[name] for name in _NET_SETTINGS},
            likelihood=self.settings["decoder_likelihood"],
            transform=self.settings["input_transform"],
            maximum=float(counts[maximum_of].max()),
            pad_loss=self.settings["pad_loss"],
            clip_log_var=self.variant == "repaired",
            order=gene_order(counts[rows], self.config["gene_order"]),
            note={"var_names": list(adata.var_names), "labels": labels, "label_key": label_key},
        )
        # What `simulate` needs of the training cells; during training the posterior is not known yet.
        cells = {"code": codes[chosen].tolist(), "library": libraries(counts[chosen]).tolist()}
        self.net.note["cells"] = cells
        self.net.compile(optimizer=keras.optimizers.get(self._optimizer()))
        arrays = {"counts": counts, "label": codes[:, None].astype("float32"), "constant": self.net.constant(counts)}
        self.history = training.fit(
            self.net,
            arrays,
            epochs=epochs,
            batch_size=batch_size,
            seed=self.seed,
            rows=rows,
            validation_rows=validation,
            callbacks=[
                keras.callbacks.LambdaCallback(on_epoch_begin=self._warm_up),
                *callbacks,
            ],
            checkpoint=checkpoint,
            progress=progress,
        )
        posterior = self._posterior({name: values[chosen] for name, values in arrays.items()})
        self.net.note["cells"] = cells | {name: values.astype("float64").tolist() for name, values in posterior.items()}
        return self

    def _optimizer(self) -> dict:
        config = {"learning_rate": self.settings["learning_rate"]}
        return {"class_name": self.settings["optimizer"], "config": config}

    def _warm_up(self, epoch: int, logs: dict | None = None) -> None:
        beta, warmup = self.settings["beta"], self.settings["kl_warmup"]
        self.net.kl_weight.assign(beta * min(1.0, (epoch + 1) / warmup) if warmup else beta)

    def simulate(
        self,
        cells: int | Mapping[str, int] = 100,
        *,
        seed: int | None = None,
        z_loc: float | None = None,
        z_scale: float | None = None,
        z_source: str | None = None,
        count_scale: float | None = None,
        emission: str | None = None,
    ) -> anndata.AnnData:
        """Draw new cells of chosen types.

        A type's cells depend on its own number and the seed alone, not on the other types.

        Parameters
        ----------
        cells
            How many of every type, or a number for each type that is wanted.
        seed
            None: the model's.
        z_loc, z_scale, z_source, count_scale, emission
            Instead of the model's own, see `CVAE`.

        Returns
        -------
        AnnData
            Cells in the order of `cells` × the genes of the training: counts (int32, CSR) in ``X`` and
            ``layers["counts"]``, types in ``obs[label_key]``, for likelihoods of counts the drawn library size in
            ``obs["cvae_library"]``; settings and seed in ``uns["cvae"]``, and for ``mse`` and ``bce`` the largest mean
            count of a pixel without a gene as "padding_maximum".

        Raises
        ------
        ParameterError
            An unknown type, a number that is none, no cell at all, or a setting out of its range.
        """
        net = self.fitted()
        given = {
            "seed": seed,
            "z_loc": z_loc,
            "z_scale": z_scale,
            "z_source": z_source,
            "count_scale": count_scale,
            "emission": emission,
        }
        settings = self.settings | {name: value for name, value in given.items() if value is not None}
        _check(settings)
        target = self._target(cells)
        blocks, drawn, padding = [], [], 0.0
        decode = tf.function(lambda z, label, library: net.mean(net.decode(z, label), library, settings["count_scale"]))
        theta = self._by_gene(net.theta().numpy())[0] if net.likelihood == "nb" else None
        for name, n in target.items():
            code = self.labels.index(name)
            rng = np.random.default_rng([settings["seed"], code])
            z = self._draw_z(rng, code, n, settings)
            library = self._draw_libraries(rng, code, n)
            drawn.append(library)
            for part, mean in _batches(decode, z, code, library, _rows(net)):
                padding = max(padding, mean[:, net.n_genes :].max(initial=0.0))
                mean = self._by_gene(mean[:, : net.n_genes])
                blocks.append(
                    sp.csr_matrix(_emit(rng, mean, library[part], theta, net.likelihood, settings["emission"]))
                )
        counts = sp.vstack(blocks, format="csr", dtype="int32")
        types = pd.Categorical(np.repeat(list(target), list(target.values())), categories=self.labels)
        obs = pd.DataFrame({net.note["label_key"]: types}, index=[f"simulated_{i}" for i in range(counts.shape[0])])
        about = {name: value for name, value in settings.items() if value is not None}
        if net.counts_likelihood:
            obs["cvae_library"] = np.concatenate(drawn)
        else:
            about["padding_maximum"] = float(padding)
        simulated = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=net.note["var_names"]))
        simulated.layers["counts"] = counts.copy()
        simulated.uns["cvae"] = about | {"maximum": net.maximum}
        return simulated

    def _target(self, cells: int | Mapping[str, int]) -> dict[str, int]:
        asked = cells if isinstance(cells, Mapping) else dict.fromkeys(self.labels, cells)
        return wanted_cells(asked, self.labels, "types")

    def _cells_of(self, code: int, name: str) -> np.ndarray:
        cells = self.net.note["cells"]
        if name not in cells:
            raise ParameterError(
                "expected z_source='normal' while the model is in training, got 'posterior': simulate after fit"
            )
        values = np.asarray(cells[name])[np.asarray(cells["code"]) == code]
        if not len(values):
            raise ParameterError(
                f"expected a type with training cells, got {self.labels[code]!r} without any: leave it out"
            )
        return values

    def _draw_z(self, rng: np.random.Generator, code: int, n: int, settings: dict) -> np.ndarray:
        noise = rng.standard_normal((n, self.net.latent_dim))
        if settings["z_source"] == "normal":
            return settings["z_loc"] + settings["z_scale"] * noise
        means, sds = self._cells_of(code, "mean"), self._cells_of(code, "sd")
        cell = rng.integers(len(means), size=n)
        return means[cell] + sds[cell] * noise

    def _draw_libraries(self, rng: np.random.Generator, code: int, n: int) -> np.ndarray:
        return rng.choice(self._cells_of(code, "library"), n) if self.net.counts_likelihood else np.zeros(n)

    def _by_gene(self, values: np.ndarray) -> np.ndarray:
        return values if self.net.order is None else values[:, np.argsort(self.net.order)]

    def reconstruct(self, adata: anndata.AnnData) -> np.ndarray:
        """Mean counts (N, G), float32, of cells with types, decoded at the mean of their posterior."""
        net = self.fitted()

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            library = tf.reduce_sum(batch["counts"], axis=1, keepdims=True)
            return {"mean": net.genes(net.mean(net(batch)["logits"], library))}

        return training.predict(outputs, self._arrays(adata), _rows(net))["mean"]

    def images(self, adata: anndata.AnnData) -> dict[str, np.ndarray]:
        """What the network sees and returns, for figures.

        Parameters
        ----------
        adata
            A few cells with types × the genes of the training.

        Returns
        -------
        dict
            "input", the image of a cell; "label_map", what the encoder makes of its type, in units of its own;
            "reconstruction", on the scale of the input, decoded at the mean of the posterior: (N, S, S) float32 each.
        """
        net = self.fitted()

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            logits = net(batch)["logits"]
            library = tf.reduce_sum(batch["counts"], axis=1, keepdims=True)
            return {
                "input": net.scale(net.pixels(batch["counts"])),
                "label_map": net.encoder.get_layer("label_map")(net.one_hot(batch["label"])),
                "reconstruction": net.scale(net.mean(logits, library)) if net.counts_likelihood else tf.sigmoid(logits),
            }

        flat = training.predict(outputs, self._arrays(adata), _rows(net))
        return {name: values.reshape(-1, net.size, net.size) for name, values in flat.items()}

    def posterior(self, adata: anndata.AnnData) -> dict[str, np.ndarray]:
        """Mean and standard deviation of z given a cell and its type: "mean" and "sd", (N, d) float32 each."""
        return self._posterior(self._arrays(adata))

    def _posterior(self, arrays: training.Arrays) -> dict[str, np.ndarray]:
        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            mean, log_var = self.net.encode(batch)
            return {"mean": mean, "sd": tf.exp(0.5 * log_var)}

        return training.predict(outputs, arrays, _rows(self.net))

    def embed(self, adata: anndata.AnnData) -> np.ndarray:
        """Posterior mean of z, (N, d) float32."""
        return self.posterior(adata)["mean"]

    def evaluate(self, adata: anndata.AnnData, *, seed: int | None = None) -> dict[str, float]:
        """Means over any cells of "reconstruction", "kl" and "loss" = reconstruction + β · KL, as in `history`."""
        net, arrays = self.fitted(), self._arrays(adata)
        rng = np.random.default_rng(self.seed if seed is None else seed)
        arrays["noise"] = rng.standard_normal((adata.n_obs, net.latent_dim), "float32")

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return dict(zip(("reconstruction", "kl"), net.parts(batch, batch["noise"]), strict=True))

        parts = training.predict(outputs, arrays, _rows(net))
        means = {name: float(values.mean(dtype="float64")) for name, values in parts.items()}
        return means | {"loss": means["reconstruction"] + self.settings["beta"] * means["kl"]}

    def annotate(self, adata: anndata.AnnData) -> anndata.AnnData:
        """Write ``layers["cvae"]``, ``obsm["X_cvae"]``, ``uns["cvae"]`` (settings, history) into `adata`; return it."""
        adata.layers["cvae"] = self.reconstruct(adata)
        adata.obsm["X_cvae"] = self.embed(adata)
        adata.uns["cvae"] = self.record(self.settings)
        return adata

    def _arrays(self, adata: anndata.AnnData) -> training.Arrays:
        self.check_genes(adata)
        counts = checks.get_counts(adata, allow_empty=True)
        codes = checks.label_codes(adata, self.net.note["label_key"], self.labels, "types")
        return {"counts": counts, "label": codes[:, None].astype("float32"), "constant": self.net.constant(counts)}


_NET_SETTINGS = ("filters", "kernel_size", "strides", "hidden", "latent_dim", "beta", "seed")
_RANGES = {
    "filters": (lambda v: v >= 2 and v % 2 == 0, "an even number of at least 2"),
    "kernel_size": (lambda v: v >= 1 and v % 2 == 1, "an odd number of at least 1"),
    "strides": (lambda v: v == 2, "2"),
    "hidden": (lambda v: v >= 1, "at least 1"),
    "latent_dim": (lambda v: v >= 1, "at least 1"),
    "learning_rate": (lambda v: 0 < v <= 0.1, "above 0 and at most 0.1"),
    "beta": (lambda v: v >= 0, "at least 0"),
    "kl_warmup": (lambda v: v >= 0, "at least 0"),
    "z_scale": (lambda v: v >= 0, "at least 0"),
    "count_scale": (lambda v: v > 0, "above 0"),
    "seed": (lambda v: v >= 0, "at least 0"),
}


def _check(settings: dict) -> None:
    """Refuse settings outside their range by name."""
    for name, choices in CHOICES.items():
        if settings[name] is not None and settings[name] not in choices:
            raise ParameterError(
                f"expected {name} to be one of {', '.join(choices)}, got {settings[name]!r}: choose one of these"
            )
    for name, (legal, words) in _RANGES.items():
        if settings[name] is not None and not legal(settings[name]):
            raise ParameterError(f"expected {name} to be {words}, got {settings[name]!r}: choose a legal value")


def _rows(net: CVAENet) -> int:
    """Cells at a time outside training, such that the widest layer takes some 32 MiB: more leave the caches."""
    return max(1, min(512, (32 << 20) // (2 * net.filters * net.size**2)))


def _batches(
    decode: tf.types.experimental.GenericFunction, z: np.ndarray, code: int, library: np.ndarray, size: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows and their means; every call has one shape, so that a cell's numbers do not depend on how many there are."""
    for start in range(0, len(z), size):
        part = slice(start, min(start + size, len(z)))
        filled = np.minimum(np.arange(start, start + size), len(z) - 1)
        means = decode(
            tf.constant(z[filled], tf.float32),
            tf.fill((size, 1), float(code)),
            tf.constant(library[filled, None], tf.float32),
        )
        yield part, means.numpy()[: part.stop - start]


def _emit(
    rng: np.random.Generator,
    mean: np.ndarray,
    library: np.ndarray,
    theta: np.ndarray | None,
    likelihood: str,
    emission: str,
) -> np.ndarray:
    """Counts (B, G) from their means (B, G)."""
    if emission == "floor":
        return np.floor(mean)
    if emission == "round":
        return np.rint(mean)
    if likelihood == "multinomial":
        share = mean.astype("float64")
        return rng.multinomial(library, share / share.sum(axis=1, keepdims=True))
    if likelihood == "nb":
        mean = rng.gamma(theta, mean / theta)
    return rng.poisson(mean)
