import numpy as np
import pandas as pd

from scgen_book import plots


def test_paper_and_run_stand_side_by_side(drawn):
    table = pd.DataFrame({"metric": ["a", "b", "silhouette, t-SNE, with dropout"], "unit": ["silhouette"] * 3})
    table = table.assign(published=[0.6, np.nan, 0.1], mean=[0.5, 0.4, 0.2], sd=[0.1, 0.1, np.nan])
    ax = plots.paper_beside_run(table)
    assert set(drawn(ax.figure)) == {"this run (± sd)", "published"}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "silhouette, t-SNE, with\ndropout"]
    assert ax.get_xlabel() == "silhouette"
