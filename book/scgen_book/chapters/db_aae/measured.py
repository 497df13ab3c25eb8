"""All rows of a run of the chapter, together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scgen_book.experiments.rows import Rows


@dataclass(frozen=True)
class Measured:
    """What a run of the chapter has measured.

    Attributes
    ----------
    values
        The parameters of the chapter.
    data, search, denoising, batches, molecules, parts, defects
        The rows of its experiments.
    """

    values: Mapping[str, Any]
    data: Rows
    search: Rows
    denoising: Rows
    batches: Rows
    molecules: Rows
    parts: Rows
    defects: Rows

    @property
    def dataset(self) -> str:
        """The data set of the chapter."""
        return self.values["dataset"]

    @property
    def first(self) -> int:
        """The seed of the figures."""
        return self.values["seed"]

    @property
    def n_cells(self) -> int:
        """How many cells that has."""
        return int(self.data.values("the data", "cells", self.dataset)[self.first])
