"""The search of a batch size, "dynamic batching": what a trial trains and is scored by, and the cells of its epochs."""

import keras
import numpy as np
import tensorflow as tf

from scgen_lib.models.db_aae.net import DBAAENet


@keras.saving.register_keras_serializable("scgen_lib")
class RandomEncoderTrial(DBAAENet):
    """What the released search scores: D, updated twice a batch against codes of an E that stays as it was drawn.

    The released trial makes E, G and D anew after a first set of them is compiled. The compiled set is trained, the new
    D is scored, and its fake codes come from the new E, which nothing trains. What becomes of the compiled set has no
    part in the score, so it is left out.
    """

    logs_by = dict.fromkeys(("d_loss_real", "d_loss_fake", "d_accuracy_real", "d_accuracy_fake"), "mean")

    def batch_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The two updates of D."""
        return self.discriminator_steps(self.code(batch["x"]))


def scores(history: dict[str, list[float]]) -> dict[str, float]:
    """Accuracy of D in percent on the last mini-batch, and how far from 50 its mean over the last epoch is."""
    last = {name: values[-1] for name, values in history.items()}
    mean = 50 * (last["d_accuracy_real"] + last["d_accuracy_fake"])
    return {
        "d_accuracy": 50 * (last["d_accuracy_real_last"] + last["d_accuracy_fake_last"]),
        "d_equilibrium": abs(mean - 50),
    }


def whole_batches_in_file_order(rng: np.random.Generator, rows: np.ndarray, batch_size: int) -> np.ndarray:
    """Walk through the cells as they stand; the last N mod B of them never come (released code)."""
    return rows[: len(rows) // batch_size * batch_size]
