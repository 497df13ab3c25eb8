"""The convolutional conditional VAE: sizes, losses by hand, and the way from counts to a model and to new cells."""

import math

import h5py
import keras
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import tensorflow as tf
from scipy import stats

from scgen_lib import data
from scgen_lib.data import splatter
from scgen_lib.data.checks import drop_empty
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.cvae.cells import gene_order, image_side, split, write_table
from scgen_lib.models.cvae.model import emit
from scgen_lib.models.cvae.net import CVAENet
from scgen_lib.models.cvae.settings import CVAESettings

# Small batches: the genes' means are learnt within a few epochs. Pixels out of order: names must follow.
REPAIRED = {"epochs": 12, "batch_size": 8, "kl_warmup": 4, "gene_order": "correlation"}
LABELS_68K = {
    "CD8+/CD45RA+ Naive Cytotoxic": (13_185, 8_790),
    "CD4+/CD25 T Reg": (8_467, 5_645),
    "CD8+ Cytotoxic T": (6_867, 4_578),
    "CD56+ NK": (3_515, 2_344),
    "CD19+ B": (2_290, 1_527),
    "CD14+ Monocyte": (1_984, 1_322),
    "CD4+/CD45RO+ Memory": (1_876, 1_250),
    "CD4+/CD45RA+/CD25- Naive T": (1_676, 1_117),
    "Dendritic": (1_119, 746),
    "CD34+": (157, 105),
    "CD4+ T Helper2": (11, 8),
}


@pytest.fixture(scope="module")
def adata():
    return drop_empty(splatter.simulate(n_genes=60, batch_cells=(240,), group_prob=(0.5, 0.3, 0.2), lib_loc=6, seed=0))


@pytest.fixture(scope="module")
def train(adata):
    return np.isin(np.arange(adata.n_obs), split(adata.obs["group"].astype(str))[0])


def fit(adata, train, epochs=6, variant="repaired", **settings):
    options = {name: settings.pop(name) for name in ("batch_size", "checkpoint") if name in settings}
    return CVAE.variant(variant, **settings).fit(adata, label_key="group", train=train, epochs=epochs, **options)


@pytest.fixture(scope="module")
def faithful(adata, train):
    return fit(adata, train, variant="faithful")


@pytest.fixture(scope="module")
def repaired(adata, train):
    return fit(adata, train, **REPAIRED)


def dense(x):
    return x.toarray() if sp.issparse(x) else x


def released(**changes):
    """Settings of the released code, but for the changes named."""
    return CVAESettings.faithful(except_for=list(changes), **changes)


def small(likelihood="mse", order=None, **changes):
    """An untrained net of 10 genes on 16 pixels, and two cells for it."""
    net = CVAENet(10, released(decoder_likelihood=likelihood, **changes), n_labels=3, maximum=20.0, order=order)
    counts = np.random.default_rng(0).poisson(3.0, (2, 10)).astype("float32")
    batch = {"counts": counts, "label": np.array([[0.0], [2.0]], "float32"), "constant": net.constant(counts)}
    return net, {name: tf.constant(values) for name, values in batch.items()}, counts


# Sizes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("genes", "labels", "size", "encoder", "decoder"),
    [
        (20_387, 11, 144, 917_412, 586_465),
        (1_000, 11, 32, 50_084, 34_529),
        (1_000, 3, 32, 41_892, 18_145),
        (1_200, 5, 36, 54_276, 26_593),
    ],
)
def test_the_nets_have_the_reported_numbers_of_parameters(genes, labels, size, encoder, decoder):
    net = CVAENet(genes, released(), n_labels=labels)
    assert net.size == size
    assert net.encoder.count_params() == encoder
    assert net.decoder.count_params() == decoder
    assert sum(math.prod(w.shape) for w in net.trainable_variables) == encoder + decoder


def test_the_negative_binomial_adds_one_parameter_a_gene():
    plain, nb = small()[0], small("nb")[0]
    assert len(nb.trainable_variables) == len(plain.trainable_variables) + 1
    assert nb.trainable_variables[-1].shape == (10,)


@pytest.mark.parametrize("size", [4, 8, 12, 28])
def test_the_decoder_returns_the_size_of_the_image(size):
    net = CVAENet(size**2 - 3, CVAESettings(image_size=size), n_labels=2)
    assert net.decode(tf.zeros((5, 2)), tf.zeros((5, 1))).shape == (5, size**2)


