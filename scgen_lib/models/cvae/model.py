"""The convolutional conditional VAE on AnnData: fit, simulate, and look at what it has learnt."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal, Self

import anndata
import keras
import numpy as np
import pandas as pd
import scipy.sparse as sp
import tensorflow as tf

from scgen_lib import training
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.models.base import Callbacks, CheckpointFile, DenoisingModel, Progress, wanted_cells
from scgen_lib.models.cvae.cells import gene_order
from scgen_lib.models.cvae.net import CVAENet
from scgen_lib.models.cvae.settings import CVAESettings
from scgen_lib.preprocess import Matrix
from scgen_lib.settings import Option, checked


class CVAE(CVAESettings, DenoisingModel):
    """Convolutional conditional VAE (umiche, DeepConvCVAE): labelled AnnData in, simulated cells of chosen types out.

    ``CVAE()`` is the repaired model, which has what the tutorial of the software says, and additions of our own, a
    likelihood of counts above all; ``CVAE.faithful()`` computes what the released code does.

    Attributes
    ----------
    net
        The `CVAENet`, after `fit` or `load`.
    history
        Name → one value per epoch: "loss", "reconstruction" (sum over pixels or genes, mean over cells), "kl" (nats),
        "beta", and "val_loss" where there are validation cells.

    Notes
    -----
    What the description (the tutorial, with the loss that it prints) asks for: `z_loc` and `z_scale`, the distribution
    that the KL divergence of that loss draws z to. What we added, and nothing describes: all else that has a value of
    its own in the released code. With a likelihood of counts, library sizes are those of training cells of the type.

    Deviations of the faithful model from the released code: pixels without a gene are not exported, and gene names and
    names of types are; any number of types and of dimensions of z; counts are scaled by M and not by the constant 260
    (``count_scale=260`` gives it); new cells are decoded many at a time; seeds are set.

    References
    ----------
    github.com/2003100127/umiche, module deepconvcvae, at commit 4fabb37; https://doi.org/10.3390/s17091967
    """

    net_type = CVAENet
    key = "cvae"

    @property
    def labels(self) -> list[str]:
        """Names of the types in the order of their codes."""
        return self.fitted().note["labels"]

    @property
    def maximum(self) -> float:
        """M, the count that is 1 in the image."""
        return self.fitted().maximum

    @checked
    def fit(
        self,
        adata: anndata.AnnData,
        *,
        label_key: str = "cell_type",
        train: np.ndarray | None = None,
        epochs: Annotated[
            int, Option("in [1, inf)", "passes over the training cells", origin="epochs; 1 in the tutorial")
        ] = 20,
        batch_size: Annotated[int, Option("in [1, inf)", "cells an update", origin="batch_size")] = 32,
        validation_split: Annotated[
            float, Option("in [0, 1)", "share of the training cells set aside where validate_on is train")
        ] = 0.1,
        callbacks: Callbacks = (),
        checkpoint: CheckpointFile = None,
        progress: Progress = False,
    ) -> Self:
        """Train on raw counts and types; `simulate` works in callbacks, too.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``), in memory or on disk (see `data.stored`); no
            empty cell, no gene without counts.
        label_key
            Column of ``obs`` with the types; their codes follow the order of first appearance.
        train
            Training cells, as indices or as a mask (N,); None: all. The others are looked at only where
            ``maximum_of="all"`` or ``validate_on="test"``.

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
        counts = checks.get_counts(adata, stored=True)
        codes, labels = pd.factorize(checks.check_labels(adata, label_key, min_classes=1).astype(str))
        everything = np.arange(adata.n_obs)
        chosen = everything if train is None else everything[np.asarray(train)]
        if self.validate_on == "test":
            rows, validation = chosen, np.setdiff1d(everything, chosen)
        else:
            parts = training.split(len(chosen), validation_split, shuffle=True, seed=self.seed)
            rows, validation = (chosen[part] for part in parts)
        # What `simulate` needs of the training cells; during training the posterior is not known yet.
        cells = {"code": codes[chosen].tolist(), "library": checks.totals(counts[chosen]).astype(int).tolist()}
        note = {"var_names": list(adata.var_names), "labels": list(labels), "label_key": label_key, "cells": cells}
        self.net = CVAENet(
            adata.n_vars,
            self.settings,
            n_labels=len(labels),
            maximum=float((counts if self.maximum_of == "all" else counts[rows]).max()),
            order=gene_order(counts[rows], self.gene_order),
            note=note,
        )
        optimizer = {"class_name": self.optimizer, "config": {"learning_rate": self.learning_rate}}
        self.net.compile(optimizer=keras.optimizers.get(optimizer))
        arrays = self._arrays(counts, codes)
        self._fit_net(
            arrays,
            epochs=epochs,
            batch_size=batch_size,
            rows=rows,
            validation_rows=validation,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_begin=self._warm_up), *callbacks],
            checkpoint=checkpoint,
            progress=progress,
        )
        posterior = self._predict(self._posterior, {name: values[chosen] for name, values in arrays.items()})
        self.net.note["cells"] = cells | {name: values.astype("float64").tolist() for name, values in posterior.items()}
        return self

    def _warm_up(self, epoch: int, logs: dict | None = None) -> None:
        self.net.kl_weight.assign(self.beta * min(1.0, (epoch + 1) / max(1, self.kl_warmup)))

    def simulate(
        self,
        cells: int | Mapping[str, int] = 100,
        *,
        seed: int | None = None,
        z_loc: float | None = None,
        z_scale: float | None = None,
        z_source: Literal["normal", "posterior"] | None = None,
        count_scale: float | None = None,
        emission: Literal["floor", "round", "sample"] | None = None,
    ) -> anndata.AnnData:
        """Draw new cells of chosen types.

        A type's cells depend on its own number and the seed alone, not on the other types.

        Parameters
        ----------
        cells
            How many of every type, or a number for each type that is wanted.
        seed, z_loc, z_scale, z_source, count_scale, emission
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
        given = {"seed": seed, "z_loc": z_loc, "z_scale": z_scale, "z_source": z_source}
        given |= {"count_scale": count_scale, "emission": emission}
        settings = dataclasses.replace(self.settings, **{k: value for k, value in given.items() if value is not None})
        wanted = cells if isinstance(cells, Mapping) else dict.fromkeys(self.labels, cells)
        wanted = wanted_cells(wanted, self.labels, "types")
        theta = None if net.dispersion is None else np.asarray(net.genes(net.theta()))[0]
        decode = tf.function(lambda z, label, library: net.mean(net.decode(z, label), library, settings.count_scale))
        blocks, drawn, padding = [], [], 0.0
        for name, n in wanted.items():
            code = self.labels.index(name)
            rng = np.random.default_rng([settings.seed, code])
            z = self._draw_z(rng, code, n, settings)
            library = rng.choice(self._cells_of(code, "library"), n) if settings.of_counts else np.zeros(n)
            drawn.append(library)
            for part, mean in _batches(decode, z, code, library, net.rows):
                padding = max(padding, mean[:, net.n_genes :].max(initial=0.0))
                blocks.append(sp.csr_matrix(emit(rng, np.asarray(net.genes(mean)), library[part], theta, settings)))
        counts = sp.vstack(blocks, format="csr", dtype="int32")
        types = pd.Categorical(np.repeat(list(wanted), list(wanted.values())), categories=self.labels)
        obs = pd.DataFrame({net.note["label_key"]: types}, index=[f"simulated_{i}" for i in range(counts.shape[0])])
        about = {name: value for name, value in settings.values().items() if value is not None}
        if settings.of_counts:
            obs["cvae_library"] = np.concatenate(drawn)
        else:
            about["padding_maximum"] = float(padding)
        simulated = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=net.note["var_names"]))
        simulated.layers["counts"] = counts.copy()
        simulated.uns["cvae"] = about | {"maximum": net.maximum}
        return simulated

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

    def _draw_z(self, rng: np.random.Generator, code: int, n: int, settings: CVAESettings) -> np.ndarray:
        noise = rng.standard_normal((n, self.latent_dim))
        if settings.z_source == "normal":
            return settings.z_loc + settings.z_scale * noise
        means, sds = self._cells_of(code, "mean"), self._cells_of(code, "sd")
        cell = rng.integers(len(means), size=n)
        return means[cell] + sds[cell] * noise

    def embed(self, adata: anndata.AnnData) -> np.ndarray:
        """Posterior mean of z given a cell and its type, (N, d) float32."""
        return self._predict(self._posterior, self._checked(adata))["mean"]

    def denoise(self, adata: anndata.AnnData) -> np.ndarray:
        """Mean counts (N, G), float32, of cells with types, decoded at the mean of their posterior."""
        return np.concatenate(list(self.denoised(adata)))

    def denoised(self, adata: anndata.AnnData) -> Iterator[np.ndarray]:
        """Walk through what `denoise` returns: blocks of cells in their order, (B, G) each, float32."""
        net = self.fitted()

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            library = tf.reduce_sum(batch["counts"], axis=1, keepdims=True)
            return {"mean": net.genes(net.mean(net(batch)["logits"], library))}

        yield from (block["mean"] for block in training.predictions(outputs, self._checked(adata), net.rows))

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
                "reconstruction": net.scale(net.mean(logits, library)) if self.of_counts else tf.sigmoid(logits),
            }

        flat = self._predict(outputs, self._checked(adata))
        return {name: values.reshape(-1, net.size, net.size) for name, values in flat.items()}

    def evaluate(self, adata: anndata.AnnData) -> dict[str, float]:
        """Means over any cells of "reconstruction", "kl" and "loss" = reconstruction + β · KL, as in `history`."""
        noise = np.random.default_rng(self.seed).standard_normal((adata.n_obs, self.latent_dim), "float32")

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return dict(zip(("reconstruction", "kl"), self.net.parts(batch, batch["noise"]), strict=True))

        parts = self._predict(outputs, self._checked(adata) | {"noise": noise})
        means = {name: float(values.mean(dtype="float64")) for name, values in parts.items()}
        return means | {"loss": means["reconstruction"] + self.beta * means["kl"]}

    def _posterior(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Mean and standard deviation of z, (B, d) each."""
        mean, log_var = self.net.encode(batch)
        return {"mean": mean, "sd": tf.exp(0.5 * log_var)}

    def _predict(self, outputs: Callable[[dict], dict], arrays: training.Arrays) -> dict[str, np.ndarray]:
        return training.predict(outputs, arrays, self.net.rows)

    def _arrays(self, counts: Matrix, codes: np.ndarray) -> training.Arrays:
        return {"counts": counts, "label": codes[:, None].astype("float32"), "constant": self.net.constant(counts)}

    def _checked(self, adata: anndata.AnnData) -> training.Arrays:
        self.check_genes(adata)
        counts = checks.get_counts(adata, allow_empty=True, stored=True)
        return self._arrays(counts, checks.label_codes(adata, self.net.note["label_key"], self.labels, "types"))


def _batches(
    decode: Callable, z: np.ndarray, code: int, library: np.ndarray, size: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows and their means; every call has one shape, so that a cell's numbers do not depend on how many there are."""
    for start in range(0, len(z), size):
        part = slice(start, min(start + size, len(z)))
        filled = np.minimum(np.arange(start, start + size), len(z) - 1)
        label, total = tf.fill((size, 1), float(code)), tf.constant(library[filled, None], tf.float32)
        yield part, decode(tf.constant(z[filled], tf.float32), label, total).numpy()[: part.stop - start]


def emit(
    rng: np.random.Generator, mean: np.ndarray, library: np.ndarray, theta: np.ndarray | None, settings: CVAESettings
) -> np.ndarray:
    """Counts (B, G) from their means (B, G), library sizes (B,) and dispersions (G,)."""
    if settings.emission == "floor":
        return np.floor(mean)
    if settings.emission == "round":
        return np.rint(mean)
    if settings.decoder_likelihood == "multinomial":
        share = mean.astype("float64")
        return rng.multinomial(library, share / share.sum(axis=1, keepdims=True))
    if settings.decoder_likelihood == "nb":
        mean = rng.gamma(theta, mean / theta)
    return rng.poisson(mean)
