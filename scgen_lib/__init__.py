"""Five papers on deep generative models for single-cell RNA-seq, on Keras 3 and TensorFlow.

Importing the package loads neither TensorFlow nor scanpy; the submodules load what they need when they are imported.
"""

import os

from scgen_lib._version import __version__

# Keras and TensorFlow read these once, when they are first imported.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__all__ = ["__version__"]