@pytest.mark.parametrize(("genes", "size"), [(1, 4), (16, 4), (17, 8), (765, 28), (1_000, 32), (20_387, 144)])
def test_the_image_is_the_smallest_that_holds_the_genes(genes, size):
    assert image_side(genes) == size


@pytest.mark.parametrize("size", [30, 28, 0, 34])
def test_an_image_that_does_not_fit_is_refused(size):
    with pytest.raises(ValueError, match="multiple of 4 and holds 1000 genes"):
        image_side(1_000, size)


# The image -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [None, [3, 1, 4, 0, 5, 9, 2, 6, 8, 7]])
def test_folding_and_trimming_gives_the_counts_back(order):
    net, batch, counts = small(order=order)
    image = net.scale(net.pixels(batch["counts"]))
    assert image.shape == (2, 16)
    np.testing.assert_allclose(net.genes(net.unscale(image)), counts, rtol=1e-6)
    np.testing.assert_array_equal(image[:, 10:], 0)
    if order:
        np.testing.assert_allclose(image[:, :10] * 20.0, counts[:, order], rtol=1e-6)


@pytest.mark.parametrize("transform", ["max", "log1p_max"])
def test_the_largest_count_is_exactly_one_and_nothing_is_negative(transform):
    counts = np.array([[0.0, 3.0, 259.0]], "float32")
    net = CVAENet(3, CVAESettings(input_transform=transform), n_labels=2, maximum=259.0)
    image = net.scale(counts).numpy()
    assert image.max() == 1.0
    assert image.min() == 0.0
    np.testing.assert_allclose(net.unscale(image)[:, :3], counts, rtol=1e-5)
    # a test cell may exceed the maximum of the training cells: only the logarithmic scale is bounded
    assert net.scale(2 * counts).numpy().max() == (2.0 if transform == "max" else 1.0)


# The loss ------------------------------------------------------------------------------------------------------------


def by_hand(net, batch, counts, noise):
    """Reconstruction of each cell in float64 with SciPy's distributions."""
    mean, log_var = (np.asarray(v, "float64") for v in net.encode(batch))
    z = tf.constant(mean + np.exp(log_var / 2) * noise, tf.float32)
    a = np.asarray(net.decode(z, batch["label"]), "float64")
    x = np.pad(counts / 20.0, ((0, 0), (0, 6)))
    p = 1 / (1 + np.exp(-a))
    rho = np.exp(a[:, :10]) / np.exp(a[:, :10]).sum(1, keepdims=True)
    mu = counts.sum(1, keepdims=True) * rho
    entries = {
        "mse": (x - p) ** 2,
        "bce": -(x * np.log(p) + (1 - x) * np.log(1 - p)),
        "poisson": -stats.poisson(mu).logpmf(counts),
        "nb": -stats.nbinom(1.0, 1 / (1 + mu)).logpmf(counts),  # θ starts at 1
        "multinomial": -stats.multinomial(counts.sum(1).astype(int), rho).logpmf(counts)[:, None],
    }[net.settings.decoder_likelihood]
    return entries.sum(1), -0.5 * (1 + log_var - mean**2 - np.exp(log_var)).sum(1)


@pytest.mark.parametrize("likelihood", ["mse", "bce", "poisson", "nb", "multinomial"])
def test_the_loss_is_that_of_the_hand_formula(likelihood):
    net, batch, counts = small(likelihood)
    noise = np.array([[0.3, -1.0], [2.0, 0.1]])
    reconstruction, kl = net.parts(batch, tf.constant(noise, tf.float32))
    expected = by_hand(net, batch, counts, noise)
    # float32, sums of some ten entries
    np.testing.assert_allclose(reconstruction, expected[0], rtol=2e-5)
    np.testing.assert_allclose(kl, expected[1], rtol=1e-4, atol=1e-7)


def test_squared_error_is_the_mean_of_all_pixels_times_their_number():
    net, batch, _ = small()
    logits = tf.random.stateless_normal((2, 16), (0, 1))
    x = net.scale(batch["counts"])
    mean = tf.reduce_mean((x - tf.sigmoid(logits)) ** 2)
    np.testing.assert_allclose(tf.reduce_mean(net.reconstruction(batch, logits)), 16 * mean, rtol=1e-5)


