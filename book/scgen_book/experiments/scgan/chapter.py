"""What the chapter on scGAN measures, and what its notebook takes beside the parameters that its cell shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from scgen_book.experiments.protocol import Chapter
from scgen_book.experiments.scgan.overridden import overridden
from scgen_lib.models.scgan import ScGAN
from scgen_lib.models.scgan.cells import process
from scgen_lib.settings import Settings, declared, option


@declared
class ScGANChapter(Settings):
    """Parameters of the experiments alone."""

    clusters: bool = option(False, meaning="find clusters even where classes are given, as the paper does")
    parameters_json: str | None = option(
        None, meaning="parameter file of the released code, whose values then replace those of the parameters"
    )
    unconditional: bool = option(False, meaning="train scGAN beside cscGAN")
    log_every: int = option(
        100, "in [0, inf)", "steps between two lines of progress.txt, 0: none; needs out", origin="progress_freq"
    )
    plot_every: int = option(
        1000,
        "in [0, inf)",
        "steps between two stages in the figure of cells, 0: the last only",
        origin="validation_freq",
    )
    resume_from: str | None = option(
        None,
        meaning="the folder out of an earlier run, whose training continues or, where complete, is taken",
        origin="checkpoint",
    )
    control_seeds: Sequence[int] | None = option(
        None,
        "in [0, 4294967295]",
        "seeds of the controls beside those of seeds, whose spread says which metrics count; None: three with these",
    )
    augment_class: str | None = option(
        None, meaning="class whose cells are taken away and generated; None: the one with most test cells"
    )
    augment_shares: Sequence[float] = option(
        (0.05, 0.2), "in (0, 1)", "shares of its training cells that are left, 5 cells at least"
    )
    augment_seeds: Sequence[int] = option((0,), "in [0, 4294967295]", "seeds of the augmentation")
    augment_steps: int = option(500, "in [0, inf)", "outer steps of a model for it; 0: no augmentation")
    score_cells: int | None = option(
        None,
        "in [20, inf)",
        "real and generated cells a side in the scores, at most; None: as many as there are",
    )
    forest_trees: int = option(200, "in [10, inf)", "trees of a random forest")
    by_class: bool = option(True, meaning="score classes for themselves")
    min_test_cells: int = option(50, "in [10, inf)", "test cells that a class needs for it")


def _fast(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "steps": min(values["steps"], 20), "summary_every": 10, "save_every": 10, "plot_every": 10, "augment_steps": 0,
        "variants": values["variants"][:1], "seeds": values["seeds"][:1], "forest_trees": 20, "by_class": False,
        "batch_size": min(values["batch_size"], 32), "min_class_size": min(values["min_class_size"], 30),
    }  # fmt: skip


CHAPTER = Chapter(
    "scgan",
    ("scgan.realism", "scgan.augmentation", "scgan.defects"),
    (ScGANChapter, ScGAN, ScGAN.fit, process),
    _fast,
    overridden,
)
