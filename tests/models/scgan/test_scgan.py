"""scGAN and cscGAN: sizes, single updates against formulas, resume, and cells on demand."""

import copy
import math
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import tensorflow as tf
from anndata import AnnData

from scgen_lib import data
from scgen_lib.errors import CheckpointError, DataError, ParameterError, TrainingError
from scgen_lib.metrics import conditional, mixing
from scgen_lib.models.scgan import ScGAN
from scgen_lib.models.scgan.cells import process, scaled
from scgen_lib.models.scgan.net import ScGANNet
from scgen_lib.models.scgan.settings import ScGANSettings
from scgen_lib.settings import arguments
from scgen_lib.training import windows

TINY = {"gen_layers": [5, 4], "critic_layers": [7, 5], "latent_dim": 3}
SMALL = {"gen_layers": [16, 16], "critic_layers": [32, 16], "latent_dim": 8, "library_size": 20.0, "bn_momentum": 0.9}
FIT = {"steps": 40, "batch_size": 16, "steps_per_epoch": 10, "checkpoint_every": 10}


def net(prior=(0.5, 0.3, 0.2), *, steps=10, variant="repaired", **options):
    made = ScGANNet(6, ScGANSettings.variant(variant, **{**TINY, **options}), prior=prior)
    made.compile(steps=steps)
    return made


def batch_of(model, size=4, seed=0):
    rng, n = np.random.default_rng(seed), size * model.critic_updates
    x = rng.gamma(1.0, 1.0, (n, 6))
    x = model.settings.library_size * x / x.sum(axis=1, keepdims=True)
    label = rng.integers(0, model.n_classes, (n, 1))
    return {"x": tf.constant(x, tf.float32), "label": tf.constant(label, tf.float32)}


def values(variables):
    return [keras.ops.convert_to_numpy(v) for v in variables]


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("genes", "classes", "generator", "critic"),
    [
        (17_789, 10, 18_957_693, 18_875_658),
        (765, 1, 1_025 * 765 + 688_128 + 3_584, 1_024 * 765 + 657_409),
        (100, 7, 1_025 * 100 + 688_128 + 7 * 3_584, 1_024 * 100 + 657_152 + 257 * 7),
    ],
)
def test_the_networks_have_the_published_numbers_of_parameters(genes, classes, generator, critic):
    model = ScGANNet(genes, prior=np.full(classes, 1 / classes))
    assert model.sizes() == {
        "generator": generator,
        "critic": critic,
        "total": generator + critic,
        "moving": 3_584,
    }


def test_other_layers_have_their_own_numbers():
    assert net(critic_cond="projection").sizes()["critic"] == net().sizes()["critic"] + 5 + 1 - 3
    assert net(gen_norm="layernorm").sizes() == net().sizes() | {"moving": 0}
    bare = net(gen_norm="none", gen_norm_of="cscgan")
    assert bare.sizes()["generator"] == net().sizes()["generator"] - 2 * 3 * (5 + 4)


# The losses ----------------------------------------------------------------------------------------------------------


def linear_critic(model, seed=0):
    """A critic with a weight vector for each class in place of the network, and those vectors."""
    w = np.random.default_rng(seed).normal(size=(model.n_classes, model.n_genes)).astype("float32")
    seen = []

    def criticise(x, label):
        seen.append((x, label))
        return tf.reduce_sum(x * (label @ tf.constant(w)), axis=1)

    model.criticise = criticise
    return w, seen


def some_cells(model, n=5, seed=0):
    rng = np.random.default_rng(seed)
    x, fake, partner = (tf.constant(rng.random((n, 6)), tf.float32) for _ in range(3))
    label, wanted = np.array([0, 1, 2, 0, 1]), np.array([2, 2, 2, 1, 0])
    return x, label, fake, wanted, partner


