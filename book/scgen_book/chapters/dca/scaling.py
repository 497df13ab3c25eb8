"""How the time grows with the number of cells, on the page."""

import pandas as pd
from matplotlib.figure import Figure

from scgen_book import plots
from scgen_book.experiments.dca.scaling import DENOISING, EPOCH, size
from scgen_book.experiments.rows import Rows


def table(found: Rows) -> pd.DataFrame:
    """Return the seconds of an epoch and of denoising, a line a number of cells, and what they are for one cell."""
    seconds = _seconds(found)
    cells = seconds.index.to_numpy()
    return (
        pd.DataFrame(
            {
                "cells": [f"{n:,}" for n in cells],
                "an epoch, s": seconds[EPOCH].to_numpy(),
                "an epoch, µs a cell": seconds[EPOCH].to_numpy() / cells * 1e6,
                "denoising, s": seconds[DENOISING].to_numpy(),
                "denoising, µs a cell": seconds[DENOISING].to_numpy() / cells * 1e6,
            }
        )
        .set_index("cells")
        .round(2)
    )


def figure(found: Rows) -> Figure:
    """Draw the seconds against the number of cells, both on logarithms, beside lines in proportion to the cells."""
    seconds = _seconds(found).rename(columns={DENOISING: "denoising all cells"})
    return plots.scaling(seconds)


def _seconds(found: Rows) -> pd.DataFrame:
    """Return the mean seconds over the seeds by number of cells."""
    rows = found.wide
    return rows.groupby(rows["method"].map(size).rename("cells"))[[EPOCH, DENOISING]].mean().sort_index()
