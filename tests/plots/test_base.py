import subprocess
import sys

import matplotlib as mpl
from matplotlib import pyplot as plt

from scgen_lib import plots


def test_style_is_png_at_twice_the_resolution_and_colour_blind_safe():
    with mpl.rc_context():
        plots.style()
        assert mpl.rcParams["savefig.dpi"] == 2 * mpl.rcParams["figure.dpi"]
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == plots.palette(10)
    assert plots.palette(3) == ["#0173b2", "#de8f05", "#029e73"]


def test_importing_the_figures_loads_no_seaborn():
    check = "import sys, scgen_lib.plots; sys.exit('seaborn' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_a_panel_can_be_drawn_into_a_given_figure():
    _, (left, right) = plt.subplots(1, 2)
    assert plots.loss_curves({"I": {"loss": [2, 1]}}, ax=right) is right
    assert right.get_legend() is not None
    assert not left.lines
