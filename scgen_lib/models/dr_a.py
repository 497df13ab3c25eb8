"""DR-A: a variational autoencoder with one adversary for its code and one for its reconstruction.

Lin E., Mukherjee S., Kannan S., A deep adversarial variational autoencoder model for dimensionality reduction in
single-cell RNA sequencing analysis, BMC Bioinformatics 21:64 (2020), https://doi.org/10.1186/s12859-020-3401-5
"""

import functools
import math
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Literal, Self

import anndata
import keras
import numpy as np
import tensorflow as tf

from scgen_book.parameters import Parameter
from scgen_lib import layers, losses, training
from scgen_lib.data import checks
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.models.first import FittedModel, NotedNet
from scgen_lib.preprocess import Matrix, UnitScaler, legacy_split, mean_log_factorial

# What a discriminator minimises (logits on real, on fake), and what the encoder minimises (logits on fake).
GAMES: dict[str, tuple[Callable, Callable]] = {
    "bhattacharyya": (losses.bhattacharyya, losses.bhattacharyya_encoder),
    "bhattacharyya_abs": (
        functools.partial(losses.bhattacharyya, absolute=True),
        functools.partial(losses.bhattacharyya_encoder, absolute=True),
    ),
    "bce": (losses.gan_discriminator, losses.gan_generator),
}
RECONSTRUCTION = {"sig": "sigmoid", "lin": "linear", "tanh": "tanh"}
# Bounds of ln l_v and of a sampled l, without which the library factor e^l overflows in the release.
LIBRARY_LOG_VAR, LIBRARY = (-10.0, 4.0), 20.0
# What stands in for None.
VARIANTS = {
    "faithful": {
        "adversarial": "bhattacharyya",
        "likelihood_input": "transformed",
        "latent": "sample",
        "library_bottleneck": True,
    },
    "repaired": {
        "adversarial": "bce",
        "likelihood_input": "counts",
        "latent": "mean",
        "library_bottleneck": False,
        "adv_learning_rate": 1e-4,
        "adv_beta1": 0.5,
        "clipnorm": 5.0,
    },
}


# Type and legal values of the constructor's arguments.
LEGAL: dict[str, tuple[object, str]] = {
    "variant": (str, "one of repaired, faithful"),
    "z_dim": (int, "in [1, inf)"),
    "generator": (list[int], "in [1, inf)"),
    "discriminator": (list[int], "in [1, inf)"),
    "batchnorm": (bool, "any"),
    "keep": (float, "in (0, 1]"),
    "leak": (float, "in [0, 1)"),
    "actv": (str, "one of sig, lin, tanh"),
    "trans": (str, "one of sparse, dense"),
    "sampler": (str, "one of normal, uniform"),
    "learning_rate": (float, "in (0, inf)"),
    "beta1": (float, "in [0, 1)"),
    "adv_learning_rate": (float | None, "in (0, inf)"),
    "adv_beta1": (float | None, "in [0, 1)"),
    "clipnorm": (float | None, "in (0, inf)"),
    "lam": (float, "in [0, inf)"),
    "g_iter": (int, "in [1, inf)"),
    "adversarial": (str | None, "one of bhattacharyya, bhattacharyya_abs, bce, none"),
    "likelihood_input": (str | None, "one of transformed, counts"),
    "latent": (str | None, "one of sample, mean"),
    "library_bottleneck": (bool | None, "any"),
    "kl_weight": (float, "in [0, inf)"),
    "log_var_clip": (float, "in (0, inf)"),
    "guards": (bool, "any"),
    "dual": (bool, "any"),
    "seed": (int, "in [0, inf)"),
}
# Which of them go to the network's optimisers and which to neither; the others go to the network as they are.
_OPTIMIZERS = ("learning_rate", "beta1", "adv_learning_rate", "adv_beta1", "lam", "clipnorm")
_NET = tuple(name for name in LEGAL if name not in (*_OPTIMIZERS, "variant", "trans", "latent"))


def _legal(name: str, value: object) -> object:
    declared, rule = LEGAL[name]
    return Parameter(name, declared, None, rule, "").check(value)


