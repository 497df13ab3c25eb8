"""DCA, the deep count autoencoder: an autoencoder whose outputs are the parameters of a count distribution.

Eraslan G., Simon L. M., Mircea M., Mueller N. S., Theis F. J., Single-cell RNA-seq denoising using a deep count
autoencoder, Nat. Commun. 10:390 (2019), https://doi.org/10.1038/s41467-018-07931-2

Read `settings`, `net` and `model` in this order; `students` has four models of a reproduction by students.
"""

from scgen_lib.models.dca.model import DCA

__all__ = ["DCA"]
