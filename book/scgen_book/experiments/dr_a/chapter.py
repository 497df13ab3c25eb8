"""What the chapter on DR-A measures, and what its notebook takes beside the parameters that its cell shows."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from scgen_book.experiments.dr_a import training
from scgen_book.experiments.protocol import Chapter
from scgen_lib.models.dr_a import DRA
from scgen_lib.settings import Settings, declared, option

_UNITS = "in [1, inf)"


@declared
class DRAChapter(Settings):
    """Parameters of the chapter beside those of the model: widths, genes and clusters."""

    g_h_l1: int = option(512, _UNITS, "units of the first hidden layer of encoder and decoder", origin="--g_h_l1")
    g_h_l2: int = option(512, _UNITS, "second", origin="--g_h_l2")
    g_h_l3: int = option(512, _UNITS, "third", origin="--g_h_l3")
    g_h_l4: int = option(512, _UNITS, "fourth", origin="--g_h_l4")
    d_h_l1: int | None = option(
        None,
        _UNITS,
        "units of the first hidden layer of the discriminators; None: as published, 32 with 4 layers, else 512",
        origin="--d_h_l1",
    )
    d_h_l2: int | None = option(None, _UNITS, "second", origin="--d_h_l2")
    d_h_l3: int | None = option(None, _UNITS, "third", origin="--d_h_l3")
    d_h_l4: int | None = option(None, _UNITS, "fourth", origin="--d_h_l4")
    hvg_on: Literal["log", "counts"] = option("log", meaning="scale of that variance")
    part_seeds: Sequence[int] | None = option(
        None, "in [0, 4294967295]", "seeds of the trainings of single parts; None: those of seeds"
    )
    kmeans_n_init: int = option(10, _UNITS, "initialisations of k-means for each of its seeds")


def _fast(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "epoch": 2, "seeds": values["seeds"][:1], "kmeans_seeds": 2, "kmeans_n_init": 2,
        "z_dims": [training.shown(values)], "port": False, "g_h_l1": 32, "d_h_l1": 16, "X_dim": 60, "batch_size": 64,
        "unguarded": min(values["unguarded"], 1),
    }  # fmt: skip


CHAPTER = Chapter(
    "dr_a",
    ("dr_a.scores", "dr_a.datasets", "dr_a.guards", "dr_a.defects", "dr_a.parts"),
    (DRA, DRA.fit, DRAChapter),
    _fast,
)
