"""The networks of scGAN, a generator and a critic, and one outer step of their training."""

import itertools
import math
from collections.abc import Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from scgen_lib.layers import normal, uniform
from scgen_lib.models.base import Network
from scgen_lib.models.scgan.layers import ClassScore, ConditionalNorm, input_slopes, relu, to_library_size
from scgen_lib.models.scgan.settings import ScGANSettings


@keras.saving.register_keras_serializable("scgen_lib")
class ScGANNet(Network):
    """Generator and critic, and one outer step: some updates of the critic, then one of the generator (tensors only).

    A batch is the rows of one outer step, `critic_updates` · B of them: "x" (rows, G) expression of real cells, scaled
    to the library size, and "label" (rows, 1), the codes of their classes, float32. Inside, classes are one-hot.

    Parameters
    ----------
    n_genes
        Number of genes G.
    settings
        Of the model.
    prior
        Share of every class, (K,), by which the classes of generated cells are drawn; one class for scGAN.
    note
        Whatever else is to be kept with the weights, as JSON.
    """

    settings_type = ScGANSettings
    remedy = "lower lr_initial"
    logs_by = dict.fromkeys(
        ("critic", "generator", "penalty", "slope", "score_real", "score_fake", "learning_rate", "empty"), "mean"
    )

    def __init__(
        self,
        n_genes: int,
        settings: ScGANSettings | None = None,
        *,
        prior: Sequence[float] = (1.0,),
        note: dict | None = None,
    ):
        s = settings or ScGANSettings()
        super().__init__(s, note, n_genes=n_genes, prior=[float(share) for share in prior])
        self.n_genes, self.n_classes = n_genes, len(prior)
        share = np.cumsum(np.asarray(prior, "float64"))
        self._upper = (share / share[-1]).astype("float32")
        of_generator, of_critic, of_noise = (
            iter(seeds.generate_state(64)) for seeds in np.random.SeedSequence(s.seed).spawn(3)
        )

        widths = [s.latent_dim, *s.gen_layers]
        self.hidden = [_dense(w, u, of_generator, rectified=False, bias=False) for w, u in itertools.pairwise(widths)]
        self.norms = [
            ConditionalNorm(units, self.n_classes, s.gen_norm, s.bn_momentum)
            for units in s.gen_layers
            if s.gen_norm != "none"
        ]
        self.expression = _dense(widths[-1], n_genes, of_generator, rectified=True)

        widths = [n_genes, *s.critic_layers]
        self.features = [_dense(w, u, of_critic, rectified=True) for w, u in itertools.pairwise(widths)]
        self.score = ClassScore(widths[-1], self.n_classes, s.critic_cond, seed=int(next(of_critic)))
        self.noise = keras.random.SeedGenerator(int(next(of_noise)))

    @property
    def critic_updates(self) -> int:
        """Updates of the critic in an outer step."""
        return self.settings.critic_iters + self.settings.extra_critic_updates

    @property
    def generator_weights(self) -> list[keras.Variable]:
        """What the generator's update may change."""
        return [v for layer in (*self.hidden, *self.norms, self.expression) for v in layer.trainable_variables]

    @property
    def critic_weights(self) -> list[keras.Variable]:
        """What the critic's update may change."""
        return [v for layer in (*self.features, self.score) for v in layer.trainable_variables]

    def sizes(self) -> dict[str, int]:
        """Numbers of trainable weights of both networks, their total, and the number of moving statistics."""
        moving = [v for norm in self.norms for v in norm.non_trainable_variables]
        groups = {"generator": self.generator_weights, "critic": self.critic_weights, "moving": moving}
        sizes = {name: sum(math.prod(v.shape) for v in weights) for name, weights in groups.items()}
        return sizes | {"total": sizes["generator"] + sizes["critic"]}

    def compile(self, *, steps: int) -> None:
        """Give critic and generator an Adam each; `steps` is the length of the decay."""
        s = self.settings

        def adam() -> keras.optimizers.Adam:
            return keras.optimizers.Adam(
                s.lr_initial, s.beta_1, s.beta_2, epsilon=1e-8, amsgrad=s.optimizer == "amsgrad"
            )

        last = s.lr_final / s.lr_initial if s.lr_decay else 1.0
        self.rate = keras.optimizers.schedules.ExponentialDecay(s.lr_initial, steps, last)
        self.critic_optimizer = adam()
        super().compile(optimizer=adam())

    def build_optimizers(self) -> None:
        """Make the slots of both."""
        self.optimizer.build(self.generator_weights)
        self.critic_optimizer.build(self.critic_weights)

    @property
    def steps_done(self) -> int:
        """Outer steps that are done, which the generator's optimiser counts; the critic's own count runs ahead."""
        return int(self.optimizer.iterations.numpy())

    def moment(self, epoch: int) -> str:
        """Outer steps that are done."""
        return f"by outer step {self.steps_done}"

    def one_hot(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes (…), float → (…, K)."""
        return tf.one_hot(tf.cast(codes, tf.int32), self.n_classes)

    def generate(self, z: tf.Tensor, label: tf.Tensor, training: bool = False, track: bool = True) -> tf.Tensor:
        """Noise (B, latent_dim) of N(0, 1) and classes (B, K) → expression ≥ 0 (B, G), rows of sum L, or of 0.

        In `training` statistics of the batch normalise, which `track` takes into the moving ones; these serve else.
        """
        h = z
        for dense, norm in itertools.zip_longest(self.hidden, self.norms):
            h = dense(h)
            h = tf.nn.relu(norm(h, label, training=training, track=track) if norm else h)
        x = tf.nn.relu(self.expression(h))
        return to_library_size(x, self.settings.library_size) if self.settings.lsn else x

    def criticise(self, x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Scores (B,) of expression (B, G) times the input scale, given classes (B, K)."""
        for dense in self.features:
            x = relu(dense(x))
        return self.score(x, label)

    def critic_loss(
        self,
        x: tf.Tensor,
        label: tf.Tensor,
        fake: tf.Tensor,
        wanted: tf.Tensor,
        partner: tf.Tensor,
        alpha: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """What the critic minimises, "critic" = E D(x', y') − E D(x, y) + λ E (s − 1)², with its parts; scalars.

        Real cells x (B, G) of classes y (B, K), `fake` x' for classes `wanted` y'. Slopes are taken on the lines from
        real cells to `partner`, generated for the same classes, at `alpha` (B, 1), 0 at the real one.
        """
        x, fake, partner = (self.settings.critic_input_scale * v for v in (x, fake, partner))
        scores = self.criticise(tf.concat([x, fake], 0), tf.concat([label, wanted], 0))
        real, generated = (tf.reduce_mean(s) for s in tf.split(scores, 2))
        between = x + alpha * (partner - x)
        slopes = input_slopes(lambda v: self.criticise(v, label), between, epsilon=self.settings.slope_epsilon)
        penalty = tf.reduce_mean((slopes - 1.0) ** 2)
        return {
            "critic": generated - real + self.settings.gp_weight * penalty,
            "penalty": penalty,
            "slope": tf.reduce_mean(slopes),
            "score_real": real,
            "score_fake": generated,
        }

    def generator_loss(self, fake: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        """What the generator minimises, −E D(x', y'); scalar."""
        return -tf.reduce_mean(self.criticise(self.settings.critic_input_scale * fake, wanted))

    @property
    def _tracks_by_batch(self) -> bool:
        return self.settings.moving_statistics == "by_batch"

    def critic_step(
        self, x: tf.Tensor, label: tf.Tensor, z: tf.Tensor, wanted: tf.Tensor, alpha: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """One update of the critic; shapes as in `critic_loss`."""
        partner = fake = self.generate(z, wanted, training=True)
        # The release calls the generator again for scGAN too: the same cells, whose statistics then count twice.
        if self.settings.conditional or not self._tracks_by_batch:
            partner = self.generate(z, label, training=True)
        with tf.GradientTape() as tape:
            logs = self.critic_loss(x, label, fake, wanted, partner, alpha)
        weights = self.critic_weights
        self.critic_optimizer.apply(tape.gradient(logs["critic"], weights), weights)
        return logs

    def generator_step(self, z: tf.Tensor, wanted: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update of the generator."""
        with tf.GradientTape() as tape:
            # In the release this batch is that of the last critic update, whose statistics are taken in already.
            fake = self.generate(z, wanted, training=True, track=self._tracks_by_batch)
            loss = self.generator_loss(fake, wanted)
        weights = self.generator_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        empty = tf.reduce_sum(fake, axis=1) == 0
        return {"generator": loss, "empty": tf.reduce_mean(tf.cast(empty, tf.float32))}

    def draw(self, batches: int, size: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Noise z (n, B, latent_dim), classes (n, B, K) by the prior, and positions α (n, B, 1) of n batches."""
        z = normal((batches, size, self.settings.latent_dim), self.noise)
        u = uniform((batches, size, 1), self.noise)
        codes = tf.reduce_sum(tf.cast(u >= self._upper, tf.float32), axis=2)
        return z, self.one_hot(codes), uniform((batches, size, 1), self.noise)

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One outer step; what it returns of the critic is the mean over its updates."""
        s, n = self.settings, self.critic_updates
        step = tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int32)
        rate = self.rate(step)
        for optimizer in (self.critic_optimizer, self.optimizer):
            optimizer.learning_rate.assign(rate)
        x = tf.reshape(batch["x"], (n, -1, self.n_genes))
        label = self.one_hot(tf.reshape(batch["label"], (n, -1)))
        z, wanted, alpha = self.draw(n + (s.generator_noise == "fresh"), tf.shape(x)[1])

        def update(i: tf.Tensor, totals: dict[str, tf.Tensor]) -> tuple:
            logs = self.critic_step(x[i], label[i], z[i], wanted[i], alpha[i])
            return i + 1, {name: total + logs[name] for name, total in totals.items()}

        first = tf.where(step == 0, n - 1, 0) if s.first_step == "one_update" else tf.constant(0)
        start = {name: tf.constant(0.0) for name in ("critic", "penalty", "slope", "score_real", "score_fake")}
        totals = tf.while_loop(lambda i, _: i < n, update, (first, start))[1]
        logs = {name: total / tf.cast(n - first, tf.float32) for name, total in totals.items()}
        return logs | self.generator_step(z[-1], wanted[-1]) | {"learning_rate": rate}


def _dense(width: int, units: int, seeds: Iterator[int], *, rectified: bool, bias: bool = True) -> keras.layers.Dense:
    """A layer as in TensorFlow 1: scaled for what is rectified by a factor of 2, else by Glorot; two seeds each."""
    scaling = keras.initializers.VarianceScaling(2.0, "fan_avg", "truncated_normal", seed=int(next(seeds)))
    glorot = keras.initializers.GlorotUniform(seed=int(next(seeds)))
    layer = keras.layers.Dense(units, use_bias=bias, kernel_initializer=scaling if rectified else glorot)
    layer.build((None, width))
    return layer