@pytest.mark.parametrize("likelihood", ["mse", "bce"])
def test_padding_counts_in_the_released_loss_only(likelihood):
    logits = tf.random.stateless_normal((2, 16), (0, 1)).numpy()
    moved = logits + np.r_[np.zeros(10), np.ones(6)].astype("float32")
    for pad_loss in (True, False):
        net, batch, _ = small(likelihood, pad_loss=pad_loss)
        change = net.reconstruction(batch, moved) - net.reconstruction(batch, logits)
        assert (np.abs(change) > 1e-3).all() == pad_loss


def test_training_starts_at_a_quarter_of_the_pixels():
    net = CVAENet(1_000, released(), n_labels=3, maximum=100.0)
    counts = np.random.default_rng(0).poisson(0.3, (32, 1_000)).astype("float32")
    batch = {"counts": tf.constant(counts), "label": tf.zeros((32, 1)), "constant": tf.zeros((32, 1))}
    logs = net.batch_parts(batch)
    assert float(logs["reconstruction"]) == pytest.approx(32**2 / 4, rel=0.05)
    assert float(logs["kl"]) < 0.1


@pytest.mark.parametrize("likelihood", ["mse", "nb", "multinomial"])
def test_every_weight_gets_a_gradient(likelihood):
    net, batch, _ = small(likelihood)
    with tf.GradientTape() as tape:
        loss = net.batch_loss(batch, training=True)
    for weight, gradient in zip(net.trainable_variables, tape.gradient(loss, net.trainable_variables), strict=True):
        assert gradient is not None, weight.path
        # the softmax does not see the bias that all its logits share
        if not (net.settings.of_counts and weight.shape == (1,)):
            assert np.abs(gradient).max() > 0, weight.path


def test_a_large_dispersion_is_a_poisson():
    poisson, batch, _ = small("poisson")
    nb = small("nb", seed=0)[0]
    nb.dispersion.vector.assign(np.full(10, 20.0))  # θ at its bound, 1e4
    logits = tf.random.stateless_normal((2, 16), (0, 1))
    np.testing.assert_allclose(nb.theta(), 1e4, rtol=1e-6)
    # variance μ + μ²/θ with μ < 30: 0.3 % more than Poisson's
    np.testing.assert_allclose(nb.reconstruction(batch, logits), poisson.reconstruction(batch, logits), rtol=2e-3)


def test_mean_counts_share_out_the_library():
    net, batch, _ = small("nb")
    logits = net.decode(tf.zeros((2, 2)), batch["label"])
    mean = net.mean(logits, tf.constant([[100.0], [300.0]]))
    np.testing.assert_allclose(tf.reduce_sum(mean, axis=1), [100.0, 300.0], rtol=1e-6)
    np.testing.assert_allclose(net.mean(logits, tf.constant([[200.0], [600.0]])), 2 * mean, rtol=1e-6)


@pytest.mark.parametrize("clipped", [True, False])
def test_extreme_variances_stay_finite_where_they_are_bounded(clipped):
    net, batch, _ = small("nb", clip_log_var=clipped)
    net.encoder.get_layer("z_log_var").bias.assign([1e3, -1e3])
    log_var = net.encode(batch)[1].numpy()
    assert (np.abs(log_var) == 10.0).all() == clipped
    assert np.isfinite(net.parts(batch, tf.ones((2, 2)))[1]).all() == clipped


# The split -----------------------------------------------------------------------------------------------------------


def test_the_split_of_the_68k_cells_has_the_reported_sizes():
    try:
        labels = data.pbmc68k_labels().to_numpy(str)
    except DataError as error:
        pytest.skip(f"the label file of the 68k cells is absent: {error}")
    for index in range(5):
        train, test = split(labels, split_index=index)
        assert (len(train), len(test)) == (41_147, 27_432)
    train, test = split(labels)
    found = {name: (int((labels[train] == name).sum()), int((labels[test] == name).sum())) for name in LABELS_68K}
    assert found == LABELS_68K


