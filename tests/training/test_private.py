"""What of Keras and keras-tuner is overridden or called here though it is not public, and what to do when it goes."""

import keras
import keras_tuner
import pytest
import tensorflow as tf
from keras_tuner.engine.base_tuner import BaseTuner


def test_keras_reduces_gradients_where_the_engine_keeps_it_from_doing_so(compiled, arrays):
    """`WindowModel.compile` overrides a hook of Keras' optimisers that leaves the graph of every training in memory."""
    advice = (
        "Keras has another hook than optimizer._all_reduce_sum_gradients: find where its apply reduces gradients over "
        "replicas, override that in WindowModel.compile, and see that tests/training/test_loop.py finds no graph left; "
        "if Keras no longer reduces for a single replica, drop the override"
    )
    called = []
    model = compiled()
    assert hasattr(keras.optimizers.Adam(), "_all_reduce_sum_gradients"), advice
    model.optimizer._all_reduce_sum_gradients = lambda pairs: called.append(1) or pairs
    model.batch_step({name: tf.constant(a[:4]) for name, a in arrays.items()})
    assert called, advice


@pytest.mark.parametrize(
    ("owner", "names", "advice"),
    [
        (
            keras.optimizers.RMSprop,
            ["_get_variable_index", "assign", "assign_sub", "update_step"],
            "scgen_lib.optimizers.RMSprop is written with these: write it anew after Keras' own RMSprop.update_step",
        ),
        (
            keras_tuner.Oracle,
            ["_get_trial_dir", "_save_trial", "populate_space", "reload", "save"],
            "training.search writes and reads a trial's file in their place: see what Oracle.end_trial writes with",
        ),
        (
            BaseTuner,
            ["_is_worker", "get_trial_dir", "pre_create_trial"],
            "training.search tells a chief from a worker by these: see BaseTuner.__init__ for what does so now",
        ),
    ],
    ids=["RMSprop", "Oracle", "BaseTuner"],
)
def test_what_is_not_public_is_still_there(owner, names, advice):
    assert not [name for name in names if not hasattr(owner, name)], advice


@pytest.mark.parametrize(
    ("callback", "names"),
    [
        (keras.callbacks.EarlyStopping(patience=1), ["wait", "stopped_epoch", "best_epoch", "best_weights"]),
        (keras.callbacks.ReduceLROnPlateau(patience=1), ["wait", "cooldown_counter"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_callbacks_remember_what_a_checkpoint_keeps_of_them(callback, names):
    advice = "Keras' callback remembers in other attributes: name them in checkpoint._CALLBACK_STATE"
    callback.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    callback.model.compile(optimizer="sgd")
    callback.on_train_begin()
    assert not [name for name in names if name not in vars(callback)], advice
