import numpy as np
import pandas as pd
import pytest

from scgen_book import plots
from scgen_lib.metrics import denoising
from scgen_lib.metrics.arrays import log_normalise


@pytest.fixture(scope="module")
def zeros(cells):
    zero = cells.X == 0
    return cells.layers["drop_prob"][zero], denoising.dropout_mask(cells.X, cells.layers["true_counts"])[zero]


def test_heatmaps_show_the_same_genes_and_cells_of_every_matrix(cells, drawn):
    genes = (cells.var.filter(like="de_fac_") != 1).any(axis=1).to_numpy()
    true, observed = (log_normalise(x) for x in (cells.layers["true_counts"], cells.X))
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
    x = log_normalise(cells.X)
    fig = plots.de_heatmaps({"true": x}, groups, np.array([3]), n_cells=60, stratify=False)
    assert np.bincount(fig.axes[0].images[0].get_array().ravel())[1] < 15  # 5 expected, 10 at most


def test_marker_violins_have_a_row_a_gene_and_a_column_a_matrix(cells, drawn):
    x = log_normalise(cells.X)[:, :3]
    fig = plots.marker_violins({"observed": x, "denoised": 0.5 * x}, cells.obs["group"], ["a", "b", "c"])
    drawn(fig)
    assert [ax.get_ylabel() for ax in fig.axes[::2]] == ["a", "b", "c"]
    assert [ax.get_title() for ax in fig.axes[:2]] == ["observed", "denoised"]
    assert all(len(ax.collections) == 6 for ax in fig.axes)
    highest = [max(part.get_paths()[0].vertices[:, 1].max() for part in ax.collections) for ax in fig.axes[:2]]
    assert highest[0] == pytest.approx(x[:, 0].max())  # violins end at the data, not beyond
    assert highest[1] == pytest.approx(0.5 * x[:, 0].max())
    assert fig.axes[0].get_ylim() == fig.axes[1].get_ylim()
    own = plots.marker_violins({"observed": x, "denoised": 0.5 * x}, cells.obs["group"], ["a", "b", "c"], "panel")
    assert own.axes[0].get_ylim() != own.axes[1].get_ylim()


def test_truth_scatter_counts_the_chosen_entries(cells, drawn):
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


def test_data_without_dropouts_have_empty_panels_that_say_so(cells, drawn):
    truth = cells.layers["true_counts"]
    fig = plots.truth_scatter(truth, {"observed": truth, "half": truth / 2}, np.zeros(truth.shape, bool))
    drawn(fig)
    assert [ax.texts[0].get_text() for ax in fig.axes[:2]] == ["no such entries"] * 2


def test_dropped_density_shows_dropouts_only(cells, drawn):
    mask = denoising.dropout_mask(cells.X, cells.layers["true_counts"])
    ax = plots.dropped_density(cells.layers["true_counts"], cells.layers["cell_means"], mask)
    drawn(ax.figure)
    assert ax.collections[0].get_array().sum() == mask.sum()
    assert ax.get_xlim()[0] < ax.get_xlim()[1]


def test_dispersion_models_show_loss_and_size(drawn):
    table = pd.DataFrame(
        {"model": ["NB", "ZINB"], "nll": [2.0, 1.9], "sd": [0.1, np.nan], "parameters": [30416, 56216]}
    )
    fig = plots.dispersion_models(table)
    drawn(fig)
    loss, size = fig.axes
    assert [label.get_text() for label in loss.get_yticklabels()] == ["NB", "ZINB"]
    assert [bar.get_width() for bar in size.patches] == [30.416, 56.216]


def test_precision_recall_leaves_out_what_is_undefined(cells, drawn):
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


def test_calibration_counts_every_zero_by_its_true_class(zeros, drawn):
    probability, dropout = zeros
    fig = plots.calibration({"given": probability, "halved": probability / 2}, dropout)
    drawn(fig)
    curve, given, _ = fig.axes
    hits, misses = (patch.get_data().values.sum() for patch in given.patches)
    assert (hits, misses) == (dropout.sum(), (~dropout).sum())
    assert len(curve.lines) == 3
    assert curve.get_ylabel() == "share of dropouts"
    assert fig.axes[-1].get_xlabel() == "dropout probability given"