def test_a_split_has_every_type_in_both_parts_and_repeats():
    labels = np.repeat(["a", "b", "c"], [50, 30, 5])
    train, test = split(labels)
    assert set(labels[train]) == set(labels[test]) == {"a", "b", "c"}
    assert sorted([*train, *test]) == list(range(85))
    np.testing.assert_array_equal(split(labels)[1], test)
    assert set(split(labels, split_index=1)[1]) != set(test)
    assert set(split(labels, split_seed=1)[1]) != set(test)
    assert len(split(labels, train_ratio=4, test_ratio=1)[1]) == 17


def test_a_split_that_is_impossible_is_refused():
    with pytest.raises(DataError, match="got 1 of 'b'"):
        split(["a"] * 9 + ["b"])
    with pytest.raises(ParameterError, match=r"split_index to be int, in \[0, 4\], got 5"):
        split(["a"] * 9, split_index=5)
    with pytest.raises(ParameterError, match=r"train_ratio to be int, in \[1, inf\), got 0"):
        split(["a"] * 9, train_ratio=0)


# Variants ------------------------------------------------------------------------------------------------------------

RELEASED = {
    "input_transform": "max",
    "maximum_of": "all",
    "decoder_likelihood": "mse",
    "pad_loss": True,
    "clip_log_var": False,
    "kl_warmup": 0,
    "optimizer": "rmsprop",
    "validate_on": "test",
    "z_loc": 1.0,
    "z_scale": 2.0,
    "emission": "floor",
}


def test_the_faithful_model_has_these_values_and_no_other():
    ours, theirs = CVAE().values(), CVAE.faithful().values()
    assert {name: value for name, value in theirs.items() if value != ours[name]} == RELEASED


@pytest.mark.parametrize("name", RELEASED)
def test_each_deviation_is_one_argument_and_is_not_undone_unasked(name):
    assert repr(CVAE(**{name: RELEASED[name]})) == f"CVAE({name}={RELEASED[name]!r})"
    with pytest.raises(ParameterError, match=f"expected {name} = {RELEASED[name]!r}, as in the released code"):
        CVAE.faithful(**{name: getattr(CVAE(), name)})


def test_what_the_released_training_does_can_be_put_back_into_the_repaired_model(adata, train):
    defects = {name: RELEASED[name] for name in ("maximum_of", "kl_warmup", "optimizer", "validate_on")}
    model = fit(adata, train, epochs=1, filters=2, hidden=2, **defects)
    assert model.maximum == dense(adata.layers["counts"]).max()
    assert model.history["beta"] == [1.0]
    assert isinstance(model.net.optimizer, keras.optimizers.RMSprop)
    assert model.history["val_loss"][0] == pytest.approx(model.evaluate(adata[~train].copy())["loss"], rel=1e-3)


# Training ------------------------------------------------------------------------------------------------------------


def test_the_maximum_of_the_repaired_variant_is_blind_to_test_cells(adata, train, faithful, repaired):
    counts = dense(adata.layers["counts"])
    assert faithful.maximum == counts.max()
    assert repaired.maximum <= counts[train].max()
    assert repaired.maximum < faithful.maximum


def test_training_lowers_the_loss_and_warms_the_kl_weight_up(faithful, repaired):
    for model in (faithful, repaired):
        assert model.history["loss"][-1] < model.history["loss"][0]
        assert set(model.history) == {"loss", "reconstruction", "kl", "beta", "val_loss"}
    np.testing.assert_allclose(repaired.history["beta"], [0.25, 0.5, 0.75, *[1] * 9])
    np.testing.assert_array_equal(faithful.history["beta"], 1)
    total = np.asarray(faithful.history["reconstruction"]) + faithful.history["kl"]
    np.testing.assert_allclose(faithful.history["loss"], total, rtol=1e-5)


def test_evaluation_of_the_validation_cells_is_near_their_last_loss(adata, train, faithful):
    # other noise, same cells: KL and noise are small against the reconstruction here
    assert faithful.evaluate(adata[~train].copy())["loss"] == pytest.approx(faithful.history["val_loss"][-1], rel=0.05)


def test_interrupted_training_ends_like_an_uninterrupted_one(adata, train, repaired, tmp_path):
    path, seen = tmp_path / "state", []
    model = CVAE(kl_warmup=4, gene_order="correlation")

    def look(epoch, logs):
        seen.append(model.simulate(2).X.sum())
        with pytest.raises(ParameterError, match="after fit"):
            model.simulate(2, z_source="posterior")

    watch = keras.callbacks.LambdaCallback(on_epoch_end=look)
    model.fit(adata, label_key="group", train=train, epochs=3, batch_size=8, checkpoint=path, callbacks=[watch])
    assert len(seen) == 3
    resumed = fit(adata, train, **REPAIRED, checkpoint=path)
    assert resumed.history == repaired.history
    assert (resumed.simulate(5).X != repaired.simulate(5).X).nnz == 0


