"""Every figure, drawn from arrays, histories or results tables, five inches wide so that a phone shows it.

Nothing is computed here that a reader would quote: scores come in with the data.
"""

from scgen_book.plots.base import palette, style
from scgen_book.plots.claims import forest
from scgen_book.plots.comparison import comparison_dots, direction, gap_table, overview, score_table
from scgen_book.plots.denoising import (
    calibration,
    de_heatmaps,
    dispersion_models,
    dropped_density,
    marker_violins,
    precision_recall,
    truth_scatter,
)
from scgen_book.plots.diagram import diagram, network_diagram
from scgen_book.plots.embedding import (
    cluster_table,
    embedding_panels,
    joint_embedding,
    score_panels,
    silhouette_bars,
    simulated_embeddings,
)
from scgen_book.plots.pointed import hover
from scgen_book.plots.simulation import (
    augmentation_curve,
    cell_images,
    cell_violins,
    confusions,
    correlation_maps,
    gene_agreement,
    mean_variance,
    score_bars,
)
from scgen_book.plots.training import (
    adversarial_curves,
    divergence,
    gan_curves,
    history_panels,
    logit_histograms,
    loss_curves,
    loss_parts,
    objective_curves,
    scaling,
    weights_moved,
)
from scgen_book.plots.trajectory import pseudotime_strips, two_genes

__all__ = [
    "adversarial_curves",
    "augmentation_curve",
    "calibration",
    "cell_images",
    "cell_violins",
    "cluster_table",
    "comparison_dots",
    "confusions",
    "correlation_maps",
    "de_heatmaps",
    "diagram",
    "direction",
    "dispersion_models",
    "divergence",
    "dropped_density",
    "embedding_panels",
    "forest",
    "gan_curves",
    "gap_table",
    "gene_agreement",
    "history_panels",
    "hover",
    "joint_embedding",
    "logit_histograms",
    "loss_curves",
    "loss_parts",
    "marker_violins",
    "mean_variance",
    "network_diagram",
    "objective_curves",
    "overview",
    "palette",
    "precision_recall",
    "pseudotime_strips",
    "scaling",
    "score_bars",
    "score_panels",
    "score_table",
    "silhouette_bars",
    "simulated_embeddings",
    "style",
    "truth_scatter",
    "two_genes",
    "weights_moved",
]