def test_the_critics_loss_takes_the_penalty_for_the_classes_of_the_real_cells():
    model = net(gp_weight=10.0)
    w, _ = linear_critic(model)
    x, label, fake, wanted, partner = some_cells(model)
    alpha = tf.random.stateless_uniform((5, 1), [0, 0])
    logs = model.critic_loss(x, model.one_hot(label), fake, model.one_hot(wanted), partner, alpha)
    slopes = np.linalg.norm(w, axis=1)[label]
    assert float(logs["penalty"]) == pytest.approx(((slopes - 1) ** 2).mean(), rel=1e-5)
    real, generated = (np.sum(a * w[b], axis=1).mean() for a, b in ((x, label), (fake, wanted)))
    assert float(logs["critic"]) == pytest.approx(generated - real + 10 * ((slopes - 1) ** 2).mean(), rel=1e-5)
    assert float(model.generator_loss(fake, model.one_hot(wanted))) == pytest.approx(-generated, rel=1e-5)


@pytest.mark.parametrize("end", [0, 1])
def test_the_penalty_is_taken_between_real_cells_and_their_partners(end):
    model = net(critic_input_scale=0.5)
    _, seen = linear_critic(model)
    x, label, fake, wanted, partner = some_cells(model)
    model.critic_loss(x, model.one_hot(label), fake, model.one_hot(wanted), partner, tf.fill((5, 1), float(end)))
    point, classes = seen[-1]
    np.testing.assert_allclose(point, 0.5 * (partner if end else x), rtol=1e-6)
    np.testing.assert_array_equal(classes, model.one_hot(label))


STATISTICS = pytest.mark.parametrize("statistics", ["by_batch", "twice_by_critic"])


@STATISTICS
@pytest.mark.parametrize("classes", [1, 3])
def test_partners_have_the_noise_of_the_fakes_and_the_classes_of_the_real_cells(statistics, classes):
    model = net(np.full(classes, 1 / classes), moving_statistics=statistics, conditional=classes > 1)
    calls = []
    generate = model.generate
    model.generate = lambda z, label, **kw: calls.append((z, label)) or generate(z, label, **kw)
    x, label, _, wanted, _ = some_cells(model)
    z, label, wanted = tf.ones((5, 3)), model.one_hot(label % classes), model.one_hot(wanted % classes)
    model.critic_step(x, label, z, wanted, tf.zeros((5, 1)))
    # scGAN needs one batch, which the release makes twice
    assert len(calls) == (1 if classes == 1 and statistics == "by_batch" else 2)
    assert calls[0][1] is wanted
    assert all(noise is z for noise, _ in calls)
    assert calls[-1][1] is label or len(calls) == 1


# One outer step ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["amsgrad", "adam"])
def test_the_optimiser_keeps_the_largest_second_moment_uncorrected(optimizer):
    model, w = net(optimizer=optimizer), keras.Variable(1.0)
    adam = copy.copy(model.critic_optimizer.get_config())
    adam = keras.optimizers.Adam.from_config(adam | {"learning_rate": 0.1})
    adam.build([w])
    m = v = top = 0.0
    expected = 1.0
    for k, g in enumerate([1.0, -10.0, 0.5, 0.1, 2.0], 1):
        adam.apply([tf.constant(g)], [w])
        m, v = 0.5 * m + 0.5 * g, 0.9 * v + 0.1 * g * g
        top = max(top, v) if optimizer == "amsgrad" else v
        expected -= 0.1 * math.sqrt(1 - 0.9**k) / (1 - 0.5**k) * m / (math.sqrt(top) + 1e-8)
        assert float(w) == pytest.approx(expected, rel=1e-5)


def test_both_rates_follow_the_outer_steps():
    model = net(steps=4, lr_initial=1e-4, lr_final=1e-5)
    for step, expected in ((0, 1e-4), (2, 10**-4.5), (4, 1e-5)):
        model.optimizer.iterations.assign(step)
        logs = model.batch_step(batch_of(model))
        for rate in (model.optimizer.learning_rate, model.critic_optimizer.learning_rate, logs["learning_rate"]):
            assert float(rate) == pytest.approx(expected, rel=1e-5)
    model = net(steps=4, lr_decay=False)
    model.optimizer.iterations.assign(4)
    assert float(model.batch_step(batch_of(model))["learning_rate"]) == pytest.approx(1e-4)


