import keras
import numpy as np
import pytest
import tensorflow as tf

from scgen_lib import training


class Net(training.WindowModel):
    """A small regression net with dropout, so that random state matters."""

    logs_by = {"loss": "mean", "largest": "max"}  # noqa: RUF012

    def __init__(self, dropout=0.2):
        super().__init__()
        self.net = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(5, use_bias=False, kernel_initializer=keras.initializers.GlorotUniform(seed=1)),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(dropout, seed=2),
                keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed=3)),
            ]
        )
        self.dropout = dropout

    def get_config(self):
        return {"dropout": self.dropout}

    def batch_loss(self, batch, training):
        return tf.reduce_mean((self.net(batch["x"], training=training) - batch["y"]) ** 2)

    def batch_step(self, batch):
        return {**super().batch_step(batch), "largest": tf.reduce_max(batch["y"])}


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    x = rng.poisson(0.6, (50, 6)).astype("float32")
    return {"x": x, "y": (x @ np.arange(6.0)[:, None]).astype("float32")}


@pytest.fixture
def compiled():
    """Make a small net that is ready to train."""

    def compiled(dropout=0.2, learning_rate=0.01, jit=None):
        model = Net(dropout)
        model.jit = jit
        model.compile(optimizer=keras.optimizers.Adam(learning_rate))
        return model

    return compiled


@pytest.fixture
def run(compiled):
    """Train a net, a new one unless another is given, and return it with its history."""

    def run(arrays, epochs=4, model=None, **kwargs):
        model = model or compiled()
        history = training.fit(model, arrays, epochs=epochs, batch_size=8, seed=0, **kwargs)
        return model, history

    return run


@pytest.fixture
def weights():
    return lambda model: model.get_weights()


@pytest.fixture
def assert_same():
    """Assert that two nets have the same weights, to the bit."""

    def assert_same(a, b):
        for left, right in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_array_equal(left, right)

    return assert_same
