"""Five papers on deep generative models for single-cell RNA-seq, on Keras 3 and TensorFlow.

Importing the package loads neither TensorFlow nor scanpy; the submodules load what they need when they are imported.
"""

import os
import sys

from scgen_lib import environment
from scgen_lib._version import __version__
from scgen_lib.errors import InputError

if "keras" in sys.modules and (found := sys.modules["keras"].config.backend()) != "tensorflow":
    raise InputError(f"expected Keras on TensorFlow, got it running on {found} already: import scgen_lib before keras")
# Keras and TensorFlow read these once, when they are first imported. A backend that is set is meant for other programs.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# These would cut every training short without a word in its record.
for name in ("KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"):
    os.environ.pop(name, None)
environment.provide_caches()

__all__ = ["__version__"]
