import pytest
import tensorflow as tf


@pytest.fixture
def traced(eager):
    """A test of compilation itself in a module of the other ones."""
    tf.config.run_functions_eagerly(False)
    yield
    tf.config.run_functions_eagerly(True)
