"""Data: registered public sets, a user's own files, simulation with a known truth, and the checks at the door.

``load`` is the entrance to all of them. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from scgen_lib.data import checks
from scgen_lib.data.datasets import datasets, excerpt, load, pbmc68k_labels, prefetch, refseq_mm9, zeisel_annotation
from scgen_lib.data.opened import open_backed, selected

if TYPE_CHECKING:
    from scgen_lib.data import splatter

__all__ = [
    "checks",
    "datasets",
    "excerpt",
    "load",
    "open_backed",
    "pbmc68k_labels",
    "prefetch",
    "refseq_mm9",
    "selected",
    "splatter",
    "zeisel_annotation",
]


def __getattr__(name: str) -> Any:
    if name == "splatter":
        return import_module("scgen_lib.data.splatter")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