# Simulation ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["faithful", "repaired"])
def test_simulation_gives_the_cells_that_were_asked_for(which, adata, request):
    model = request.getfixturevalue(which)
    cells = model.simulate({"Group3": 4, "Group1": 0, "Group2": 3})
    assert list(cells.obs["group"]) == ["Group3"] * 4 + ["Group2"] * 3
    assert list(cells.var_names) == list(adata.var_names)
    assert cells.X.dtype == np.int32
    assert cells.X.data.min() >= 0
    assert (cells.layers["counts"] != cells.X).nnz == 0
    assert cells.obs_names.is_unique
    assert model.simulate(2).obs["group"].value_counts().to_dict() == dict.fromkeys(model.labels, 2)


@pytest.mark.parametrize("which", ["faithful", "repaired"])
def test_same_seed_same_cells_whatever_the_other_types(which, request, tmp_path):
    model = request.getfixturevalue(which)
    one = model.simulate({"Group1": 5, "Group2": 6})
    two = model.simulate({"Group2": 6, "Group1": 5})
    alone = model.simulate({"Group2": 6})
    for name in ("Group1", "Group2"):
        a, b = (dense(cells[cells.obs["group"] == name].X) for cells in (one, two))
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(dense(alone.X), dense(two[:6].X))
    assert (model.simulate({"Group2": 6}, seed=1).X != alone.X).nnz > 0


@pytest.mark.parametrize("which", ["faithful", "repaired"])
def test_a_loaded_model_simulates_the_same_without_training_data(which, adata, request, tmp_path):
    model = request.getfixturevalue(which)
    model.save(tmp_path / "cvae.keras")
    loaded = CVAE.load(tmp_path / "cvae.keras")
    assert loaded.labels == model.labels
    assert loaded.maximum == model.maximum
    for source in ("normal", "posterior"):
        ours, theirs = (m.simulate(9, z_source=source) for m in (model, loaded))
        assert (ours.X != theirs.X).nnz == 0
    np.testing.assert_array_equal(loaded.embed(adata), model.embed(adata))


def test_faithful_cells_are_the_rounded_output_of_the_decoder(faithful):
    code = faithful.labels.index("Group2")
    rng = np.random.default_rng([0, code])
    z = 1.0 + 2.0 * rng.standard_normal((7, 2))
    logits = faithful.net.decoder([tf.constant(z, tf.float32), tf.one_hot([code] * 7, 3)])
    image = faithful.maximum / (1 + np.exp(-np.asarray(logits, "float64")))
    cells = faithful.simulate({"Group2": 7})
    expected = np.floor(image[:, : cells.n_vars])
    # a product that is whole up to rounding may fall to either side
    assert (
        np.abs(dense(cells.X) - expected)
        <= (np.abs(image[:, : cells.n_vars] - np.rint(image[:, : cells.n_vars])) < 1e-3)
    ).all()
    assert cells.uns["cvae"]["padding_maximum"] == pytest.approx(image[:, cells.n_vars :].max(), rel=1e-4)


def test_faithful_counts_grow_with_the_scale_and_lose_by_rounding_down(faithful):
    low, high = (faithful.simulate(20, count_scale=scale).X.sum() for scale in (100, 260))
    assert low < high
    floor, rounded = (faithful.simulate(20, emission=e).X.sum() for e in ("floor", "round"))
    assert floor < rounded


def test_without_spread_of_z_all_means_of_a_type_are_one(faithful):
    cells = dense(faithful.simulate({"Group1": 6}, z_scale=0.0).X)
    assert (cells == cells[0]).all()
    drawn = dense(faithful.simulate({"Group1": 6}, z_scale=0.0, emission="sample").X)
    assert (drawn != drawn[0]).any()


