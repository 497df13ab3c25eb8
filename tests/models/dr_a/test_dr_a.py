"""DR-A: sizes, losses and updates of the nets as the paper's page lists them, and the life of a model."""

import math
import pickle

import anndata
import keras
import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from scgen_lib import training
from scgen_lib.errors import CheckpointError, DataError, ParameterError, TrainingError
from scgen_lib.models.dr_a import DRA
from scgen_lib.models.dr_a.net import DRANet
from scgen_lib.models.dr_a.settings import DRASettings
from scgen_lib.preprocess import legacy_split

pytestmark = pytest.mark.usefixtures("eager")
SMALL = {"latent_dim": 3, "hidden": [12], "disc_hidden": [8]}
DEEP = {"latent_dim": 2, "hidden": [512] * 4, "disc_hidden": [32] * 4}
# ε = 1e-10 inside the logarithm and float32 sums over 128 logits
FLOAT32 = 1e-5


@pytest.fixture(scope="module")
def adata():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 3, 120)
    mean = rng.gamma(0.7, 3.0, (3, 30))[group] * rng.lognormal(0, 0.4, (120, 1))
    counts = rng.negative_binomial(2, 2 / (2 + mean)).astype("float32")
    counts[:, 0] += 1
    return anndata.AnnData(counts.copy(), layers={"counts": counts})


def made(cls, variant, settings):
    """A variant with whatever settings, those that it has otherwise included."""
    return cls.faithful(**settings, except_for=list(settings)) if variant == "faithful" else cls(**settings)


def model(variant="faithful", **settings):
    return made(DRA, variant, SMALL | settings)


@pytest.fixture(scope="module")
def faithful(adata):
    return model().fit(adata, epochs=3, batch_size=16)


@pytest.fixture(scope="module")
def repaired(adata):
    return model("repaired").fit(adata, epochs=2, batch_size=16)


def numbers(weights):
    return sum(math.prod(w.shape) for w in weights)


def compiled(variant="faithful", iterations=23, **settings):
    net = DRANet(20, made(DRASettings, variant, SMALL | settings), library_prior=(1.5, 0.3), iterations=iterations)
    net.compile()
    return net


def batch(n=16, genes=20, seed=0):
    counts = np.random.default_rng(seed).poisson(2.0, (n, genes)).astype("float32")
    x = np.log2(counts + 1) / np.log2(counts.max() + 1)
    return {"x": tf.constant(x), "counts": tf.constant(counts), "log_factorial": tf.zeros((n, 1))}


def values(net):
    return {name: [w.numpy().copy() for w in weights] for name, weights in net.parts.items()}


def changed(net, step, *arguments):
    before = values(net)
    logs = step(*arguments)
    moved = {k for k, v in values(net).items() if any((a != b).any() for a, b in zip(v, before[k], strict=True))}
    return moved, logs


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({"latent_dim": 10}, [384_564, 745_072, 369_360, 6_145, 369_665, 1_874_806]),
        ({"latent_dim": 20}, [399_974, 750_192, 369_360, 11_265, 369_665, 1_900_456]),
        (DEEP, [1_160_204, 1_528_944, 369_360, 3_297, 26_273, 3_088_078]),
        (DEEP | {"batchnorm": True}, [1_164_300, 1_533_040, 369_360, 3_553, 26_529, 3_096_782]),
    ],
)
def test_parts_have_the_published_numbers_of_parameters(settings, sizes):
    net = DRANet(720, DRASettings.faithful(**settings))
    assert list(net.sizes().values()) == sizes
    assert numbers(net.trainable_variables) == sizes[-1]
    assert numbers(w for w in net.non_trainable_variables if w.path.split("/")[-1].startswith("moving")) == (
        8_704 if settings.get("batchnorm") else 0
    )


@pytest.mark.parametrize(("settings", "size"), [({"latent_dim": 10}, 380_438), (DEEP, 1_160_198)])
def test_library_size_without_bottleneck_takes_fewer_parameters(settings, size):
    assert DRANet(720, DRASettings(**settings)).sizes()["encoder"] == size


