"""DCA: sizes of the nets, invariants of the outputs, and the life of a model from counts to file and back."""

import math

import anndata
import numpy as np
import pytest
import scipy.sparse as sp
import tensorflow as tf

from scgen_lib.data import splatter
from scgen_lib.data.checks import drop_empty
from scgen_lib.errors import CheckpointError, DataError, ParameterError
from scgen_lib.models.dca import DCA
from scgen_lib.models.dca.net import DCANet
from scgen_lib.models.dca.settings import AE_TYPES, DCASettings

pytestmark = pytest.mark.usefixtures("eager")
# trainable parameters as published in the layer table, for G genes: slope and intercept
TRAINABLE = {
    "normal": (129, 4416),
    "poisson": (129, 4416),
    "nb": (130, 4416),
    "nb-conddisp": (194, 4416),
    "nb-shared": (129, 4481),
    "nb-fork": (194, 6592),
    "zinb": (195, 4416),
    "zinb-conddisp": (259, 4416),
    "zinb-shared": (129, 4546),
    "zinb-fork": (259, 8768),
    "zinb-elempi": (196, 4416),
    "zinb-elempi-sharedpi": (194, 4418),
}
PLAIN = {"zscore": "none"}
MOVING = {"nb-fork": 448, "zinb-fork": 576}  # else 320


@pytest.fixture(scope="module")
def adata():
    cells = splatter.simulate(
        n_genes=60,
        batch_cells=(200,),
        group_prob=(0.5, 0.5),
        lib_loc=8,
        dropout_type="experiment",
        dropout_mid=1,
        seed=0,
    )
    return drop_empty(cells)


@pytest.fixture(scope="module")
def fitted(adata):
    return DCA().fit(adata, epochs=6)


def size(weights):
    return sum(math.prod(w.shape) for w in weights)


def batch(n=8, genes=20, seed=0):
    x = np.random.default_rng(seed).poisson(3.0, (n, genes)).astype("float32")
    return {"counts": tf.constant(x), "size_factor": tf.ones((n, 1)), "log_factorial": tf.zeros((n, 1))}


@pytest.mark.parametrize("ae_type", AE_TYPES)
def test_every_type_has_the_published_number_of_parameters(ae_type):
    slope, intercept = TRAINABLE[ae_type]
    for genes in (200, 1000):
        net = DCANet(genes, DCASettings(ae_type=ae_type))
        assert size(net.trainable_variables) == slope * genes + intercept
        assert size(net.non_trainable_variables) == MOVING.get(ae_type, 320)


def test_batch_normalisation_off_removes_its_shifts():
    assert size(DCANet(200, DCASettings(batchnorm=False)).variables) == 56_216 - 160


@pytest.mark.parametrize("ae_type", AE_TYPES)
@pytest.mark.parametrize("loss", ["log_space", "released"])
def test_every_weight_of_every_type_gets_a_gradient_in_eager_mode(ae_type, loss):
    net = DCANet(20, DCASettings(ae_type=ae_type, loss=loss, ridge=0.1), standardiser=PLAIN)
    with tf.GradientTape() as tape:
        loss = net.batch_loss(batch(), training=True)
    assert math.isfinite(float(loss))
    for weight, gradient in zip(net.trainable_variables, tape.gradient(loss, net.trainable_variables), strict=True):
        assert gradient is not None, weight.path
        # a bias before batch normalisation moves nothing; its gradient is 0 up to rounding
        if weight.path.endswith("bias") and weight.path.split("/")[-2].startswith(("enc", "center", "dec")):
            continue
        assert np.abs(gradient).max() > 0, weight.path


def test_size_factor_scales_the_mean_and_nothing_else():
    net = DCANet(20, standardiser=PLAIN)
    one = batch()
    # the input of the net is divided by the factor, so the counts grow with it
    scaled = {**one, "counts": one["counts"] * 3.0, "size_factor": one["size_factor"] * 3.0}
    a, b = net(one), net(scaled)
    np.testing.assert_allclose(b["log_mean"] - a["log_mean"], math.log(3.0), atol=1e-5)
    np.testing.assert_allclose(a["dispersion"], b["dispersion"], rtol=1e-5)
    np.testing.assert_allclose(a["logit"], b["logit"], atol=1e-5)


def test_stable_and_released_loss_agree_on_one_net():
    stable, released = (
        DCANet(20, DCASettings(ridge=0.3, loss=loss), standardiser=PLAIN) for loss in ("log_space", "released")
    )
    data = batch()
    factorial = tf.math.lgamma(data["counts"] + 1.0)
    # a zero adds lnΓ(1) = 0
    np.testing.assert_allclose(stable.nll(data) + factorial, released.nll(data), atol=1e-4)


def test_denoised_matrix_has_the_shape_of_the_counts_and_is_positive(adata, fitted):
    denoised = fitted.denoise(adata)
    assert denoised.shape == adata.shape
    assert np.isfinite(denoised).all()
    assert (denoised > 0).all()


def test_a_cell_does_not_depend_on_its_neighbours(adata, fitted):
    np.testing.assert_allclose(fitted.denoise(adata[:7].copy()), fitted.denoise(adata)[:7], rtol=1e-5)


def test_posterior_is_at_least_the_prior(adata, fitted):
    p = fitted.parameters(adata)
    assert (p["posterior"] >= p["dropout"] - 1e-6).all()
    assert p["latent"].shape == (adata.n_obs, 32)
    np.testing.assert_array_equal(p["latent"], fitted.embed(adata))