@pytest.mark.parametrize(
    ("switches", "updates"),
    [
        ({}, (5, 10)),
        ({"extra_critic_updates": 1}, (6, 12)),
        ({"first_step": "one_update"}, (1, 6)),
        ({"variant": "faithful"}, (1, 7)),
    ],
)
def test_an_outer_step_has_its_numbers_of_updates(switches, updates):
    model = net(**switches)
    for step, expected in enumerate(updates, 1):
        model.batch_step(batch_of(model))
        assert int(model.critic_optimizer.iterations) == expected
        assert int(model.optimizer.iterations) == step


@pytest.mark.parametrize(
    ("switches", "updates"),
    [
        ({}, (11, 11)),
        ({"moving_statistics": "twice_by_critic"}, (10, 10)),
        ({"variant": "faithful"}, (2, 12)),
    ],
)
def test_moving_statistics_are_updated_as_often_as_asked_for(switches, updates):
    model = net(**switches)
    tracked = []
    norm, call = model.norms[0], model.norms[0].call
    norm.call = lambda *args, training=False, track=True: (
        tracked.append(training and track) or call(*args, training=training, track=track)
    )
    for expected in updates:
        tracked.clear()
        model.batch_step(batch_of(model))
        assert sum(tracked) == expected


@pytest.mark.parametrize("noise", ["fresh", "last_critic"])
def test_the_generator_takes_fresh_noise_or_that_of_the_last_critic_update(noise):
    model = net(generator_noise=noise)
    noises = {"critic": [], "generator": []}
    critic_step, generator_step = model.critic_step, model.generator_step
    model.critic_step = lambda x, label, z, *rest: noises["critic"].append(z) or critic_step(x, label, z, *rest)
    model.generator_step = lambda z, wanted: noises["generator"].append(z) or generator_step(z, wanted)
    model.batch_step(batch_of(model))
    assert np.array_equal(noises["critic"][-1], noises["generator"][0]) == (noise == "last_critic")


def test_no_update_moves_the_other_network():
    model = net()
    x, label, _, wanted, _ = some_cells(model)
    label, wanted, z = model.one_hot(label), model.one_hot(wanted), tf.random.stateless_normal((5, 3), [0, 0])
    generator, critic = values(model.generator_weights), values(model.critic_weights)
    model.critic_step(x, label, z, wanted, tf.fill((5, 1), 0.5))
    assert same(generator, values(model.generator_weights))
    # every weight, but the bias of the only class that fakes and real cells have equally often
    moved = [not np.array_equal(a, b) for a, b in zip(critic, values(model.critic_weights), strict=True)]
    assert all(moved[:-1])
    critic = values(model.critic_weights)
    model.generator_step(z, wanted)
    assert same(critic, values(model.critic_weights))
    assert not any(np.array_equal(a, b) for a, b in zip(generator, values(model.generator_weights), strict=True))


def test_a_factor_before_the_critic_is_another_library_size():
    # a power of two changes no digit
    scaled, plain = net(critic_input_scale=2**-7, library_size=1280.0), net(library_size=10.0)
    batch = batch_of(scaled)
    scaled.batch_step(batch)
    plain.batch_step({"x": batch["x"] * 2**-7, "label": batch["label"]})
    assert same(values(scaled.trainable_variables), values(plain.trainable_variables))
    z, label = tf.ones((2, 3)), scaled.one_hot([0, 1])
    np.testing.assert_array_equal(scaled.generate(z, label) * 2**-7, plain.generate(z, label))


