"""A convolutional conditional variational autoencoder that simulates the counts of cells of a chosen type.

The gene vector of a cell is folded into a square image, the network learns it together with the cell's type, and new
cells are drawn from its decoder. The method was released as software, without an article: umiche, module
deepconvcvae, github.com/2003100127/umiche at commit 4fabb37. Conditional VAE: Lopez-Martin M. et al., Conditional
variational autoencoder for prediction and feature recovery applied to intrusion detection in IoT, Sensors 17:1967
(2017), https://doi.org/10.3390/s17091967

Read `settings`, `cells`, `net` and `model` in this order.
"""

from scgen_lib.models.cvae.model import CVAE

__all__ = ["CVAE"]
