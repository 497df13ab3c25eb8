import numpy as np
import pandas as pd

from scgen_book import plots
from scgen_lib.metrics import clustering


def test_embedding_panels_show_every_group_and_silhouette(cells, drawn):
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


def test_silhouette_bars_have_a_diamond_where_a_number_was_published(drawn):
    table = pd.DataFrame(
        {
            "method": ["true", "ZINB", "NB"],
            "value": [0.6, 0.4, 0.3],
            "sd": [0.02, np.nan, 0.1],
            "published": [0.6, 0.37, np.nan],
        }
    )
    ax = plots.silhouette_bars(table)
    assert drawn(ax.figure) == ["published", "here (± sd)"]
    assert sorted(bar.get_width() for bar in ax.patches) == [0.3, 0.4, 0.6]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["true", "ZINB", "NB"]
    assert "silhouette" in ax.get_xlabel()


def test_score_panels_draw_each_setting_with_its_published_values(drawn):
    table = pd.DataFrame(
        {
            "panel": ["K = 2", "K = 2", "K = 10"],
            "method": ["faithful", "PCA", "faithful"],
            "value": [0.6, 0.4, 0.7],
            "sd": [0.1, np.nan, np.nan],
            "published": [0.73, 0.47, np.nan],
        }
    )
    fig = plots.score_panels(table, "NMI")
    assert drawn(fig) == ["published", "here (± sd)"]
    assert [ax.get_title() for ax in fig.axes] == ["K = 2", "K = 10"]
    assert [[bar.get_width() for bar in ax.patches] for ax in fig.axes] == [[0.6, 0.4], [0.7]]
    assert fig.axes[-1].get_xlabel() == "NMI"


def test_a_cluster_table_shows_shares_by_colour_and_cells_as_numbers(drawn):
    table = pd.DataFrame([[3, 1], [0, 0]], index=["B", "T"], columns=[0, 1])
    ax = plots.cluster_table(table)
    drawn(ax.figure)
    assert ax.images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
    assert [text.get_text() for text in ax.texts] == ["3", "1"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["B", "T"]


def test_real_cells_stand_behind_the_simulated_ones(drawn):
    labels = {"held-out": ["B", "T", "T"], "epoch 5": ["B", "T"]}
    coordinates = {which: np.random.default_rng(1).normal(size=(len(own), 2)) for which, own in labels.items()}
    fig = plots.simulated_embeddings({"PCA": coordinates, "UMAP": coordinates}, labels)
    assert drawn(fig) == ["B", "T"]
    assert [len(ax.collections) for ax in fig.axes] == [2, 2, 3, 3]
    assert [len(dots.get_offsets()) for dots in fig.axes[2].collections] == [3, 1, 1]
    assert fig.axes[0].get_xlim() == fig.axes[2].get_xlim()


def test_sets_of_cells_share_one_embedding_and_one_scale_of_a_gene(drawn):
    rng = np.random.default_rng(0)
    labels = {"real": ["B", "T", "T"], "generated": ["B", "T"]}
    points = {name: rng.normal(size=(len(own), 2)) for name, own in labels.items()}
    gene = {"real": np.array([0.0, 2.0, 1.0]), "generated": np.array([3.0, 0.0])}
    fig = plots.joint_embedding(points, labels, gene, "CD79A, marker of B")
    assert drawn(fig) == ["B", "T"]
    *panels, bar = fig.axes
    assert [len(ax.collections[0].get_offsets()) for ax in panels] == [5] * 4  # all cells, in grey
    assert [[len(dots.get_offsets()) for dots in ax.collections[1:]] for ax in panels] == [[1, 2], [1, 1], [3], [2]]
    assert {dots.get_clim() for ax in panels[2:] for dots in ax.collections[1:]} == {(0, 3)}
    assert bar.get_ylabel() == "CD79A, marker of B"
    assert panels[0].get_xlim() == panels[3].get_xlim()