def test_drawn_classes_follow_the_prior_of_their_label_whatever_its_size():
    shares = {}
    for prior in ((0.6, 0.3, 0.1, 0.0), (0.1, 0.0, 0.6, 0.3)):
        _, wanted, alpha = net(prior).draw(2, 5000)
        shares[prior] = wanted.numpy().mean(axis=(0, 1))
        # sd of a share of 10,000 draws: 0.005
        np.testing.assert_allclose(shares[prior], prior, atol=0.02)
        assert shares[prior][prior.index(0.0)] == 0
        np.testing.assert_array_equal(wanted.numpy().sum(axis=2), 1)
        assert alpha.shape == (2, 5000, 1)
        assert 0.48 < float(tf.reduce_mean(alpha)) < 0.52


# Cells in and out ----------------------------------------------------------------------------------------------------


def two_classes(n=240, seed=0):
    """Two classes of 20 genes, one of 70 %, that differ in ten genes each."""
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random(n) < 0.7, "common", "rare")
    mean = np.where((labels == "common")[:, None] == (np.arange(20) < 10), 8.0, 1.0)
    counts = sp.csr_matrix(rng.poisson(mean).astype("float32"))
    adata = AnnData(counts, obs={"cell_type": pd.Categorical(labels, categories=["rare", "common"])})
    adata.var_names = [f"g{i}" for i in range(20)]
    adata.obs["scgan_split"] = np.where(np.arange(n) % 4 == 0, "test", "train")
    return adata


