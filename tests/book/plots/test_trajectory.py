import numpy as np

from scgen_book import plots


def test_pseudotime_strips_keep_the_order_of_the_stages_and_leave_out_unreached_cells(drawn):
    stages = np.repeat(["4cell", "2cell", "blast"], 4)
    time = np.arange(12.0)
    time[11] = np.inf
    fig = plots.pseudotime_strips(
        {"observed": time, "DB-AAE": -time}, stages, ["2cell", "4cell", "blast"], {"observed": "R² 0.50"}
    )
    drawn(fig)
    assert [ax.get_title() for ax in fig.axes] == ["observed: R² 0.50", "DB-AAE"]
    first = fig.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == ["2cell", "4cell", "blast"]
    xy = first.collections[0].get_offsets()
    assert len(xy) == 11
    assert np.rint(xy[:, 1]).astype(int).tolist() == [1] * 4 + [0] * 4 + [2] * 3
    assert [line.get_xdata()[0] for line in first.lines] == [5.5, 1.5, 9]  # medians, by stage
