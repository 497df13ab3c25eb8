"""DB-AAE: sizes of its nets, which update moves what, the defects of the released code, and the life of a model."""

import math

import numpy as np
import pytest
import tensorflow as tf

from scgen_lib import layers, optimizers, training
from scgen_lib.data import splatter
from scgen_lib.data.checks import drop_empty
from scgen_lib.errors import DataError, InputError, ParameterError
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.db_aae.net import DBAAENet, released_crossentropy
from scgen_lib.models.db_aae.search import RandomEncoderTrial, whole_batches_in_file_order
from scgen_lib.models.db_aae.settings import DBAAESettings
from scgen_lib.settings import arguments

pytestmark = pytest.mark.usefixtures("eager")
SMALL = {"hidden": (16, 12), "latent_dim": 6, "disc_hidden": 8}
VARIANTS = ("faithful", "repaired")
FIT = {"faithful": {"validation_split": 0.1}, "repaired": {}}
GENES = {"faithful": {"n_hvg": 15}, "repaired": {}}


@pytest.fixture(scope="module")
def adata():
    cells = splatter.simulate(n_genes=40, batch_cells=(124,), group_prob=(0.5, 0.5), lib_loc=8, seed=0)
    return drop_empty(cells)


@pytest.fixture(scope="module")
def fitted(adata):
    return {v: DBAAE.variant(v, **SMALL, **GENES[v]).fit(adata, epochs=4, **FIT[v]) for v in VARIANTS}


def net(variant="repaired", genes=20, *, kind=DBAAENet, learning_rate=1e-3, mean_bias=None, **options):
    made = kind(genes, DBAAESettings.variant(variant, **SMALL | options), mean_bias=mean_bias)
    made.compile(optimizer=optimizers.RMSprop(learning_rate))
    return made


def batch(n=8, genes=20, seed=0):
    return {"x": tf.constant(np.random.default_rng(seed).gamma(1.0, 1.0, (n, genes)).astype("float32"))}


def weights(model):
    return [w.numpy().copy() for w in model.trainable_variables]


def moved(before, model):
    return [not np.array_equal(a, b) for a, b in zip(before, weights(model), strict=True)]


def bias_of_output(discriminator, value):
    """Make D answer `value` to every code."""
    kernel, bias = discriminator.layers[-1].weights
    kernel.assign(tf.zeros_like(kernel))
    bias.assign([value])


@pytest.mark.parametrize(("genes", "encoder", "decoder"), [(5000, 6_171_136, 5_912_968), (200, 1_255_936, 992_968)])
def test_published_sizes_have_the_published_number_of_parameters(genes, encoder, decoder):
    made = DBAAENet(genes, DBAAESettings.faithful())
    sizes = [n.count_params() for n in (made.encoder, made.decoder, made.discriminator)]
    assert sizes == [encoder, decoder, 394_241]
    # one latent head of 512 · 512 + 512 less
    assert DBAAENet(genes).encoder.count_params() == encoder - 262_656


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_update_moves_its_own_network_and_no_other(variant):
    made = net(variant)
    # D must answer within (0, 1), where a ReLU that is taken for a probability has gradients
    made.discriminator.layers[-1].bias.assign([0.5])
    x = batch()["x"]
    before = {name: weights(getattr(made, name)) for name in ("encoder", "decoder", "discriminator")}
    for real in (True, False):
        made.discriminator_step(made.code(x), real)
        assert not any(moved(before["encoder"], made.encoder) + moved(before["decoder"], made.decoder))
        assert all(moved(before["discriminator"], made.discriminator))
        before["discriminator"] = weights(made.discriminator)
    # D's own steps inside a whole update do not count here: they are switched off
    made.discriminator_optimizer.learning_rate.assign(0.0)
    made.batch_step(batch())
    assert all(moved(before["encoder"], made.encoder) + moved(before["decoder"], made.decoder))
    assert not any(moved(before["discriminator"], made.discriminator))


@pytest.mark.parametrize("variant", VARIANTS)
def test_whole_update_is_real_step_then_fake_step_then_autoencoder_step(variant):
    made, by_hand = net(variant), net(variant)
    for model in (made, by_hand):
        model.discriminator.layers[-1].bias.assign([0.5])
    made.batch_step(batch())
    x = batch()["x"]
    drawn = layers.normal((8, 6), by_hand.prior)
    by_hand.discriminator_step(drawn, real=True)
    by_hand.discriminator_step(by_hand.code(x), real=False)
    with tf.GradientTape() as tape:
        code = by_hand.code(x)
        mse = tf.reduce_mean((x - by_hand.decoder(code)) ** 2)
        loss = 0.999 * mse + 0.001 * by_hand.adversarial_loss(by_hand.discriminator(code), real=True)
    own = by_hand.autoencoder_variables
    by_hand.optimizer.apply(tape.gradient(loss, own), own)
    for a, b in zip(made.trainable_variables, by_hand.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)  # float32, another order of sums


