"""The training engine that all models share: Keras `fit` and its callbacks around compiled windows of mini-batches.

The nets of these papers are small. With one call per mini-batch most of the time is the call, so here one XLA program
takes a whole window of mini-batches, with the data resident on the device and rows gathered by index inside it.
A training too short to earn back XLA's compilation walks through the same windows without it.
Keras still runs the loop over windows and epochs, so its callbacks (early stopping, schedules, TensorBoard, progress)
work as everywhere. `benchmarks/` holds the figures behind this choice.
"""

from scgen_lib import backend  # noqa: F401
from scgen_lib.training.arrays import Arrays, dense, split
from scgen_lib.training.loop import fit, predict, predictions
from scgen_lib.training.model import Max, WindowModel
from scgen_lib.training.parallel import in_parallel
from scgen_lib.training.search import Search, search_batch_size
from scgen_lib.training.windows import XLA_PAYS, Order, exactly, in_file_order, shuffled, shuffling

__all__ = [
    "XLA_PAYS",
    "Arrays",
    "Max",
    "Order",
    "Search",
    "WindowModel",
    "dense",
    "exactly",
    "fit",
    "in_file_order",
    "in_parallel",
    "predict",
    "predictions",
    "search_batch_size",
    "shuffled",
    "shuffling",
    "split",
]
