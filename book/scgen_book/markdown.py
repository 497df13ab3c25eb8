"""Markdown of the book's generated parts."""

import re
from collections.abc import Iterable, Sequence


def escape(text: str) -> str:
    """Escape what Markdown would take for markup, and put the text on one line."""
    return re.sub(r"([\\|*_<>$\[\]`{}~#])", r"\\\1", " ".join(text.split()))


def plain(text: str) -> str:
    """Return a text without the marks of what is bold in it."""
    return text.replace("**", "")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
