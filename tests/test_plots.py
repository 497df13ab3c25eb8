import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

mpl.use("Agg")

from matplotlib import pyplot as plt

from scgen_lib import plots
from scgen_lib.data import splatter
from scgen_lib.metrics import clustering, denoising


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def cells():
    return splatter.preset("splat_g6", batch_cells=(120,), seed=1)


@pytest.fixture(scope="module")
def zeros(cells):
    zero = cells.X == 0
    return cells.layers["drop_prob"][zero], denoising.dropout_mask(cells.X, cells.layers["true_counts"])[zero]


def drawn(fig):
    """Render, so that a figure that cannot be drawn fails, and return the texts of its legends."""
    fig.canvas.draw()
    legends = [*fig.legends, *(ax.get_legend() for ax in fig.axes if ax.get_legend())]
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def test_style_is_png_at_twice_the_resolution_and_colour_blind_safe():
    with mpl.rc_context():
        plots.style()
        assert mpl.rcParams["savefig.dpi"] == 2 * mpl.rcParams["figure.dpi"]
        assert mpl.rcParams["axes.prop_cycle"].by_key()["color"] == plots.palette(10)
    assert plots.palette(3) == ["#0173b2", "#de8f05", "#029e73"]


def test_importing_the_figures_loads_no_seaborn():
    check = "import sys, scgen_lib.plots; sys.exit('seaborn' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_embedding_panels_show_every_group_and_silhouette(cells):
    xy = clustering.embed(cells.X, spaces=["pc2"])["pc2"]
    fig = plots.embedding_panels(
        {"true": (xy, 0.6), "with dropout": (-xy, np.nan), "ZINB": (xy, 0.4)}, cells.obs["group"]
    )
    assert drawn(fig) == [f"Group{k}" for k in range(1, 7)]
    assert [ax.get_title() for ax in fig.axes] == ["true\nsilhouette 0.60", "with dropout", "ZINB\nsilhouette 0.40"]
    assert all(len(ax.collections) == 6 for ax in fig.axes)
    assert sum(len(points.get_offsets()) for points in fig.axes[0].collections) == 120
    assert fig.get_figwidth() <= 5  # a phone's width at the chosen type size


def test_more_than_ten_groups_differ_in_their_marker():
    fig = plots.embedding_panels({"true": (np.zeros((12, 2)), np.nan)}, np.arange(12))
    shapes = {(c.get_facecolor().tobytes(), c.get_paths()[0].vertices.tobytes()) for c in fig.axes[0].collections}
    assert len(shapes) == 12


def test_silhouette_bars_have_a_diamond_where_a_number_was_published():
    table = pd.DataFrame(
        {
            "method": ["true", "ZINB", "NB"],
            "value": [0.6, 0.4, 0.3],
            "sd": [0.02, np.nan, 0.1],
            "published": [0.6, 0.37, np.nan],
        }
    )
    ax = plots.silhouette_bars(table)
    assert drawn(ax.figure) == ["published", "this run (± sd)"]
    assert sorted(bar.get_width() for bar in ax.patches) == [0.3, 0.4, 0.6]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["true", "ZINB", "NB"]
    assert "silhouette" in ax.get_xlabel()


def test_heatmaps_show_the_same_genes_and_cells_of_every_matrix(cells):
    genes = (cells.var.filter(like="de_fac_") != 1).any(axis=1).to_numpy()
    true, observed = (clustering.log_normalise(x) for x in (cells.layers["true_counts"], cells.X))
    fig = plots.de_heatmaps({"true": true, "with dropout": observed}, cells.obs["group"], genes, n_cells=60)
    drawn(fig)
    strip, first, _, second, bar = fig.axes
    images = [ax.images[0].get_array() for ax in (first, second)]
    assert images[0].shape == images[1].shape == (genes.sum(), 60)
    assert images[0].min() == 0
    assert images[0].max() == 1
    codes = strip.images[0].get_array().ravel()
    assert (np.diff(codes) >= 0).all()
    assert np.bincount(codes).tolist() == [10] * 6  # equal shares of six groups
    assert "scaled" in bar.get_ylabel()


def test_heatmaps_can_sample_without_strata(cells):
    groups = np.repeat(["a", "b"], [110, 10])
    x = clustering.log_normalise(cells.X)
    fig = plots.de_heatmaps({"true": x}, groups, np.array([3]), n_cells=60, stratify=False)
    assert np.bincount(fig.axes[0].images[0].get_array().ravel())[1] < 15  # 5 expected, 10 at most


def test_a_loss_breaks_off_where_it_is_not_finite():
    ax = plots.loss_curves({"I": {"loss": [3, 2, np.nan, 1]}, "IV": {"loss": [3, 2, 1], "val_loss": [4, 3, 2]}})
    assert drawn(ax.figure) == ["I (not finite from epoch 3)", "IV", "IV, validation"]
    broken, cross, *_ = ax.lines
    assert broken.get_xdata().tolist() == [1, 2]
    assert (cross.get_marker(), cross.get_xdata()[0], cross.get_ydata()[0]) == ("X", 2, 2)
    assert len(ax.lines) == 4
    assert ax.get_yscale() == "log"
    assert plots.loss_curves({"I": {"loss": [np.inf, 1]}}, log=False).get_yscale() == "linear"


