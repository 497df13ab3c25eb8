"""The four student models: sizes, updates in PyTorch's order, divergence as a result and not a crash."""

import math

import numpy as np
import pytest
import tensorflow as tf

from scgen_lib.data import splatter
from scgen_lib.data.checks import drop_empty
from scgen_lib.errors import ParameterError
from scgen_lib.models.dca.students import MODELS, Student, StudentNet, StudentSettings


@pytest.fixture(scope="module")
def adata():
    return drop_empty(splatter.simulate(n_genes=50, batch_cells=(96,), lib_loc=8.5, dropout_type="experiment", seed=3))


def counts_of(adata):
    x = adata.layers["counts"]
    return np.asarray(x.todense() if hasattr(x, "todense") else x, "float32")


@pytest.mark.parametrize(("kind", "size"), [("I", 263_256), ("II", 263_576), ("III", 263_256), ("IV", 263_576)])
def test_parameter_counts_are_the_published_ones(kind, size):
    net = StudentNet(1000, StudentSettings(kind=kind))
    assert sum(math.prod(w.shape) for w in net.trainable_variables) == size


def test_initial_weights_are_pytorchs():
    kernel, bias = StudentNet(1000).body.layers[0].get_weights()
    bound = 1 / math.sqrt(1000)
    for w in (kernel, bias):
        assert np.abs(w).max() <= bound
        # the sd of U(−b, b) is b/√3; 64 biases know it to about 10 %
        assert w.std() == pytest.approx(bound / math.sqrt(3), rel=0.25)


# either loss by XLA once; it takes longer to compile than so few updates without it
XLA = [pytest.param(kind, True, marks=pytest.mark.slow, id=f"{kind}-xla") for kind in ("I", "IV")]


@pytest.mark.parametrize(("kind", "jit"), [*((kind, False) for kind in MODELS), *XLA])
def test_a_model_trains_and_reports_what_may_diverge(adata, kind, jit, monkeypatch):
    monkeypatch.setattr(StudentNet, "jit", jit)
    model = Student(kind=kind, size_factor="total_median").fit(adata, epochs=4, snapshots=(2, 4))
    assert model.history["loss"][-1] < model.history["loss"][0]
    assert set(model.history) == {"loss", "gradient_norm", "largest_mean", "largest_dispersion"}
    assert model.diverged_at is None
    last = model.parameters(adata)["mean"]
    earlier = model.at(2).parameters(adata)["mean"]
    assert not np.array_equal(last, earlier)
    np.testing.assert_array_equal(model.at(4).parameters(adata)["mean"], last)


def test_legacy_loss_is_a_sum_and_its_gradient_far_beyond_the_clipping(adata):
    model = Student(kind="I", size_factor="total_median").fit(adata, epochs=1)
    assert min(model.history["gradient_norm"]) > 5.0


def test_reported_loop_never_moves_the_weights_but_by_decay(adata):
    model = Student(kind="III", size_factor="total_median", buggy_step=True, weight_decay=0.0).fit(adata, epochs=2)
    untouched = StudentNet(adata.n_vars, model.settings, standardiser=model.net.standardiser.get_config())
    for left, right in zip(model.net.get_weights(), untouched.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_mean_ignores_depth_as_in_the_original(adata):
    net = Student(kind="III", size_factor="total_median").fit(adata, epochs=1).net
    x = tf.constant(counts_of(adata))
    factor = tf.constant(net.standardiser.factors(counts_of(adata))[:, None])
    shallow = net({"counts": x, "size_factor": factor})["mean"]
    deep = net({"counts": 2 * x, "size_factor": 2 * factor})["mean"]
    np.testing.assert_allclose(shallow, deep, rtol=1e-4)


@pytest.mark.parametrize(
    ("zscore", "size_factor", "depends"), [("batch", "batch_total", True), ("global", "total_median", False)]
)
def test_only_the_public_code_normalises_within_the_batch(adata, zscore, size_factor, depends):
    model = Student(kind="III", zscore=zscore, size_factor=size_factor).fit(adata, epochs=2)
    all_cells = model.parameters(adata)["mean"][:10]
    few = model.parameters(adata[:10].copy())["mean"]
    assert np.allclose(all_cells, few, rtol=1e-3) is not depends


def test_evaluation_in_training_mode_ties_cells_together(adata):
    model = Student(kind="IV", size_factor="total_median").fit(adata, epochs=1)
    assert not np.allclose(model.parameters(adata)["mean"][:10], model.parameters(adata[:10].copy())["mean"], rtol=1e-3)


def test_divergence_ends_the_training_and_is_recorded(adata):
    model = Student(kind="I", size_factor="total_median", learning_rate=50.0).fit(adata, epochs=30, snapshots=(1, 30))
    assert model.diverged_at is not None
    assert model.diverged_at == len(model.history["loss"]) < 30
    with pytest.raises(ParameterError, match="training had diverged"):
        model.at(30)


def test_unknown_model_is_refused():
    with pytest.raises(ParameterError, match="I, II, III, IV"):
        Student(kind="V")
