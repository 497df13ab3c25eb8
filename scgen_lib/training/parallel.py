"""Independent trainings beside each other."""

import os
import warnings
from collections.abc import Callable, Sequence

import joblib
import tensorflow as tf

from scgen_lib import environment


def in_parallel(function: Callable, tasks: Sequence[tuple]) -> list:
    """Call a function for each tuple of arguments, in one process per core; one after the other where there is a GPU.

    Small nets leave all but one core idle, so independent trainings gain more from processes than from threads.

    Parameters
    ----------
    function
        Any function, one defined in a notebook too; what it returns must be picklable.
    tasks
        Its arguments, call by call.

    Returns
    -------
    list
        What the calls returned, in the order of the tasks.
    """
    jobs = 1 if tf.config.list_physical_devices("GPU") else min(environment.cores(), len(tasks))
    if jobs < 2:
        return [function(*task) for task in tasks]
    # Read by the new processes when they load TensorFlow.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    with warnings.catch_warnings():
        # XLA keeps what it has compiled as long as a process lives, so joblib renews a process that has grown.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)
        return joblib.Parallel(n_jobs=jobs)(joblib.delayed(function)(*task) for task in tasks)