def test_divergence_has_a_logarithmic_panel_a_quantity():
    history = {"gradient_norm": [1, 10], "largest_mean": [1, np.inf], "largest_dispersion": [2, 3]}
    fig = plots.divergence({"I": history, "II": history})
    assert drawn(fig) == ["I", "II"]
    assert [ax.get_ylabel() for ax in fig.axes] == ["gradient norm", "largest M", "largest Θ"]
    assert {ax.get_yscale() for ax in fig.axes} == {"log"}
    assert [len(ax.lines) for ax in fig.axes] == [2, 4, 2]


def test_truth_scatter_counts_the_chosen_entries(cells):
    truth = cells.layers["true_counts"]
    mask = denoising.dropout_mask(cells.X, truth)
    estimates = {"observed": cells.X, "mean": cells.layers["cell_means"], "true": truth}
    everything, dropped = (plots.truth_scatter(truth, estimates, chosen) for chosen in (None, mask))
    for fig, entries in ((everything, truth.size), (dropped, mask.sum())):
        drawn(fig)
        assert [ax.get_title() for ax in fig.axes[:3]] == list(estimates)
        assert [ax.collections[0].get_array().sum() for ax in fig.axes[:3]] == [entries] * 3
        assert "true count" in fig.axes[0].get_xlabel()
        assert len({ax.collections[0].norm for ax in fig.axes[:3]}) == 1  # one colour bar serves all panels


def test_dropped_density_shows_dropouts_only(cells):
    mask = denoising.dropout_mask(cells.X, cells.layers["true_counts"])
    ax = plots.dropped_density(cells.layers["true_counts"], cells.layers["cell_means"], mask)
    drawn(ax.figure)
    assert ax.collections[0].get_array().sum() == mask.sum()
    assert ax.get_xlim()[0] < ax.get_xlim()[1]


def test_dispersion_models_show_loss_and_size():
    table = pd.DataFrame(
        {"model": ["NB", "ZINB"], "nll": [2.0, 1.9], "sd": [0.1, np.nan], "parameters": [30416, 56216]}
    )
    fig = plots.dispersion_models(table)
    drawn(fig)
    loss, size = fig.axes
    assert [label.get_text() for label in loss.get_yticklabels()] == ["NB", "ZINB"]
    assert [bar.get_width() for bar in size.patches] == [30.416, 56.216]


def test_precision_recall_leaves_out_what_is_undefined(cells):
    curve = denoising.detection_curve(cells.layers["drop_prob"], cells.X, cells.layers["true_counts"])
    points = pd.DataFrame(
        {"model": ["I", "I", "II"], "epochs": [100, 200, 100], "precision": [np.nan, 0.5, 0.4], "recall": [0, 0.1, 0.2]}
    )
    ax = plots.precision_recall({"w": curve}, curve["prevalence"], points)
    texts = drawn(ax.figure)
    assert texts[:2] == [f"w (AP {curve['average_precision']:.2f})", f"all zeros called ({curve['prevalence']:.2f})"]
    assert texts[2:] == ["I", "II"]
    assert [len(dots.get_offsets()) for dots in ax.collections] == [1, 1]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("recall", "precision")
    assert len(plots.precision_recall({"w": curve}, 0.5).collections) == 0


def test_calibration_counts_every_zero_by_its_true_class(zeros):
    probability, dropout = zeros
    fig = plots.calibration({"given": probability, "halved": probability / 2}, dropout)
    drawn(fig)
    curve, given, _ = fig.axes
    hits, misses = (patch.get_data().values.sum() for patch in given.patches)
    assert (hits, misses) == (dropout.sum(), (~dropout).sum())
    assert len(curve.lines) == 3
    assert curve.get_ylabel() == "share of dropouts"
    assert fig.axes[-1].get_xlabel() == "dropout probability given"


def test_paper_and_run_stand_side_by_side():
    table = pd.DataFrame({"metric": ["a", "b", "silhouette, t-SNE, with dropout"], "unit": ["silhouette"] * 3})
    table = table.assign(published=[0.6, np.nan, 0.1], mean=[0.5, 0.4, 0.2], sd=[0.1, 0.1, np.nan])
    ax = plots.paper_beside_run(table)
    assert set(drawn(ax.figure)) == {"this run (± sd)", "published"}
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "silhouette, t-SNE, with\ndropout"]
    assert ax.get_xlabel() == "silhouette"


def test_a_panel_can_be_drawn_into_a_given_figure():
    _, (left, right) = plt.subplots(1, 2)
    assert plots.loss_curves({"I": {"loss": [2, 1]}}, ax=right) is right
    assert right.get_legend() is not None
    assert not left.lines
