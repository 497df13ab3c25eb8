"""MyMethod, a linear autoencoder: it stands here for the model of a paper, and trains in seconds.

Author A., Author B., Title of the paper, Journal 1:1 (2026), https://doi.org/10.0000/example
"""

from scgen_lib.models.my_method.model import MyMethod

__all__ = ["MyMethod"]
