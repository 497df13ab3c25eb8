"""scGAN and cscGAN: cells simulated by a Wasserstein GAN with gradient penalty, the latter on demand of a cluster.

Marouf M., Machart P., Bansal V., Kilian C., Magruder D. S., Krebs C. F., Bonn S., Realistic in silico generation and
augmentation of single-cell RNA-seq data using generative adversarial networks, Nat. Commun. 11:166 (2020),
https://doi.org/10.1038/s41467-019-14018-z
"""

import hashlib
import itertools
import math
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Self

import anndata
import keras
import numpy as np
import pandas as pd
import scipy.sparse as sp
import tensorflow as tf

from scgen_book.parameters import Parameter
from scgen_lib import layers, losses, training
from scgen_lib.data import checks
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.files import replacing
from scgen_lib.metrics.controls import as_counts
from scgen_lib.models.base import wanted_cells
from scgen_lib.models.first import FittedModel, NotedNet
from scgen_lib.models.scgan_cells import OWN_SPLIT, SPLIT, scaled

Cells = int | Sequence[int] | Mapping[str, int]

# What the released code does, and what this project does about it: the description asks for the numbers of the critic's
# updates (`critic_iters`); noise, epsilon and statistics are ours.
VARIANTS = {
    "faithful": {
        "extra_critic_updates": 1,
        "first_step_critic_updates": 1,
        "generator_noise": "of the last critic update",
        "slope_epsilon": 0.0,
        "moving_statistics": "two updates per critic update, none per generator update",
    },
    "repaired": {
        "extra_critic_updates": 0,
        "first_step_critic_updates": None,
        "generator_noise": "fresh",
        "slope_epsilon": 1e-12,
        "moving_statistics": "one update per batch of generated cells",
    },
}

# Type and legal values of the constructor's arguments.
LEGAL: dict[str, tuple[object, str]] = {
    "variant": (str, "one of repaired, faithful"),
    "conditional": (bool, "any"),
    "gen_layers": (list[int], "in [1, inf)"),
    "critic_layers": (list[int], "in [1, inf)"),
    "latent_dim": (int, "in [1, inf)"),
    "gen_norm": (str, "one of batchnorm, layernorm, none"),
    "critic_cond": (str, "one of per_class, projection"),
    "library_size": (float, "in (0, inf)"),
    "lsn": (bool, "any"),
    "gp_weight": (float, "in [0, inf)"),
    "critic_input_scale": (float, "in (0, inf)"),
    "bn_momentum": (float, "in [0, 1)"),
    "critic_iters": (int, "in [1, inf)"),
    "optimizer": (str, "one of amsgrad, adam"),
    "lr_initial": (float, "in (0, inf)"),
    "lr_final": (float, "in (0, inf)"),
    "lr_decay": (bool, "any"),
    "beta_1": (float, "in [0, 1)"),
    "beta_2": (float, "in [0, 1)"),
    "seed": (int, "in [0, inf)"),
}
# What the release has no name for, and the value that it computes with.
RELEASED_CONSTANTS = {"critic_input_scale": 1.0, "bn_momentum": 0.999}
_OPTIMIZERS = ("optimizer", "lr_initial", "lr_final", "lr_decay", "beta_1", "beta_2")
_NET = tuple(name for name in LEGAL if name not in (*_OPTIMIZERS, "variant"))


