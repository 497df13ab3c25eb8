import numpy as np

from scgen_lib import plots


def test_a_loss_breaks_off_where_it_is_not_finite(drawn):
    ax = plots.loss_curves({"I": {"loss": [3, 2, np.nan, 1]}, "IV": {"loss": [3, 2, 1], "val_loss": [4, 3, 2]}})
    assert drawn(ax.figure) == ["I (not finite from epoch 3)", "IV", "IV, validation"]
    broken, cross, *_ = ax.lines
    assert broken.get_xdata().tolist() == [1, 2]
    assert (cross.get_marker(), cross.get_xdata()[0], cross.get_ydata()[0]) == ("X", 2, 2)
    assert len(ax.lines) == 4
    assert ax.get_yscale() == "log"
    assert plots.loss_curves({"I": {"loss": [np.inf, 1]}}, log=False).get_yscale() == "linear"


def test_divergence_has_a_logarithmic_panel_a_quantity(drawn):
    history = {"gradient_norm": [1, 10], "largest_mean": [1, np.inf], "largest_dispersion": [2, 3]}
    fig = plots.divergence({"I": history, "II": history})
    assert drawn(fig) == ["I", "II"]
    assert [ax.get_ylabel() for ax in fig.axes] == ["gradient norm", "largest M", "largest Θ"]
    assert {ax.get_yscale() for ax in fig.axes} == {"log"}
    assert [len(ax.lines) for ax in fig.axes] == [2, 4, 2]