def test_undecided_discriminator_costs_ln_2():
    made = net("repaired")
    bias_of_output(made.discriminator, 0.0)
    made.discriminator_optimizer.learning_rate.assign(0.0)
    logs = made.batch_step(batch())
    assert float(logs["d_loss_real"] + logs["d_loss_fake"]) / 2 == pytest.approx(math.log(2), abs=1e-6)
    assert float(logs["adversarial_loss"]) == pytest.approx(math.log(2), abs=1e-6)


@pytest.mark.parametrize(("answer", "value"), [(-1.0, 15.4249), (0.0, 15.4249), (1.0, 0.0), (3.0, 0.0), (0.5, None)])
def test_a_relu_discriminator_outside_0_and_1_teaches_the_encoder_nothing(answer, value):
    made = net("faithful")
    kernel, bias = made.discriminator.layers[-1].weights
    kernel.assign(1e-6 * kernel)  # so that the answer depends on the code, if barely
    bias.assign([answer + (1e-3 if answer >= 1 else -1e-3 if answer <= 0 else 0)])
    with tf.GradientTape() as tape:
        loss = made.adversarial_loss(made.discriminator(made.code(batch()["x"])), real=True)
    gradients = tape.gradient(loss, made.encoder.trainable_variables)
    still = [not np.any(g) for g in gradients]
    if value is None:
        assert not any(still)
    else:
        assert all(still)
        assert float(loss) == pytest.approx(value, abs=1e-4)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("real", [False, True])
def test_cross_entropy_of_keras_2_has_a_second_epsilon(real, jit):
    p = np.array([-1.0, 0.0, 1e-6, 0.3, 1.0, 2.0])
    q = np.clip(p if real else 1 - p, 1e-7, 1 - 1e-7)
    got = tf.function(lambda p: released_crossentropy(p, real), jit_compile=jit)(tf.constant(p, tf.float32))
    np.testing.assert_allclose(got, -np.log(q + 1e-7), rtol=1e-5, atol=1e-6)  # float32 next to 1


def test_redundant_heads_of_the_released_encoder_keep_their_difference():
    made = net("faithful")
    heads = [made.encoder.get_layer(name).kernel for name in ("mu", "log_variance")]
    start = heads[0].numpy() - heads[1].numpy()
    first = heads[0].numpy().copy()
    for _ in range(20):
        made.batch_step(batch())
    np.testing.assert_allclose(heads[0].numpy() - heads[1].numpy(), start, atol=1e-5)
    assert np.abs(heads[0].numpy() - first).max() > 1e-3


def test_noise_of_the_code_is_drawn_in_training_only():
    made = net("repaired", latent_mode="reparam")
    x = batch()["x"]
    np.testing.assert_array_equal(made.code(x), made.code(x))
    noise = made.code(x, training=True) - made.code(x)
    assert np.abs(noise).min() > 0
    # σ of a fresh encoder lies near 1
    assert 0.2 < float(tf.math.reduce_std(noise)) < 5


def test_without_adversarial_weight_the_discriminator_has_no_say():
    a, b = (net("repaired", w_adv=0.0, w_rec=1.0) for _ in range(2))
    b.discriminator.layers[1].kernel.assign(-2 * b.discriminator.layers[1].kernel)
    for _ in range(5):
        a.batch_step(batch())
        b.batch_step(batch())
    for x, y in zip(a.autoencoder_variables, b.autoencoder_variables, strict=True):
        np.testing.assert_array_equal(x, y)


def test_networks_have_seeds_of_their_own():
    a, b = net(disc_hidden=8), net(disc_hidden=9)
    for x, y in zip(a.autoencoder_variables, b.autoencoder_variables, strict=True):
        np.testing.assert_array_equal(x, y)
    assert not np.array_equal(net(seed=1).encoder.get_weights()[0], a.encoder.get_weights()[0])