@keras.saving.register_keras_serializable("scgen_lib")
class ScGANNet(NotedNet):
    """Generator and critic, and one outer step: some updates of the critic, then one of the generator (tensors only).

    A batch is the rows of one outer step, `critic_updates` · B of them: "x" (rows, G) expression of real cells, scaled
    to the library size, and "label" (rows, 1), the codes of their classes, float32. Inside, classes are one-hot.

    Parameters
    ----------
    n_genes
        Number of genes G.
    prior
        Share of every class, (K,), by which the classes of generated cells are drawn; one class for scGAN.
    released
        Compute as the release does, see `VARIANTS`.
    note
        Whatever else is to be kept with the weights, as JSON.
    conditional, gen_layers, critic_layers, latent_dim, gen_norm, critic_cond, library_size, lsn, gp_weight,
    critic_input_scale, bn_momentum, critic_iters, seed
        As in `ScGAN`.
    """

    remedy = "lower lr_initial"
    logs_by = dict.fromkeys(
        ("critic", "generator", "penalty", "slope", "score_real", "score_fake", "learning_rate", "empty"), "mean"
    )

    def __init__(
        self,
        n_genes: int,
        *,
        prior: Sequence[float] = (1.0,),
        conditional: bool = True,
        gen_layers: Sequence[int] = (256, 512, 1024),
        critic_layers: Sequence[int] = (1024, 512, 256),
        latent_dim: int = 128,
        gen_norm: str = "batchnorm",
        critic_cond: str = "per_class",
        library_size: float = 20000.0,
        lsn: bool = True,
        gp_weight: float = 10.0,
        critic_input_scale: float = 1.0,
        bn_momentum: float = 0.999,
        critic_iters: int = 5,
        released: bool = False,
        note: dict | None = None,
        seed: int = 0,
        **kwargs: object,
    ):
        super().__init__(**kwargs)
        config = {k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")}
        self._config = {k: list(v) if isinstance(v, (tuple, np.ndarray)) else v for k, v in config.items()}
        self.note = dict(note or {})
        self.n_genes, self.n_classes, self.latent_dim = n_genes, len(prior), latent_dim
        self.library_size, self.lsn, self.conditional = library_size, lsn, conditional
        self.gp_weight, self.input_scale, self.released = gp_weight, critic_input_scale, released
        variant = VARIANTS["faithful" if released else "repaired"]
        self.critic_updates = critic_iters + variant["extra_critic_updates"]
        self.slope_epsilon = variant["slope_epsilon"]
        share = np.cumsum(np.asarray(prior, "float64"))
        self._upper = (share / share[-1]).astype("float32")
        of_generator, of_critic, of_noise = (iter(s.generate_state(64)) for s in np.random.SeedSequence(seed).spawn(3))

        def dense(width: int, units: int, seeds: object, *, relu: bool, bias: bool = True) -> keras.layers.Dense:
            scaling = keras.initializers.VarianceScaling(2.0, "fan_avg", "truncated_normal", seed=int(next(seeds)))
            glorot = keras.initializers.GlorotUniform(seed=int(next(seeds)))
            layer = keras.layers.Dense(units, use_bias=bias, kernel_initializer=scaling if relu else glorot)
            layer.build((None, width))
            return layer

        widths = [latent_dim, *gen_layers]
        self.hidden = [dense(w, u, of_generator, relu=False, bias=False) for w, u in itertools.pairwise(widths)]
        self.norms = [
            layers.ConditionalNorm(units, self.n_classes, gen_norm, bn_momentum)
            for units in gen_layers
            if gen_norm != "none"
        ]
        self.expression = dense(widths[-1], n_genes, of_generator, relu=True)

        widths = [n_genes, *critic_layers]
        self.features = [dense(w, u, of_critic, relu=True) for w, u in itertools.pairwise(widths)]
        self.score = layers.ClassScore(widths[-1], self.n_classes, critic_cond, seed=int(next(of_critic)))
        self.noise = keras.random.SeedGenerator(int(next(of_noise)))

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
        groups = {"generator": self.generator_weights, "critic": self.critic_weights}
        sizes = {name: sum(math.prod(v.shape) for v in weights) for name, weights in groups.items()}
        moving = [v for norm in self.norms for v in norm.non_trainable_variables]
        return sizes | {"total": sum(sizes.values()), "moving": sum(math.prod(v.shape) for v in moving)}

    def compile(
        self,
        *,
        steps: int,
        optimizer: str = "amsgrad",
        lr_initial: float = 1e-4,
        lr_final: float = 1e-5,
        lr_decay: bool = True,
        beta_1: float = 0.5,
        beta_2: float = 0.9,
    ) -> None:
        """Give critic and generator an Adam each; arguments as in `ScGAN`, `steps` is the length of the decay."""

        def adam() -> keras.optimizers.Adam:
            return keras.optimizers.Adam(lr_initial, beta_1, beta_2, epsilon=1e-8, amsgrad=optimizer == "amsgrad")

        self.rate = keras.optimizers.schedules.ExponentialDecay(
            lr_initial, steps, lr_final / lr_initial if lr_decay else 1.0
        )
        self.critic_optimizer = adam()
        super().compile(optimizer=adam())

    def build_optimizers(self) -> None:
        """Make the slots of both."""
        self.optimizer.build(self.generator_weights)
        self.critic_optimizer.build(self.critic_weights)

    def moment(self, epoch: int) -> str:
        """Outer steps that are done."""
        return f"by outer step {_steps_done(self)}"

    def one_hot(self, codes: tf.Tensor) -> tf.Tensor:
        """Codes (…), float → (…, K)."""
        return tf.one_hot(tf.cast(codes, tf.int32), self.n_classes)

    def generate(self, z: tf.Tensor, label: tf.Tensor, training: bool = False, track: bool = True) -> tf.Tensor:
        """Cells from noise.

        Parameters
        ----------
        z
            N(0, 1), (B, latent_dim).
        label
            Classes, (B, K), one-hot.
        training, track
            Normalise by statistics of the batch, and take them into the moving ones, which serve otherwise.

        Returns
        -------
        tf.Tensor
            Expression ≥ 0, (B, G); rows sum to the library size, or to 0.
        """
        h = z
        for i, dense in enumerate(self.hidden):
            h = dense(h)
            if self.norms:
                h = self.norms[i](h, label, training=training, track=track)
            h = tf.nn.relu(h)
        x = tf.nn.relu(self.expression(h))
        return layers.to_library_size(x, self.library_size) if self.lsn else x

    def criticise(self, x: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
        """Scores (B,) of expression (B, G) times the input scale, given classes (B, K)."""
        for dense in self.features:
            x = layers.relu(dense(x))
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

        Parameters
        ----------
        x, label
            Real cells (B, G) and their classes (B, K).
        fake, wanted
            Generated cells and the classes that they were drawn for.
        partner
            Generated cells at the other end of the lines from real ones, for the classes of the real ones.
        alpha
            Where on its line a cell lies, (B, 1), 0 at the real one.
        """
        x, fake, partner = (self.input_scale * v for v in (x, fake, partner))
        scores = self.criticise(tf.concat([x, fake], 0), tf.concat([label, wanted], 0))
        real, generated = (tf.reduce_mean(s) for s in tf.split(scores, 2))
        between = x + alpha * (partner - x)
        slopes = losses.input_slopes(lambda v: self.criticise(v, label), between, epsilon=self.slope_epsilon)
        penalty = tf.reduce_mean((slopes - 1.0) ** 2)
        return {
            "critic": generated - real + self.gp_weight * penalty,
            "penalty": penalty,
            "slope": tf.reduce_mean(slopes),
            "score_real": real,
            "score_fake": generated,
        }

    def generator_loss(self, fake: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        """What the generator minimises, −E D(x', y'); scalar."""
        return -tf.reduce_mean(self.criticise(self.input_scale * fake, wanted))

    def critic_step(
        self, x: tf.Tensor, label: tf.Tensor, z: tf.Tensor, wanted: tf.Tensor, alpha: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """One update of the critic; shapes as in `critic_loss`."""
        fake = self.generate(z, wanted, training=True)
        # The release calls the generator again for scGAN too, which moves its moving statistics twice.
        again = self.conditional or self.released
        partner = self.generate(z, label, training=True) if again else fake
        with tf.GradientTape() as tape:
            logs = self.critic_loss(x, label, fake, wanted, partner, alpha)
        weights = self.critic_weights
        self.critic_optimizer.apply(tape.gradient(logs["critic"], weights), weights)
        return logs

    def generator_step(self, z: tf.Tensor, wanted: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update of the generator."""
        with tf.GradientTape() as tape:
            # In the release this batch is that of the last critic update, whose statistics are taken in already.
            fake = self.generate(z, wanted, training=True, track=not self.released)
            loss = self.generator_loss(fake, wanted)
        weights = self.generator_weights
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        return {"generator": loss, "empty": _share_empty(fake)}

    def draw(self, batches: int, size: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Noise z (n, B, latent_dim), classes (n, B, K) by the prior, and positions α (n, B, 1) of n batches."""
        z = layers.normal((batches, size, self.latent_dim), self.noise)
        u = layers.uniform((batches, size, 1), self.noise)
        codes = tf.reduce_sum(tf.cast(u >= self._upper, tf.float32), axis=2)
        return z, self.one_hot(codes), layers.uniform((batches, size, 1), self.noise)

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One outer step; what it returns of the critic is the mean over its updates."""
        step = tf.cast(tf.convert_to_tensor(self.optimizer.iterations), tf.int32)
        # Both rates follow the outer steps, which the generator's optimiser counts; the critic's own count runs ahead.
        rate = self.rate(step)
        for optimizer in (self.critic_optimizer, self.optimizer):
            optimizer.learning_rate.assign(rate)
        n = self.critic_updates
        x = tf.reshape(batch["x"], (n, -1, self.n_genes))
        label = self.one_hot(tf.reshape(batch["label"], (n, -1)))
        # The generator's update has a batch of noise to itself, in the release that of the last critic update.
        z, wanted, alpha = self.draw(n if self.released else n + 1, tf.shape(x)[1])

        def update(i: tf.Tensor, totals: dict[str, tf.Tensor]) -> tuple:
            logs = self.critic_step(x[i], label[i], z[i], wanted[i], alpha[i])
            return i + 1, {name: total + logs[name] for name, total in totals.items()}

        first = tf.where(step == 0, n - 1, 0) if self.released else tf.constant(0)
        start = {name: tf.constant(0.0) for name in ("critic", "penalty", "slope", "score_real", "score_fake")}
        totals = tf.while_loop(lambda i, _: i < n, update, (first, start))[1]
        logs = {name: total / tf.cast(n - first, tf.float32) for name, total in totals.items()}
        return logs | self.generator_step(z[-1], wanted[-1]) | {"learning_rate": rate}


def _share_empty(x: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(tf.reduce_sum(x, axis=1) == 0, tf.float32))


class ScGAN(FittedModel):
    """scGAN and cscGAN (Marouf et al. 2020): AnnData in, new cells out, of a class on demand.

    The variant ``faithful`` computes what the released code does; ``repaired`` does what its parameter file asks for,
    and has additions of our own. The notes list both.

    Parameters
    ----------
    variant
        ``repaired`` or ``faithful``.
    conditional
        True for cscGAN, which knows the classes of the cells; False for scGAN.
    gen_layers, critic_layers
        Widths of the hidden layers.
    latent_dim
        Dimensions of z.
    gen_norm
        Normalisation in the generator, ``batchnorm``, ``layernorm`` or ``none``; the class of a cell enters the
        generator with it, so ``none`` is for scGAN, and in ``faithful`` for a cscGAN whose generator knows no class.
    critic_cond
        How the critic knows the class: ``per_class``, weights and bias of its own for every class, or, repaired only,
        ``projection``, a vector for every class that is added to common weights.
    library_size
        Total L that real cells are scaled to.
    lsn
        Scale generated cells to L as well.
    gp_weight
        Weight λ of the gradient penalty.
    critic_input_scale
        Factor of what the critic sees, c. The penalty asks for slopes of 1 whatever the units of expression are, and
        with L in the ten thousands it holds a critic back for long; c = 0.01 is our addition for short trainings, and
        for ``repaired`` alone.
    bn_momentum
        What the moving statistics of ``batchnorm`` keep in an update: they generate the cells after training, and hold
        0.999^s of their start after s updates. Another value than 0.999 only in ``repaired``.
    critic_iters
        Updates of the critic for each of the generator.
    optimizer
        ``amsgrad`` or ``adam``.
    lr_initial, lr_final, lr_decay
        Step size of both optimisers at the first and after the last outer step, with an exponential decay between;
        without decay always the first.
    beta_1, beta_2
        Of both optimisers.
    seed
        Fixes weights, noise, the order of cells, and simulated cells.

    Attributes
    ----------
    net
        The `ScGANNet`, after `fit` or `load`.
    history
        Name → one value per block of outer steps: "step", outer steps done; means over the block of "critic" (L_D),
        "generator" (L_G), "penalty" (mean of (s − 1)², without λ), "slope" (mean of s), "score_real", "score_fake",
        "learning_rate", and "empty", the share of generated cells without any expression.

    Notes
    -----
    ``faithful`` has the defects of the release that change a result: `critic_iters` + 1 updates of the critic, the last
    on the noise of the generator's, but one only before the first update of the generator; a decay that cannot be
    switched off; a penalty whose root has no derivative at 0; moving statistics that are updated by both batches of
    every critic update. It does not have these: prior shares that are sorted by size instead of following their
    classes, cells without names of genes and classes, scGAN's broken generation, unseeded training, checkpoints that do
    not continue exactly; and it updates the generator after the critic, which the release leaves to chance.
    In both, the initial weights of rectified layers have a standard deviation that is 0.3 % smaller.

    What the description (parameter file and its documentation) asks for, and ``repaired`` does:

    - `critic_iters` updates of the critic in every outer step, the first too;
    - `lr_decay` and `critic_cond` have an effect.

    What we added to ``repaired``, and nothing describes:

    - 1e-12 under the root of the slope;
    - noise of its own for the generator's update;
    - one update of the moving statistics for each batch of generated cells;
    - `critic_input_scale` and `bn_momentum`. Their defaults are the released constants, 1 and 0.999; 0.01 and 0.99,
      which short trainings need, are settings of the chapters.

    The library size of generated cells is constant by construction. `simulate` turns them into counts on request, by
    library sizes of training cells.

    References
    ----------
    https://doi.org/10.1038/s41467-019-14018-z and github.com/imsb-uke/scGAN at commit 0fc1bdf.
    """

    net_type = ScGANNet

    def __init__(
        self,
        *,
        variant: Literal["repaired", "faithful"] = "repaired",
        conditional: bool = True,
        gen_layers: Sequence[int] = (256, 512, 1024),
        critic_layers: Sequence[int] = (1024, 512, 256),
        latent_dim: int = 128,
        gen_norm: Literal["batchnorm", "layernorm", "none"] = "batchnorm",
        critic_cond: Literal["per_class", "projection"] = "per_class",
        library_size: float = 20000.0,
        lsn: bool = True,
        gp_weight: float = 10.0,
        critic_input_scale: float = 1.0,
        bn_momentum: float = 0.999,
        critic_iters: int = 5,
        optimizer: Literal["amsgrad", "adam"] = "amsgrad",
        lr_initial: float = 1e-4,
        lr_final: float = 1e-5,
        lr_decay: bool = True,
        beta_1: float = 0.5,
        beta_2: float = 0.9,
        seed: int = 0,
    ):
        super().__init__(locals())
        for name, value in self.config.items():
            declared, rule = LEGAL[name]
            self.config[name] = Parameter(name, declared, None, rule, "").check(value)
        self.variant, self.seed = variant, seed
        for name in ("gen_layers", "critic_layers"):
            if not self.config[name]:
                raise ParameterError(f"expected one width or more for {name}, got none: give [256], say")
        if lr_final > lr_initial:
            raise ParameterError(f"expected lr_final at most lr_initial, {lr_initial}, got {lr_final}: lower it")
        faithful = variant == "faithful"
        for name, released in RELEASED_CONSTANTS.items():
            if faithful and self.config[name] != released:
                raise ParameterError(
                    f"expected {name} {released} with variant 'faithful', got {self.config[name]}: the released code "
                    "knows no other, choose variant 'repaired'"
                )
        if gen_norm == "none" and conditional and not faithful:
            raise ParameterError(
                "expected gen_norm batchnorm or layernorm for a conditional model, got 'none', with which no class "
                "reaches the generator: choose one of them, or conditional=False"
            )
        if faithful and (critic_cond != "per_class" or not lr_decay or (gen_norm != "batchnorm" and not conditional)):
            warnings.warn(
                "The released code ignores critic_cond and lr_decay, and gen_norm in scGAN: the variant 'faithful' "
                "trains with per_class, with decay, and scGAN with batchnorm.",
                stacklevel=2,
            )

    @property
    def settings(self) -> dict[str, object]:
        """Arguments of the constructor, with what the variant sets in place of those it ignores."""
        config = dict(self.config)
        if self.variant == "faithful":
            config |= {"critic_cond": "per_class", "lr_decay": True}
            if not config["conditional"]:
                config["gen_norm"] = "batchnorm"
        return config

    @property
    def labels(self) -> list[str]:
        """Names of the classes in the order of their codes; none for scGAN."""
        return self.fitted().note["labels"]

    @property
    def prior(self) -> dict[str, float]:
        """Share of every class in the training cells."""
        return dict(zip(self.labels, self.fitted().get_config()["prior"], strict=False))

    def fit(
        self,
        adata: anndata.AnnData,
        *,
        label_key: str = "cell_type",
        train: np.ndarray | None = None,
        steps: int = 1_000_000,
        batch_size: int = 128,
        steps_per_epoch: int = 100,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        log_dir: str | os.PathLike | None = None,
        histograms_every: int = 0,
        checkpoint: str | os.PathLike | None = None,
        checkpoint_every: int = 1000,
        progress: bool = False,
    ) -> Self:
        """Train on raw counts; an outer step is some updates of the critic and one of the generator.

        Parameters
        ----------
        adata
            Cells × genes with counts in ``layers["counts"]`` (else ``X``), as of `scgan_cells.process`.
        label_key
            Column of ``obs`` with the classes; not read by scGAN. Their codes follow the order of the categories.
        train
            Training cells, as indices or as a mask (N,); None: those with "train" in ``obs["scgan_split"]``, as
            `scgan_cells.process` writes it, without such a column all. No other cell is looked at.
        steps
            Outer steps; the decay of the step sizes is as long.
        batch_size
            Cells per update, 2 at least and no more than there are for training.
        steps_per_epoch
            Outer steps in a block, after each of which come callbacks and an entry of `history`; a divisor of `steps`.
        callbacks
            Further Keras callbacks, in which an epoch is a block; `Snapshots` shows cells.
        log_dir, histograms_every
            Folder for TensorBoard, see `Summaries`, and after how many outer steps it gets histograms, 0: never.
        checkpoint
            File for the state of the training; an interrupted training continues from it with the same numbers.
        checkpoint_every
            Outer steps between two checkpoints, a multiple of `steps_per_epoch`.
        progress
            Show a progress bar over the blocks.

        Returns
        -------
        ScGAN
            Itself.

        Raises
        ------
        DataError
            Counts or classes that cannot be used, or a training cell without any count.
        ParameterError
            Steps or a batch size out of range.
        TrainingError
            A value that is no longer finite.
        CheckpointError
            `checkpoint` is damaged or of another training.
        """
        counts = checks.get_counts(adata, allow_empty=True)
        rows = np.arange(adata.n_obs)
        if train is not None:
            rows = rows[np.asarray(train)]
        elif OWN_SPLIT in adata.obs:
            part = adata.obs[OWN_SPLIT].astype(object)
            if not (known := part.isin(SPLIT)).all():
                raise DataError(
                    f"expected train, valid or test in obs[{OWN_SPLIT!r}], got {part[~known].iloc[0]!r}: rename that "
                    "column, or name the training cells with train="
                )
            rows = rows[(part == "train").to_numpy()]
        block = min(steps, steps_per_epoch)
        _check_steps(steps, block, checkpoint_every if checkpoint else block, histograms_every)
        if not 2 <= batch_size <= len(rows):
            raise ParameterError(
                f"expected batch_size from 2 to the {len(rows)} training cells, got {batch_size}: change it"
            )
        counts = counts[rows]
        labels, codes = [], np.zeros(len(rows), int)
        if self.config["conditional"]:
            classes = checks.check_labels(adata, label_key, min_classes=1)[rows].remove_unused_categories()
            labels, codes = [str(name) for name in classes.categories], np.asarray(classes.codes, int)
        arrays = {"x": scaled(counts, self.config["library_size"]), "label": codes[:, None].astype("float32")}
        totals = checks.totals(counts)
        self.net = ScGANNet(
            adata.n_vars,
            prior=(np.bincount(codes) / len(codes)).tolist(),
            released=self.variant == "faithful",
            **{name: self.settings[name] for name in _NET},
            note={
                "var_names": list(adata.var_names),
                "label_key": label_key,
                "labels": labels,
                "totals": [totals[codes == code].tolist() for code in range(max(len(labels), 1))],
                # a checkpoint of other settings is another training
                "training": {name: self.settings[name] for name in _OPTIMIZERS} | {"steps": steps, "block": block},
            },
        )
        self.net.compile(steps=steps, **{name: self.settings[name] for name in _OPTIMIZERS})
        if self.net.jit is None:
            # A step is a loop over the critic's updates, so that it calls what XLA compiles once as many times.
            self.net.jit = steps * self.net.critic_updates >= training.XLA_PAYS

        def permutations(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
            drawn = [rng.permutation(rows) for _ in range(math.ceil(block * batch_size / len(rows)))]
            return np.concatenate(drawn)[: block * batch_size]

        watchers = [*callbacks]
        if log_dir is not None:
            probe = slice(0, batch_size)
            watchers.append(
                Summaries(log_dir, training.dense(arrays["x"][probe]), arrays["label"][probe], histograms_every)
            )
        self.history = training.fit(
            self.net,
            arrays,
            epochs=steps // block,
            batch_size=self.net.critic_updates * batch_size,
            seed=self.seed,
            order=permutations,
            callbacks=watchers,
            checkpoint=checkpoint,
            checkpoint_every=max(1, checkpoint_every // block),
            progress=progress,
        )
        # Nobody calls the net as a whole, by which Keras would know that its weights are there to be saved.
        self.net.build()
        self.history["step"] = [float((i + 1) * block) for i in range(len(self.history["critic"]))]
        return self

    def simulate(
        self,
        cells: Cells = 100,
        *,
        seed: int | None = None,
        counts: bool = False,
        batch_size: int = 512,
        path: str | os.PathLike | None = None,
    ) -> anndata.AnnData:
        """Draw new cells of chosen classes; training cells are not needed.

        Every cell has noise of its own: the i-th cell of a class depends on seed, class and i alone.

        Parameters
        ----------
        cells
            How many of every class, a list of numbers in the order of `labels`, or a number for each class that is
            wanted; for scGAN a number, or a list of one.
        seed
            None: the model's.
        counts
            Add counts: round(y d / L), with the library size d of a training cell of the class.
        batch_size
            Cells at a time; results agree up to rounding.
        path
            File to write the cells to, ``.h5ad``.

        Returns
        -------
        AnnData
            Cells in the order asked for × the genes of the training: expression with total L in ``X`` (float32, CSR),
            classes in ``obs[label_key]`` (cscGAN), counts in ``layers["counts"]`` where asked for; ``uns["scgan"]``:
            settings, seed, "model" (SHA-256 of the weights) and "empty", the number of cells without any expression.

        Raises
        ------
        ParameterError
            An unknown class, a number that is none, or no cell at all.

        Warns
        -----
        UserWarning
            There are cells without any expression.
        """
        net, seed = self.fitted(), self.seed if seed is None else seed
        target = self._target(cells)
        codes = np.repeat(list(target), list(target.values()))
        z = np.concatenate([
            np.random.default_rng([seed, code]).standard_normal((n, net.latent_dim), "float32")
            for code, n in target.items()
        ])  # fmt: skip
        x = self._generate(z, codes, batch_size)
        obs = pd.DataFrame(index=[f"generated_{i}" for i in range(len(codes))])
        if self.labels:
            obs[net.note["label_key"]] = pd.Categorical.from_codes(codes, categories=self.labels)
        empty = int((checks.totals(x) == 0).sum())
        if empty:
            warnings.warn(f"{empty} of {len(codes)} generated cells have no expression.", stacklevel=2)
        made = anndata.AnnData(x, obs=obs, var=pd.DataFrame(index=net.note["var_names"]))
        if counts:
            made.layers["counts"] = sp.vstack(
                [
                    as_counts(x[codes == code], net.note["totals"][code], seed=int(seed))
                    for code, n in target.items()
                    if n
                ],
                format="csr",
                dtype="int32",
            )
        made.uns["scgan"] = {**self.settings, "seed": int(seed), "model": self.fingerprint(), "empty": empty}
        if path is not None:
            with replacing(path) as temporary:
                made.write_h5ad(temporary)
        return made

    def _target(self, cells: Cells) -> dict[int, int]:
        """Code → number of cells, in the order asked for."""
        names = self.labels or ["all"]
        if isinstance(cells, Mapping):
            asked = dict(cells)
        elif isinstance(cells, str) or not isinstance(cells, Sequence | np.ndarray):
            asked = dict.fromkeys(names, cells)
        elif len(cells) == len(names):
            asked = dict(zip(names, cells, strict=True))
        else:
            raise ParameterError(
                f"expected {len(names)} numbers of cells, one for each of {', '.join(names)}, got {len(cells)}: give "
                "as many, or a number by name"
            )
        return {names.index(name): n for name, n in wanted_cells(asked, names, "classes").items()}

    def _generate(self, z: np.ndarray, codes: np.ndarray, size: int) -> sp.csr_matrix:
        net = self.net
        generate = tf.function(lambda z, code: net.generate(z, net.one_hot(code)))
        blocks = []
        for start in range(0, len(z), size):
            # One shape for all calls, so that a cell's numbers do not depend on how many there are.
            filled = np.minimum(np.arange(start, start + size), len(z) - 1)
            x = generate(tf.constant(z[filled]), tf.constant(codes[filled], tf.float32))
            blocks.append(sp.csr_matrix(x.numpy()[: len(z) - start]))
        return sp.vstack(blocks, format="csr")

    def augment(self, adata: anndata.AnnData, label: str, n: int, *, seed: int | None = None) -> anndata.AnnData:
        """Add generated cells of a class to real ones, or to what was augmented before.

        Parameters
        ----------
        adata
            Real cells with classes × the genes of the training, counts as in `fit`.
        label, n
            Class and number of the generated cells.
        seed
            As in `simulate`; cells of the class that were added before are not drawn again.

        Returns
        -------
        AnnData
            First the cells that came, then the generated ones, under names that are free: expression with total L in
            ``X``, counts in ``layers["counts"]`` (those of generated cells as in `simulate`), both CSR;
            ``obs[label_key]`` and ``obs["generated"]``, bool, which keeps what it said of cells that came.

        Raises
        ------
        ParameterError
            A model without classes, classes in a column of that name, or as `simulate`.
        DataError
            Other genes than those of the training, or another ``obs["generated"]``.
        """
        self.check_genes(adata)
        if not self.labels:
            raise ParameterError("expected a conditional model, got scGAN, which knows no classes: train a cscGAN")
        key, own = self.net.note["label_key"], "generated"
        checks.check_label_key(key, own)
        before = adata.obs.get(own, pd.Series(False, adata.obs_names))
        if not pd.api.types.is_bool_dtype(before):
            raise DataError(
                f"expected obs[{own!r}] to say which cells are generated (bool), got {before.iloc[0]!r}: rename that "
                "column of yours"
            )
        counts = sp.csr_matrix(checks.get_counts(adata, allow_empty=True))
        names = checks.check_labels(adata, key, min_classes=1)
        [(label, n)] = wanted_cells({label: n}, self.labels, "classes").items()
        drawn = int((before.to_numpy() & (names == label)).sum())
        made = self.simulate({label: drawn + n}, seed=seed, counts=True)[drawn:]
        taken = set(adata.obs_names)
        free = (name for name in map("generated_{}".format, itertools.count()) if name not in taken)
        obs = pd.DataFrame({key: names.astype(str), own: before.to_numpy()}, index=adata.obs_names)
        new = pd.DataFrame({key: label, own: True}, index=list(itertools.islice(free, n)))
        obs = pd.concat([obs, new])
        obs[key] = pd.Categorical(obs[key], categories=list(dict.fromkeys([*names.categories, *self.labels])))
        both = anndata.AnnData(
            sp.vstack([scaled(counts, self.config["library_size"]), made.X], format="csr"), obs=obs, var=made.var
        )
        both.layers["counts"] = sp.vstack([counts, made.layers["counts"]], format="csr")
        return both

    def scores(self, adata: anndata.AnnData) -> np.ndarray:
        """Score of the critic for real cells, with their classes if the model knows them: (N,) float32, no unit."""
        self.check_genes(adata)
        net = self.fitted()
        codes = np.zeros(adata.n_obs)
        if self.labels:
            codes = checks.label_codes(adata, net.note["label_key"], self.labels)
        counts = checks.get_counts(adata, allow_empty=True)
        arrays = {"x": scaled(counts, self.config["library_size"]), "label": codes[:, None]}

        def outputs(batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            return {"score": net.criticise(net.input_scale * batch["x"], net.one_hot(batch["label"][:, 0]))}

        return training.predict(outputs, arrays)["score"]

    def fingerprint(self) -> str:
        """SHA-256 of the weights and statistics, in hexadecimal: which model made a cell."""
        net, digest = self.fitted(), hashlib.sha256()
        for layer in (*net.hidden, *net.norms, net.expression, *net.features, net.score):
            for weight in layer.weights:
                digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)))
        return digest.hexdigest()


class Snapshots(keras.callbacks.Callback):
    """Gives generated cells to a function in the course of a training, to draw a t-SNE beside real ones, say.

    Parameters
    ----------
    model
        The `ScGAN` in training.
    function
        Called with the number of outer steps that are done and an AnnData as of `ScGAN.simulate`.
    every
        Outer steps between two calls, a multiple of the block; the noise is the same in all of them.
    cells, seed
        As in `ScGAN.simulate`.
    """

    def __init__(
        self,
        model: ScGAN,
        function: Callable[[int, anndata.AnnData], object],
        every: int,
        cells: Cells = 100,
        seed: int = 0,
    ):
        super().__init__()
        self.gan, self.function, self.every, self.cells, self.seed = model, function, every, cells, seed

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Call the function when it is time."""
        step = _steps_done(self.model)
        if step % self.every == 0:
            self.function(step, self.gan.simulate(self.cells, seed=self.seed))


class Summaries(keras.callbacks.Callback):
    """Writes the course of a training for TensorBoard, over outer steps.

    Scalars, one of each block: what `ScGAN.history` has. Histograms, if wanted: every weight, its gradient, expression
    of generated and of some real cells, and the critic's scores of both.

    Parameters
    ----------
    log_dir
        Folder for the event files.
    x, label
        Some real cells as the net takes them, (B, G) and (B, 1), for the histograms.
    histograms_every
        Outer steps between two sets of histograms, a multiple of the block; 0: none.
    """

    def __init__(self, log_dir: str | os.PathLike, x: np.ndarray, label: np.ndarray, histograms_every: int = 0):
        super().__init__()
        self.log_dir, self.x, self.label, self.histograms_every = os.fspath(log_dir), x, label, histograms_every

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Open a file."""
        self.writer = tf.summary.create_file_writer(self.log_dir)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the block."""
        step = _steps_done(self.model)
        with self.writer.as_default(step):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, value)
            if self.histograms_every and step % self.histograms_every == 0:
                for name, value in self._values().items():
                    tf.summary.histogram(name, value)
        self.writer.flush()

    def on_train_end(self, logs: dict | None = None) -> None:
        """Close the file."""
        self.writer.close()

    def _values(self) -> dict[str, tf.Tensor]:
        # Noise of its own, and statistics left alone: the training does not notice.
        net, rng = self.model, np.random.default_rng(0)
        x, label = tf.constant(self.x), net.one_hot(self.label[:, 0])
        z = tf.constant(rng.standard_normal((len(self.x), net.latent_dim), "float32"))
        alpha = tf.constant(rng.random((len(self.x), 1), "float32"))
        weights = {"generator": net.generator_weights, "critic": net.critic_weights}
        with tf.GradientTape(persistent=True) as tape:
            fake = net.generate(z, label, training=True, track=False)
            generator = net.generator_loss(fake, label)
            critic = net.critic_loss(x, label, tf.stop_gradient(fake), label, tf.stop_gradient(fake), alpha)["critic"]
        gradients = {
            "generator": tape.gradient(generator, weights["generator"]),
            "critic": tape.gradient(critic, weights["critic"]),
        }
        values = {
            "cells/real": x,
            "cells/generated": fake,
            "scores/real": net.criticise(net.input_scale * x, label),
            "scores/generated": net.criticise(net.input_scale * fake, label),
        }
        for name, variables in weights.items():
            for i, (variable, gradient) in enumerate(zip(variables, gradients[name], strict=True)):
                values[f"{name}/{i}_{variable.name}"] = tf.convert_to_tensor(variable)
                if gradient is not None:
                    values[f"{name}/{i}_{variable.name}_gradient"] = gradient
        return values


def _steps_done(net: ScGANNet) -> int:
    return int(net.optimizer.iterations.numpy())


def _check_steps(steps: int, block: int, checkpoint_every: int, histograms_every: int) -> None:
    if steps < 1 or block < 1 or steps % block:
        raise ParameterError(
            f"expected steps_per_epoch to divide the {steps} steps, got {block}: choose a divisor, and one step or more"
        )
    for name, value in (("checkpoint_every", checkpoint_every), ("histograms_every", histograms_every)):
        if value % block:
            raise ParameterError(
                f"expected {name} to be a multiple of steps_per_epoch, {block}, got {value}: change it"
            )
