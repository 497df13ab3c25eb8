"""RMSprop of Keras 2: its rule, where it differs from that of Keras 3, and its life in a file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from scgen_lib import optimizers


def weights_after(optimizer, gradients, *, jit):
    weight = keras.Variable(np.zeros(len(gradients[0]), "float32"))
    optimizer.build([weight])
    step = tf.function(lambda g: optimizer.apply([g], [weight]), jit_compile=jit)
    for g in gradients:
        step(tf.constant(g, tf.float32))
    return weight.numpy()


@pytest.mark.parametrize("jit", [False, True])
def test_rmsprop_divides_by_the_root_plus_epsilon(jit):
    gradients = np.array([[1e-8, -1e-6, 1e-4, 2.0], [3e-8, 2e-6, -1e-5, 0.1], [0.0, 1e-6, 1e-4, -1.0]])
    v, w = np.zeros(4), np.zeros(4)
    for g in gradients:
        v = 0.9 * v + 0.1 * g**2
        w -= 1e-3 * g / (np.sqrt(v) + 1e-7)
    got = weights_after(optimizers.RMSprop(1e-3), gradients, jit=jit)
    np.testing.assert_allclose(got, w, rtol=1e-5)  # float32


def test_first_step_of_a_small_gradient_is_many_times_that_of_keras_3():
    # g = 1e-6: 0.1 g² = 1e-13 under the root, beside an ε of 1e-7
    old = weights_after(optimizers.RMSprop(1e-3), [[1e-6]], jit=False)
    new = weights_after(keras.optimizers.RMSprop(1e-3), [[1e-6]], jit=False)
    assert float(old[0] / new[0]) == pytest.approx(3.16e-4 / (3.16e-7 + 1e-7), rel=1e-2)


@pytest.mark.parametrize("name", ["RMSprop", "rmsprop"])
def test_a_name_of_rmsprop_means_that_of_keras_2(name):
    made = optimizers.named(name, learning_rate=0.01, clipvalue=5.0)
    assert type(made) is optimizers.RMSprop
    assert (float(made.learning_rate), made.clipvalue) == (pytest.approx(0.01), 5.0)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert type(again) is optimizers.RMSprop


@pytest.mark.parametrize("name", ["RMSprop-keras3", "rmsprop-keras3"])
def test_the_rule_of_keras_3_has_a_name_of_its_own(name):
    made = optimizers.named(name, learning_rate=0.01, clipvalue=5.0)
    assert type(made) is keras.optimizers.RMSprop
    assert (float(made.learning_rate), made.clipvalue) == (pytest.approx(0.01), 5.0)


@pytest.mark.parametrize("name", ["Adam", "Adagrad", "Adadelta", "Adamax", "Nadam", "SGD"])
def test_other_names_mean_what_keras_has(name):
    assert type(optimizers.named(name, learning_rate=0.01)) is getattr(keras.optimizers, name)