def test_repaired_decoder_starts_at_the_means_of_the_genes():
    mean = np.linspace(0.01, 3, 20)
    for activation in ("relu", "softplus"):
        made = net(mean_bias=mean, decoder_output=activation)
        np.testing.assert_allclose(made.decoder(tf.zeros((1, 6)))[0], mean, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("given", [None, True, False])
def test_output_starts_at_the_means_where_the_variant_or_the_argument_says_so(adata, variant, given):
    # as good as no update: the biases are those of the start
    start = {} if given is None else {"start_at_means": given, "except_for": ["start_at_means"]}
    if variant == "repaired":
        start.pop("except_for", None)
    made = DBAAE.variant(variant, **SMALL, **start, learning_rate=1e-30).fit(adata, epochs=1)
    means = made.normalised(adata).mean(axis=0)
    expected = means if given or (given is None and variant == "repaired") else np.zeros_like(means)
    np.testing.assert_allclose(made.net.decoder.layers[-1].bias, expected, rtol=1e-5, atol=2e-6)


def test_order_of_the_cells_is_an_argument_of_its_own(adata):
    assert DBAAE().order is DBAAE.faithful(shuffle=True, except_for=["shuffle"]).order is training.shuffled
    assert DBAAE.faithful().order is DBAAE(shuffle=False).order is whole_batches_in_file_order
    # 124 cells in batches of 32: three whole ones, or four
    made = DBAAE(**SMALL, shuffle=False).fit(adata, epochs=1, batch_size=32)
    assert int(made.net.optimizer.iterations) == 3


def test_repaired_with_all_taken_back_is_the_faithful_model(adata):
    back = {"latent_mode": "sum", "disc_output": "relu", "start_at_means": False, "shuffle": False}
    ours, released = (made.fit(adata, epochs=2) for made in (DBAAE(**SMALL, **back), DBAAE.faithful(**SMALL)))
    np.testing.assert_array_equal(ours.denoise(adata), released.denoise(adata))


def test_every_defect_of_a_training_or_a_search_is_an_argument_of_its_own():
    assert {a.option.finding: name for name, a in arguments(DBAAE).items() if a.option.finding} == {
        "D1": "disc_output", "D2": "latent_mode", "D3": "tune_trial", "D4": "tune_objective", "D5": "cap_batch_size",
        "D6": "shuffle", "D17": "tune_learning_rate", "D18": "epochs_of_few", "D19": "start_at_means",
    }  # fmt: skip
    with pytest.raises(ParameterError, match=r"expected disc_output = 'relu', as in the released code"):
        DBAAE.faithful(disc_output="logit")


def test_few_cells_are_trained_on_for_longer_where_no_epochs_are_given(adata):
    def epochs(**options):
        return len(DBAAE(**SMALL, **options).fit(adata, batch_size=124).history["loss"])

    assert epochs(epochs_of_few=3) == 3
    assert (DBAAE().epochs_of_few, DBAAE.faithful().epochs_of_few) == (200, 20)


def test_held_out_cells_are_the_last_ones_or_drawn(adata):
    def held_out(cells):
        model = DBAAE(**SMALL, validation_cells=cells).fit(adata, epochs=1, validation_split=0.1)
        errors = ((model.denoise(adata) - model.normalised(adata)) ** 2).mean(axis=1)
        return model.history["val_mse"][0], errors[111:].mean()

    assert held_out("last")[0] == pytest.approx(held_out("last")[1], rel=1e-5)
    assert held_out("random")[0] != pytest.approx(held_out("random")[1], rel=1e-5)


def test_rmsprop_of_keras_3_is_an_argument_and_makes_smaller_steps(adata):
    far = {}
    for name in ("RMSprop", "RMSprop-keras3"):
        model = DBAAE(**SMALL, optimizer=name).fit(adata, epochs=1)
        own = [type(o) is optimizers.RMSprop for o in (model.net.optimizer, model.net.discriminator_optimizer)]
        assert own == [name == "RMSprop"] * 2
        start = weights(DBAAENet.from_config(model.net.get_config()))
        far[name] = sum(np.abs(a - b).sum() for a, b in zip(weights(model.net), start, strict=True))
    assert 0 < far["RMSprop-keras3"] < far["RMSprop"]


def test_trial_of_the_released_search_moves_the_discriminator_alone():
    made = net("faithful", kind=RandomEncoderTrial)
    made.discriminator.layers[-1].bias.assign([0.5])
    before = [weights(n) for n in (made.encoder, made.decoder, made.discriminator)]
    made.batch_step(batch())
    assert not any(moved(before[0], made.encoder) + moved(before[1], made.decoder))
    assert all(moved(before[2], made.discriminator))


def test_released_batches_leave_the_same_last_cells_out():
    rng, rows = np.random.default_rng(0), np.arange(124)
    np.testing.assert_array_equal(whole_batches_in_file_order(rng, rows, 32), np.arange(96))
    np.testing.assert_array_equal(np.flatnonzero(DBAAE.faithful().unseen(124, 32)), np.arange(96, 124))
    assert not DBAAE().unseen(124, 32).any()


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_epoch_has_the_steps_of_its_variant(fitted, variant):
    # in 4 epochs: ⌊111 / 32⌋ of the cells that are not held out, and ⌈124 / 32⌉
    steps = 4 * {"faithful": 3, "repaired": 4}[variant]
    assert int(fitted[variant].net.optimizer.iterations) == steps
    assert int(fitted[variant].net.discriminator_optimizer.iterations) == 2 * steps


def test_released_code_needs_as_many_cells_as_a_batch(adata):
    with pytest.raises(InputError, match="got 124 training cells for a batch size of 128"):
        DBAAE.faithful(**SMALL).fit(adata, epochs=1, batch_size=128)
    capped = DBAAE.faithful(**SMALL, cap_batch_size=True, except_for=["cap_batch_size"])
    assert int(capped.fit(adata, epochs=1, batch_size=128).net.optimizer.iterations) == 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_denoised_matrix_has_the_cells_and_genes_of_the_input(adata, fitted, variant):
    model = fitted[variant]
    denoised, seen = model.denoise(adata), model.normalised(adata)
    assert denoised.shape == seen.shape == (adata.n_obs, len(model.genes))
    assert np.isfinite(denoised).all()
    assert (denoised >= 0).all()
    assert list(model.annotate(adata).var_names) == model.genes
    np.testing.assert_allclose(model.denoise(adata[:5].copy()), denoised[:5], rtol=1e-5)
    depth = np.asarray(adata[:, model.genes].layers["counts"].sum(axis=1)).ravel()
    np.testing.assert_allclose(model.denoise_counts(adata).sum(axis=1), depth, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_history_has_the_losses_and_answers_of_the_discriminator(adata, fitted, variant):
    history = fitted[variant].history
    assert {len(values) for values in history.values()} == {4}
    assert np.isfinite(list(history.values())).all()
    total = 0.999 * np.array(history["reconstruction_loss"]) + 0.001 * np.array(history["adversarial_loss"])
    np.testing.assert_allclose(history["loss"], total, rtol=1e-5)
    assert all(low <= high for low, high in zip(history["d_code_min"], history["d_code_max"], strict=True))
    if variant == "repaired":
        assert 0 < min(history["d_code_min"]) <= max(history["d_code_max"]) < 1
    for name in ("d_accuracy_real", "d_accuracy_fake", "d_accuracy_real_last", "d_accuracy_fake_last", "d_code_zero"):
        assert all(0 <= value <= 1 for value in history[name])
    assert history["reconstruction_loss"][-1] < history["reconstruction_loss"][0]
    assert all(zero + one <= 1 for zero, one in zip(history["d_code_zero"], history["d_code_one"], strict=True))


@pytest.mark.parametrize(("answer", "zero", "one"), [(-1.0, 1, 0), (0.5, 0, 0), (2.0, 0, 1)])
def test_shares_of_answers_that_teach_nothing_are_counted(answer, zero, one):
    made = net("faithful", learning_rate=0.0)
    bias_of_output(made.discriminator, answer)
    logs = made.batch_step(batch())
    assert (float(logs["d_code_zero"]), float(logs["d_code_one"])) == (zero, one)


def test_validation_error_is_that_of_the_cells_held_out(adata, fitted):
    model = fitted["faithful"]  # in file order: the last tenth
    held_out = adata[111:].copy()
    mse = np.mean((model.normalised(held_out) - model.denoise(held_out)) ** 2)
    assert model.history["val_mse"][-1] == pytest.approx(mse, rel=1e-5)


def test_range_of_the_discriminator_is_that_of_its_answers(adata, fitted):
    answers = tf.sigmoid(fitted["repaired"].net.discriminator(fitted["repaired"].embed(adata))).numpy()
    history = fitted["repaired"].history
    # the history saw them during the epoch, a few small updates ago
    assert history["d_code_min"][-1] == pytest.approx(answers.min(), abs=0.05)
    assert history["d_code_max"][-1] == pytest.approx(answers.max(), abs=0.05)


@pytest.mark.slow
def test_xla_computes_what_a_training_too_short_for_it_computes(adata, fitted, monkeypatch, traced):
    assert not fitted["repaired"].net.jit
    monkeypatch.setattr("scgen_lib.models.db_aae.model.XLA_PAYS", 0)
    compiled = DBAAE(**SMALL).fit(adata, epochs=4)
    assert compiled.net.jit
    # sums in another order, magnified by RMSprop where a gradient is near 0
    np.testing.assert_allclose(compiled.denoise(adata), fitted["repaired"].denoise(adata), atol=1e-4)


def test_interrupted_fit_ends_like_an_uninterrupted_one_of_the_same_seed(adata, fitted, tmp_path):
    for epochs in (2, 4):
        model = DBAAE(**SMALL).fit(adata, epochs=epochs, checkpoint=tmp_path / "state")
    assert model.history == fitted["repaired"].history
    np.testing.assert_array_equal(model.denoise(adata), fitted["repaired"].denoise(adata))
    for a, b in zip(
        model.net.discriminator_optimizer.variables,
        fitted["repaired"].net.discriminator_optimizer.variables,
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("variant", VARIANTS)
def test_saved_model_is_the_same_model(adata, fitted, tmp_path, variant):
    fitted[variant].save(tmp_path / "model.keras")
    loaded = DBAAE.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.denoise(adata), fitted[variant].denoise(adata))
    codes = loaded.embed(adata)
    np.testing.assert_array_equal(loaded.net.discriminator(codes), fitted[variant].net.discriminator(codes))
    assert loaded.values() == fitted[variant].values()
    assert loaded.history == fitted[variant].history
    assert loaded.genes == fitted[variant].genes


def test_variable_genes_are_chosen_and_named(adata, fitted):
    model = fitted["faithful"]
    assert len(model.genes) == 15
    assert model.genes == [name for name in adata.var_names if name in set(model.genes)]
    with pytest.raises(DataError, match="of the training in their order"):
        model.denoise(adata[:, model.genes].copy())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent_mode": "add"}, "deterministic"),
        ({"disc_output": "sigmoid"}, "logit"),
        ({"decoder_output": "tanh"}, "softplus"),
        ({"optimizer": "adam"}, "RMSprop-keras3"),
        ({"shuffle": "file"}, "shuffle"),
        ({"hidden": (8, 0)}, "hidden"),
        ({"hidden": ()}, "one width or more"),
        ({"leak": 1.0}, r"leak to be float, in \[0, 1\)"),
        ({"tune_objective": "loss"}, "d_equilibrium"),
        ({"tune_trial": "random_encoder"}, "got val_mse, which needs a trained model"),
    ],
)
def test_illegal_settings_are_refused_by_name(arguments, message):
    with pytest.raises(ParameterError, match=message):
        DBAAE(**arguments)


