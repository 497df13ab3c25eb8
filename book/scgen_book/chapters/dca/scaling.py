"""How the time grows with the number of cells, on the page."""

import pandas as pd
from matplotlib.figure import Figure

from scgen_book import plots
from scgen_book.experiments.dca.scaling import DENOISING, EPOCH, SIZES
from scgen_book.experiments.rows import Rows


def table(found: Rows) -> pd.DataFrame:
    """Return the seconds of an epoch and of denoising, a line a number of cells, and what they are for one cell."""
    seconds = _seconds(found)
    units = {"s": seconds, "µs a cell": seconds.div(seconds.index, axis=0) * 1e6}
    columns = {f"{name}, {unit}": of[name] for name in (EPOCH, DENOISING) for unit, of in units.items()}
    return pd.DataFrame(columns).set_index(seconds.index.map("{:,}".format)).round(2)


def figure(found: Rows) -> Figure:
    """Draw the seconds against the number of cells, both on logarithms, beside lines in proportion to the cells."""
    seconds = _seconds(found).rename(columns={DENOISING: "denoising all cells"})
    return plots.scaling(seconds)


def _seconds(found: Rows) -> pd.DataFrame:
    """Return the mean seconds over the seeds by number of cells."""
    rows = found.wide
    return rows.groupby(rows["method"].map(SIZES).rename("cells"))[[EPOCH, DENOISING]].mean().sort_index()
