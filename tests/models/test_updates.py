"""Updates of each network by the rule of the framework that its original ran on, compiled and not compiled.

A net and its twin start from the same weights and random states. The net has its own optimisers and runs as a program;
the twin runs eagerly, and its weights are changed in NumPy by the rule of the original's framework.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import pytest
import tensorflow as tf

from scgen_lib.data import splatter
from scgen_lib.data.checks import drop_empty
from scgen_lib.errors import TrainingError
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA
from scgen_lib.models.dr_a import DRA
from scgen_lib.models.scgan import ScGAN

Rule = Callable[[np.ndarray, dict[str, np.ndarray], int], np.ndarray]


def rmsprop_keras_2(rate, rho=0.9, epsilon=1e-7) -> Rule:
    """TensorFlow 2.4 to 2.10, and `optimizer_v2` of 2.11: ε beside the root."""

    def change(g, slots, t):
        slots["v"] = rho * slots.get("v", 0.0) + (1 - rho) * g**2
        return rate * g / (np.sqrt(slots["v"]) + epsilon)

    return change


def rmsprop_keras_3(rate, rho=0.9, epsilon=1e-7) -> Rule:
    """The experimental optimisers of TensorFlow 2.9 to 2.11 and all since: ε under the root."""

    def change(g, slots, t):
        slots["v"] = rho * slots.get("v", 0.0) + (1 - rho) * g**2
        return rate * g / np.sqrt(slots["v"] + epsilon)

    return change


def adam(rate, beta_1, beta_2=0.999, epsilon=1e-8, amsgrad=False) -> Rule:
    """`tf.train.AdamOptimizer`, and AMSGrad as the release of scGAN has it: ε beside the root of the raw moment."""

    def change(g, slots, t):
        slots["m"] = beta_1 * slots.get("m", 0.0) + (1 - beta_1) * g
        slots["v"] = beta_2 * slots.get("v", 0.0) + (1 - beta_2) * g**2
        slots["largest"] = np.maximum(slots.get("largest", 0.0), slots["v"]) if amsgrad else slots["v"]
        step = (rate(t - 1) if callable(rate) else rate) * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        return step * slots["m"] / (np.sqrt(slots["largest"]) + epsilon)

    return change


class ByFormula:
    """What stands for an optimiser, for nets that are updated eagerly; double precision inside."""

    def __init__(self, rule: Rule, clip: Callable[[np.ndarray], np.ndarray] = lambda g: g):
        self.rule, self.clip, self.slots = rule, clip, {}
        self.iterations = tf.Variable(0, dtype=tf.int64)
        self.learning_rate = tf.Variable(0.0)  # nets with a schedule assign to it; the rule has its own

    def apply(self, gradients: Sequence[tf.Tensor], variables: Sequence[keras.Variable]) -> None:
        self.iterations.assign_add(1)
        for g, variable in zip(gradients, variables, strict=True):
            slots = self.slots.setdefault(id(variable), {})
            change = self.rule(self.clip(g.numpy().astype("float64")), slots, int(self.iterations.numpy()))
            variable.assign(variable.numpy() - change.astype("float32"))


def assert_same_updates(made, by_formula, batches, *, jit, rate):
    """Compare the steps of a net, as a program of XLA or of TensorFlow, with those of its twin.

    Float32 sums of another order differ by 1e-7 of their largest summand, and a gradient in which these cancel by
    more, which the rules here magnify to some hundredths of a step; a rule with its ε elsewhere is off by whole steps.
    """
    step = tf.function(made.batch_step, jit_compile=jit, autograph=False)
    for batch in batches:
        step(batch)
        by_formula.batch_step(batch)
    for a, b in zip(made.trainable_variables, by_formula.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, atol=0.05 * rate * len(batches), rtol=1e-5, err_msg=a.path)


STEPS = 4
XLA = pytest.param(True, marks=pytest.mark.slow, id="xla")  # compiling is most of what it takes
COMPILED = pytest.mark.parametrize("jit", [pytest.param(False, id="tensorflow"), XLA])
VARIANTS = pytest.mark.parametrize("variant", ["faithful", "repaired"])


@pytest.fixture(scope="module")
def adata():
    cells = drop_empty(splatter.simulate(n_genes=24, batch_cells=(96,), group_prob=(0.5, 0.5), lib_loc=7, seed=0))
    cells.obs["cell_type"] = cells.obs["group"].astype("category")
    return cells


def first_net(monkeypatch, model, adata, **options):
    """The net of a model as `fit` makes and compiles it, before its first update; and the arrays it would train on."""
    seen = {}

    def instead(net, arrays, **_):
        seen.update(net=net, arrays=arrays)
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr("scgen_lib.training.fit", instead)
        with pytest.raises(InterruptedError):
            model.fit(adata, **options)
    return seen["net"], seen["arrays"]


def batches(arrays, size, n=STEPS):
    rng, cells = np.random.default_rng(0), next(iter(arrays.values())).shape[0]
    for _ in range(n):
        rows = rng.choice(cells, size)
        yield {
            name: tf.constant((a[rows].toarray() if hasattr(a, "toarray") else a[rows]).astype("float32"))
            for name, a in arrays.items()
        }


def compare(monkeypatch, adata, make, attach, *, jit, rate, size=16, **options):
    """`make` a model twice, `attach` the rules to the second net, and compare the steps of both."""
    net, arrays = first_net(monkeypatch, make(), adata, **options)
    twin, _ = first_net(monkeypatch, make(), adata, **options)
    attach(twin)
    assert_same_updates(net, twin, list(batches(arrays, size)), jit=jit, rate=rate)


@COMPILED
@VARIANTS
@pytest.mark.parametrize("ae_type", ["zinb-conddisp", "nb"])
def test_dca_steps_by_rmsprop_of_keras_2_on_clipped_entries(monkeypatch, adata, variant, ae_type, jit):
    def attach(net):
        net.optimizer = ByFormula(rmsprop_keras_2(1e-3), lambda g: np.clip(g, -5e-4, 5e-4))

    # Biases before batch normalisation have no gradient but rounding, of which RMSprop makes whole steps.
    def make():
        return DCA.variant(variant, ae_type=ae_type, hidden=(8, 4, 8), batchnorm=False, clip_value=5e-4)

    compare(monkeypatch, adata, make, attach, jit=jit, rate=1e-3)


@COMPILED
@VARIANTS
def test_db_aae_steps_by_rmsprop_of_keras_2_with_one_for_d_and_one_for_e_and_g(monkeypatch, adata, variant, jit):
    def attach(net):
        net.optimizer, net.discriminator_optimizer = (ByFormula(rmsprop_keras_2(2e-4)) for _ in range(2))

    def make():
        return DBAAE.variant(variant, hidden=(16, 12), latent_dim=6, disc_hidden=8)

    compare(monkeypatch, adata, make, attach, jit=jit, rate=2e-4)


@COMPILED
@pytest.mark.parametrize("guards", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_dr_a_steps_by_adam_of_tensorflow_1_with_one_a_player(monkeypatch, adata, guards, jit):
    def attach(net):
        for name in ("optimizer", "encoder_optimizer", "d1_optimizer", "d2_optimizer"):
            setattr(net, name, ByFormula(adam(7e-4, 0.9)))

    def make():
        return DRA.faithful(latent_dim=3, hidden=[12], disc_hidden=[8], guards=guards)

    compare(monkeypatch, adata, make, attach, jit=jit, rate=7e-4, batch_size=16)


@COMPILED
@pytest.mark.parametrize("conditional", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_scgan_steps_by_its_amsgrad_at_a_rate_that_decays(monkeypatch, adata, conditional, jit):
    def rate(step):
        return 1e-4 * 0.1 ** (step / 10)

    def attach(net):
        # The critic's optimiser counts its own updates, and the rate follows the outer steps.
        net.optimizer = ByFormula(adam(rate, 0.5, 0.9, amsgrad=True))
        critic = ByFormula(adam(lambda _: rate(int(net.optimizer.iterations.numpy())), 0.5, 0.9, amsgrad=True))
        net.critic_optimizer = critic

    def make():
        return ScGAN.faithful(conditional=conditional, gen_layers=[6, 5], critic_layers=[7, 5], latent_dim=3)

    compare(monkeypatch, adata, make, attach, jit=jit, rate=1e-4, size=48, steps=10, batch_size=8)


@COMPILED
def test_cvae_steps_by_the_rmsprop_that_its_code_has_which_is_that_of_keras_3(monkeypatch, adata, jit):
    def attach(net):
        net.optimizer = ByFormula(rmsprop_keras_3(1e-3))

    def make():
        return CVAE.faithful(filters=4, hidden=4)

    compare(monkeypatch, adata, make, attach, jit=jit, rate=1e-3)


def test_the_two_rules_part_where_gradients_are_small(monkeypatch, adata):
    """What the tests above are worth: with its ε under the root DCA is off by more than they allow."""

    def attach(net):
        net.optimizer = ByFormula(rmsprop_keras_3(1e-3))

    def make():
        return DCA.faithful(hidden=(8, 4, 8), batchnorm=False)

    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        compare(monkeypatch, adata, make, attach, jit=False, rate=1e-3)


@pytest.mark.parametrize(
    "model",
    [
        DCA(hidden=(8, 4, 8), learning_rate=1e30, batchnorm=False),
        DBAAE(hidden=(16, 12), latent_dim=6, disc_hidden=8, learning_rate=1e30),
        pytest.param(
            DRA(latent_dim=3, hidden=[12], disc_hidden=[8], learning_rate=1e30, adv_learning_rate=1e30),
            marks=pytest.mark.slow,
        ),
        pytest.param(CVAE(filters=4, hidden=4, learning_rate=0.1, beta=1e38), marks=pytest.mark.slow),
        ScGAN(gen_layers=[6, 5], critic_layers=[7, 5], latent_dim=3, lr_initial=1e30),
    ],
    ids=lambda model: type(model).__name__,
)
def test_a_training_that_is_no_longer_finite_ends_in_one_error(adata, model):
    options = {"steps": 40, "steps_per_epoch": 4} if isinstance(model, ScGAN) else {"epochs": 10}
    with pytest.raises(TrainingError, match=r"^expected a training of finite values, got [^\n]+: lower l"):
        model.fit(adata, batch_size=16, **options)