def test_rates_of_a_cell_sum_to_its_library_size_and_fakes_are_shares():
    net, z, library = (
        compiled("repaired"),
        tf.random.normal((5, 3), seed=1),
        tf.constant([[-2.0], [0.0], [1], [3], [7]]),
    )
    rate = tf.exp(net.decode(z, library)["log_mean"])
    np.testing.assert_allclose(tf.reduce_sum(rate, axis=1, keepdims=True), tf.exp(library), rtol=1e-5)
    fake = net.reconstruct(z).numpy()
    assert ((fake > 0) & (fake < 1)).all()
    # the released ε of each of the 20 rates is all that its sum is off by
    released = tf.exp(compiled("repaired", rate_epsilon=1e-8).decode(z, library)["log_mean"])
    np.testing.assert_allclose(tf.reduce_sum(released, axis=1, keepdims=True), tf.exp(library), rtol=1e-5, atol=2e-7)


def test_loss_is_made_of_the_likelihood_and_both_divergences(monkeypatch):
    net = compiled(kl_weight=0.5, keep=1.0)
    monkeypatch.setattr("scgen_lib.layers.normal", lambda shape, seeds: tf.zeros(shape))
    data = batch()
    logs, q = net(data), net.encode(data["x"])
    m, v, l_m, l_v = q["z_mean"], tf.exp(q["z_log_var"]), q["l_mean"], tf.exp(q["l_log_var"])
    kl_z = 0.5 * tf.reduce_sum(-tf.math.log(v) + v + m**2 - 1, axis=1)
    kl_l = 0.5 * (-tf.math.log(l_v) + l_v / 0.3 + (l_m - 1.5) ** 2 / 0.3 + math.log(0.3) - 1)
    np.testing.assert_allclose(logs["kl_z"], tf.reduce_mean(kl_z), rtol=1e-5)
    np.testing.assert_allclose(logs["kl_l"], tf.reduce_mean(kl_l), rtol=1e-5)
    np.testing.assert_allclose(logs["loss"], logs["nll"] + logs["kl_l"] + 0.5 * logs["kl_z"], rtol=1e-6)
    # the released formula, with its ε in every logarithm
    x, p = data["x"], net.decode(m, l_m)
    eps, mu, theta, pi = 1e-8, tf.exp(l_m) * tf.nn.softmax(net.proportion(net.decoder(m))), p["theta"], p["logit"]
    log_theta_mu = tf.math.log(theta + mu + eps)
    zero_case = tf.nn.softplus(-pi + theta * tf.math.log(theta + eps) - theta * log_theta_mu) - tf.nn.softplus(-pi)
    other = -tf.nn.softplus(-pi) - pi + theta * tf.math.log(theta + eps) - theta * log_theta_mu
    other += x * tf.math.log(mu + eps) - x * log_theta_mu + tf.math.lgamma(x + theta) - tf.math.lgamma(theta)
    expected = -tf.reduce_mean(tf.reduce_sum(tf.where(x < 1e-8, zero_case, other), axis=1))
    # float32 lnΓ of the library on one side, a series on the other
    np.testing.assert_allclose(logs["nll"], expected, rtol=1e-4)


@pytest.mark.parametrize("variant", ["faithful", "repaired"])
def test_every_step_changes_its_own_networks_only(variant):
    net, data = compiled(variant), batch()
    likelihood = {"encoder", "z", "library", "decoder", "zinb", "dispersion"}
    assert changed(net, net.autoencoder_step, data)[0] == likelihood
    assert changed(net, net.d1_step, data)[0] == {"d1"}
    assert changed(net, net.d2_step, data)[0] == {"d2"}
    game = {"encoder", "z"} | ({"decoder", "reconstruction"} if variant == "repaired" else set())
    assert changed(net, net.encoder_step, data)[0] == game


@pytest.mark.parametrize("adversarial", ["bhattacharyya", "bhattacharyya_abs", "bce"])
@pytest.mark.parametrize("variant", ["faithful", "repaired"])
def test_the_model_learns_from_d2_in_any_game_if_asked_to(variant, adversarial):
    for dual, more in (("inert", set()), ("none", set()), ("matching", {"decoder", "reconstruction"})):
        net = compiled(variant, adversarial=adversarial, dual=dual)
        moved, logs = changed(net, net.encoder_step, batch())
        assert moved == {"encoder", "z"} | more
        assert ("generator" in logs) == ("generator" in net.logs_by) == (dual == "matching")


def test_a_weight_of_zero_takes_the_game_out_of_the_encoder():
    net = compiled("repaired", lam=0.0)
    assert changed(net, net.encoder_step, batch())[0] == set()


