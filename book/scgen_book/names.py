"""Names of data sets as people say them; their ids stand in the last column of tables."""

import re

NAMES = {
    "dca_g2_fig2": "two simulated groups, heavy dropout",
    "dca_g6_fig2": "six simulated groups, moderate dropout",
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
    "splatter_g2": "two simulated groups, from R",
    "splatter_g6": "six simulated groups, from R",
    "splatter_autoclass": "six simulated groups, from R, 1,000 genes",
    "umi11": "eleven simulated groups",
    "student_course": "the simulation of a course",
    "brain_small": "mouse brain",
    "pbmc_ctl": "cytotoxic T cells of human blood",
    "baron_human": "human pancreas",
    "baron_mouse": "mouse pancreas",
    "c_elegans": "worm embryos",
    "cbmc_citeseq": "human cord blood",
    "fetal_brain": "mouse fetal brain",
    "goolam": "mouse embryos",
    "human_kidney": "human kidney",
    "mouse_bladder": "mouse bladder",
    "paul": "mouse blood progenitors, 240 genes",
    "paul_full": "mouse blood progenitors",
    "pbmc3k": "3,000 human blood cells",
    "pbmc4k": "4,000 human blood cells",
    "pbmc68k": "68,000 human blood cells",
    "pbmc68k_labels": "types of 68,000 human blood cells",
    "pbmc68k_reduced": "700 human blood cells",
    "pbmc_facs": "sorted human blood cells",
    "refseq_mm9": "names of mouse genes",
    "rnamix_celseq2": "mixtures of RNA",
    "sc_celseq2": "three cell lines, CEL-seq2",
    "sc_dropseq": "three cell lines, Drop-seq",
    "treutlein": "mouse lung",
    "worm_neuron": "worm neurons",
    "zeisel": "mouse cortex, three classes",
    "zeisel_4000": "mouse cortex",
    "10x_68k_720": "68,000 human blood cells, the paper's genes",
    "10x_73k_720": "73,000 sorted human blood cells, the paper's genes",
    "macosko_720": "mouse retina, the paper's genes",
    "rosenberg_720": "mouse brain and spinal cord, the paper's genes",
    "zeisel_720": "mouse cortex, the paper's genes",
    "zeisel_annotation": "types of mouse cortex cells",
    "zeisel_full": "mouse cortex, all genes",
    "zeisel_groups12": "mouse cortex, two classes",
    "zeisel_toy": "mouse cortex, 200 cells",
}
# As a word of its own: no part of another word, of a path or of the name of a file.
_ID = re.compile(rf"(?<![\w./-])(?:{'|'.join(sorted(NAMES, key=len, reverse=True))})(?![\w/]|[.-]\w)")


def people(dataset: str) -> str:
    """Return the name of a data set as people say it; of one that has none its id."""
    return NAMES.get(dataset, dataset)


def listed(datasets: list[str]) -> str:
    """Return names of data sets as a sentence lists them."""
    *first, last = map(people, datasets)
    return f"{'; '.join(first)} and {last}" if first else last


def told(text: str) -> str:
    """Return a text with each id of a data set as people say it."""
    return _ID.sub(lambda found: NAMES[found.group()], text)
