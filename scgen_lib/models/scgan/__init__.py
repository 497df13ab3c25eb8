"""scGAN and cscGAN: cells simulated by a Wasserstein GAN with gradient penalty, the latter on demand of a cluster.

Marouf M., Machart P., Bansal V., Kilian C., Magruder D. S., Krebs C. F., Bonn S., Realistic in silico generation and
augmentation of single-cell RNA-seq data using generative adversarial networks, Nat. Commun. 11:166 (2020),
https://doi.org/10.1038/s41467-019-14018-z

Read `cells`, `settings`, `net` and `model` in this order; `parameters_json` reads the released code's own file.
"""

from scgen_lib.models.scgan.model import ScGAN

__all__ = ["ScGAN"]
