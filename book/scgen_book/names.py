"""Names of data sets as people say them; their ids stand in tables."""

NAMES = {
    "dca_g2_fig2": "two simulated groups, heavy dropout",
    "dca_g6_fig2": "six simulated groups, heavy dropout",
    "dca_g2_tutorial": "two simulated groups of DCA's tutorial",
    "dca_g6_methods": "six simulated groups of DCA's methods",
    "dca_student": "a simulation of blood cells",
    "splat_g2": "two simulated groups",
    "splat_g6": "six simulated groups",
    "splat_g8": "eight simulated groups",
    "splat_g2_nodrop": "two simulated groups without dropout",
    "splat_g6_nodrop": "six simulated groups without dropout",
    "splat_g8_nodrop": "eight simulated groups without dropout",
    "splat_path": "a simulated path",
    "baron_mouse": "mouse pancreas",
    "goolam": "mouse embryos",
    "paul_full": "mouse blood progenitors",
    "pbmc68k_reduced": "700 human blood cells",
    "pbmc_facs": "sorted human blood cells",
    "rnamix_celseq2": "mixtures of RNA",
    "zeisel_720": "mouse cortex, the paper's genes",
    "zeisel_4000": "mouse cortex",
}


def people(dataset: str) -> str:
    """Return the name of a data set as people say it; of one that has none its id."""
    return NAMES.get(dataset, dataset)


def listed(datasets: list[str]) -> str:
    """Return names of data sets as a sentence lists them."""
    *first, last = map(people, datasets)
    return f"{'; '.join(first)} and {last}" if first else last