@pytest.mark.parametrize("emission", ["sample", "round"])
def test_repaired_libraries_are_those_of_training_cells_of_the_type(emission, adata, train, repaired):
    cells = repaired.simulate(300, emission=emission)
    real = pd.Series(np.asarray(adata.layers["counts"].sum(1)).ravel(), index=adata.obs["group"])[train]
    for name, group in cells.obs.groupby("group", observed=True):
        assert set(group["cvae_library"]) <= set(real[name])
    assert cells.X.sum(1).mean() == pytest.approx(cells.obs["cvae_library"].mean(), rel=0.05)


@pytest.mark.parametrize("likelihood", ["poisson", "multinomial", "nb"])
def test_counts_are_drawn_from_the_likelihood(likelihood):
    mean, theta = np.tile([0.2, 1.0, 8.8], (40_000, 1)), np.array([0.5, 1.0, 2.0])
    settings = CVAESettings(decoder_likelihood=likelihood)
    x = emit(np.random.default_rng(0), mean, np.full(40_000, 10), theta, settings)
    variance = {
        "poisson": mean[0],
        "nb": mean[0] + mean[0] ** 2 / theta,
        "multinomial": mean[0] * (1 - mean[0] / 10),
    }[likelihood]
    # four standard errors of a mean; a variance of these tails is known to some 5 %
    np.testing.assert_allclose(x.mean(0), mean[0], atol=4 * np.sqrt(variance.max() / 40_000))
    np.testing.assert_allclose(x.var(0), variance, rtol=0.1)
    if likelihood == "multinomial":
        assert (x.sum(1) == 10).all()


def test_gene_order_leaves_names_and_numbers_at_their_genes(adata, repaired):
    assert sorted(repaired.net.order) == list(range(adata.n_vars))
    assert list(repaired.net.order) != list(range(adata.n_vars))
    real = np.log1p(dense(adata.layers["counts"]).mean(0))
    cells = repaired.simulate(100, z_source="posterior")
    assert list(cells.var_names) == list(adata.var_names)
    for means in (dense(cells.X).mean(0), repaired.denoise(adata).mean(0)):
        assert np.corrcoef(np.log1p(means), real)[0, 1] > 0.9


@pytest.mark.parametrize("sparse", [False, True])
def test_genes_are_ordered_by_mean_or_by_company(sparse):
    rng = np.random.default_rng(0)
    a, b = (rng.poisson(rng.gamma(1.0, 20.0, (200, 1)), (200, 3)) for _ in range(2))
    counts = np.hstack([a[:, :2], b, a[:, 2:], np.full((200, 1), 5)])
    counts = sp.csr_matrix(counts) if sparse else counts
    assert gene_order(counts, "file") is None
    means = np.asarray(counts.mean(0)).ravel()
    assert (np.diff(means[gene_order(counts, "mean")]) <= 0).all()
    groups = np.array([0, 0, 1, 1, 1, 0, 2])[gene_order(counts, "correlation")]
    # each program of genes stands together
    assert (np.diff(groups) != 0).sum() == 2


# Looking at a model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["faithful", "repaired"])
def test_images_show_what_the_network_sees(which, adata, request):
    model = request.getfixturevalue(which)
    few = adata[:3].copy()
    images = model.images(few)
    assert {name: image.shape for name, image in images.items()} == dict.fromkeys(
        ("input", "label_map", "reconstruction"), (3, 8, 8)
    )
    flat = images["input"].reshape(3, -1)
    counts = dense(few.layers["counts"])
    np.testing.assert_allclose(
        model.net.genes(model.net.unscale(flat)), np.minimum(counts, model.maximum), rtol=1e-4, atol=1e-4
    )
    assert 0 <= images["reconstruction"].min() <= images["reconstruction"].max() <= 1


def test_reconstruction_of_counts_keeps_the_library(adata, repaired):
    total = np.asarray(adata.layers["counts"].sum(1)).ravel()
    np.testing.assert_allclose(repaired.denoise(adata).sum(1), total, rtol=1e-4)


def test_annotate_writes_the_slots_of_the_project(adata, repaired, tmp_path):
    annotated = repaired.annotate(adata.copy())
    assert annotated.obsm["X_cvae"].shape == (adata.n_obs, 2)
    assert annotated.layers["cvae"].shape == adata.shape
    annotated.write_h5ad(tmp_path / "out.h5ad")
    repaired.simulate(3).write_h5ad(tmp_path / "simulated.h5ad")


