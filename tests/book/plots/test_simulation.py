import numpy as np
import pandas as pd
import pytest

from scgen_book import plots


@pytest.fixture(scope="module")
def curves():
    mean = np.random.default_rng(0).gamma(0.5, 2, 200)
    return pd.DataFrame({"mean": mean, "variance": mean + mean**2, "zeros": np.exp(-mean)})


def test_images_of_a_cell_say_their_maximum(drawn):
    image = np.arange(16.0).reshape(4, 4)
    fig = plots.cell_images({"faithful": {"cell": image, "label map": image}, "repaired": {"cell": 2 * image}})
    drawn(fig)
    assert [ax.get_title() for ax in fig.axes] == ["cell\nmaximum 15", "label map\nmaximum 15", "cell\nmaximum 30"]
    assert [ax.get_ylabel() for ax in fig.axes] == ["faithful", "", "repaired"]


def test_violins_bear_labels_without_cells_and_without_spread(drawn):
    real = pd.DataFrame({"label": ["B", "B", "T", "T"], "library": [10, 30, 5, 5]})
    simulated = pd.DataFrame({"label": ["B", "B"], "library": [20, 21]})
    ax = plots.cell_violins({"real": real, "simulated": simulated}, "library", "library size", log=True)
    assert drawn(ax.figure) == ["real", "simulated"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["B", "T"]
    assert len(ax.collections) == 2  # one violin each for B; T has no spread, and no simulated cell
    medians = [float(line.get_xdata()[0]) for line in ax.lines]
    # of the logarithms: between 10 and 30 not that of 20
    assert medians == pytest.approx([np.log10([11, 31]).mean(), np.log10(6), np.log10([21, 22]).mean()])


def test_genes_are_drawn_against_the_real_ones(curves, drawn):
    fig = plots.gene_agreement(curves, {"NB": curves, "faithful": curves * 0.5})
    drawn(fig)
    assert len(fig.axes) == 6
    dots = fig.axes[3].lines[1]
    assert dots.get_ydata() == pytest.approx(dots.get_xdata() * 0.5)


def test_curves_join_medians_of_the_genes_that_vary(curves, drawn):
    silent = pd.DataFrame({"mean": [0.0], "variance": [0.0], "zeros": [1.0]})
    fig = plots.mean_variance({"real": pd.concat([curves, silent]), "NB": curves}, bins=5)
    assert drawn(fig) == ["real", "NB"]
    dots, line, _ = fig.axes[0].lines
    assert len(dots.get_xdata()) == 200
    assert 5 <= len(line.get_xdata()) <= 6
    assert np.diff(line.get_xdata()).min() > 0


def test_correlations_share_one_order_and_one_scale(drawn):
    x = np.random.default_rng(2).normal(size=(50, 6))
    real = np.corrcoef(x, rowvar=False)
    constant = real.copy()
    constant[0] = constant[:, 0] = np.nan
    fig = plots.correlation_maps({"real": real, "simulated": constant})
    drawn(fig)
    images = [ax.images[0] for ax in fig.axes[:2]]
    assert {image.get_clim() for image in images} == {(-1, 1)}
    assert np.ma.getmaskarray(images[1].get_array()).sum() == 11
    assert np.diag(images[0].get_array()).tolist() == pytest.approx([1] * 6)


def test_confusions_are_shares_of_the_wanted_label(drawn):
    table = pd.DataFrame([[3, 1], [0, 0]], index=["B", "T"], columns=["B", "T"])
    fig = plots.confusions({"real": table})
    assert drawn(fig) == ["1 B", "2 T"]
    assert fig.axes[0].images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]


def test_scores_of_controls_have_their_own_colour(drawn):
    table = pd.DataFrame({"method": ["real", "NB"], "mean": [0.5, 0.9], "sd": [0.01, np.nan], "control": [True, False]})
    ax = plots.score_bars(table, "AUC", best=0.5)
    drawn(ax.figure)
    assert [bar.get_width() for bar in ax.patches] == [0.5, 0.9]
    assert len({bar.get_facecolor() for bar in ax.patches}) == 2


def test_a_number_that_a_short_bar_cannot_hold_stands_beside_it(drawn):
    table = pd.DataFrame({"method": ["real", "NB"], "mean": [-0.0004, 0.0134], "sd": np.nan, "control": [True, False]})
    ax = plots.score_bars(table, "MMD²", best=0, form=".4f")
    drawn(ax.figure)
    assert [(text.get_text(), text.get_position()[0], text.get_color()) for text in ax.texts] == [
        (" -0.0004", 0, "black"),
        (" 0.0134", 0, "white"),
    ]


def test_augmentation_is_drawn_by_what_is_left_of_the_class(drawn):
    table = pd.DataFrame(
        [(0.1, "reduced", 0.2, 0.1), (0.05, "reduced", 0.1, 0.1), (0.1, "augmented", 0.4, np.nan)],
        columns=["share", "way", "mean", "sd"],
    )
    ax = plots.augmentation_curve(table, "F1 of B", full=(0.8, 0.05))
    assert drawn(ax.figure) == ["all cells", "reduced", "augmented"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["5", "10"]
    lines = {bars.get_label(): bars.lines[0] for bars in ax.containers}
    assert lines["reduced"].get_ydata().tolist() == [0.1, 0.2]