@pytest.fixture(scope="module", autouse=True)
def uncompiled():
    """Without XLA, which takes longer to compile than a few steps to run; `learnt` has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScGANNet, "jit", False)
        yield


@pytest.fixture(scope="module")
def adata():
    return two_classes()


def gan(**settings):
    return ScGAN(**{**SMALL, **settings})


@pytest.fixture(scope="module")
def watched():
    return []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("scgan")


@pytest.fixture(scope="module")
def whole(adata, folder, watched):
    """An uninterrupted training, with everything that watches it; what it had saved half-way is kept."""
    model, state = gan(seed=3), folder / "state.npz"
    snapshots = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: epoch % 2 and watched.append(model.simulate({"rare": 3}, seed=0))
    )
    keep = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: epoch == 2 and shutil.copy(state, folder / "half.npz")
    )
    options = {**FIT, "log_dir": folder / "log", "histograms_every": 20, "checkpoint": state}
    return model.fit(adata, callbacks=[snapshots, keep], **options)


@pytest.fixture(scope="module")
def resumed(adata, folder, whole):
    """The second half of the training, in a new model, after a save that is killed while it writes."""
    path = folder / "half.npz"
    code = (
        "import os, signal, sys; from scgen_lib.files import replacing\n"
        "with replacing(sys.argv[1]) as path: path.write_bytes(b'PK'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    steps = []
    count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: steps.append(epoch))
    model = gan(seed=3).fit(adata, checkpoint=path, callbacks=[count], **FIT)
    assert steps == [2, 3]
    return model


@pytest.fixture(scope="module")
def learnt(adata):
    model = gan(lr_initial=5e-3, lr_final=5e-4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScGANNet, "jit", True)
        return model.fit(adata, steps=500, batch_size=32, steps_per_epoch=100)


def test_a_killed_and_resumed_training_has_the_numbers_of_an_uninterrupted_one(whole, resumed):
    for part in ("", "optimizer", "critic_optimizer"):
        one, other = (getattr(model.net, part) if part else model.net for model in (whole, resumed))
        assert same(values(one.variables), values(other.variables))
    assert whole.history == resumed.history
    assert whole.history["step"] == [10, 20, 30, 40]
    assert len(set(whole.history["critic"])) == 4


@pytest.mark.slow
def test_a_short_training_of_published_widths_on_thousands_of_genes_goes_on_after_its_first_block():
    counts = np.random.default_rng(0).poisson(1.0, (3000, 2000)).astype("float32")
    made = ScGAN(conditional=False).fit(AnnData(counts), steps=4, steps_per_epoch=2)
    assert np.isfinite(made.history["critic"]).all()
    assert len(made.history["critic"]) == 2


def test_a_damaged_checkpoint_and_one_of_other_settings_are_refused_and_kept(adata, folder, resumed):
    with pytest.raises(CheckpointError, match="expected a checkpoint of this model, data and settings"):
        gan(seed=3, lr_initial=2e-4).fit(adata, checkpoint=folder / "state.npz", **FIT)
    damaged = folder / "damaged.npz"
    damaged.write_bytes((folder / "state.npz").read_bytes()[:-100])
    size = damaged.stat().st_size
    with pytest.raises(CheckpointError, match="damaged file"):
        gan(seed=3).fit(adata, checkpoint=damaged, **FIT)
    assert damaged.stat().st_size == size


def test_cells_can_be_drawn_in_the_course_of_a_training_and_disturb_nothing(whole, resumed, watched):
    assert len(watched) == 2
    assert (watched[0].X != watched[1].X).nnz
    # `resumed` had none, and has the same numbers
    assert whole.fingerprint() == resumed.fingerprint()
    np.testing.assert_allclose(watched[-1].X.toarray(), whole.simulate({"rare": 3}, seed=0).X.toarray(), rtol=1e-5)


def test_tensorboard_gets_scalars_by_block_and_histograms_on_request(whole, folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(folder / "log"), size_guidance={"tensors": 0}).Reload()
    tags = log.Tags()["tensors"]
    events = log.Tensors("critic")
    assert [event.step for event in events] == [10, 20, 30, 40]
    read = [float(tf.make_ndarray(event.tensor_proto)) for event in events]
    np.testing.assert_allclose(read, whole.history["critic"], rtol=1e-6)
    assert set(whole.history) - {"step"} <= set(tags)
    histograms = set(tags) - set(whole.history)
    weights = len(whole.net.trainable_variables)
    assert len(histograms) == 2 * weights + 4
    assert [event.step for event in log.Tensors("cells/generated")] == [20, 40]


def test_sparse_cells_give_the_numbers_of_dense_ones_a_batch_at_a_time(adata, resumed, monkeypatch):
    monkeypatch.setattr("scgen_lib.training.loop.RESIDENT_BYTES", 0)
    largest = []
    fill = windows._fill
    monkeypatch.setattr(windows, "_fill", lambda out, values: largest.append(len(out)) or fill(out, values))
    monkeypatch.setattr("scgen_lib.training.windows.WINDOW_BYTES", 1)
    streamed = gan(seed=3).fit(adata, **FIT)
    assert max(largest) <= 5 * 16
    assert streamed.fingerprint() == resumed.fingerprint()


def test_the_model_learns_two_classes(adata, learnt):
    train = adata[adata.obs["scgan_split"] == "train"]
    real = np.log1p(20 * train.X.toarray() / train.X.sum(axis=1))
    width = mixing.bandwidth(real)

    def cells(model):
        made = model.simulate(100, seed=1)
        return np.log1p(made.X.toarray()), made.obs["cell_type"].astype(str)

    counts = train.obs["cell_type"].value_counts()
    balanced = np.concatenate([np.flatnonzero(train.obs["cell_type"] == c)[: counts.min()] for c in counts.index])
    start = ScGAN(**SMALL)
    start.net = ScGANNet.from_config(learnt.net.get_config())
    before, after = (mixing.mmd2(real[balanced], cells(m)[0], width, permutations=0)["mmd2"] for m in (start, learnt))
    assert after < before / 2
    x, labels = cells(learnt)
    scores = conditional.label_fidelity(real, train.obs["cell_type"].astype(str), x, labels, classifier="logistic")
    assert scores["accuracy"] > 0.95


def test_exactly_the_cells_asked_for_come_with_names_and_library_size(learnt):
    made = learnt.simulate({"common": 7, "rare": 0})
    assert list(made.obs["cell_type"]) == ["common"] * 7
    made = learnt.simulate([4, 130], counts=True)
    assert made.obs["cell_type"].value_counts().to_dict() == {"common": 130, "rare": 4}
    assert list(made.var_names) == [f"g{i}" for i in range(20)]
    np.testing.assert_allclose(made.X.sum(axis=1), 20, rtol=1e-5)
    assert made.uns["scgan"]["model"] == learnt.fingerprint()
    assert learnt.simulate(3).n_obs == 6
    depths = {c: set(learnt.net.note["totals"][i]) for i, c in enumerate(learnt.labels)}
    # rounding gene by gene moves a total by half a count a gene at most
    totals = np.asarray(made.layers["counts"].sum(axis=1)).ravel()
    assert all(min(abs(t - d) for d in depths[c]) <= 10 for t, c in zip(totals, made.obs["cell_type"], strict=True))


def test_a_cell_depends_on_seed_class_and_position_alone(learnt):
    made = learnt.simulate([5, 9])
    for other in (learnt.simulate([5, 9], batch_size=4), learnt.simulate({"common": 20, "rare": 7}, batch_size=3)):
        for name, n in (("rare", 5), ("common", 9)):
            a, b = (m[m.obs["cell_type"] == name].X.toarray()[:n] for m in (made, other))
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    again = learnt.simulate([5, 9])
    assert (made.X != again.X).nnz == 0
    assert (made.X != learnt.simulate([5, 9], seed=1).X).nnz > 0


def test_a_saved_model_makes_the_same_cells_without_data(learnt, folder):
    path = folder / "model.keras"
    learnt.save(path)
    loaded = ScGAN.load(path)
    cells = loaded.simulate(5, counts=True, path=folder / "cells.h5ad")
    expected = learnt.simulate(5, counts=True)
    assert (cells.X != expected.X).nnz == 0
    assert (cells.layers["counts"] != expected.layers["counts"]).nnz == 0
    assert loaded.net.get_config()["prior"] == learnt.net.get_config()["prior"]
    assert loaded.history == learnt.history
    import anndata

    assert list(anndata.read_h5ad(folder / "cells.h5ad").obs["cell_type"]) == list(cells.obs["cell_type"])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"unknown": 3}, "expected classes among rare, common, got 'unknown'"),
        ({"rare": -1}, "whole number of cells of at least 0, got -1 for 'rare'"),
        ({"rare": 1.5}, "got 1.5"),
        ([3], "expected 2 numbers of cells"),
        ([0, 0], "at least one cell"),
        (0, "at least one cell"),
        (True, "whole number"),
        ("rare", "whole number"),
    ],
)
def test_cells_that_cannot_be_made_are_refused(learnt, cells, message):
    with pytest.raises(ParameterError, match=message):
        learnt.simulate(cells)


def test_augmentation_adds_cells_of_one_class(adata, learnt):
    both = learnt.augment(adata, "rare", 12)
    assert both.n_obs == adata.n_obs + 12
    assert both.obs["generated"].sum() == 12
    assert set(both.obs["cell_type"][both.obs["generated"]]) == {"rare"}
    np.testing.assert_allclose(both.X.sum(axis=1), 20, rtol=1e-5)
    assert (both.layers["counts"][: adata.n_obs] != adata.X).nnz == 0
    with pytest.raises(DataError, match="of the training in their order"):
        learnt.augment(adata[:, ::-1].copy(), "rare", 1)


def test_augmentation_of_what_was_augmented_keeps_what_was_generated(adata, learnt, tmp_path):
    once = learnt.augment(adata, "rare", 5, seed=1)
    both = learnt.augment(learnt.augment(once, "common", 4, seed=1), "rare", 3, seed=1)
    assert both.obs["generated"].tolist() == [False] * adata.n_obs + [True] * 12
    assert both.obs_names.is_unique
    both.write_h5ad(tmp_path / "both.h5ad")
    assert data.load(tmp_path / "both.h5ad").shape == both.shape
    # no cell is drawn twice
    assert len(np.unique(both.X.toarray()[both.obs["generated"]], axis=0)) == 12
    other = adata.copy()
    other.obs["generated"] = "by hand"
    with pytest.raises(DataError, match=r"obs\['generated'\] to say .* got 'by hand': rename"):
        learnt.augment(other, "rare", 1)


def test_columns_of_the_user_are_neither_overwritten_nor_taken_for_ours(adata):
    mine = adata.copy()
    mine.obs["split"] = mine.obs.pop("scgan_split").replace({"train": "fold1", "test": "fold2"})
    mine.obs["total"] = "mine"
    model = ScGAN(**TINY).fit(mine, steps=1, batch_size=8)
    assert sum(len(totals) for totals in model.net.note["totals"]) == mine.n_obs
    processed = process(mine, label_key="split", min_genes=1, test_cells=0.2)
    assert set(processed.obs["split"]) == {"fold1", "fold2"}
    assert set(processed.obs["total"]) == {"mine"}
    for key in ("scgan_split", "scgan_total"):
        with pytest.raises(ParameterError, match=rf"obs\['{key}'\], which is written here: rename yours"):
            process(mine, label_key=key)
    mine.obs["scgan_split"] = "fold1"
    with pytest.raises(DataError, match=r"train, valid or test in obs\['scgan_split'\], got 'fold1': rename"):
        ScGAN(**TINY).fit(mine, steps=1, batch_size=8)
    mine.obs["generated"] = mine.obs.pop("scgan_split")
    model.net.note["label_key"] = "generated"
    with pytest.raises(ParameterError, match=r"obs\['generated'\], which is written here"):
        model.augment(mine, "rare", 1)


def test_classes_that_are_partly_numbers_and_partly_texts_are_one():
    cells = two_classes()
    cells.obs["cell_type"] = [0, 1, "0", "1"] * 60
    model = ScGAN(**TINY).fit(cells, steps=1, batch_size=8)
    assert model.labels == ["0", "1"]
    assert model.simulate({0: 2, "1": 1}).obs["cell_type"].tolist() == ["0", "0", "1"]
    with pytest.raises(ParameterError, match="got two for '0'"):
        model.simulate({0: 2, "0": 1})


def test_the_prior_follows_the_names_of_the_classes(adata, learnt):
    shares = adata.obs["cell_type"][adata.obs["scgan_split"] == "train"].value_counts(normalize=True)
    assert learnt.labels == ["rare", "common"]
    assert learnt.net.get_config()["prior"] == pytest.approx(shares[learnt.labels].to_list())


def test_the_critic_tells_real_cells_from_scrambled_ones(adata, learnt):
    x, label = scaled(adata.X, 20.0).toarray(), learnt.net.one_hot(adata.obs["cell_type"].cat.codes.to_numpy())
    real, scrambled = (learnt.net.criticise(v, label).numpy().mean() for v in (x, np.roll(x, 10, axis=1)))
    assert real > scrambled


def test_scgan_needs_no_classes(adata):
    cells = AnnData(adata.X, var=adata.var)
    model = gan(conditional=False).fit(cells, steps=2, batch_size=16, steps_per_epoch=1)
    made = model.simulate(7)
    assert made.n_obs == 7
    assert list(made.obs.columns) == []
    assert model.simulate([3]).n_obs == 3
    with pytest.raises(ParameterError, match="expected a conditional model"):
        model.augment(cells, "rare", 1)


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gen_layers": []}, "one width or more for gen_layers"),
        ({"critic_layers": [0]}, "critic_layers"),
        ({"gen_norm": "none"}, "no class reaches the generator"),
        ({"critic_cond": "proj"}, "one of per_class, projection"),
        ({"lr_final": 1.0}, "expected lr_final at most lr_initial"),
        ({"bn_momentum": 1.0}, "bn_momentum"),
        ({"critic_iters": 0}, "critic_iters"),
        ({"optimizer": "sgd"}, "one of amsgrad, adam"),
        ({"library_size": 0.0}, "library_size"),
    ],
)
def test_illegal_settings_are_refused_by_name(settings, message):
    with pytest.raises(ParameterError, match=message):
        ScGAN(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"critic_input_scale": 0.01}, "expected critic_input_scale = 1.0, as in the released code"),
        (
            {"bn_momentum": 0.99},
            "expected bn_momentum = 0.999, as in the released code, .* got 0.99",
        ),
        ({"critic_cond": "projection"}, "expected critic_cond = 'per_class'"),
        ({"lr_decay": False}, "expected lr_decay = True"),
        ({"conditional": False, "gen_norm": "none"}, "expected gen_norm 'batchnorm' for scGAN, .* got 'none'"),
    ],
)
def test_what_the_released_code_fixes_is_refused_by_name_in_the_faithful_model(settings, message):
    with pytest.raises(ParameterError, match=message):
        ScGAN.faithful(**settings)
    assert ScGAN(**settings).settings


def test_the_faithful_model_has_the_defects_of_the_release_and_each_can_be_put_back_alone():
    released = {
        "critic_cond": "per_class", "lr_decay": True, "critic_input_scale": 1.0, "bn_momentum": 0.999,
        "extra_critic_updates": 1, "first_step": "one_update", "generator_noise": "last_critic", "slope_epsilon": 0.0,
        "moving_statistics": "twice_by_critic", "gen_norm_of": "cscgan",
    }  # fmt: skip
    of = arguments(ScGAN)
    assert {name: a.option.released for name, a in of.items() if a.deviates} == released
    assert {name: ScGAN.faithful().values()[name] for name in released} == released
    assert not any(a.deviates and not a.fixed and a.default == released[name] for name, a in of.items())
    model = ScGAN(slope_epsilon=0.0)
    assert {name for name, a in of.items() if getattr(model, name) != a.default} == {"slope_epsilon"}
    # a generator that knows no class, which the released code lets be
    assert ScGAN.faithful(gen_norm="none").conditional


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 25, "steps_per_epoch": 10}, "expected steps to be a multiple of steps_per_epoch, 10, got 25"),
        ({"steps": 0}, r"expected steps to be int, in \[1, inf\), got 0"),
        ({"batch_size": 1}, r"expected batch_size to be int, in \[2, inf\), got 1"),
        ({"batch_size": 181}, "expected batch_size from 2 to the 180 training cells, got 181"),
        ({"checkpoint": "x.npz", "checkpoint_every": 15}, "checkpoint_every to be a multiple of steps_per_epoch, 10"),
        ({"histograms_every": 15}, "histograms_every to be a multiple of steps_per_epoch, 10"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(adata, options, message):
    with pytest.raises(ParameterError, match=message):
        gan().fit(adata, **{**FIT, **options})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: np.log1p(x), "integer counts"),
        (lambda x: x - 1, "non-negative counts"),
        (lambda x: np.where(x > 5, np.nan, x), "finite counts"),
        (lambda x: x * (np.arange(len(x)) != 1)[:, None], "a count in every cell, got none in 1 of 180"),
    ],
)
def test_cells_that_are_no_counts_are_refused(adata, spoil, message):
    spoilt = adata.copy()
    spoilt.X = spoil(adata.X.toarray())
    with pytest.raises(DataError, match=message):
        gan().fit(spoilt, **FIT)


def test_losses_that_are_not_finite_end_the_training_without_a_checkpoint(adata, tmp_path):
    with pytest.raises(TrainingError, match=r"of finite values, got .* by outer step 1: lower lr_initial"):
        gan(lr_initial=1e30).fit(
            adata, steps=2, batch_size=16, steps_per_epoch=1, checkpoint=tmp_path / "state.npz", checkpoint_every=1
        )
    assert not (tmp_path / "state.npz").exists()
