"""The optimiser with which papers of the years of Keras 2 were written, where Keras 3 has another of that name."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("scgen_lib")
class RMSprop(keras.optimizers.RMSprop):
    """RMSprop as Keras 2 has it: v ← ρ v + (1 − ρ) g², then w ← w − η g / (√v + ε).

    Keras 3 divides by √(v + ε). With its ε = 1e-7 that never divides by less than 3.2e-4, and the gradients of a loss
    that is a mean over cells × genes often lie far below: the first steps are then 40 to 125 times smaller. Arguments
    are those of Keras, without momentum and centring: the rule of Keras 2 is another one with these.

    References
    ----------
    ``keras/optimizers/optimizer_v2/rmsprop.py`` of Keras 2.11 (TensorFlow 2.4 has the same), branch without momentum.
    """

    def update_step(self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        """Change one variable by its gradient."""
        v = self._velocities[self._get_variable_index(variable)]
        self.assign(v, self.rho * v + (1.0 - self.rho) * gradient**2)
        self.assign_sub(variable, learning_rate * gradient / (tf.sqrt(v) + self.epsilon))


def named(name: str, **config: object) -> keras.optimizers.Optimizer:
    """Return the optimiser of a Keras name as Keras 2 has it; config as in Keras.

    ``RMSprop-keras3`` is that of Keras 3, with its ε under the root, for those who want to see what it makes.
    The rules of Adam, Adamax, Adadelta and SGD are the same in both generations, and Adagrad's sum starts at 0.1, where
    the place of its ε makes no difference. Nadam is that of Keras 3: its momentum warms up by 0.96^t, in Keras 2 by
    0.96^(0.004 t).
    """
    if name.lower() == "rmsprop":
        return RMSprop(**config)
    if name.lower() == "rmsprop-keras3":
        return keras.optimizers.RMSprop(**config)
    return keras.optimizers.get({"class_name": name, "config": config})
