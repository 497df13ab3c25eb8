import numpy as np
from matplotlib.colors import to_hex

from scgen_book import plots
from scgen_book.plots.diagram import ARROWS


def test_a_diagram_has_a_box_a_text_and_an_arrow_a_way(drawn):
    boxes = {"x": (1, 2, 1), "encoder": (1, 1, 1), "D": (4, 1, 1)}
    arrows = [("x", "encoder", "data", "", 0), ("D", "encoder", "inert", "never computed", -0.3)]
    fig = plots.diagram(boxes, arrows, 3)
    drawn(fig)
    (ax,) = fig.axes
    assert [text.get_text() for text in ax.texts] == ["x", "encoder", "D", "never computed"]
    *_, data, inert = ax.patches
    assert [to_hex(arrow.get_edgecolor()) for arrow in (data, inert)] == [ARROWS["data"][0], ARROWS["inert"][0]]
    assert (data.get_linestyle(), inert.get_linestyle()) == ("-", "--")
    assert fig.get_figwidth() == 5


def heights(arrow):
    """Lowest and highest point of an arrow, in inches, its bends drawn out."""
    y = np.concatenate(arrow.get_path().to_polygons(closed_only=False))[:, 1]
    return y.min(), y.max()


def test_an_arrow_ends_at_the_edges_of_its_boxes(drawn):
    fig = plots.diagram({"above": (1, 2, 1), "below": (1, 1, 1)}, [("above", "below", "data", "", 0)], 3)
    drawn(fig)
    low, high = heights(fig.axes[0].patches[-1])
    assert 1 + 0.14 < low < high < 2 - 0.14


def test_words_at_a_bent_arrow_lie_on_it(drawn):
    fig = plots.diagram({"left": (1, 1, 1), "right": (4, 1, 1)}, [("left", "right", "inert", "none", 0.4)], 2.5)
    drawn(fig)
    words = fig.axes[0].texts[-1].get_position()
    low, _ = heights(fig.axes[0].patches[-1])
    assert words[0] == 2.5
    assert words[1] < 1
    assert abs(words[1] - low) < 0.15


def test_a_diagram_has_a_box_a_layer(drawn):
    layers = {"encoder": [("input", "32 × 32 · 0"), ("Dense 16", "16 · 33,000")], "decoder": [("z", "2 · 0")]}
    fig = plots.network_diagram(layers)
    drawn(fig)
    boxes = [[text.get_text() for text in ax.texts if text.get_text()] for ax in fig.axes]
    assert boxes == [["input\n32 × 32 · 0", "Dense 16\n16 · 33,000"], ["z\n2 · 0"]]
