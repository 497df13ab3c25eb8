"""The networks of DR-A and the updates of its four players."""

import math
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from scgen_lib import layers, losses
from scgen_lib.models.base import Network
from scgen_lib.models.dr_a.games import GAMES
from scgen_lib.models.dr_a.losses import released_kl, released_zinb
from scgen_lib.models.dr_a.settings import DRASettings

RECONSTRUCTION = {"sig": "sigmoid", "lin": "linear", "tanh": "tanh"}
# Bounds of ln l_v and of a sampled l, without which the library factor e^l overflows in the release.
LIBRARY_LOG_VAR, LIBRARY = (-10.0, 4.0), (-20.0, 20.0)


@keras.saving.register_keras_serializable("scgen_lib")
class DRANet(Network):
    """Encoder, decoder and discriminators D1 (codes) and D2 (expression) of DR-A, and their updates (tensors only).

    A hidden block is Dense → leaky ReLU → dropout, or with `batchnorm` Dense → leaky ReLU → batch normalisation.

    Parameters
    ----------
    n_genes
        Number of genes G.
    settings, note
        As in `Network`.
    library_prior
        Mean and variance of the prior of the library size l, natural logarithm.
    iterations
        Mini-batches per epoch: the turns of D1 and the encoder start anew with every epoch.
    """

    settings_type = DRASettings
    remedy = "lower learning_rate, or choose adversarial='bhattacharyya_abs' or 'bce'"

    def __init__(
        self,
        n_genes: int,
        settings: DRASettings,
        *,
        library_prior: Sequence[float] = (0.0, 1.0),
        iterations: int = 1,
        note: dict | None = None,
    ):
        super().__init__(settings, note, n_genes=n_genes, library_prior=list(library_prior), iterations=iterations)
        s, self.iterations = settings, iterations
        self.library_prior = tuple(library_prior)
        # One stream of seeds a part, so that none depends on the others' sizes.
        streams = np.random.SeedSequence(s.seed).spawn(7)
        of_encoder, of_decoder, of_heads, of_reconstruction, of_d1, of_d2, of_noise = (
            iter(stream.generate_state(16)) for stream in streams
        )

        def dense(width: int, units: int, seeds: Iterator, activation: str | None = None) -> keras.layers.Dense:
            kernel = keras.initializers.GlorotUniform(seed=int(next(seeds)))
            layer = keras.layers.Dense(units, activation, kernel_initializer=kernel)
            layer.build((None, width))
            return layer

        def chain(width: int, widths: Sequence[int], seeds: Iterator) -> list[keras.layers.Layer]:
            blocks = [keras.Input((width,))]
            for before, units in zip((width, *widths), widths, strict=False):
                blocks += [dense(before, units, seeds), keras.layers.LeakyReLU(negative_slope=s.leak)]
                if s.batchnorm:
                    blocks.append(keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3))
                else:
                    blocks.append(layers.Dropout(1.0 - s.keep, seed=int(next(seeds))))
            return blocks

        def discriminator(width: int, seeds: Iterator) -> keras.Sequential:
            return keras.Sequential([*chain(width, s.disc_hidden[::-1], seeds), dense(s.disc_hidden[0], 1, seeds)])

        first, last = s.hidden[0], s.hidden[-1]
        self.encoder = keras.Sequential(chain(n_genes, s.hidden, of_encoder))
        self.z_mean, self.z_log_var = (dense(last, s.latent_dim, of_encoder) for _ in range(2))
        self.bottleneck = dense(last, s.latent_dim, of_encoder, "relu") if s.library_bottleneck else None
        before = s.latent_dim if s.library_bottleneck else last
        self.l_mean, self.l_log_var = (dense(before, 1, of_encoder) for _ in range(2))

        self.decoder = keras.Sequential(chain(s.latent_dim, s.hidden[::-1], of_decoder))
        self.proportion, self.dropout = (dense(first, n_genes, of_heads) for _ in range(2))
        self.log_dispersion = self.add_weight(
            shape=(n_genes,), initializer=keras.initializers.RandomNormal(stddev=1.0, seed=int(next(of_heads)))
        )
        activation = RECONSTRUCTION[s.actv] if s.reconstruction == "actv" else "sigmoid"
        self.reconstruction = dense(first, n_genes, of_reconstruction, activation)

        self.d1, self.d2 = discriminator(s.latent_dim, of_d1), discriminator(n_genes, of_d2)
        # Of its own, so that without D2 the other steps draw the same.
        self.noise, self.d2_noise = (keras.random.SeedGenerator(int(next(of_noise))) for _ in range(2))

        self.game = GAMES.get(s.adversarial)
        summed = ["loss", "nll", "kl_l", "kl_z", "v", "l_sd", "z_abs", "clipped_v", "clipped_l_v", "clipped_l"]
        players = [] if self.game is None else ["d1", "encoder", *(["d2"] if s.dual != "none" else [])]
        summed += [*players, *(f"{name}_mixed" for name in players), *(["generator"] if self.matching else [])]
        # The smallest loss L of an epoch has the largest e^−L, in the released losses a sum of √|pᵢ qᵢ| or √|qᵢ|.
        self.logs_by = dict.fromkeys(summed, "mean") | {f"{name}_exp": "max" for name in players}

    @property
    def matching(self) -> bool:
        """Whether D2 moves what makes its fakes: in the release its loss reaches D2 alone."""
        return self.game is not None and self.settings.dual == "matching"

    @property
    def parts(self) -> dict[str, list[keras.Variable]]:
        """Trainable weights of each part of the net."""

        def of(*owners: keras.layers.Layer | None) -> list[keras.Variable]:
            return [v for layer in owners if layer is not None for v in layer.trainable_variables]

        return {
            "encoder": of(self.encoder),
            "z": of(self.z_mean, self.z_log_var),
            "library": of(self.bottleneck, self.l_mean, self.l_log_var),
            "decoder": of(self.decoder),
            "zinb": of(self.proportion, self.dropout),
            "dispersion": [self.log_dispersion],
            "reconstruction": of(self.reconstruction),
            "d1": of(self.d1),
            "d2": of(self.d2),
        }

    @property
    def players(self) -> dict[str, list[keras.Variable]]:
        """What each of the four updates may change."""
        parts = {
            "autoencoder": ["encoder", "z", "library", "decoder", "zinb", "dispersion"],
            "encoder": ["encoder", "z", *(["decoder", "reconstruction"] if self.matching else [])],
            "d1": ["d1"],
            "d2": ["d2"],
        }
        weights = self.parts
        return {player: [v for name in names for v in weights[name]] for player, names in parts.items()}

    def sizes(self) -> dict[str, int]:
        """Numbers of trainable weights as the paper's parts, with their total."""
        of = {name: sum(math.prod(v.shape) for v in weights) for name, weights in self.parts.items()}
        encoder, decoder = (
            sum(of[name] for name in names)
            for names in (("encoder", "z", "library"), ("decoder", "zinb", "dispersion"))
        )
        last = {name: of[name] for name in ("reconstruction", "d1", "d2")}
        return {"encoder": encoder, "decoder": decoder, **last, "total": sum(of.values())}

    def compile(self) -> None:
        """Give autoencoder, encoder, D1 and D2 an Adam each."""
        s = self.settings

        def adam(rate: float, beta_1: float) -> keras.optimizers.Adam:
            return keras.optimizers.Adam(rate, beta_1, epsilon=1e-8, global_clipnorm=s.clip_norm)

        rate = s.learning_rate if s.adv_learning_rate is None else s.adv_learning_rate
        beta_1 = s.beta_1 if s.adv_beta_1 is None else s.adv_beta_1
        # Adam divides a factor of the loss out again, so the weight of the game is one of its steps.
        self.encoder_optimizer = adam(s.lam * rate, beta_1)
        self.d1_optimizer, self.d2_optimizer = adam(rate, beta_1), adam(rate, beta_1)
        super().compile(optimizer=adam(s.learning_rate, s.beta_1))

    def build_optimizers(self) -> None:
        """Make the slots of all four."""
        self.optimizer.build(self.players["autoencoder"])
        for name in ("encoder", "d1", "d2"):
            getattr(self, f"{name}_optimizer").build(self.players[name])

    # The model -------------------------------------------------------------------------------------------------------

    def _run(self, net: keras.Model, inputs: tf.Tensor, training: bool) -> tf.Tensor:
        # The release builds batch normalisation with a constant training = False: y = γ x / √(1 + 1e-3) + β for ever.
        # It has no dropout beside batch normalisation.
        frozen = self.settings.batchnorm and self.settings.batchnorm_statistics == "initial"
        return net(inputs, training=training and not frozen)

    def _guarded(self, values: tf.Tensor, low: float, high: float) -> tf.Tensor:
        return tf.clip_by_value(values, low, high) if self.settings.guards else values

    def encode(self, x: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Expression x (B, G) → posteriors: "z_mean", "z_log_var" (B, K) and "l_mean", "l_log_var" (B, 1)."""
        h = self._run(self.encoder, x, training)
        library = h if self.bottleneck is None else self.bottleneck(h)
        bound = self.settings.log_var_clip
        return {
            "z_mean": self.z_mean(h),
            "z_log_var": self._guarded(self.z_log_var(h), -bound, bound),
            "l_mean": self.l_mean(library),
            "l_log_var": self._guarded(self.l_log_var(library), *LIBRARY_LOG_VAR),
        }

    def sample(self, mean: tf.Tensor, log_var: tf.Tensor, seeds: keras.random.SeedGenerator | None = None) -> tf.Tensor:
        """Draw from a normal distribution with these parameters, any shape."""
        # The root of a variance that has come down to 0 has no derivative: a way in which the release fails.
        sd = tf.exp(0.5 * log_var) if self.settings.guards else tf.sqrt(tf.exp(log_var))
        return mean + sd * layers.normal(tf.shape(mean), seeds or self.noise)

    def code(self, x: tf.Tensor, seeds: keras.random.SeedGenerator | None = None) -> tf.Tensor:
        """Draw of the code z (B, K) in training, from the posterior of x (B, G)."""
        q = self.encode(x, training=True)
        return self.sample(q["z_mean"], q["z_log_var"], seeds)

    def prior(self, n: int | tf.Tensor) -> tf.Tensor:
        """Draws of the prior of z, (n, K)."""
        shape = (n, self.settings.latent_dim)
        if self.settings.sampler == "normal":
            return layers.normal(shape, self.noise)
        return layers.uniform(shape, self.noise, -1.0)

    def decode(self, z: tf.Tensor, library: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        """Code z (B, K) and l (B, 1) → "log_mean" (B, G), "theta" (G,) and "logit" of the dropout probability (B, G).

        The rates of a cell, of which "log_mean" has the logarithms, sum to e^l.
        """
        h = self._run(self.decoder, z, training)
        log_mean = library + tf.nn.log_softmax(self.proportion(h))
        if self.settings.rate_epsilon:
            log_mean = tf.math.log(tf.exp(log_mean) + self.settings.rate_epsilon)
        return {"log_mean": log_mean, "theta": tf.exp(self.log_dispersion), "logit": self.dropout(h)}

    def nll(self, x: tf.Tensor, log_mean: tf.Tensor, theta: tf.Tensor, logit: tf.Tensor) -> tf.Tensor:
        """−ln p(x) of every entry (B, G) without lnΓ(x + 1), from x (B, G) and what `decode` returns; nats."""
        if not self.settings.guards:
            return released_zinb(x, log_mean, theta, logit)
        return losses.zinb(x, log_mean, theta, logit, normalised=False)

    def reconstruct(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """D2's fake x̃ (B, G) from codes (B, K)."""
        return self.reconstruction(self._run(self.decoder, z, training))

    def real(self, x: tf.Tensor) -> tf.Tensor:
        """What D2 takes for real: x (B, G), brought to [−1, 1] where x̃ is a tanh."""
        return 2.0 * x - 1.0 if self.settings.actv == "tanh" else x

    def call(self, batch: dict[str, tf.Tensor], training: bool = False) -> dict[str, tf.Tensor]:
        """Loss L_AE and what it is made of, scalars, from "x" (B, G), "log_factorial" (B, 1) and maybe "counts".

        "loss" is the mean over the cells of −ln p(x | z, l) + KL_l + β KL_z, which stand beside it as "nll", "kl_l" and
        "kl_z"; then "v", the mean variance of z, "l_sd", the sd of l_m, "z_abs", the mean size of z, and the shares of
        entries of ln v, ln l_v and l that lie on their bounds.
        """
        s, q = self.settings, self.encode(batch["x"], training)
        z = self.sample(q["z_mean"], q["z_log_var"])
        library = self._guarded(self.sample(q["l_mean"], q["l_log_var"]), *LIBRARY)
        x = batch["x" if s.likelihood_input == "transformed" else "counts"]
        nll = self.nll(x, **self.decode(z, library, training))
        nll = tf.reduce_mean(tf.reduce_sum(nll, axis=1, keepdims=True) + batch["log_factorial"])
        mean, var = self.library_prior
        divergence = losses.kl_standard_normal if s.guards else released_kl
        kl_l = tf.reduce_mean(divergence((q["l_mean"] - mean) / math.sqrt(var), q["l_log_var"] - math.log(var)))
        kl_z = tf.reduce_mean(divergence(q["z_mean"], q["z_log_var"]))
        return {
            "loss": nll + kl_l + s.kl_weight * kl_z,
            "nll": nll,
            "kl_l": kl_l,
            "kl_z": kl_z,
            "v": tf.reduce_mean(tf.exp(q["z_log_var"])),
            "l_sd": tf.math.reduce_std(q["l_mean"]),
            "z_abs": tf.reduce_mean(tf.abs(z)),
            "clipped_v": _share_outside(q["z_log_var"], -s.log_var_clip, s.log_var_clip),
            "clipped_l_v": _share_outside(q["l_log_var"], *LIBRARY_LOG_VAR),
            "clipped_l": _share_outside(library, *LIBRARY),
        }

    # The updates -----------------------------------------------------------------------------------------------------

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Autoencoder, then D1 or the encoder, whose turn it is, then D2; each draws noise and dropout of its own."""
        cycle = self.settings.g_iter + 1
        turn = tf.convert_to_tensor(self.optimizer.iterations) % self.iterations % cycle
        logs = self.autoencoder_step(batch)
        if self.game is None:
            return logs
        turns_of_d1 = -(-self.iterations // cycle)
        absent = {name: tf.constant(0.0) for name in self.logs_by if name.startswith(("d1", "encoder", "generator"))}

        def taken(step: Callable[[dict], dict], turns: int) -> dict[str, tf.Tensor]:
            # The mean over all iterations shall be that over the turns of this step.
            weight = self.iterations / max(turns, 1)
            return absent | {k: v if k.endswith("_exp") else weight * v for k, v in step(batch).items()}

        logs |= tf.cond(
            turn == 0,
            lambda: taken(self.d1_step, turns_of_d1),
            lambda: taken(self.encoder_step, self.iterations - turns_of_d1),
        )
        return logs if self.settings.dual == "none" else logs | self.d2_step(batch)

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
            z = self.code(batch["x"])
            fake = self._run(self.d1, z, training=True)
            loss = self.game.maker(fake)
            logs = _of_step("encoder", loss, fake)
            if self.matching:
                logs["generator"] = self.game.maker(self._run(self.d2, self.reconstruct(z, True), training=True))
                loss += logs["generator"]
        weights = self.players["encoder"]
        self.encoder_optimizer.apply(tape.gradient(loss, weights), weights)
        return logs

    def d1_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update D1, draws of the prior against codes."""
        z = self.code(batch["x"])
        return self._discriminate("d1", self.prior(tf.shape(z)[0]), z)

    def d2_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Update D2, x against x̃."""
        fake = self.reconstruct(self.code(batch["x"], self.d2_noise), training=True)
        return self._discriminate("d2", self.real(batch["x"]), fake)

    def _discriminate(self, name: str, real: tf.Tensor, fake: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            logits = [self._run(getattr(self, name), inputs, training=True) for inputs in (real, fake)]
            loss = self.game.discriminator(*logits)
        weights = self.players[name]
        getattr(self, f"{name}_optimizer").apply(tape.gradient(loss, weights), weights)
        return _of_step(name, loss, *logits)


def _of_step(name: str, loss: tf.Tensor, *logits: tf.Tensor) -> dict[str, tf.Tensor]:
    """Loss L, e^−L, and 1 where the logits of one side have both signs, else 0."""
    mixed = [(tf.reduce_min(s) < 0) & (tf.reduce_max(s) > 0) for s in logits]
    return {name: loss, f"{name}_exp": tf.exp(-loss), f"{name}_mixed": tf.cast(tf.reduce_any(mixed), tf.float32)}


def _share_outside(values: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return tf.reduce_mean(tf.cast((values <= low) | (values >= high), tf.float32))
