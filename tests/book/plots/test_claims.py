import pandas as pd
import pytest

from scgen_book.plots import forest


def test_each_claim_has_a_dot_its_spread_and_the_published_value():
    columns = ["words", "published", "mean", "sd"]
    one = pd.DataFrame([["a", 0.5, 0.6, 0.1], ["b", 0.2, 0.1, float("nan")]], columns=columns)
    fig = forest({"First": one, "Second": one.head(1)})
    assert [ax.get_title(loc="right") for ax in fig.axes] == ["First", "Second"]
    first = fig.axes[0]
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b"]
    dots, diamonds = (next(line for line in first.lines if line.get_marker() == mark) for mark in "oD")
    assert dots.get_xydata().tolist() == [[0.6, 1], [0.1, 0]]
    assert diamonds.get_xydata().tolist() == [[0.5, 1], [0.2, 0]]
    (bars,) = first.containers[0].lines[2]
    assert bars.get_segments()[0][:, 0] == pytest.approx([0.5, 0.7])
