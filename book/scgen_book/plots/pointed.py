"""A picture of cells that says what a cell is where a pointer rests on it: SVG alone, without a script or a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from scgen_book.names import told
from scgen_book.plots.base import coded, palette

if TYPE_CHECKING:
    from IPython.display import HTML

#: Of the picture, in its own units, and of the cells in it.
WIDTH, HEIGHT, RADIUS = 640, 420, 3
#: So many cells at most, drawn at random: a page carries each of them.
MOST = 1500


def hover(points: Mapping[str, np.ndarray], labels: Mapping[str, Sequence], *, seed: int = 0) -> HTML:
    """Return a folded picture of the cells of several sets in one embedding.

    Parameters
    ----------
    points
        Coordinates of the cells of each set ("real", "generated"), cells × 2.
    labels
        Label of each cell of each set.
    seed
        Of the draw where there are more than `MOST` cells.

    Returns
    -------
    HTML
        Cells of the first set are filled circles, those of others rings; the title of each is its set and its label.
    """
    from IPython.display import HTML

    places = np.concatenate(list(points.values())).astype(float)
    codes, names = coded(np.concatenate([np.asarray(own, dtype=str) for own in labels.values()]))
    sets = np.repeat(list(points), [len(own) for own in points.values()])
    rows = np.random.default_rng(seed).permutation(len(places))[:MOST]
    low, span = places.min(axis=0), np.maximum(np.ptp(places, axis=0), 1e-12)
    scaled = (places - low) / span * (WIDTH - 4 * RADIUS, HEIGHT - 4 * RADIUS) + 2 * RADIUS
    colours, first = palette(len(names)), next(iter(points))
    drawn = []
    for k, name in enumerate(names):
        for which in points:
            own = np.sort(rows[(codes[rows] == k) & (sets[rows] == which)])
            ink = f'fill="{colours[k]}"' if which == first else f'fill="none" stroke="{colours[k]}" stroke-width="1.5"'
            title = escape(f"{which}: {name.strip()}")
            cells = (
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS}"><title>{title}</title></circle>'
                for x, y in zip(scaled[own, 0], HEIGHT - scaled[own, 1], strict=True)
            )
            drawn.append(f'<g {ink} pointer-events="all">{"".join(cells)}</g>' if len(own) else "")
    words = escape(f"{len(rows)} cells in one embedding: {', '.join(points)}; {', '.join(map(told, names))}")
    picture = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">{"".join(drawn)}</svg>'
    marks = f" ({first}: filled, others: rings)" if len(points) > 1 else ""
    summary = f"The same cells, each with its name: rest on one{marks}"
    return HTML(f'<details class="hover"><summary>{escape(summary)}</summary>{picture}</details>')
