"""What the comparisons of several papers ask alike: how often one method stands above another."""

from collections.abc import Iterable, Mapping

from scgen_book.answers import Seen

#: Words for methods, by the names of the comparisons.
NAMES = {
    "dca_zinb": "DCA",
    "dca": "DCA",
    "db_aae_faithful": "DB-AAE",
    "db_aae": "DB-AAE",
    "dr_a_faithful": "DR-A",
    "cvae_blind": "the CVAE, not told the types",
    "cvae_faithful": "the CVAE",
    "scgan": "scGAN",
    "cscgan": "cscGAN",
    "gene_mean": "the mean of each gene",
    "knn": "the mean of a cell's neighbours",
    "pca": "principal components",
    "umap": "UMAP",
    "log_counts": "the logarithms as they are",
    "nb_per_type": "a negative binomial a gene and type",
    "magic": "MAGIC",
    "scvi": "scVI",
}


def standings(rows: Seen, method: str, other: str, metrics: Iterable[str]) -> dict[tuple[str, str], str]:
    """Return how a method stands against another, by data set and metric, where that can be decided."""
    found = {
        (data, metric): rows.contest(data, method, other, metric) for metric in metrics for data in rows.datasets()
    }
    return {place: outcome for place, outcome in found.items() if outcome}


def share(outcomes: Mapping[tuple[str, str], str], *wanted: str) -> str:
    """Say in how many comparisons it came out so: ``3 of 4``."""
    return f"{sum(outcome in wanted for outcome in outcomes.values())} of {len(outcomes)}"
