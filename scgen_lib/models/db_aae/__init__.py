"""DB-AAE: an adversarial autoencoder that denoises log-normalised expression, with a batch size chosen by search.

Ko K. D., Sartorelli V., A deep learning adversarial autoencoder with dynamic batching displays high performance in
denoising and ordering scRNA-seq data, iScience 27(3):109027 (2024), https://doi.org/10.1016/j.isci.2024.109027

Read `settings`, `net`, `search` (the "dynamic batching") and `model` in this order.
"""

from scgen_lib.models.db_aae.model import DBAAE

__all__ = ["DBAAE"]
