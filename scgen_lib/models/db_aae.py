"""DB-AAE: an adversarial autoencoder that denoises log-normalised expression, with a batch size chosen by search.

Ko K. D., Sartorelli V., A deep learning adversarial autoencoder with dynamic batching displays high performance in
denoising and ordering scRNA-seq data, iScience 27(3):109027 (2024), https://doi.org/10.1016/j.isci.2024.109027
"""

import math
import os
from collections.abc import Callable, Sequence
from typing import Literal, Self

import anndata
import joblib
import keras
import numpy as np
import tensorflow as tf

from scgen_lib import layers, losses, optimizers, training
from scgen_lib.data import checks
from scgen_lib.errors import ParameterError
from scgen_lib.models.base import FittedModel, NotedNet
from scgen_lib.preprocess import LogNormaliser, Matrix

LatentMode = Literal["sum", "deterministic", "reparam"]
DiscriminatorOutput = Literal["relu", "logit"]
Objective = Literal["val_mse", "d_accuracy", "d_equilibrium"]
# What a search can decide by, and which end of it is the better one.
OBJECTIVES = {"val_mse": "min", "d_accuracy": "max", "d_equilibrium": "min"}
# XLA's program takes some 2.5 s to compile and saves about 1 ns a weight in every update.
XLA_PAYS = 2.5e9
# Settings that are None by default: what they are in the variants repaired and faithful.
_BY_VARIANT = {
    "latent_mode": ("deterministic", "sum"),
    "disc_output": ("logit", "relu"),
    "start_at_means": (True, False),
    "shuffle": (True, False),
}
# Settings of the network that `DBAAE` hands on as they are.
_NET = ("n2", "n3", "latent_dim", "disc_hidden", "leak", "decoder_output", "w_rec", "w_adv")


