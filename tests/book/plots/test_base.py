import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from scgen_book import plots


def test_style_is_png_at_twice_the_resolution_and_colour_blind_safe():
    with mpl.rc_context():
        plots.style()
        assert mpl.rcParams["savefig.dpi"] == 2 * mpl.rcParams["figure.dpi"]
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == plots.palette(10)
    assert plots.palette(3) == ["#0173b2", "#de8f05", "#029e73"]


def test_importing_the_figures_loads_no_seaborn():
    check = "import sys, scgen_book.plots; sys.exit('seaborn' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_a_panel_can_be_drawn_into_a_given_figure():
    _, (left, right) = plt.subplots(1, 2)
    assert plots.loss_curves({"I": {"loss": [2, 1]}}, ax=right) is right
    assert right.get_legend() is not None
    assert not left.lines


# a legend drops what begins with _, and two $ begin and end a formula
ODD = ["_unknown", "a$_{b$", "c{", "\\frac$"]


def test_classes_are_shown_by_their_names_whatever_these_are(drawn):
    rng = np.random.default_rng(0)
    groups = [*ODD, None] * 4
    fig = plots.embedding_panels({"x": (rng.random((20, 2)), np.nan)}, groups)
    shown = [text.replace("\\$", "$").strip() for text in drawn(fig)]
    assert shown == [*sorted(ODD), "no label"]
    points = rng.random((16, 2))
    embedded = {"PCA": {"held-out": points, "made": points}}
    fig = plots.simulated_embeddings(embedded, {"held-out": ODD * 4, "made": ODD * 4})
    assert [text.replace("\\$", "$").strip() for text in drawn(fig)] == sorted(ODD)
    assert sum(len(c.get_offsets()) for c in fig.axes[1].collections) == 32  # the held-out cells once more, in grey
    table = pd.DataFrame(np.eye(4), ODD, ODD)
    assert len(drawn(plots.confusions({"real": table}))) == 4
    cells = pd.DataFrame({"label": ODD * 4, "library": rng.random(16)})
    drawn(plots.cell_violins({"real": cells}, "library", "library").figure)
    drawn(plots.cluster_table(table.set_axis(range(4), axis=1)).figure)
    drawn(plots.de_heatmaps({"true": rng.random((20, 3))}, groups, [0, 1, 2], stratify=False))
    drawn(plots.marker_violins({"x": rng.random((16, 4))}, ODD * 4, ODD))
    drawn(plots.pseudotime_strips({"x": rng.random(16)}, ODD * 4, ODD, {}))
    assert [text.strip() for text in drawn(plots.loss_curves({"_mine": {"loss": [2, 1]}}).figure)] == ["_mine"]


def test_more_classes_than_markers_are_drawn(drawn):
    fig = plots.embedding_panels(
        {"x": (np.random.default_rng(0).random((80, 2)), np.nan)}, [f"t{i}" for i in range(80)]
    )
    assert len(drawn(fig)) == 80
