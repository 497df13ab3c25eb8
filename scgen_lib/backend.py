"""Keras and TensorFlow as this library takes them for granted; what makes layers or trainings imports it first."""

import contextlib
import ctypes
from collections.abc import Iterator

import keras
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2
from tensorflow.python.eager import context

# ``~/.keras/keras.json`` may say otherwise, for other projects.
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_image_data_format("channels_last")
# Every fit has functions of its own, which TensorFlow takes for a mistake and warns of in the pages.
tf.get_logger().setLevel("ERROR")

# Beside large windows of mini-batches glibc returns what every product of matrices has packed to the system, which has
# to clear its pages anew: up to a third of an update. Pieces up to this size it is to keep, and before threads begin.
_KEPT_BYTES = 16 << 20
with contextlib.suppress(OSError, AttributeError):
    _libc = ctypes.CDLL("libc.so.6")
    for _option in (-1, -2, -3):  # M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of malloc.h
        _libc.mallopt(_option, _KEPT_BYTES)


def trim_memory() -> None:
    """Return to the system what XLA's compiler has freed: glibc would keep it, 100 to 280 MB a program."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)


@contextlib.contextmanager
def without_memory_optimizer() -> Iterator[None]:
    """Let TensorFlow run graphs of large tensors as they are, in this thread.

    It would sum such tensors in temporary variables, and those of a loop within a loop it forgets to free: run once
    more, the graph fails. Nothing public turns off that pass alone.
    """
    here = context.context()
    before = here.function_call_options
    config = config_pb2.ConfigProto.FromString(before.config_proto_serialized)
    config.graph_options.rewrite_options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    here.function_call_options = context.FunctionCallOptions(before.executor_type, config)
    try:
        yield
    finally:
        here.function_call_options = before
