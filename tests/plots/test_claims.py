import numpy as np
import pandas as pd

from scgen_lib import plots


def test_paper_and_run_stand_side_by_side(drawn):
    table = pd.DataFrame({"metric": ["a", "b", "silhouette, t-SNE, with dropout"], "unit": ["silhouette"] * 3})
    table = table.assign(published=[0.6, np.nan, 0.1], mean=[0.5, 0.4, 0.2], sd=[0.1, 0.1, np.nan])
    ax = plots.paper_beside_run(table)
    assert set(drawn(ax.figure)) == {"this run (± sd)", "published"}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "silhouette, t-SNE, with\ndropout"]
    assert ax.get_xlabel() == "silhouette"


def test_a_quantity_is_drawn_as_released_and_as_described_with_a_point_a_seed(drawn):
    ax = plots.released_and_described([0.2, 0.4], [1.0], "score")
    drawn(ax.figure)
    assert [bar.get_width() for bar in ax.patches] == [1.0, np.mean([0.2, 0.4])]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["as described", "as released"]
    (points,) = (line for line in ax.lines if line.get_marker() == "o")
    assert list(points.get_xdata()) == [0.2, 0.4]