def test_the_table_holds_genes_and_codes(repaired, tmp_path):
    cells = repaired.simulate({"Group3": 2, "Group1": 3})
    path = tmp_path / "cells.h5"
    write_table(cells, path, label_key="group")
    codes = [repaired.labels.index(name) for name in cells.obs["group"]]
    with h5py.File(path) as file:
        columns = [name.decode() for name in file["df/axis0"][:]]
        assert columns == [*cells.var_names, "Y"]
        np.testing.assert_array_equal(file["df/block0_values"][:, :-1], dense(cells.X))
        assert list(file["df/block0_values"][:, -1]) == codes


def test_pandas_reads_the_table(repaired, tmp_path):
    pytest.importorskip("tables", reason="pandas reads HDF5 tables with PyTables only")
    cells = repaired.simulate(2)
    write_table(cells, tmp_path / "cells.h5", label_key="group")
    table = pd.read_hdf(tmp_path / "cells.h5", "df")
    np.testing.assert_array_equal(table[list(cells.var_names)], dense(cells.X))
    assert list(table.index) == list(cells.obs_names)
    assert table["Y"].dtype.kind == "i"


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"Group1": 3, "group2": 1}, "got 'group2'"),
        ({"Group1": -1}, "got -1 for 'Group1'"),
        (-1, "at least 0"),
        (2.5, "whole number"),
        (True, "whole number"),
        (0, "at least one cell"),
        ({"Group1": 0, "Group2": 0}, "at least one cell"),
        ({}, "at least one cell"),
    ],
)
def test_impossible_orders_of_cells_are_refused(faithful, cells, message):
    with pytest.raises(ParameterError, match=message):
        faithful.simulate(cells)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decoder_likelihood": "zinb"}, "multinomial"),
        ({"filters": 3}, "even number"),
        ({"filters": 1}, r"in \[2, 1024\]"),
        ({"kernel_size": 2}, "odd number"),
        ({"strides": 3}, "strides to be int, one of 2"),
        ({"latent_dim": 0}, r"in \[1, 256\]"),
        ({"learning_rate": 0.0}, r"in \(0, 0.1\]"),
        ({"beta": -1.0}, r"in \[0, inf\)"),
        ({"count_scale": 0.0}, r"in \(0, inf\)"),
        ({"gene_order": "random"}, "correlation"),
        ({"emission": "guess"}, "floor"),
    ],
)
def test_illegal_settings_are_refused_by_name(arguments, message):
    with pytest.raises(ParameterError, match=message):
        CVAE(**arguments)


def test_other_genes_other_types_and_use_before_fit_are_refused(adata, faithful):
    with pytest.raises(ParameterError, match="call fit"):
        CVAE().simulate(1)
    with pytest.raises(DataError, match="of the training in their order"):
        faithful.embed(adata[:, ::-1].copy())
    other = adata[:5].copy()
    other.obs["group"] = "Group9"
    with pytest.raises(DataError, match="got 'Group9'"):
        faithful.embed(other)
    with pytest.raises(ParameterError, match=r"z_scale to be float, in \[0, inf\), got -1.0"):
        faithful.simulate(1, z_scale=-1.0)
    with pytest.raises(ParameterError, match="holds 59 genes"):
        CVAE(image_size=4).fit(adata, label_key="group", epochs=1)


def test_columns_of_the_user_are_not_overwritten(adata):
    mine = adata.copy()
    mine.obs["library"] = mine.obs["group"]
    model = CVAE(filters=2, hidden=2).fit(mine, label_key="library", epochs=1)
    assert list(model.simulate(1).obs["library"]) == model.labels
    mine.obs["cvae_library"] = mine.obs["group"]
    with pytest.raises(ParameterError, match=r"obs\['cvae_library'\], which is written here: rename yours"):
        model.fit(mine, label_key="cvae_library")


def test_types_that_are_numbers_can_be_asked_for_as_numbers(adata):
    numbered = adata.copy()
    numbered.obs["group"] = numbered.obs["group"].astype("category").cat.codes.astype(int)
    model = CVAE(filters=2, hidden=2).fit(numbered, label_key="group", epochs=1)
    assert model.simulate({0: 2, "1": 1}).obs["group"].tolist() == ["0", "0", "1"]
    with pytest.raises(ParameterError, match=r"expected types among .*, got '7'"):
        model.simulate({7: 1})