def test_the_weight_of_the_game_scales_the_steps_although_adam_cancels_a_factor_of_the_loss():
    steps = []
    for lam in (1.0, 0.1):
        net = compiled("repaired", lam=lam)
        before = net.z_mean.kernel.numpy().copy()
        net.encoder_step(batch())
        steps.append(net.z_mean.kernel.numpy() - before)
    # float32 weights of order 0.5, steps of 1e-4 and 1e-5
    np.testing.assert_allclose(steps[1], 0.1 * steps[0], atol=2e-7)


@pytest.mark.parametrize(
    ("g_iter", "turns"), [(2, 8), *(pytest.param(*of, marks=pytest.mark.slow) for of in ((3, 6), (1, 12)))]
)
def test_d1_and_encoder_take_turns_that_start_anew_every_epoch(g_iter, turns, traced):
    net, data = compiled("repaired", g_iter=g_iter, hidden=[4], disc_hidden=[4]), batch(n=4)
    step = tf.function(net.batch_step, autograph=False)
    # a second epoch up to its first encoder steps
    for iterations in (23, 3):
        encoder, sequence = int(net.encoder_optimizer.iterations), []
        for _ in range(iterations):
            before = int(net.d1_optimizer.iterations)
            step(data)
            sequence.append(int(net.d1_optimizer.iterations) - before)
        assert sequence == [int(it % (g_iter + 1) == 0) for it in range(iterations)]
        assert int(net.encoder_optimizer.iterations) - encoder == iterations - sum(sequence)
        assert sum(sequence) == turns or iterations == 3
    assert int(net.d2_optimizer.iterations) == int(net.optimizer.iterations) == 26