@pytest.mark.slow
def test_training_by_xla_lowers_the_loss_on_cells_not_seen(adata, monkeypatch, traced):
    train, test = adata[:150].copy(), adata[150:].copy()
    train = drop_empty(train)
    test = test[:, train.var_names].copy()
    short = DCA.faithful().fit(train, epochs=1)
    monkeypatch.setattr(DCANet, "jit", True)
    assert DCA.faithful().fit(train, epochs=30).nll(test) < short.nll(test)


def test_repaired_start_has_the_mean_of_the_data(adata):
    # without hidden units that say otherwise the mean head's bias alone gives the gene means
    model = DCA(learning_rate=1e-9, batchnorm=False).fit(adata, epochs=1)
    bias = np.exp(model.net.mean_head.get_weights()[1])
    counts = adata.layers["counts"]
    mean = np.asarray((counts.toarray() if sp.issparse(counts) else counts).mean(0))
    # the mean size factor lies near 1
    assert np.corrcoef(bias, mean)[0, 1] > 0.9999


def test_without_what_we_added_the_repaired_variant_differs_from_the_released_code_in_the_loss_alone(adata):
    described = DCA.faithful(loss="log_space", except_for=["loss"]).fit(adata, epochs=2)
    released = DCA.faithful().fit(adata, epochs=2)
    assert not described.net.released
    assert released.net.released
    # the same start, the same cells in the same order, the last weights: alike up to 1e-10 in the logarithms
    np.testing.assert_allclose(described.history["val_loss"], released.history["val_loss"], rtol=1e-3)
    np.testing.assert_allclose(described.denoise(adata), released.denoise(adata), rtol=0.1)
    assert abs(DCA().fit(adata, epochs=2).history["val_loss"][0] / released.history["val_loss"][0] - 1) > 0.01


def test_same_seed_same_result_and_sparse_or_dense_alike(adata, fitted):
    dense = adata.copy()
    dense.layers["counts"] = np.asarray(
        adata.layers["counts"].todense() if sp.issparse(adata.layers["counts"]) else adata.layers["counts"]
    )
    again = DCA().fit(dense, epochs=6)
    np.testing.assert_array_equal(again.denoise(adata), fitted.denoise(adata))
    other = DCA(seed=1).fit(dense, epochs=2)
    assert not np.allclose(other.denoise(adata), fitted.denoise(adata))


def test_saved_model_is_the_same_model(adata, fitted, tmp_path):
    path = tmp_path / "dca.keras"
    fitted.save(path)
    loaded = DCA.load(path)
    np.testing.assert_array_equal(loaded.denoise(adata), fitted.denoise(adata))
    assert loaded.values() == fitted.values()
    assert loaded.history == fitted.history
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 half a file"])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "dca.keras"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"expected a model saved by DCA\.save"):
        DCA.load(path)


def test_interrupted_fit_ends_like_an_uninterrupted_one(adata, fitted, tmp_path):
    path = tmp_path / "state"
    DCA().fit(adata, epochs=3, checkpoint=path)
    resumed = DCA().fit(adata, epochs=6, checkpoint=path)
    assert resumed.history == fitted.history
    np.testing.assert_array_equal(resumed.denoise(adata), fitted.denoise(adata))


def test_annotate_writes_the_slots_of_the_project(adata, fitted, tmp_path):
    annotated = fitted.annotate(adata.copy())
    assert annotated.layers["dca"].shape == adata.shape
    assert annotated.obsm["X_dca"].shape == (adata.n_obs, 32)
    annotated.write_h5ad(tmp_path / "out.h5ad")
    stored = anndata.read_h5ad(tmp_path / "out.h5ad").uns["dca"]
    assert stored["ae_type"] == "zinb-conddisp"
    np.testing.assert_allclose(stored["history"]["loss"], fitted.history["loss"])


def test_mean_squared_error_type_maps_back_to_counts(adata):
    model = DCA(ae_type="normal", size_factor="none", zscore="none").fit(adata, epochs=2)
    np.testing.assert_allclose(model.denoise(adata), np.expm1(model.parameters(adata)["mean"]), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ae_type": "zinb-typo"}, "zinb-conddisp"),
        ({"loss": "both"}, "log_space, released"),
        ({"hidden": (64, 32)}, "odd number"),
        ({"hidden": ()}, "odd number"),
        ({"hidden": (0,)}, r"in \[1, 4096\]"),
    ],
)
def test_illegal_settings_are_refused_by_name(arguments, message):
    with pytest.raises(ParameterError, match=message):
        DCA(**arguments)


def test_use_before_fit_and_other_genes_are_refused(adata, fitted):
    with pytest.raises(ParameterError, match="call fit"):
        DCA().denoise(adata)
    with pytest.raises(DataError, match="of the training in their order"):
        fitted.denoise(adata[:, ::-1].copy())


@pytest.mark.parametrize(("value", "message"), [(np.nan, "NaN"), (-1.0, "negative"), (0.5, "integer")])
def test_values_that_are_no_counts_are_refused(adata, value, message):
    bad = adata[:20].copy()
    counts = bad.layers["counts"]
    bad.layers["counts"] = np.asarray(counts.todense() if sp.issparse(counts) else counts, "float32")
    bad.layers["counts"][3, 4] = value
    with pytest.raises(DataError, match=message):
        DCA().fit(bad, epochs=1)
