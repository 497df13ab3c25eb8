"""DR-A: a variational autoencoder with one adversary for its code and one for its reconstruction.

Lin E., Mukherjee S., Kannan S., A deep adversarial variational autoencoder model for dimensionality reduction in
single-cell RNA sequencing analysis, BMC Bioinformatics 21:64 (2020), https://doi.org/10.1186/s12859-020-3401-5

Read `settings`, `losses`, `games`, `net` and `model` in this order.
"""

from scgen_lib.models.dr_a.model import DRA

__all__ = ["DRA"]
