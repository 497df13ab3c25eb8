"""Rows of the record, and whether they or a run's own are shown."""

from collections.abc import Mapping
from typing import Any

from scgen_book import experiments, record
from scgen_book.chance import FEWEST
from scgen_book.experiments.rows import Rows


def of(name: str) -> Rows:
    """Return the rows of an experiment that the record has, at the settings of the full edition."""
    experiment = experiments.get(name)
    return Rows(experiment, [], "the record has no row of it yet", record.current().of(experiment))


def shown(found: Rows, values: Mapping[str, Any]) -> Rows:
    """Return what a spread over seeds is shown of.

    That are the rows of the record on the same data, at the settings of the full edition, where an edition of the book
    has three seeds or more of them there; else the rows of the run.

    Parameters
    ----------
    found
        The rows of the run.
    values
        The parameters of the chapter.
    """
    if values.get("edition", "own") == "own" or values.get("fast"):
        return found
    names = {row["dataset"] for row in found.own}
    kept = [row for row in of(found.experiment.name).rows if row["dataset"] in names]
    enough = len({row["seed"] for row in kept if row["status"] == "ok"}) >= FEWEST
    return Rows(found.experiment, [], None, kept) if enough else found
