"""DCA's network with the settings of a chapter, trained in a row."""

from collections.abc import Mapping
from typing import Any

import anndata

from scgen_book import experiments
from scgen_lib.models.dca import DCA
from scgen_lib.settings import chosen

#: What decides such a training among the parameters of the chapter.
SETTINGS = (DCA, DCA.fit)


def fit(cells: anndata.AnnData, variant: str, seed: int, settings: Mapping, **changes: Any) -> DCA:
    """Train a variant of DCA with the settings of a row, but for the changes named."""
    model = DCA.variant(variant, **chosen(DCA, settings) | {"seed": seed} | changes)
    return model.fit(cells, checkpoint=experiments.checkpoint(), **chosen(DCA.fit, settings))
