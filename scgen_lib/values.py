"""Values of declared arguments: their types, their legal ranges, and how they are written."""

import collections.abc
import numbers
import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

_RANGE = re.compile(r"in ([\[(])\s*([^,\s]+)\s*,\s*([^,\s]+)\s*([\])])")
REFUSED: Any = object()


def parts(kind: Any) -> tuple:
    """Return the members of a union, or the type itself."""
    return typing.get_args(kind) if isinstance(kind, types.UnionType | typing._UnionGenericAlias) else (kind,)


def type_told(kind: Any) -> str:
    """Return a type as a parameters cell spells it."""
    origin, of = typing.get_origin(kind), typing.get_args(kind)
    if origin in (list, collections.abc.Sequence):
        return f"list[{type_told(of[0])}]"
    if origin in (dict, collections.abc.Mapping):
        return f"dict[str, {type_told(of[1])}]"
    if origin is Literal:
        return type(of[0]).__name__
    if len(members := parts(kind)) > 1:
        return " | ".join("None" if part is types.NoneType else type_told(part) for part in members)
    return getattr(kind, "__name__", str(kind))


def coerce(value: Any, kind: Any) -> Any:
    """Return a value in a type, sequences as tuples, or `REFUSED`."""
    options = sorted(parts(kind), key=lambda part: part is not types.NoneType)
    return next((found for part in options if (found := _coerce(value, part)) is not REFUSED), REFUSED)


def _coerce(value: Any, kind: Any) -> Any:
    origin, of = typing.get_origin(kind), typing.get_args(kind)
    if kind is types.NoneType:
        return None if value is None else REFUSED
    if origin in (list, collections.abc.Sequence):
        if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
            return REFUSED
        elements = tuple(coerce(x, of[0]) for x in value)
        return REFUSED if any(x is REFUSED for x in elements) else elements
    if origin in (dict, collections.abc.Mapping):
        if not isinstance(value, Mapping):
            return REFUSED
        entries = {str(key): coerce(x, of[1]) for key, x in value.items()}
        return REFUSED if any(x is REFUSED for x in entries.values()) else entries
    if origin is Literal:
        return value if isinstance(value, type(of[0])) else REFUSED
    if kind in (int, float):
        of_kind = isinstance(value, numbers.Integral if kind is int else numbers.Real)
        number = kind(value) if of_kind and not isinstance(value, bool | np.bool_) else REFUSED
        return REFUSED if number != number else number
    if kind is bool and isinstance(value, np.bool_):
        return bool(value)
    return value if isinstance(kind, type) and isinstance(value, kind) else REFUSED


def is_rule(text: str) -> bool:
    """Say whether a text names legal values."""
    return text == "any" or bool(_RANGE.fullmatch(text)) or text.startswith(("one of ", "subset of "))


def follows(value: Any, legal: str) -> bool:
    """Say whether a value, or each of its elements, is legal; None is where the type lets it be."""
    if value is None or legal == "any":
        return True
    elements = [value]
    if isinstance(value, list | tuple | Mapping):
        elements = list(value.values() if isinstance(value, Mapping) else value)
    if bounds := _RANGE.fullmatch(legal):
        left, low, high, right = bounds.groups()
        return all(
            (float(low) < x or (left == "[" and x == float(low)))
            and (x < float(high) or (right == "]" and x == float(high)))
            for x in elements
        )
    kind, _, names = legal.partition(" of ")
    if kind == "subset" and (not elements or len(set(map(str, elements))) < len(elements)):
        return False
    return all(str(x) in [name.strip() for name in names.split(",")] for x in elements)


def plain(value: Any) -> Any:
    """Return a value as JSON keeps it: lists for tuples."""
    return list(value) if isinstance(value, tuple) else value


def word(value: Any) -> str:
    """Return a value as a sentence has it."""
    return "none" if value is None else literal(plain(value)).strip('"')


def literal(value: Any) -> str:
    """Return a value as a parameters cell has it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, float) and 0 < abs(value) < 1e-2:
        mantissa, exponent = f"{value:e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return repr(value)