def test_logs_of_a_turn_average_to_its_own_mean_over_an_epoch():
    net, data = compiled(iterations=5), batch()
    logs = [net.batch_step(data) for _ in range(5)]
    # D1 has two of five turns
    assert [float(log["d1"]) != 0 for log in logs] == [True, False, False, True, False]
    np.testing.assert_allclose(logs[0]["d1"], -2.5 * math.log(logs[0]["d1_exp"]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(logs[1]["encoder"], -5 / 3 * math.log(logs[1]["encoder_exp"]), rtol=1e-4)


def test_windows_are_consecutive_training_cells_and_never_hold_the_last(adata, monkeypatch):
    seen = {}

    def watch(net, arrays, **options):
        seen.update(options)
        return {}

    monkeypatch.setattr(training, "fit", watch)
    model().fit(adata, batch_size=16)
    rows = legacy_split(120)[0]
    np.testing.assert_array_equal(seen["rows"], rows)
    place = {row: i for i, row in enumerate(rows)}
    starts = []
    for epoch in range(100):
        drawn = seen["order"](np.random.default_rng(epoch), rows, 16).reshape(-1, 16)
        # all cells count for the number of iterations, 120 // 16
        assert len(drawn) == 7
        at = np.vectorize(place.get)(drawn)
        assert (np.diff(at, axis=1) == 1).all()
        starts += at[:, 0].tolist()
    assert (min(starts), max(starts)) == (0, len(rows) - 16 - 1)


def test_without_dropout_the_released_game_is_the_same_with_and_without_d2():
    nets = [compiled(keep=1.0, dual=dual) for dual in ("inert", "none")]
    for seed in range(4):
        for net in nets:
            net.batch_step(batch(seed=seed))
    both, alone = map(values, nets)
    assert any((a != b).any() for a, b in zip(both.pop("d2"), alone.pop("d2"), strict=True))
    for name, weights in both.items():
        for a, b in zip(weights, alone[name], strict=True):
            np.testing.assert_array_equal(a, b)


def test_frozen_batch_normalisation_is_a_constant_factor_and_has_no_dropout():
    net = compiled("repaired", batchnorm=True, batchnorm_statistics="initial", keep=0.5)
    x = batch()["x"]
    hidden = tf.nn.leaky_relu(net.encoder.layers[0](x), 0.2) / math.sqrt(1.001)
    np.testing.assert_allclose(net._run(net.encoder, x, training=True), hidden, rtol=1e-5, atol=1e-6)
    for _ in range(3):
        net.batch_step(batch())
    for weight in net.non_trainable_variables:
        if "moving" in weight.path:
            assert (weight.numpy() == float("variance" in weight.path)).all()


def test_repaired_batch_normalisation_follows_the_data():
    net = compiled("repaired", batchnorm=True)
    net.batch_step(batch())
    assert any("moving_mean" in w.path and (w.numpy() != 0).any() for w in net.encoder.non_trainable_variables)


def test_zero_logits_cost_ln_2_in_the_genuine_game():
    net = compiled("repaired")
    for discriminator in (net.d1, net.d2):
        discriminator.layers[-1].kernel.assign(tf.zeros_like(discriminator.layers[-1].kernel))
    data = batch()
    assert [float(net.d1_step(data)["d1"]), float(net.d2_step(data)["d2"])] == pytest.approx([math.log(2)] * 2)
    for discriminator in (net.d1, net.d2):
        for weight in discriminator.layers[-1].trainable_variables:
            weight.assign(tf.zeros_like(weight))
    logs = net.encoder_step(data)
    assert [float(logs["encoder"]), float(logs["generator"])] == pytest.approx([math.log(2)] * 2)


def test_guards_bound_the_variances_and_the_library_size():
    for sign in (-1.0, 1.0):
        net, data = compiled(), batch()
        for head in (net.z_log_var, net.l_log_var, net.l_mean):
            head.bias.assign(tf.fill(head.bias.shape, sign * 1e4))
        q = net.encode(data["x"])
        v = tf.exp(q["z_log_var"])
        assert float(tf.reduce_min(v)) >= math.exp(-10) * (1 - 1e-6)
        assert float(tf.reduce_max(v)) <= math.exp(10) * (1 + 1e-6)
        logs = net.autoencoder_step(data)
        assert all(math.isfinite(v) for v in logs.values())
        assert [float(logs[k]) for k in ("clipped_v", "clipped_l_v", "clipped_l")] == [1.0, 1.0, 1.0]
        assert all(np.isfinite(w).all() for weights in values(net).values() for w in weights)


@pytest.mark.parametrize("variant", ["faithful", "repaired"])
@pytest.mark.parametrize(
    "settings",
    [
        {"adversarial": "bce", "batchnorm": True},
        {"adversarial": "none", "hidden": [8, 6], "likelihood_input": "counts", "kl_weight": 1.0},
        *(
            pytest.param(settings, marks=pytest.mark.slow)
            for settings in (
                {"adversarial": "bhattacharyya"},
                {"adversarial": "bhattacharyya_abs", "sampler": "uniform"},
                {"adversarial": "bce", "dual": "none", "likelihood_input": "transformed"},
                {"actv": "lin", "keep": 1.0, "leak": 0.0, "disc_hidden": [8, 6]},
            )
        ),
    ],
)
def test_two_epochs_of_every_variant_are_finite(variant, settings):
    net = compiled(variant, iterations=4, **settings)
    step = tf.function(net.batch_step, autograph=False)
    for seed in range(8):
        logs = step(batch(seed=seed))
        assert set(logs) == set(net.logs_by)
        assert all(math.isfinite(v) for v in logs.values())


def test_tanh_brings_real_and_fake_to_the_same_range():
    net, x = compiled("repaired", actv="tanh"), batch()["x"]
    assert float(tf.reduce_min(net.real(x))) == -1.0
    assert float(tf.reduce_max(net.real(x))) == 1.0
    assert float(tf.reduce_min(net.reconstruct(tf.random.normal((50, 3), seed=0)))) < 0


def test_the_second_head_follows_actv_unless_it_is_a_sigmoid():
    z = 9.0 * tf.random.normal((50, 3), seed=0)
    for reconstruction, bounded in (("sigmoid", True), ("actv", False)):
        fake = compiled("repaired", actv="lin", reconstruction=reconstruction).reconstruct(z).numpy()
        assert (fake.min() >= 0 and fake.max() <= 1) == bounded


@pytest.mark.slow
def test_released_game_leaves_the_second_head_where_it_started(faithful, repaired):
    moved = faithful.moved()
    assert moved.pop("reconstruction") == 0
    assert min(moved.values()) > 0
    assert min(repaired.moved().values()) > 0


def test_history_has_a_value_per_epoch_of_all_that_is_logged(faithful, repaired):
    names = {"loss", "nll", "kl_l", "kl_z", "v", "l_sd", "z_abs", "clipped_v", "clipped_l_v", "clipped_l"}
    names |= {f"{player}{suffix}" for player in ("d1", "encoder", "d2") for suffix in ("", "_mixed", "_min")}
    assert set(faithful.history) == names
    assert set(repaired.history) == names | {"generator"}
    for fitted, epochs in ((faithful, 3), (repaired, 2)):
        assert {len(v) for v in fitted.history.values()} == {epochs}
        for player in ("d1", "encoder", "d2"):
            least, mean = (np.array(fitted.history[player + suffix]) for suffix in ("_min", ""))
            assert (least <= mean + FLOAT32).all()
        assert fitted.history["loss"][-1] < fitted.history["loss"][0]


def test_codes_are_samples_or_means_and_the_same_in_every_call(adata, faithful, repaired):
    mean, sample = (faithful.embed(adata, latent) for latent in ("mean", "sample"))
    assert mean.shape == sample.shape == (120, 3)
    np.testing.assert_array_equal(faithful.embed(adata), sample)
    np.testing.assert_array_equal(faithful.embed(adata), sample)
    q = faithful.posterior(adata)
    np.testing.assert_array_equal(mean, q["z_mean"])
    deviation = (sample - mean) / np.sqrt(q["z_variance"])
    # 360 draws of N(0, 1): five standard errors
    assert abs(deviation.mean()) < 5 / math.sqrt(360)
    assert deviation.std() == pytest.approx(1, abs=5 / math.sqrt(720))
    np.testing.assert_array_equal(repaired.embed(adata), repaired.posterior(adata)["z_mean"])
    with pytest.raises(ParameterError, match="one of sample, mean"):
        faithful.embed(adata, "median")


def test_discriminators_judge_every_cell(adata, repaired):
    logits = repaired.logits(adata)
    assert set(logits) == {"d1_prior", "d1_code", "d2_data", "d2_reconstruction"}
    assert all(v.shape == (120,) and np.isfinite(v).all() for v in logits.values())
    again = repaired.net.d2(repaired.transform(adata)).numpy()[:, 0]
    # single operations against a traced function
    np.testing.assert_allclose(logits["d2_data"], again, rtol=1e-4, atol=1e-6)


def test_sparse_counts_resume_and_seed_give_the_same_numbers(adata, faithful, tmp_path):
    sparse = adata.copy()
    sparse.layers["counts"] = sp.csr_matrix(adata.layers["counts"])
    path = tmp_path / "state"
    model().fit(sparse, epochs=2, batch_size=16, checkpoint=path)
    resumed = model().fit(sparse, epochs=3, batch_size=16, checkpoint=path)
    assert resumed.history == faithful.history
    np.testing.assert_array_equal(resumed.embed(sparse), faithful.embed(adata))


def test_saved_model_is_the_same_model(adata, faithful, tmp_path):
    path = tmp_path / "dr_a.keras"
    faithful.save(path)
    loaded = DRA.load(path)
    np.testing.assert_array_equal(loaded.embed(adata), faithful.embed(adata))
    assert loaded.values() == faithful.values()
    assert loaded.history == faithful.history
    assert pickle.loads(pickle.dumps(loaded.history)) == faithful.history
    assert loaded.moved() == faithful.moved()


def test_a_model_of_another_paper_is_refused(tmp_path):
    path = tmp_path / "other.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(path)
    with pytest.raises(CheckpointError, match="expected a model saved by DRA"):
        DRA.load(path)


def test_seed_decides_the_start():
    first, same, other = (DRANet(20, DRASettings(**SMALL, seed=seed)).get_weights() for seed in (3, 3, 4))
    assert all((a == b).all() for a, b in zip(first, same, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_annotate_writes_the_slots_of_the_project(adata, faithful, tmp_path):
    annotated = faithful.annotate(adata.copy())
    annotated.write_h5ad(tmp_path / "out.h5ad")
    stored = anndata.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_array_equal(stored.obsm["X_dr_a"], faithful.embed(adata))
    assert stored.uns["dr_a"]["adversarial"] == "bhattacharyya"
    np.testing.assert_allclose(stored.uns["dr_a"]["history"]["loss"], faithful.history["loss"])


def test_scale_is_the_maximum_of_all_cells_or_of_those_of_the_training(adata):
    train, test = legacy_split(120)
    bright = adata.copy()
    bright.layers["counts"][test[0], 3] = 1e4
    for scale_cells in ("all", "training"):
        # no game: only the scale matters here
        fitted = model("repaired", scale_cells=scale_cells, adversarial="none").fit(bright, epochs=1, batch_size=16)
        x = fitted.transform(bright)
        assert x.max() == 1
        assert (x[train].max() == 1) == (scale_cells == "training")


def test_faithful_takes_what_the_release_has_and_keeps_the_guards():
    released = {
        "adversarial": "bhattacharyya",
        "dual": "inert",
        "scale_cells": "all",
        "latent": "sample",
        "rate_epsilon": 1e-8,
        "clip_norm": None,
        "guards": True,
    }
    assert DRA.faithful().values().items() >= released.items()


@pytest.mark.parametrize("settings", [{"lam": 10.0}, {"g_iter": 5}, {"dual": "matching"}, {"clip_norm": 5.0}])
def test_what_the_release_has_fixed_is_refused_by_name_in_the_faithful_model(settings):
    name, value = next(iter(settings.items()))
    with pytest.raises(ParameterError, match=rf"expected {name} = .*, as in the released code.*, got {value!r}"):
        DRA.faithful(**settings)
    assert getattr(DRA(**settings), name) == value


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adversarial": "wgan"}, "one of bhattacharyya, bhattacharyya_abs, bce, none"),
        ({"dual": False}, "one of matching, inert, none"),
        ({"sampler": "mix_gauss"}, "one of normal, uniform"),
        ({"trans": "log"}, "one of sparse, dense"),
        ({"actv": "relu"}, "one of sig, lin, tanh"),
        ({"actv": "tanh", "reconstruction": "sigmoid"}, "choose the repaired model"),
        ({"batchnorm": 1}, "batchnorm to be bool"),
        ({"batchnorm": "False"}, "batchnorm to be bool"),
        ({"keep": 0.0}, r"keep to be float, in \(0, 1\]"),
        ({"beta_1": 1.0}, "beta_1"),
        ({"clip_norm": 0.0}, "clip_norm"),
        ({"latent_dim": 0}, "latent_dim"),
        ({"hidden": ()}, "one width or more for hidden"),
        ({"disc_hidden": [0]}, "disc_hidden"),
    ],
)
def test_illegal_settings_are_refused_by_name(settings, message):
    with pytest.raises(ParameterError, match=message):
        DRA(**settings)


def test_the_released_code_cannot_load_its_data_for_a_tanh():
    with pytest.raises(ParameterError, match="choose the repaired model"):
        DRA.faithful(actv="tanh")


@pytest.mark.parametrize(("batch_size", "message"), [(1, r"to be int, in \[2"), (96, "from 2 to 95")])
def test_a_batch_that_is_no_window_of_the_training_cells_is_refused(adata, batch_size, message):
    with pytest.raises(ParameterError, match=f"expected batch_size {message}"):
        model().fit(adata, batch_size=batch_size)


def test_training_cells_without_counts_are_refused(adata):
    empty = adata.copy()
    empty.layers["counts"][legacy_split(120)[0][:2]] = 0
    with pytest.raises(DataError, match="got none in 2 of 96"):
        model().fit(empty, batch_size=16)


def test_a_training_that_leaves_the_finite_numbers_says_so(adata):
    # with steps of this length the library size overflows at once
    with pytest.raises(TrainingError, match=r"got .* in epoch \d+: lower learning_rate, or choose adversarial"):
        model(learning_rate=1e3, guards=False).fit(adata, batch_size=16, epochs=5)


def test_without_guards_the_loss_is_that_of_the_release_and_may_overflow():
    guarded, free = (compiled(guards=g) for g in (True, False))
    # within the bounds of the guards, and up to the ε of 1e-8 that the released terms have
    np.testing.assert_allclose(free(batch())["loss"], guarded(batch())["loss"], rtol=FLOAT32)
    for net, finite in ((guarded, True), (free, False)):
        net.l_mean.bias.assign([200.0])
        assert bool(tf.math.is_finite(net(batch())["loss"])) == finite


def test_use_before_fit_and_other_genes_are_refused(adata, faithful):
    with pytest.raises(ParameterError, match="call fit"):
        DRA().embed(adata)
    with pytest.raises(DataError, match="of the training in their order"):
        faithful.embed(adata[:, ::-1].copy())