@keras.saving.register_keras_serializable("scgen_lib")
class DBAAENet(NotedNet):
    """Encoder E, decoder G and discriminator D of DB-AAE, and their three updates (tensors only).

    Parameters
    ----------
    n_genes
        Number of genes G.
    mean_bias
        Means of the genes (G,), where the output of G starts; None: zero biases.
    note
        Whatever else is to be kept with the weights, as JSON.
    n2, n3, latent_dim, disc_hidden, leak, latent_mode, disc_output, decoder_output, w_rec, w_adv, seed
        As in `DBAAE`, without None.

    Attributes
    ----------
    encoder, decoder, discriminator
        E: (B, G) → μ or [μ, ln σ²], (B, latent_dim) each; G: codes → (B, G); D: codes → (B, 1).
    """

    logs_by = {  # noqa: RUF012
        **dict.fromkeys(("loss", "reconstruction_loss", "adversarial_loss"), "mean"),
        **dict.fromkeys(("d_loss_real", "d_loss_fake", "d_accuracy_real", "d_accuracy_fake"), "mean"),
        **dict.fromkeys(("d_code_zero", "d_code_one"), "mean"),
    }

    def __init__(
        self,
        n_genes: int,
        *,
        n2: int = 1024,
        n3: int = 512,
        latent_dim: int = 512,
        disc_hidden: int = 256,
        leak: float = 0.2,
        latent_mode: LatentMode = "deterministic",
        disc_output: DiscriminatorOutput = "logit",
        decoder_output: Literal["relu", "softplus"] = "relu",
        w_rec: float = 0.999,
        w_adv: float = 0.001,
        mean_bias: Sequence[float] | None = None,
        note: dict | None = None,
        seed: int = 0,
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        self._config = {k: list(map(float, v)) if isinstance(v, np.ndarray) else v for k, v in config.items()}
        self.note = dict(note or {})
        self.latent_mode, self.disc_output, self.w_rec, self.w_adv = latent_mode, disc_output, w_rec, w_adv
        # One stream of seeds a network, so that none depends on the others' sizes.
        of_encoder, of_decoder, of_discriminator, of_noise = np.random.SeedSequence(seed).spawn(4)

        def chain(width: int, widths: Sequence[int], seeds: np.random.SeedSequence) -> tuple:
            inputs = keras.Input((width,))
            initial = iter(seeds.generate_state(8))

            def dense(x: object, units: int, **options: object) -> object:
                kernel = keras.initializers.GlorotUniform(seed=int(next(initial)))
                return keras.layers.Dense(units, kernel_initializer=kernel, **options)(x)

            x = inputs
            for units in widths:
                x = keras.layers.LeakyReLU(negative_slope=leak)(dense(x, units))
            return inputs, x, dense

        inputs, x, dense = chain(n_genes, (n2, n3), of_encoder)
        heads = ["mu"] if latent_mode == "deterministic" else ["mu", "log_variance"]
        self.encoder = keras.Model(inputs, [dense(x, latent_dim, name=name) for name in heads], name="encoder")

        inputs, x, dense = chain(latent_dim, (n3, n2), of_decoder)
        bias = "zeros" if mean_bias is None else keras.initializers.Constant(_start(mean_bias, decoder_output))
        out = dense(x, n_genes, activation=decoder_output, bias_initializer=bias)
        self.decoder = keras.Model(inputs, out, name="decoder")

        inputs, x, dense = chain(latent_dim, (n3, disc_hidden), of_discriminator)
        last = "relu" if disc_output == "relu" else None
        self.discriminator = keras.Model(inputs, dense(x, 1, activation=last), name="discriminator")

        self.prior, self.latent_dim = keras.random.SeedGenerator(int(of_noise.generate_state(1)[0])), latent_dim

        def note_of(name: str) -> keras.Variable:
            return self.add_weight(shape=(2,), initializer="zeros", trainable=False, name=name)

        # What no mean over an epoch tells: accuracy of D on real and fake codes of the last mini-batch, and the
        # smallest and the largest D(E(x)).
        self.last_accuracy, self.code_range = note_of("last_accuracy"), note_of("code_range")

    def build_optimizers(self) -> None:
        """Give E with G, and D, an optimiser of their own with the same settings."""
        self.discriminator_optimizer = type(self.optimizer).from_config(self.optimizer.get_config())
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.optimizer.build(self.autoencoder_variables)

    @property
    def autoencoder_variables(self) -> list[keras.Variable]:
        """Weights of E and G."""
        return self.encoder.trainable_variables + self.decoder.trainable_variables

    def code(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Expression (B, G) → codes (B, latent_dim); only ``reparam`` draws noise, and only in training."""
        mean, *log_variance = tf.nest.flatten(self.encoder(x))
        if self.latent_mode == "sum":
            return mean + log_variance[0]
        if self.latent_mode == "reparam" and training:
            return mean + tf.exp(0.5 * log_variance[0]) * layers.normal(tf.shape(mean), self.prior)
        return mean

    def call(self, batch: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Denoised expression G(E(x)), (B, G), of "x" (B, G), both log-normalised."""
        return self.decoder(self.code(batch["x"], training))

    def probability(self, code: tf.Tensor) -> tf.Tensor:
        """D's output (B, 1) for codes as a probability; the ReLU's may exceed 1."""
        output = self.discriminator(code)
        return output if self.disc_output == "relu" else tf.sigmoid(output)

    def adversarial_loss(self, output: tf.Tensor, real: bool) -> tf.Tensor:
        """Mean of −ln p or −ln(1 − p) over D's outputs (B, 1), a ReLU's by `losses.released_crossentropy`."""
        if self.disc_output == "relu":
            return tf.reduce_mean(losses.released_crossentropy(output, real))
        return tf.reduce_mean(tf.math.softplus(-output if real else output))

    def discriminator_step(self, code: tf.Tensor, real: bool) -> tuple[tf.Tensor, tf.Tensor]:
        """One update of D alone, from codes (B, latent_dim); returns loss and accuracy before the update."""
        with tf.GradientTape() as tape:
            output = self.discriminator(code)
            loss = self.adversarial_loss(output, real)
        weights = self.discriminator.trainable_variables
        self.discriminator_optimizer.apply(tape.gradient(loss, weights), weights)
        taken_for_real = output > (0.5 if self.disc_output == "relu" else 0.0)
        return loss, tf.reduce_mean(tf.cast(taken_for_real == real, tf.float32))

    def discriminator_steps(self, code: tf.Tensor) -> dict[str, tf.Tensor]:
        """Update D on as many draws of N(0, I) as there are codes, and then on the codes; an optimiser step each."""
        drawn = layers.normal(tf.shape(code), self.prior)
        real_loss, real_accuracy = self.discriminator_step(drawn, real=True)
        fake_loss, fake_accuracy = self.discriminator_step(code, real=False)
        self.last_accuracy.assign(tf.stack([real_accuracy, fake_accuracy]))
        return {
            "d_loss_real": real_loss,
            "d_loss_fake": fake_loss,
            "d_accuracy_real": real_accuracy,
            "d_accuracy_fake": fake_accuracy,
        }

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """D on real codes, D on fake codes, then E and G with D held still: three optimiser steps."""
        x = batch["x"]
        with tf.GradientTape() as tape:
            # The updates of D leave E alone, so that one pass through E serves all three.
            code = self.code(x, training=True)
            with tape.stop_recording():
                logs = self.discriminator_steps(code)
            reconstruction = tf.reduce_mean((x - self.decoder(code)) ** 2)
            output = self.discriminator(code)
            adversarial = self.adversarial_loss(output, real=True)
            loss = self.w_rec * reconstruction + self.w_adv * adversarial
        weights = self.autoencoder_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        probability = output if self.disc_output == "relu" else tf.sigmoid(output)
        low, high = tf.reduce_min(probability), tf.reduce_max(probability)
        self.code_range.assign([tf.minimum(self.code_range[0], low), tf.maximum(self.code_range[1], high)])
        return logs | {
            "loss": loss,
            "reconstruction_loss": reconstruction,
            "adversarial_loss": adversarial,
            "d_code_zero": tf.reduce_mean(tf.cast(probability <= 0, tf.float32)),
            "d_code_one": tf.reduce_mean(tf.cast(probability >= 1, tf.float32)),
        }

    def batch_test(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Mean squared error of the reconstruction."""
        return {"loss": tf.reduce_mean((batch["x"] - self(batch)) ** 2)}


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


def _start(mean: Sequence[float], activation: str) -> np.ndarray:
    """Biases with which a decoder that is given nothing returns the means."""
    mean = np.maximum(np.asarray(mean, "float64"), 1e-6)
    return (np.log(np.expm1(mean)) if activation == "softplus" else mean).astype("float32")


@keras.saving.register_keras_serializable("scgen_lib")
class RandomEncoderTrial(DBAAENet):
    """What the released search scores: D, updated twice a batch against codes of an E that stays as it was drawn.

    The released trial makes E, G and D anew after a first set of them is compiled. The compiled set is trained, the new
    D is scored, and its fake codes come from the new E, which nothing trains. What becomes of the compiled set has no
    part in the score, so it is left out.
    """

    logs_by = dict.fromkeys(("d_loss_real", "d_loss_fake", "d_accuracy_real", "d_accuracy_fake"), "mean")

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The two updates of D."""
        return self.discriminator_steps(self.code(batch["x"]))


def whole_batches_in_file_order(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Walk through the cells as they stand; the last N mod B of them never come (released code)."""
    return rows[: len(rows) // batch_size * batch_size]


def _exactly(steps: int, order: training.Order) -> training.Order:
    """Epochs of so many full mini-batches, however often they go through the cells."""

    def epoch(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
        lap = order(rng, rows, batch_size)
        laps = [lap, *(order(rng, rows, batch_size) for _ in range(len(lap) and steps * batch_size // len(lap)))]
        return np.concatenate(laps)[: steps * batch_size]

    epoch.__name__ = f"{order.__name__}_{steps}"
    return epoch


class DBAAE(FittedModel):
    """Adversarial autoencoder with dynamic batching (Ko and Sartorelli 2024): AnnData in, denoised logarithms out.

    The variant ``faithful`` computes what the released script does; ``repaired`` what the description asks for where
    the script does otherwise, and what we added. The notes have both lists.

    Parameters
    ----------
    variant
        ``repaired`` or ``faithful``.
    min_cells, target_sum, n_hvg
        See `LogNormaliser`; the published configuration has 5,000 highly variable genes.
    n2, n3, latent_dim, disc_hidden
        Widths: outer and inner layer of E and G, codes, second layer of D (its first has n3).
    leak
        Negative slope of the LeakyReLUs, in [0, 1).
    latent_mode
        Code of a cell: ``sum`` μ + ln σ², ``deterministic`` μ alone, ``reparam`` μ + σ ε; None: ``sum`` in the variant
        faithful, else ``deterministic``.
    disc_output
        Last layer of D: ``relu``, taken for a probability, or one ``logit``; None: ``relu`` in the variant
        faithful, else ``logit``.
    start_at_means
        Whether the biases of the output start at the means of the genes and not at 0; None: in the variant repaired.
    shuffle
        Whether an epoch takes all cells in an order drawn anew; False: whole mini-batches in file order, the last N mod
        B cells never. None: in the variant repaired.
    decoder_output
        Last activation of G, ``relu`` or ``softplus``.
    w_rec, w_adv
        Weights of reconstruction and adversarial loss, ≥ 0.
    learning_rate
        Step size of both optimisers.
    optimizer
        ``RMSprop`` of Keras 2, ε beside the root (`optimizers.RMSprop`), or ``RMSprop-keras3``, ε under the root.
    seed
        Fixes weights, draws of the prior, the order of cells and the held-out ones.

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
    What the description asks for (title, abstract and the repository's schematic; the article could not be read), and
    ``repaired`` has where the script has not:

    - D answers with a probability: one logit, where the script takes a ReLU for one, and outside of (0, 1) of that no
      gradient passes (``disc_output="relu"``);
    - the batch size is optimised for the model: the search trains the model that it scores, with its step size. What it
      scores by, the error on held-out cells, is our choice.

    What we added, and nothing describes; each can be taken back by itself, all four by
    ``DBAAE(start_at_means=False, latent_mode="sum", shuffle=False).fit(adata, epochs=20)``:

    - the biases of the output start at the means of the genes, and not at 0 under a ReLU (``start_at_means``);
    - one latent head instead of the sum of two redundant ones (``latent_mode``);
    - cells are shuffled in every epoch and the last, smaller mini-batch counts (``shuffle``); held-out cells are drawn
      at random, and a batch size above the number of cells means all cells;
    - 200 epochs instead of 20 where there are fewer than 1,000 cells (``epochs`` of `fit`).

    Deviations of ``faithful``: two optimisers where one was compiled into two models; fake codes are computed within
    the step and not by `predict`, to the same values; all random numbers are seeded. The released code ran on Keras 2:
    both variants have its RMSprop, with which the paper's numbers were made, and a ReLU is compared by its
    cross-entropy (`losses.released_crossentropy`), in which a dead D costs −ln 2e-7 = 15.425.

    References
    ----------
    https://doi.org/10.1016/j.isci.2024.109027 and github.com/LMSCGR/DB-AAE.
    """

    net_type = DBAAENet

    def __init__(
        self,
        *,
        variant: Literal["repaired", "faithful"] = "repaired",
        min_cells: int = 3,
        target_sum: float = 1e4,
        n_hvg: int | None = None,
        n2: int = 1024,
        n3: int = 512,
        latent_dim: int = 512,
        disc_hidden: int = 256,
        leak: float = 0.2,
        latent_mode: LatentMode | None = None,
        disc_output: DiscriminatorOutput | None = None,
        start_at_means: bool | None = None,
        shuffle: bool | None = None,
        decoder_output: Literal["relu", "softplus"] = "relu",
        w_rec: float = 0.999,
        w_adv: float = 0.001,
        learning_rate: float = 2e-4,
        optimizer: Literal["RMSprop", "RMSprop-keras3"] = "RMSprop",
        seed: int = 0,
    ):
        super().__init__(locals())
        legal = {
            "variant": ("repaired", "faithful"),
            "latent_mode": (None, "sum", "deterministic", "reparam"),
            "disc_output": (None, "relu", "logit"),
            "start_at_means": (None, True, False),
            "shuffle": (None, True, False),
            "decoder_output": ("relu", "softplus"),
            "optimizer": ("RMSprop", "RMSprop-keras3"),
        }
        for name, values in legal.items():
            if self.config[name] not in values:
                raise ParameterError(
                    f"expected {name} to be one of {', '.join(map(str, values))}, got {self.config[name]!r}: choose one"
                )
        for name in ("min_cells", "n2", "n3", "latent_dim", "disc_hidden"):
            if self.config[name] < 1:
                raise ParameterError(f"expected {name} of at least 1, got {self.config[name]}: give a larger one")
        if not 0 <= leak < 1:
            raise ParameterError(f"expected leak in [0, 1), got {leak}: 0.2 is the published slope")
        self.variant, self.seed = variant, seed

    @property
    def repaired(self) -> bool:
        """Whether the variant is ``repaired``."""
        return self.variant == "repaired"

    @property
    def order(self) -> training.Order:
        """How an epoch walks through the cells."""
        return training.shuffled if self._setting("shuffle") else whole_batches_in_file_order

    def _setting(self, name: str) -> object:
        """A setting as given, or that of the variant."""
        value = self.config[name]
        return _BY_VARIANT[name][not self.repaired] if value is None else value

    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: int | None = None,
        batch_size: int = 32,
        validation_split: float = 0.0,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        checkpoint: str | os.PathLike | None = None,
        progress: bool = False,
    ) -> Self:
        """Train on raw counts; genes are filtered, cells normalised and variable genes chosen here.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``).
        epochs
            None: 20, in the variant repaired 200 where there are fewer than 1,000 cells.
        batch_size
            Cells per update; `tune` finds one.
        validation_split
            Share of the cells held out for "val_mse", in [0, 1).
        callbacks
            Further Keras callbacks.
        checkpoint
            File for the state of the training; an interrupted training continues from it with the same numbers.
        progress
            Show a progress bar.

        Returns
        -------
        DBAAE
            Itself.

        Raises
        ------
        DataError
            Counts that cannot be used.
        InputError
            Fewer cells than one mini-batch, in the variant faithful.
        TrainingError
            A value that is no longer finite.
        CheckpointError
            `checkpoint` is damaged or of another training.
        """
        x, note = self._prepared(adata)
        rows, held_out = training.split(x.shape[0], validation_split, shuffle=self.repaired, seed=self.seed)
        few = self.repaired and x.shape[0] < 1000
        self.net = self._network(DBAAENet, x[rows], note, self.seed)
        self.history = self._train(
            self.net,
            x,
            rows,
            seed=self.seed,
            epochs=epochs or (200 if few else 20),
            batch_size=batch_size,
            validation_rows=held_out,
            callbacks=callbacks,
            checkpoint=checkpoint,
            progress=progress,
        )
        return self

    def tune(
        self,
        adata: anndata.AnnData,
        *,
        objective: Objective | None = None,
        batch_min: int = 16,
        batch_max: int = 128,
        batch_step: int = 8,
        epochs: int = 20,
        seeds: int = 1,
        budget: Literal["epochs", "steps"] = "epochs",
        val_fraction: float = 0.1,
        learning_rate: float | None = None,
        directory: str | os.PathLike | None = None,
        progress: bool = False,
    ) -> training.Search:
        """Try every batch size of a range ("dynamic batching"); the model itself stays as it is.

        The variant ``repaired`` trains the model and scores it. The variant ``faithful`` returns what the released
        search does: the accuracy of a fresh D against the codes of a random E that no one trains (see
        `RandomEncoderTrial`); for ``val_mse``, which that has not, it trains the faithful model.

        Parameters
        ----------
        adata
            As in `fit`.
        objective
            ``val_mse``: mean squared error of held-out cells (the least wins; None means this in the variant
            repaired); ``d_accuracy``: accuracy of D in percent on the last mini-batch (the highest wins; None means
            this in the variant faithful); ``d_equilibrium``: distance of its mean over the last epoch from 50 percent.
        batch_min, batch_max, batch_step
            The batch sizes, both ends included.
        epochs
            Epochs of a trial.
        seeds
            Trials of each batch size, with the seeds from that of the model on; their mean decides.
        budget
            ``epochs`` gives every batch size as many passes through the cells, so that small ones take more steps;
            ``steps`` gives each the optimiser steps that a batch size of 32 takes in these epochs.
        val_fraction
            Share of the cells held out where a model is trained, in (0, 0.5].
        learning_rate
            None: 2e-5 in the variant faithful, as released, else the model's own.
        directory
            Folder of the trials; a search that was interrupted continues from it.
        progress
            Show a progress bar over the trials.

        Returns
        -------
        training.Search
            The best batch size, and "d_accuracy", "d_equilibrium", "val_mse" (where a model is trained) and "steps" of
            all trials; one that failed, as with fewer cells than a mini-batch, has its error.

        Raises
        ------
        ParameterError
            Unknown objective or budget, an impossible range, or no trial that succeeded.
        """
        objective = objective or ("val_mse" if self.repaired else "d_accuracy")
        for name, value, legal in (("objective", objective, OBJECTIVES), ("budget", budget, ("epochs", "steps"))):
            if value not in legal:
                raise ParameterError(f"expected {name} to be one of {', '.join(legal)}, got {value!r}: choose one")
        if not 0 < val_fraction <= 0.5:
            raise ParameterError(f"expected val_fraction in (0, 0.5], got {val_fraction}: 0.1 holds out a tenth")
        rate = learning_rate or (self.config["learning_rate"] if self.repaired else 2e-5)
        released = not self.repaired and objective != "val_mse"
        x, note = self._prepared(adata)

        def score(batch_size: int, seed: int) -> dict[str, float]:
            rows, held_out = training.split(
                x.shape[0], 0.0 if released else val_fraction, shuffle=self.repaired, seed=seed
            )
            net = self._network(RandomEncoderTrial if released else DBAAENet, x[rows], note, seed)
            in_32s = -(-len(rows) // 32) if self.repaired else max(1, len(rows) // 32)
            steps = in_32s if budget == "steps" else None
            history = self._train(
                net, x, rows, seed=seed, epochs=epochs, batch_size=batch_size, steps=steps, learning_rate=rate
            )
            last = {name: values[-1] for name, values in history.items()}
            mean = 50 * (last["d_accuracy_real"] + last["d_accuracy_fake"])
            values = {
                "d_accuracy": 50 * (last["d_accuracy_real_last"] + last["d_accuracy_fake_last"]),
                "d_equilibrium": abs(mean - 50),
                "steps": int(net.optimizer.iterations if not released else net.discriminator_optimizer.iterations // 2),
            }
            if not released:
                values["val_mse"] = self._error(net, x[held_out])
            return values

        return training.search_batch_size(
            score,
            objective=objective,
            direction=OBJECTIVES[objective],
            batch_min=batch_min,
            batch_max=batch_max,
            batch_step=batch_step,
            seeds=range(self.seed, self.seed + seeds),
            directory=directory,
            settings={
                **self.config, "released": released, "epochs": epochs, "budget": budget, "rate": rate,
                "val_fraction": val_fraction, "data": joblib.hash(x),
            },
            progress=progress,
        )  # fmt: skip

    def _prepared(self, adata: anndata.AnnData) -> tuple[Matrix, dict]:
        """What the net is trained on, and what is kept with it."""
        counts = checks.get_counts(adata, allow_empty=True)
        normaliser = LogNormaliser(*(self.config[k] for k in ("min_cells", "target_sum", "n_hvg"))).fit(counts)
        return normaliser(counts), {"var_names": list(adata.var_names), "normaliser": normaliser.get_config()}

    def _network(self, kind: type[DBAAENet], x: Matrix, note: dict, seed: int) -> DBAAENet:
        return kind(
            x.shape[1],
            **{name: self.config[name] for name in _NET},
            **{name: self._setting(name) for name in ("latent_mode", "disc_output")},
            mean_bias=np.asarray(x.mean(axis=0)).ravel() if self._setting("start_at_means") else None,
            note=note,
            seed=seed,
        )

    def _train(
        self,
        net: DBAAENet,
        x: Matrix,
        rows: np.ndarray,
        *,
        epochs: int,
        batch_size: int,
        steps: int | None = None,
        learning_rate: float | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        **options: object,
    ) -> dict[str, list[float]]:
        rate = learning_rate or self.config["learning_rate"]
        net.compile(optimizer=optimizers.named(self.config["optimizer"], learning_rate=rate))
        updates, n_weights = epochs * -(-len(rows) // batch_size), sum(math.prod(w.shape) for w in net.weights)
        net.jit = updates * n_weights >= XLA_PAYS
        return training.fit(
            net,
            {"x": x},
            rows=rows,
            epochs=epochs,
            batch_size=min(batch_size, len(rows)) if self.repaired else batch_size,
            order=self.order if steps is None else _exactly(steps, self.order),
            callbacks=[_EpochLogs(), *callbacks],
            **options,
        )

    def _error(self, net: DBAAENet, x: Matrix) -> float:
        squared = training.predict(lambda b: {"e": tf.reduce_mean((b["x"] - net(b)) ** 2, axis=1)}, {"x": x})["e"]
        return float(squared.mean(dtype="float64"))

    # Use of a fitted model -------------------------------------------------------------------------------------------

    @property
    def normaliser(self) -> LogNormaliser:
        """What makes the net's input from counts."""
        return LogNormaliser(**self.fitted().note["normaliser"])

    @property
    def genes(self) -> list[str]:
        """Names of the genes that the net has, in the order of the file."""
        names = self.fitted().note["var_names"]
        return [names[i] for i in self.normaliser.genes]

    def normalised(self, adata: anndata.AnnData) -> np.ndarray:
        """Input of the net (N, len(genes)), float32, natural logarithms: what `denoise` is to be compared with.

        Raises
        ------
        DataError
            Other genes than those of the training, or an empty cell.
        """
        self.check_genes(adata)
        return training.dense(self.normaliser(checks.get_counts(adata, allow_empty=True)))

    def denoise(self, adata: anndata.AnnData) -> np.ndarray:
        """Denoised expression (N, len(genes)), float32, on the scale of `normalised`; errors as there."""
        return self._apply(lambda net, batch: net(batch), adata)

    def denoise_counts(self, adata: anndata.AnnData) -> np.ndarray:
        """Denoised expression in counts (N, len(genes)), float32, at each cell's own depth; see `LogNormaliser`."""
        return self.normaliser.inverse(self.denoise(adata), checks.get_counts(adata, allow_empty=True))

    def embed(self, adata: anndata.AnnData) -> np.ndarray:
        """Codes E(x) (N, latent_dim), float32, without noise."""
        return self._apply(lambda net, batch: net.code(batch["x"]), adata)

    def discriminate(self, adata: anndata.AnnData) -> np.ndarray:
        """D(E(x)) of each cell, (N,), float32, as a probability; a ReLU's may exceed 1."""
        return self._apply(lambda net, batch: net.probability(net.code(batch["x"])), adata)[:, 0]

    def _apply(self, function: Callable[[DBAAENet, dict], tf.Tensor], adata: anndata.AnnData) -> np.ndarray:
        net = self.fitted()
        return training.predict(lambda batch: {"out": function(net, batch)}, {"x": self.normalised(adata)})["out"]

    def annotate(self, adata: anndata.AnnData) -> anndata.AnnData:
        """Copy of the cells with the genes of the net: layers "db_aae", "log"; obsm "X_db_aae"; uns "db_aae"."""
        out = adata[:, self.genes].copy()
        out.layers["log"], out.layers["db_aae"] = self.normalised(adata), self.denoise(adata)
        out.obsm["X_db_aae"] = self.embed(adata)
        out.uns["db_aae"] = self.record(self.config)
        return out

    def unseen(self, n_cells: int, batch_size: int) -> np.ndarray:
        """Which of N cells no epoch trains on, (N,) bool: the last N mod B of the file in ``faithful``, else none."""
        rows = np.arange(n_cells)
        return ~np.isin(rows, self.order(np.random.default_rng(0), rows, batch_size))
