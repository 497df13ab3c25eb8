import pytest
import tensorflow as tf


@pytest.fixture(scope="module")
def eager():
    """So few updates are sooner done than compiled; what a compiled one computes is the matter of `test_updates`."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def traced(eager):
    """A test of compilation itself in a module of the other ones."""
    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(True)
