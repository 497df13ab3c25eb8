"""The parameters that a chapter declares, read without its models where they have been read before.

To import a model is to import TensorFlow, seconds in which nothing is computed and lines that nobody asked for. What
the sources declare is kept by their hash, so that a batch and its pages need the models only when a source has changed.
"""

import contextlib
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from scgen_book import provenance, sources
from scgen_lib import files


def lines(chapter: str) -> list[str]:
    """Return the lines of a parameters cell that show all that a chapter declares.

    Raises
    ------
    ParameterError
        If there is no such chapter.
    """
    from scgen_book import experiments

    name = f"scgen_book.experiments.{chapter}.chapter"
    if chapter not in experiments.CHAPTERS or name in sys.modules:
        return _of(experiments.chapter(chapter).declared)
    try:
        path = _place(name)
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, list) and found:
            return found
    except (OSError, ValueError):
        pass
    found = _of(experiments.chapter(chapter).declared)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, json.dumps(found))
    return found


def _of(declared: Sequence) -> list[str]:
    from scgen_lib.settings import arguments

    found = [argument for of in declared for argument in arguments(of).values()]
    # of two models that share a name, the first
    return list({a.flat: a.line() for a in reversed(found) if a.flat is not None}.values())


def _place(module: str) -> Path:
    """Return the file of what a module declares as its sources and packages are now."""
    import pooch

    made_by = [sources.digest([module]), provenance.versions()]
    key = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()
    return Path(pooch.os_cache("scgen_lib")) / "declared" / f"{module.split('.')[-2]}-{key[:32]}.json"