@keras.saving.register_keras_serializable("scgen_lib")
class DRANet(NotedNet):
    """Encoder, decoder and discriminators D1 (codes) and D2 (expression) of DR-A, and their updates (tensors only).

    A hidden block is Dense → leaky ReLU → dropout, or with `batchnorm` Dense → leaky ReLU → batch normalisation.

    Parameters
    ----------
    n_genes
        Number of genes G.
    released
        Compute as the release does: ε = 1e-8 in the logarithm of the rate, batch normalisation that stays in inference
        mode, x̃ by a sigmoid whatever `actv`.
    library_prior
        Mean and variance of the prior of the library size l, natural logarithm.
    iterations
        Mini-batches per epoch: the turns of D1 and the encoder start anew with every epoch.
    note
        Whatever else is to be kept with the weights, as JSON.
    z_dim, generator, discriminator, batchnorm, keep, leak, actv, sampler, g_iter, adversarial, likelihood_input,
    library_bottleneck, kl_weight, log_var_clip, guards, dual, seed
        As in `DRA`, without None.

    Attributes
    ----------
    encoder, decoder, d1, d2
        Hidden layers of encoder and decoder; discriminators with their output, a logit.
    """

    remedy = "lower learning_rate, or choose adversarial='bhattacharyya_abs' or 'bce'"

    def __init__(
        self,
        n_genes: int,
        *,
        z_dim: int = 10,
        generator: Sequence[int] = (512,),
        discriminator: Sequence[int] = (512,),
        batchnorm: bool = False,
        keep: float = 0.9,
        leak: float = 0.2,
        actv: str = "sig",
        sampler: str = "normal",
        g_iter: int = 2,
        adversarial: str = "bhattacharyya",
        likelihood_input: str = "transformed",
        library_bottleneck: bool = True,
        kl_weight: float = 0.0,
        log_var_clip: float = 10.0,
        guards: bool = True,
        dual: bool = True,
        released: bool = True,
        library_prior: Sequence[float] = (0.0, 1.0),
        iterations: int = 1,
        note: dict | None = None,
        seed: int = 0,
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        self._config = {k: list(v) if isinstance(v, tuple) else v for k, v in config.items()}
        self.note = dict(note or {})
        self.adversarial, self.likelihood_input, self.dual = adversarial, likelihood_input, dual
        self.sampler, self.actv, self.released = sampler, actv, released
        self.kl_weight, self.log_var_clip, self.guards = kl_weight, log_var_clip, guards
        self.library_prior, self.iterations, self.cycle = tuple(library_prior), iterations, g_iter + 1
        # One stream of seeds a part, so that none depends on the others' sizes.
        streams = np.random.SeedSequence(seed).spawn(7)
        of_encoder, of_decoder, of_heads, of_reconstruction, of_d1, of_d2, of_noise = (
            iter(s.generate_state(16)) for s in streams
        )

        def dense(width: int, units: int, seeds: object, activation: str | None = None) -> keras.layers.Dense:
            kernel = keras.initializers.GlorotUniform(seed=int(next(seeds)))
            layer = keras.layers.Dense(units, activation, kernel_initializer=kernel)
            layer.build((None, width))
            return layer

        def chain(width: int, widths: Sequence[int], seeds: object) -> list[keras.layers.Layer]:
            blocks = [keras.Input((width,))]
            for before, units in zip((width, *widths), widths, strict=False):
                blocks += [dense(before, units, seeds), keras.layers.LeakyReLU(negative_slope=leak)]
                if batchnorm:
                    blocks.append(keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3))
                else:
                    blocks.append(layers.Dropout(1.0 - keep, seed=int(next(seeds))))
            return blocks

        first, last, reverse = generator[0], generator[-1], discriminator[::-1]
        self.encoder = keras.Sequential(chain(n_genes, generator, of_encoder))
        self.z_mean, self.z_log_var = (dense(last, z_dim, of_encoder) for _ in range(2))
        self.bottleneck = dense(last, z_dim, of_encoder, "relu") if library_bottleneck else None
        self.l_mean, self.l_log_var = (dense(z_dim if library_bottleneck else last, 1, of_encoder) for _ in range(2))

        self.decoder = keras.Sequential(chain(z_dim, generator[::-1], of_decoder))
        self.proportion, self.dropout = (dense(first, n_genes, of_heads) for _ in range(2))
        self.log_dispersion = self.add_weight(
            shape=(n_genes,), initializer=keras.initializers.RandomNormal(stddev=1.0, seed=int(next(of_heads)))
        )
        self.reconstruction = dense(first, n_genes, of_reconstruction, "sigmoid" if released else RECONSTRUCTION[actv])

        self.d1 = keras.Sequential([*chain(z_dim, reverse, of_d1), dense(reverse[-1], 1, of_d1)])
        self.d2 = keras.Sequential([*chain(n_genes, reverse, of_d2), dense(reverse[-1], 1, of_d2)])
        # Of its own, so that without D2 the other steps draw the same.
        self.noise, self.d2_noise = (keras.random.SeedGenerator(int(next(of_noise))) for _ in range(2))

        summed = ["loss", "nll", "kl_l", "kl_z", "v", "l_sd", "z_abs", "clipped_v", "clipped_l_v", "clipped_l"]
        players = [] if adversarial == "none" else ["d1", "encoder", *(["d2"] if dual else [])]
        summed += [*players, *(f"{name}_mixed" for name in players)]
        if self.matching:
            summed.append("generator")
        # The smallest loss L of an epoch has the largest e^−L, in the released losses a sum of √|pᵢ qᵢ| or √|qᵢ|.
        self.logs_by = dict.fromkeys(summed, "mean") | {f"{name}_exp": "max" for name in players}

    @property
    def matching(self) -> bool:
        """Whether D2 moves what makes its fakes: in the release its loss reaches D2 alone."""
        return self.adversarial == "bce" and self.dual

    @property
    def parts(self) -> dict[str, list[keras.Variable]]:
        """Trainable weights of each part of the net."""
        library = [layer for layer in (self.bottleneck, self.l_mean, self.l_log_var) if layer is not None]
        groups = {
            "encoder": [self.encoder],
            "z": [self.z_mean, self.z_log_var],
            "library": library,
            "decoder": [self.decoder],
            "zinb": [self.proportion, self.dropout],
            "dispersion": [],
            "reconstruction": [self.reconstruction],
            "d1": [self.d1],
            "d2": [self.d2],
        }
        weights = {name: [v for layer in group for v in layer.trainable_variables] for name, group in groups.items()}
        return weights | {"dispersion": [self.log_dispersion]}

    def weights_of(self, *names: str) -> list[keras.Variable]:
        """Trainable weights of some of the `parts`."""
        return [v for name in names for v in self.parts[name]]

    @property
    def players(self) -> dict[str, list[keras.Variable]]:
        """What each of the four updates may change."""
        made_for_d2 = ("decoder", "reconstruction") if self.matching else ()
        return {
            "autoencoder": self.weights_of("encoder", "z", "library", "decoder", "zinb", "dispersion"),
            "encoder": self.weights_of("encoder", "z", *made_for_d2),
            "d1": self.weights_of("d1"),
            "d2": self.weights_of("d2"),
        }

    def sizes(self) -> dict[str, int]:
        """Numbers of trainable weights as the paper's parts, with their total."""
        count = {name: sum(math.prod(v.shape) for v in weights) for name, weights in self.parts.items()}
        return {
            "encoder": count["encoder"] + count["z"] + count["library"],
            "decoder": count["decoder"] + count["zinb"] + count["dispersion"],
            "reconstruction": count["reconstruction"],
            "d1": count["d1"],
            "d2": count["d2"],
            "total": sum(count.values()),
        }

    def compile(
        self,
        *,
        learning_rate: float = 7e-4,
        beta1: float = 0.9,
        adv_learning_rate: float | None = None,
        adv_beta1: float | None = None,
        lam: float = 1.0,
        clipnorm: float | None = None,
    ) -> None:
        """Give autoencoder, encoder, D1 and D2 an Adam each; arguments as in `DRA`."""

        def adam(rate: float, beta: float) -> keras.optimizers.Adam:
            return keras.optimizers.Adam(rate, beta, epsilon=1e-8, global_clipnorm=clipnorm)

        rate = learning_rate if adv_learning_rate is None else adv_learning_rate
        beta = beta1 if adv_beta1 is None else adv_beta1
        # Adam divides a factor of the loss out again, so the weight of the game is one of its steps.
        self.encoder_optimizer = adam(lam * rate, beta)
        self.d1_optimizer, self.d2_optimizer = adam(rate, beta), adam(rate, beta)
        super().compile(optimizer=adam(learning_rate, beta1))

    def build_optimizers(self) -> None:
        """Make the slots of all four."""
        self.optimizer.build(self.players["autoencoder"])
        for name in ("encoder", "d1", "d2"):
            getattr(self, f"{name}_optimizer").build(self.players[name])

    def _run(self, net: keras.Model, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        # The release builds batch normalisation with a constant training = False: y = γ x / √(1 + 1e-3) + β for ever.
        # It has no dropout beside batch normalisation.
        return net(inputs, training=training and not (self.released and self._config["batchnorm"]))

    def encode(self, x: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Posteriors of code and library size.

        Parameters
        ----------
        x
            Transformed expression (B, G), float32.
        training
            Whether dropout and batch normalisation are in training mode.

        Returns
        -------
        dict
            "z_mean", "z_log_var" (B, z_dim) and "l_mean", "l_log_var" (B, 1); with `guards` the logarithms of variances
            are clipped.
        """
        h = self._run(self.encoder, x, training)
        library = h if self.bottleneck is None else self.bottleneck(h)
        return {
            "z_mean": self.z_mean(h),
            "z_log_var": self._guarded(self.z_log_var(h), -self.log_var_clip, self.log_var_clip),
            "l_mean": self.l_mean(library),
            "l_log_var": self._guarded(self.l_log_var(library), *LIBRARY_LOG_VAR),
        }

    def _guarded(self, values: tf.Tensor, low: float, high: float) -> tf.Tensor:
        return tf.clip_by_value(values, low, high) if self.guards else values

    def sample(self, mean: tf.Tensor, log_var: tf.Tensor, seeds: keras.random.SeedGenerator | None = None) -> tf.Tensor:
        """Draw from a normal distribution with these parameters, any shape."""
        # The root of a variance that has come down to 0 has no derivative: a way in which the release fails.
        sd = tf.exp(0.5 * log_var) if self.guards else tf.sqrt(tf.exp(log_var))
        return mean + sd * layers.normal(tf.shape(mean), seeds or self.noise)

    def code(self, x: tf.Tensor, training: bool = False, seeds: keras.random.SeedGenerator | None = None) -> tf.Tensor:
        """Draw of the code z (B, z_dim) from its posterior."""
        q = self.encode(x, training)
        return self.sample(q["z_mean"], q["z_log_var"], seeds)

    def prior(self, n: int | tf.Tensor) -> tf.Tensor:
        """Draws of the prior of z, (n, z_dim)."""
        shape = (n, self._config["z_dim"])
        return layers.normal(shape, self.noise) if self.sampler == "normal" else layers.uniform(shape, self.noise, -1.0)

    def decode(self, z: tf.Tensor, library: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Parameters of the zero-inflated negative binomial.

        Parameters
        ----------
        z, library
            Code (B, z_dim), and l (B, 1), of which e^l is the sum of the rates of a cell.
        training
            As in `encode`.

        Returns
        -------
        dict
            "log_mean", logarithm of the rate μ = e^l ρ, and "logit" of the dropout probability, (B, G) each; "theta",
            the dispersion (G,).
        """
        h = self._run(self.decoder, z, training)
        log_mean = library + tf.nn.log_softmax(self.proportion(h))
        if self.released:
            log_mean = tf.math.log(tf.exp(log_mean) + 1e-8)
        return {"log_mean": log_mean, "theta": tf.exp(self.log_dispersion), "logit": self.dropout(h)}

    def nll(self, x: tf.Tensor, log_mean: tf.Tensor, theta: tf.Tensor, logit: tf.Tensor) -> tf.Tensor:
        """−ln p(x) of every entry (B, G) without lnΓ(x + 1), from x (B, G) and what `decode` returns; nats."""
        if not self.guards:
            return losses.released_dr_a(x, log_mean, theta, logit)
        return losses.zinb(x, log_mean, theta, logit, normalised=False)

    def reconstruct(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """D2's fake x̃ (B, G) from codes (B, z_dim)."""
        return self.reconstruction(self._run(self.decoder, z, training))

    def real(self, x: tf.Tensor) -> tf.Tensor:
        """What D2 takes for real: x (B, G), brought to [−1, 1] where x̃ is a tanh."""
        return 2.0 * x - 1.0 if self.actv == "tanh" else x

    def call(self, batch: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Loss L_AE and what it is made of, scalars, from "x" (B, G), "log_factorial" (B, 1) and maybe "counts".

        "loss" is the mean over the cells of −ln p(x | z, l) + KL_l + β KL_z, which stand beside it as "nll", "kl_l" and
        "kl_z"; then "v", the mean variance of z, "l_sd", the sd of l_m, "z_abs", the mean size of z, and the shares of
        entries of ln v, ln l_v and l that lie on their bounds.
        """
        q = self.encode(batch["x"], training)
        z = self.sample(q["z_mean"], q["z_log_var"])
        library = self._guarded(self.sample(q["l_mean"], q["l_log_var"]), -LIBRARY, LIBRARY)
        x = batch["x" if self.likelihood_input == "transformed" else "counts"]
        nll = self.nll(x, **self.decode(z, library, training))
        nll = tf.reduce_mean(tf.reduce_sum(nll, axis=1, keepdims=True) + batch["log_factorial"])
        mean, var = self.library_prior
        divergence = losses.kl_standard_normal if self.guards else losses.released_kl
        kl_l = tf.reduce_mean(divergence((q["l_mean"] - mean) / math.sqrt(var), q["l_log_var"] - math.log(var)))
        kl_z = tf.reduce_mean(divergence(q["z_mean"], q["z_log_var"]))
        return {
            "loss": nll + kl_l + self.kl_weight * kl_z,
            "nll": nll,
            "kl_l": kl_l,
            "kl_z": kl_z,
            "v": tf.reduce_mean(tf.exp(q["z_log_var"])),
            "l_sd": tf.math.reduce_std(q["l_mean"]),
            "z_abs": tf.reduce_mean(tf.abs(z)),
            "clipped_v": _share_outside(q["z_log_var"], -self.log_var_clip, self.log_var_clip),
            "clipped_l_v": _share_outside(q["l_log_var"], *LIBRARY_LOG_VAR),
            "clipped_l": _share_outside(library, -LIBRARY, LIBRARY),
        }

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Autoencoder, then D1 or the encoder, whose turn it is, then D2; each draws noise and dropout of its own."""
        turn = tf.convert_to_tensor(self.optimizer.iterations) % self.iterations % self.cycle
        logs = self.autoencoder_step(batch)
        if self.adversarial == "none":
            return logs
        turns_of_d1 = -(-self.iterations // self.cycle)

        def absent(name: str) -> dict[str, tf.Tensor]:
            generator = {"generator": tf.constant(0.0)} if name == "encoder" and self.matching else {}
            return {name + suffix: tf.constant(0.0) for suffix in ("", "_mixed", "_exp")} | generator

        def taken(logs: dict[str, tf.Tensor], turns: int) -> dict[str, tf.Tensor]:
            # The mean over all iterations shall be that over the turns of this step.
            weight = self.iterations / max(turns, 1)
            return {k: v if k.endswith("_exp") else weight * v for k, v in logs.items()}

        logs |= tf.cond(
            turn == 0,
            lambda: taken(self.d1_step(batch), turns_of_d1) | absent("encoder"),
            lambda: absent("d1") | taken(self.encoder_step(batch), self.iterations - turns_of_d1),
        )
        return logs | self.d2_step(batch) if self.dual else logs

    def autoencoder_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update encoder, library, decoder and the heads of the likelihood by L_AE."""
        with tf.GradientTape() as tape:
            logs = self(batch, training=True)
        weights = self.players["autoencoder"]
        self.optimizer.apply(tape.gradient(logs["loss"], weights), weights)
        return logs

    def encoder_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update the encoder against D1, with `matching` also what makes x̃ against D2; the library heads stay."""
        with tf.GradientTape() as tape:
            z = self.code(batch["x"], training=True)
            fake = self._run(self.d1, z, training=True)
            loss = GAMES[self.adversarial][1](fake)
            logs = _of_step("encoder", loss, fake)
            if self.matching:
                logs["generator"] = losses.gan_generator(self._run(self.d2, self.reconstruct(z, True), training=True))
                loss += logs["generator"]
        weights = self.players["encoder"]
        self.encoder_optimizer.apply(tape.gradient(loss, weights), weights)
        return logs

    def d1_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update D1, draws of the prior against codes."""
        z = self.code(batch["x"], training=True)
        return self._discriminate("d1", self.prior(tf.shape(z)[0]), z)

    def d2_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update D2, x against x̃."""
        fake = self.reconstruct(self.code(batch["x"], True, self.d2_noise), training=True)
        return self._discriminate("d2", self.real(batch["x"]), fake)

    def _discriminate(self, name: str, real: tf.Tensor, fake: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = [self._run(getattr(self, name), inputs, training=True) for inputs in (real, fake)]
            loss = GAMES[self.adversarial][0](*logits)
        weights = self.players[name]
        getattr(self, f"{name}_optimizer").apply(tape.gradient(loss, weights), weights)
        return _of_step(name, loss, *logits)


def _of_step(name: str, loss: tf.Tensor, *logits: tf.Tensor) -> dict[str, tf.Tensor]:
    """Loss L, e^−L, and 1 where the logits of one side have both signs, else 0."""
    mixed = [(tf.reduce_min(s) < 0) & (tf.reduce_max(s) > 0) for s in logits]
    return {name: loss, f"{name}_exp": tf.exp(-loss), f"{name}_mixed": tf.cast(tf.reduce_any(mixed), tf.float32)}


def _share_outside(values: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return tf.reduce_mean(tf.cast((values <= low) | (values >= high), tf.float32))


class DRA(FittedModel):
    """DR-A (Lin et al. 2020): AnnData in, a low-dimensional code of every cell out.

    The variant ``faithful`` computes what the released code does. ``repaired`` plays the game of dual matching that the
    paper describes, and has additions of our own; the notes list both. None stands for what belongs to the variant,
    `settings` names it.

    Parameters
    ----------
    variant
        ``repaired`` or ``faithful``.
    z_dim
        Dimensions K of the code.
    generator, discriminator
        Widths of the hidden layers of the encoder (the decoder has them in reverse), and in reverse of D1 and D2.
    batchnorm
        Batch normalisation in place of dropout.
    keep, leak
        Share of units that dropout keeps, in (0, 1]; slope of the leaky ReLU below 0, in [0, 1).
    actv
        Output of D2's fake: ``sig``, ``lin`` (expression is then not divided by its maximum) or, repaired only,
        ``tanh``; in ``faithful`` it is a sigmoid whatever this says.
    trans
        ``sparse`` or ``dense``, see `UnitScaler`.
    sampler
        Prior that codes are matched to: ``normal``, N(0, I), or ``uniform``, U(−1, 1).
    learning_rate, beta1
        Of the autoencoder's Adam.
    adv_learning_rate, adv_beta1
        Of the three other Adams. None: as the autoencoder's (faithful), 1e-4 and 0.5 (repaired).
    clipnorm
        Largest global norm of a gradient. None: any (faithful), 5 (repaired).
    lam
        Weight of the adversary, ≥ 0: a factor of the encoder's steps in the game.
    g_iter
        Updates of the encoder for each of D1.
    adversarial
        Losses of the game: ``bhattacharyya`` (faithful) and the bounded ``bhattacharyya_abs``, in which D1 cooperates
        and D2 moves nothing but itself; ``bce`` (repaired), against D1 and D2; ``none``.
    likelihood_input
        What the likelihood and the prior of the library size are about: ``transformed`` (faithful) or ``counts``.
    latent
        What `embed` returns: a ``sample`` of the posterior (faithful) or its ``mean``.
    library_bottleneck
        Whether the library size is read from K rectified units (faithful) or from the last hidden layer.
    kl_weight, log_var_clip
        β of the divergence of the code from N(0, I), ≥ 0; bound of ±ln v, > 0.
    guards
        Bound ln v, ln l_v and l (see the notes). False, with ``faithful`` alone: as the release, in whose formulas some
        trainings end at values that are not finite.
    dual
        False leaves D2 out.
    seed
        Fixes weights, noise, dropout and mini-batches.

    Attributes
    ----------
    net
        The `DRANet`, after `fit` or `load`.
    history
        Name → one value per epoch: means of "loss", its parts "nll", "kl_l" and "kl_z", "v" (variance of z), "l_sd" (sd
        of the mean library size in a mini-batch), "z_abs" (absolute z), and the shares "clipped_v", "clipped_l_v" and
        "clipped_l" that the guards hold. With an adversary, for each of "d1", "encoder" and "d2": the mean of its loss
        over its own steps, its smallest value "…_min", and the share of mini-batches "…_mixed" with logits of both
        signs; with ``bce`` and D2 also "generator", the loss of x̃ against D2.

    Notes
    -----
    ``faithful`` deviates from the released code in two guards and in nothing else that is known, other than the random
    numbers: ln v is clipped to ±`log_var_clip`, since nothing keeps v from 0, where √v has no derivative; ln l_v is
    clipped to [−10, 4] and a sampled l to ±20, since e^l can overflow. Trainings that these guards carry through end in
    the release at values that are not finite; with ``guards=False`` they end so here, too, as a `TrainingError`:
    three of six with the published settings of K = 2 on Zeisel's cells do (``benchmarks/originals.md``). It
    keeps that D2 is without effect, that D1 lowers the distance that it should raise, that batch normalisation stays in
    inference mode, and that `lam` and `g_iter` do nothing.

    What the description asks for, and ``repaired`` does:

    - dual matching: encoder, decoder and x̃ are updated against D2 as well, in the encoder's turns;
    - discriminators that oppose, which is what makes a model adversarial;
    - batch normalisation with statistics of the data;
    - `lam`, `g_iter` and `actv` with the meaning of their names; `lam` weighs the encoder's steps and not its loss,
      where Adam would cancel it.

    What we added, and nothing describes:

    - binary cross-entropies of logits in place of the distance of shares of a sum, which are no probabilities;
    - likelihood and library prior of counts in place of transformed values;
    - library size without the bottleneck;
    - x scaled by training cells alone and clipped to [0, 1];
    - Adams of their own speed for the game, and clipped gradients;
    - the posterior's mean for a code;
    - the guards.

    ``trans="dense"`` calls a function in the release that does not exist; here it is the minimum and maximum of a gene.

    References
    ----------
    https://doi.org/10.1186/s12859-020-3401-5 and github.com/eugenelin1/DRA.
    """

    net_type = DRANet

    def __init__(
        self,
        *,
        variant: Literal["repaired", "faithful"] = "repaired",
        z_dim: int = 10,
        generator: Sequence[int] = (512,),
        discriminator: Sequence[int] = (512,),
        batchnorm: bool = False,
        keep: float = 0.9,
        leak: float = 0.2,
        actv: Literal["sig", "lin", "tanh"] = "sig",
        trans: Literal["sparse", "dense"] = "sparse",
        sampler: Literal["normal", "uniform"] = "normal",
        learning_rate: float = 7e-4,
        beta1: float = 0.9,
        adv_learning_rate: float | None = None,
        adv_beta1: float | None = None,
        clipnorm: float | None = None,
        lam: float = 1.0,
        g_iter: int = 2,
        adversarial: Literal["bhattacharyya", "bhattacharyya_abs", "bce", "none"] | None = None,
        likelihood_input: Literal["transformed", "counts"] | None = None,
        latent: Literal["sample", "mean"] | None = None,
        library_bottleneck: bool | None = None,
        kl_weight: float = 0.0,
        log_var_clip: float = 10.0,
        guards: bool = True,
        dual: bool = True,
        seed: int = 0,
    ):
        super().__init__(locals())
        self.variant, self.seed = variant, seed
        self.config = {name: _legal(name, value) for name, value in self.config.items()}
        for name in ("generator", "discriminator"):
            if not self.config[name]:
                raise ParameterError(f"expected one width or more for {name}, got none: give [512], say")
        if not self.config["guards"] and variant != "faithful":
            raise ParameterError(
                "expected guards with variant 'repaired', got False, which means the formulas of the released code: "
                "choose variant 'faithful'"
            )
        if variant == "faithful" and actv == "tanh":
            raise ParameterError(
                "expected actv 'sig' or 'lin' with variant 'faithful', got 'tanh', with which the released code cannot "
                "load its data: choose variant 'repaired'"
            )
        if variant == "faithful" and (lam != 1 or g_iter != 2):
            warnings.warn(
                "The released code uses lam and g_iter in the name of a run alone: the variant 'faithful' trains with "
                "lam = 1 and g_iter = 2.",
                stacklevel=2,
            )

    @property
    def settings(self) -> dict[str, object]:
        """Arguments of the constructor with the variant's own values for None, and for what it ignores."""
        config = {k: VARIANTS[self.variant].get(k) if v is None else v for k, v in self.config.items()}
        if self.variant == "faithful":
            config |= {"lam": 1.0, "g_iter": 2}
            config["adv_learning_rate"] = config["adv_learning_rate"] or config["learning_rate"]
            config["adv_beta1"] = config["beta1"] if config["adv_beta1"] is None else config["adv_beta1"]
        return config

    def fit(
        self,
        adata: anndata.AnnData,
        *,
        epochs: int = 200,
        batch_size: int = 128,
        train_rows: Sequence[int] | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        checkpoint: str | os.PathLike | None = None,
        progress: bool = False,
    ) -> Self:
        """Train on counts of chosen genes; the released model takes 720.

        A mini-batch is `batch_size` consecutive training cells from a random start, and an epoch has
        floor(N / batch_size) of them, with N the number of all cells.

        Parameters
        ----------
        adata
            All cells, training and test, with counts in ``layers["counts"]`` (else ``X``).
        epochs, batch_size
            There is no early stopping; at least 2 and fewer cells than there are for training.
        train_rows
            Positions of the training cells, in the order in which windows move over them; None: the first four fifths
            of `legacy_split`.
        callbacks
            Further Keras callbacks.
        checkpoint
            File for the state of the training; an interrupted training continues from it with the same numbers.
        progress
            Show a progress bar.

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
        counts = checks.get_counts(adata, allow_empty=True)
        n = counts.shape[0]
        rows = np.asarray(legacy_split(n)[0] if train_rows is None else train_rows)
        if not 2 <= batch_size < len(rows):
            raise ParameterError(
                f"expected batch_size from 2 to {len(rows) - 1}, one less than the training cells, got {batch_size}: "
                "change it"
            )
        settings, faithful = self.settings, self.variant == "faithful"
        scaler = UnitScaler(settings["trans"], unit=settings["actv"] != "lin", clip=not faithful)
        scaler.fit(counts if faithful else counts[rows])
        arrays = {"x": scaler(counts)}
        if settings["likelihood_input"] == "counts":
            arrays["counts"] = counts
        modelled = arrays.get("counts", arrays["x"])
        arrays["log_factorial"] = mean_log_factorial(modelled)[:, None] * np.float32(counts.shape[1])
        self.net = DRANet(
            counts.shape[1],
            **{name: settings[name] for name in _NET},
            released=faithful,
            library_prior=_library_prior(modelled[rows]),
            iterations=n // batch_size,
            note={"var_names": list(adata.var_names), "scaler": scaler.get_config()},
        )
        self.net.compile(**{name: settings[name] for name in _OPTIMIZERS})

        def windows(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
            # The released code never draws the last row.
            starts = rng.integers(0, len(rows) - batch_size, n // batch_size)
            return rows[starts[:, None] + np.arange(batch_size)].ravel()

        history = training.fit(
            self.net,
            arrays,
            epochs=epochs,
            batch_size=batch_size,
            seed=self.seed,
            rows=rows,
            order=windows,
            callbacks=callbacks,
            checkpoint=checkpoint,
            progress=progress,
        )
        largest = {name: history.pop(name) for name in list(history) if name.endswith("_exp")}
        self.history = history | {
            name.replace("_exp", "_min"): [-math.log(v) if v else math.inf for v in values]
            for name, values in largest.items()
        }
        return self

    def transform(self, adata: anndata.AnnData) -> Matrix:
        """Expression x (N, G), float32, as the encoder sees it; CSR if the counts are and `trans` is ``sparse``."""
        self.check_genes(adata)
        return UnitScaler.from_config(self.fitted().note["scaler"])(checks.get_counts(adata, allow_empty=True))

    def posterior(self, adata: anndata.AnnData) -> dict[str, np.ndarray]:
        """Posteriors of code and library size.

        Parameters
        ----------
        adata
            Cells × the genes of the training, in the same order.

        Returns
        -------
        dict
            "z_mean", "z_variance" (N, z_dim), "l_mean", "l_variance" (N, 1), float32; l is a natural logarithm.

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

    def embed(self, adata: anndata.AnnData, latent: Literal["sample", "mean"] | None = None) -> np.ndarray:
        """Codes (N, z_dim), float32, without dropout.

        Parameters
        ----------
        adata
            Cells × the genes of the training, in the same order.
        latent
            ``sample`` or ``mean`` of the posterior; None: as in the constructor. A sample is the same in every call.
        """
        q, latent = self.posterior(adata), latent or self.settings["latent"]
        _legal("latent", latent)
        if latent == "mean":
            return q["z_mean"]
        noise = np.random.default_rng([self.seed, 0]).standard_normal(q["z_mean"].shape, "float32")
        return q["z_mean"] + np.sqrt(q["z_variance"]) * noise

    def logits(self, adata: anndata.AnnData) -> dict[str, np.ndarray]:
        """What the discriminators make of real and fake, above 0 where they take it for real, if they oppose.

        Returns
        -------
        dict
            "d1_prior", "d1_code", "d2_data" and "d2_reconstruction", (N,) each, float32; codes are samples.
        """
        net, z = self.fitted(), self.embed(adata, "sample")
        rng = np.random.default_rng([self.seed, 1])
        prior = rng.standard_normal(z.shape) if self.config["sampler"] == "normal" else rng.uniform(-1, 1, z.shape)

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

        def norm(weights: list) -> float:
            return float(np.sqrt(sum(np.sum(np.square(w, dtype="float64")) for w in weights)))

        change = {}
        for name, weights in self.net.parts.items():
            before, after = ([keras.ops.convert_to_numpy(w) for w in part] for part in (start[name], weights))
            change[name] = norm([b - a for a, b in zip(before, after, strict=True)]) / norm(before)
        return change

    def annotate(self, adata: anndata.AnnData) -> anndata.AnnData:
        """Write ``obsm["X_dr_a"]`` and ``uns["dr_a"]`` (settings, history) into `adata`; return it."""
        adata.obsm["X_dr_a"] = self.embed(adata)
        adata.uns["dr_a"] = self.record(self.settings)
        return adata


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