# Search of the batch size --------------------------------------------------------------------------------------------


def test_repaired_search_takes_the_steps_of_the_budget_and_measures_all_objectives(adata):
    # 111 cells are trained on, which a batch of 128 is cut down to; by epochs it would be 2 steps
    found = DBAAE(**SMALL).tune(adata, batch_min=128, batch_max=128, epochs=2, budget="steps")
    assert found.curve["steps"].tolist() == [8]  # 2 epochs of ⌈111 / 32⌉
    assert found.best == 128
    assert np.isfinite(found.curve[["d_accuracy", "d_equilibrium", "val_mse"]]).all(axis=None)


def test_released_search_reports_the_batch_size_that_cannot_be(adata):
    found = DBAAE.faithful(**SMALL).tune(adata, batch_min=16, batch_max=128, batch_step=112, epochs=2)
    assert found.best == 16
    assert found.trials["steps"].tolist()[0] == 14  # 2 epochs of ⌊124 / 16⌋
    assert "got 124 training cells for a batch size of 128" in found.trials["error"][1]
    assert "val_mse" not in found.curve


def test_the_faithful_model_can_be_searched_by_its_held_out_error():
    changes = {"tune_trial": "model", "tune_objective": "val_mse"}
    with pytest.raises(ParameterError, match="as in the released code"):
        DBAAE.faithful(**changes)
    made = DBAAE.faithful(**changes, except_for=list(changes))
    assert (made.tune_trial, made.tune_learning_rate, made.latent_mode) == ("model", 2e-5, "sum")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"seeds": 0}, "seeds"), ({"budget": "time"}, "steps"), ({"val_fraction": 0.9}, "0.5")],
)
def test_illegal_searches_are_refused_by_name(adata, arguments, message):
    with pytest.raises(ParameterError, match=message):
        DBAAE(**SMALL).tune(adata, **arguments)
