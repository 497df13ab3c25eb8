import numpy as np
import pandas as pd

from scgen_book import plots


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


def test_adversarial_curves_show_both_players_and_the_range_of_the_scores(drawn):
    keys = ("reconstruction_loss", "adversarial_loss", "d_loss_real", "d_loss_fake", "d_accuracy_real")
    history = {key: [0.5, 0.4, 0.3] for key in (*keys, "d_accuracy_fake", "d_code_zero", "d_code_one")}
    history |= {"d_code_min": [0, 0.1, 0.2], "d_code_max": [1, 0.9, 0.8]}
    lost = history | {"d_loss_fake": [0.5, np.inf, 0.3]}
    fig = plots.adversarial_curves({"faithful": history, "repaired": lost})
    assert drawn(fig) == ["faithful", "repaired"]
    _, _, losses, accuracy, scores = fig.axes
    assert [line.get_linestyle() for line in losses.lines] == ["-", "--", "-", "--", "None"]  # a cross where it broke
    assert accuracy.get_ylim()[0] < 0 < 1 < accuracy.get_ylim()[1]
    assert len(scores.collections) == 2
    band = scores.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 0
    assert band[:, 1].max() == 1


def test_objective_curves_have_a_panel_an_objective_that_was_measured(drawn):
    sizes = pd.Index([16, 24, 32], name="batch_size")
    search = pd.DataFrame({"d_accuracy": [99, 98, 97.0], "d_accuracy_sd": np.nan, "steps": [300, 200, 150]}, sizes)
    other = pd.DataFrame({"val_mse": [0.1, 0.2, 0.3], "val_mse_sd": [0.01] * 3, "steps": [300, 200, 150]}, sizes)
    fig = plots.objective_curves({"released": search, "trained": other}, best={"released": 16})
    assert drawn(fig) == ["released", "trained"]
    assert [ax.get_ylabel().split("\n")[0] for ax in fig.axes] == [
        "accuracy of D (%)",
        "held-out MSE",
        "optimiser steps",
    ]
    accuracy, mse, steps = fig.axes
    assert [line.get_xdata()[0] for line in accuracy.lines if line.get_linestyle() == ":"] == [16]
    assert len(mse.containers) == 1
    assert len(steps.containers) == 2
    assert steps.get_xlabel().startswith("batch size")


def test_history_panels_leave_out_what_a_training_does_not_have(drawn):
    histories = {"faithful": {"loss": [3, 2], "d1": [0.1, np.nan]}, "no adversary": {"loss": [4, 1]}}
    fig = plots.history_panels(histories, {"loss": "L_AE", "d1": "D1", "d2": "D2"}, log=("loss",))
    assert drawn(fig) == ["faithful", "no adversary", "faithful (not finite from epoch 2)"]
    assert [ax.get_title() for ax in fig.axes] == ["L_AE", "D1"]
    assert [ax.get_yscale() for ax in fig.axes] == ["log", "linear"]
    assert [len(ax.lines) for ax in fig.axes] == [2, 2]


def test_weights_that_never_moved_stand_at_zero(drawn):
    ax = plots.weights_moved({"faithful": {"encoder": 0.7, "x̃ head": 0.0}, "repaired": {"encoder": 0.9, "x̃ head": 0.2}})
    assert drawn(ax.figure) == ["faithful", "repaired"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["encoder", "x̃ head"]
    assert ax.lines[0].get_xdata().tolist() == [0.7, 0.0]
    left, right = ax.get_xlim()
    assert left < 0 < 0.9 < right


def test_logits_of_all_kinds_share_their_bins(drawn):
    kinds = {"prior": np.array([-1.0, 0, 1]), "code": np.array([3.0, 4])}
    fig = plots.logit_histograms({"D1": kinds, "constant": {"data": np.zeros(3)}})
    assert drawn(fig) == ["prior", "code", "data"]
    first, second = fig.axes
    assert sum(bar.get_height() for bar in first.patches) == 5
    assert sum(bar.get_height() for bar in second.patches) == 3
    assert (first.patches[0].get_x(), first.patches[39].get_x() + first.patches[39].get_width()) == (-1, 4)


def test_a_gan_is_drawn_over_its_outer_steps(drawn):
    history = {key: [3.0, 2.0] for key in ("critic", "generator", "penalty", "slope", "learning_rate")}
    fig = plots.gan_curves({"repaired": history | {"step": [50, 100]}, "faithful": history | {"step": [100, 200]}})
    assert drawn(fig) == ["repaired", "faithful"]
    assert [ax.get_yscale() for ax in fig.axes] == ["symlog", "symlog", "log", "log", "log"]
    assert [line.get_xdata().tolist() for line in fig.axes[2].lines] == [[50, 100], [100, 200]]


def test_a_divergence_that_is_zero_can_be_seen(drawn):
    histories = {"a": {"reconstruction": [300, 2], "kl": [0.5, 0.0]}, "b": {"reconstruction": [9, 8], "kl": [2, 1]}}
    fig = plots.loss_parts(histories, 2)
    drawn(fig)
    kl = fig.axes[-1]
    assert [ax.get_yscale() for ax in fig.axes] == ["log", "linear", "symlog"]
    assert kl.get_ylim()[0] < 0 <= kl.lines[0].get_ydata().min()
    assert [ax.get_title() for ax in fig.axes] == ["a", "b", "information in z, 2 dimensions"]
