"""MyMethod: its updates, its codes, and its life from counts to a file and back."""

import numpy as np
import pytest
import tensorflow as tf

from scgen_lib.data import splatter
from scgen_lib.data.checks import drop_empty
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.models.my_method import MyMethod
from scgen_lib.models.my_method.net import MyMethodNet
from scgen_lib.models.my_method.settings import MyMethodSettings


@pytest.fixture(scope="module")
def adata():
    return drop_empty(splatter.simulate(n_genes=40, batch_cells=(80,), group_prob=(0.5, 0.5), lib_loc=8, seed=0))


@pytest.fixture(scope="module")
def fitted(adata):
    return MyMethod().fit(adata, epochs=3)


def test_the_loss_is_that_of_the_formula():
    net = MyMethodNet(
        3,
        MyMethodSettings(latent_dim=1),
        standardiser={"zscore": "none", "log1p": False, "size_factor": "none"},
    )
    net.encoder.assign([[1.0], [0.0], [2.0]])
    net.decoder.assign([[0.5], [1.0], [0.0]])
    batch = {"counts": tf.constant([[1.0, 2.0, 3.0]]), "size_factor": tf.ones((1, 1))}
    # z = 1 + 6 = 7, so that x is taken for (3.5, 7, 0)
    assert float(net.batch_loss(batch, training=True)) == pytest.approx((2.5**2 + 5**2 + 3**2) / 3)


def test_training_lowers_the_loss(fitted):
    assert fitted.history["loss"][-1] < fitted.history["loss"][0]


def test_a_saved_model_gives_the_same_codes(fitted, adata, tmp_path):
    fitted.save(tmp_path / "model.keras")
    codes = MyMethod.load(tmp_path / "model.keras").embed(adata)
    assert codes.shape == (adata.n_obs, 2)
    np.testing.assert_array_equal(codes, fitted.embed(adata))


def test_the_faithful_model_has_one_set_of_weights():
    assert len(MyMethodNet(5, MyMethod.faithful().settings).trainable_variables) == 1
    assert len(MyMethodNet(5, MyMethod().settings).trainable_variables) == 2


def test_what_cannot_be_is_refused(fitted, adata):
    with pytest.raises(ParameterError, match="expected latent_dim to be int"):
        MyMethod(latent_dim=0)
    with pytest.raises(ParameterError, match="as in the released code"):
        MyMethod.faithful(tied=False)
    with pytest.raises(DataError, match="40 genes of the training"):
        fitted.embed(adata[:, ::-1].copy())
