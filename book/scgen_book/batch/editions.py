"""Files that say what to run: the parameters of a run, and the runs of an edition."""

import json
import os
import sys
from pathlib import Path

import yaml

from scgen_book.strict_yaml import read_yaml
from scgen_lib.errors import ParameterError


def read_parameters(path: str | os.PathLike) -> dict[str, object]:
    """Read a YAML or JSON file of parameters; ``-`` is the standard input.

    Raises
    ------
    ParameterError
        If it cannot be read or is not a mapping of names to values.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else Path(path).read_text(encoding="utf-8")
        try:
            content = json.loads(text, object_pairs_hook=_unique)  # YAML 1.1 would read its 1e-05 as a text
        except json.JSONDecodeError:
            content = read_yaml(text) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ParameterError(
            f"expected a YAML file of parameters, got {path}, which cannot be read: {reason}"
        ) from error
    if not isinstance(content, dict):
        raise ParameterError(f"expected `name: value` lines in {path}, got {content!r:.60}: write a mapping")
    return content


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make a JSON object of its pairs, as those of a YAML file are made: a second of two equal keys is refused."""
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise yaml.YAMLError(f"a second {twice!r}")
    return dict(pairs)


def read_edition(path: str | os.PathLike) -> dict[str, dict]:
    """Read the runs of an edition: a mapping of run names to notebook, page, parameters and sweep (false if left out).

    Raises
    ------
    ParameterError
        If the file is missing or a run lacks a field or has one too many.
    """
    runs = read_parameters(path)
    for name, entry in runs.items():
        if not isinstance(entry, dict) or set(entry) - {"sweep"} != {"notebook", "page", "parameters"}:
            raise ParameterError(
                f"expected run {name} of {path} to have notebook, page and parameters, got {entry!r:.80}: complete it"
            )
        entry["parameters"] = entry["parameters"] or {}
        entry["sweep"] = bool(entry.get("sweep"))
    return runs


def durations(name: str, folder: str | os.PathLike) -> dict[str, float]:
    """Return the seconds that the runs of an edition took where they were measured, none if nobody has kept them."""
    path = Path(folder) / "durations" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
