"""The paper's Figure 2 again: which gene is the marker, and what is drawn where."""

from types import SimpleNamespace

import anndata
import matplotlib.pyplot as plt
import numpy as np
import pytest

from scgen_book.chapters.scgan import joint
from scgen_book.experiments.protocol import NotApplicable
from scgen_book.experiments.scgan import models
from scgen_book.experiments.scgan.cells import Case

LARGE, SMALL = "B", "NK"


def case(labelled=True):
    """Sixty cells of two classes, half of them held out; gene 2 is high in the larger class, gene 1 in the other."""
    rng = np.random.default_rng(0)
    labels = np.array([LARGE] * 40 + [SMALL] * 20) if labelled else np.repeat("all", 60)
    counts = rng.poisson(5, (60, 12)).astype(np.float32)
    counts[:40, 2] += 30
    counts[40:, 1] += 20
    cells = anndata.AnnData(counts, layers={"counts": counts.astype(np.int64)})
    part = np.where(np.arange(60) % 2 == 0, "train", "test")
    return Case(cells, labels, part, sorted(set(labels)), {"name": "toy"}, counts.shape, 0, None)


def test_the_marker_tells_the_largest_class():
    assert joint.marker(case()) == (2, LARGE)


def test_without_classes_there_is_no_marker():
    with pytest.raises(NotApplicable, match="without classes"):
        joint.marker(case(labelled=False))


def test_real_and_generated_cells_are_drawn_side_by_side(monkeypatch):
    held = case()
    rows = held.part == "test"
    made = anndata.AnnData(held.cells.X[rows][:20])
    made.obs["cell_type"] = held.labels[rows][:20]
    model = SimpleNamespace(simulate=lambda wanted, seed: made, labels=[LARGE, SMALL])
    monkeypatch.setattr(models, "like", lambda *_: 20)
    both = joint.Joint(model, held, {"seed": 0})
    both.figure(None)
    named = both.named(None).data
    assert named.count("<circle ") == 50
    assert named.count("<title>generated: B</title>") == (made.obs["cell_type"] == LARGE).sum()
    *panels, bar = plt.gcf().axes
    assert [ax.get_title() for ax in panels[:2]] == ["real", "generated"]
    assert [len(ax.collections[0].get_offsets()) for ax in panels] == [50] * 4
    assert [[len(dots.get_offsets()) for dots in ax.collections[1:]] for ax in panels[2:]] == [[30], [20]]
    assert bar.get_ylabel() == "2, marker of B"
    plt.close("all")
