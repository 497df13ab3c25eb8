"""What the chapter on DCA measures, and what its notebook takes beside the parameters that its cell shows."""

from collections.abc import Mapping, Sequence
from typing import Any

from scgen_book.experiments.dca.likelihoods import LIKELIHOODS
from scgen_book.experiments.protocol import Chapter
from scgen_lib.models.dca import DCA
from scgen_lib.models.dca.students import MODELS, Student
from scgen_lib.settings import Settings, declared, option

_SEED = "in [0, 4294967295]"


@declared
class DCAChapter(Settings):
    """Parameters of the experiments alone."""

    parts: Sequence[str] | None = option(
        None, "subset of A, B", "published claims to repeat; None: both with the default data set, else none"
    )
    fig2_datasets: Sequence[str] = option(
        ("dca_g2_fig2", "dca_g6_fig2"),
        "any",
        "simulations of part A: presets, or splatter_g2 and splatter_g6, the R package's own output",
    )
    fig2_seeds: Sequence[int] = option((0, 1, 2, 3, 4), _SEED, "seeds of part A; the acceptance rule asks for five")
    fig2_repaired_seeds: Sequence[int] | None = option(
        None,
        _SEED,
        "seeds of part A at which the repaired network is trained too, and one for each difference; None: all of them",
    )
    fig2_apart: bool = option(True, "any", "train a network for each single difference, too, at those seeds")
    tutorial_seeds: Sequence[int] = option((0, 1, 2), _SEED, "seeds of the simulations of the authors' tutorial")
    fig9_dataset: str | None = option(
        None, "any", "cells of Figure 9, with genes Gata1 and Sfpi1; paul_full in the paper; None: it is left out"
    )
    fig9_seeds: Sequence[int] = option((0, 1, 2, 3, 4), _SEED, "seeds of Figure 9")
    scaling_cells: int | None = option(
        20_000, "in [1000, inf)", "most cells that are timed, of 1,000, 2,000, 5,000 and so on; None: it is left out"
    )
    tsne_iterations: int = option(1000, "in [250, inf)", "of the t-SNE of part A (default of scikit-learn)")
    tsne_angle: float = option(
        0.5, "in (0, 1]", "under which that t-SNE sums up distant cells as one (default of scikit-learn)"
    )
    likelihoods: Sequence[str] = option(
        LIKELIHOODS, f"subset of {', '.join(LIKELIHOODS)}", "noise models of part A that are compared on unseen cells"
    )
    simulation: str = option("dca_student", "any", "data of part B, with true counts: preset, name or path")
    models: Sequence[str] = option(
        tuple(MODELS), f"subset of {', '.join(MODELS)}", "student models", origin="hasBN, zinb_new"
    )
    student_epochs: int = option(
        300,
        "in [3, inf)",
        "epochs of the students, of which a third, two thirds and all are looked at",
        origin="EPOCH_NUM; report: 3000",
    )
    test_fraction: float = option(
        0.7, "in (0, 1)", "share of the labelled cells that part B trains on; the rest is new to it", origin="7 : 3"
    )
    shuffle_split: bool = option(False, "any", "draw these cells at random instead of in file order")
    without_bn: bool = option(True, "any", "train the repaired network of part B without batch normalisation, too")
    dropout_rule: str | None = option(
        None,
        "one of prior, posterior",
        "what calls a zero a dropout; None: prior if faithful, posterior if repaired",
    )
    threshold: float = option(0.5, "in (0, 1)", "probability above which a zero is called a dropout", origin="PI > 0.5")
    rounding: str | None = option(
        None,
        "one of floor, round, none",
        "of filled means; None: floor if faithful, none if repaired",
        origin="torch.floor",
    )
    max_cells: int | None = option(
        None, "in [20, inf)", "cells of a data set at most, every so many-th of its cells; None: all"
    )
    max_genes: int | None = option(
        None, "in [20, inf)", "genes at most of the data set and of part B, the highest of these cells; None: all"
    )


def _fast(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "epochs": 5,
        "student_epochs": 6,
        "seeds": values["seeds"][:1],
        "fig2_seeds": values["fig2_seeds"][:1],
        "fig2_datasets": values["fig2_datasets"][:1],
        "fig2_apart": False,
        "tutorial_seeds": [],
        "fig9_seeds": values["fig9_seeds"][:1],
        "scaling_cells": None,
        "likelihoods": [x for x in values["likelihoods"] if x in (LIKELIHOODS[0], LIKELIHOODS[-1])],
        "models": values["models"][-2:],
        "without_bn": False,
        "max_cells": 300,
        "max_genes": 200,
    }


CHAPTER = Chapter(
    "dca",
    (
        "dca.cells",
        "dca.heldout",
        "dca.figure2",
        "dca.tutorial",
        "dca.figure9",
        "dca.scaling",
        "dca.likelihoods",
        "dca.students",
        "dca.students_repaired",
        "dca.defects",
    ),
    (DCA, DCA.fit, Student, Student.fit, DCAChapter),
    _fast,
)
