"""The layer that DCA alone has."""

import keras


@keras.saving.register_keras_serializable("scgen_lib")
class Elementwise(keras.layers.Layer):
    """a ⊙ x + c with one a and c per gene, or one of each for all genes: the dropout head of DCA's `zinb-elempi`.

    Parameters
    ----------
    units
        Length of a and c: G, or 1.
    """

    def __init__(self, units: int, **kwargs: object):
        super().__init__(**kwargs)
        self.units = units
        self.scale = self.add_weight(shape=(units,), initializer="ones", name="scale")
        self.shift = self.add_weight(shape=(units,), initializer="zeros", name="shift")

    def call(self, inputs: object) -> object:
        """(B, G) → (B, G)."""
        return inputs * self.scale + self.shift

    def get_config(self) -> dict:
        """For Keras' files."""
        return {**super().get_config(), "units": self.units}
