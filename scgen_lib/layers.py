"""Small layers that Keras does not have."""

import keras


@keras.saving.register_keras_serializable("scgen_lib")
class GeneVector(keras.layers.Layer):
    """One free, trainable number per gene, whatever the input: the constant dispersion of DCA's `nb` and `zinb`.

    The weight is read in every call: evaluated once, as when the net is built, it would get no gradient in eager mode.

    Parameters
    ----------
    n_genes
        Length G of the vector; it starts at 0.
    """

    def __init__(self, n_genes: int, **kwargs: object):
        super().__init__(**kwargs)
        self.n_genes = n_genes
        self.vector = self.add_weight(shape=(n_genes,), initializer="zeros", name="vector")

    def call(self, inputs: object) -> object:
        """Any tensor → (1, G)."""
        return keras.ops.expand_dims(keras.ops.convert_to_tensor(self.vector), 0)

    def get_config(self) -> dict:
        """For Keras' files."""
        return {**super().get_config(), "n_genes": self.n_genes}


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
