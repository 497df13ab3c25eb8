"""Who may import whom: the library nothing of the book, nor of what the book is made with."""

import ast

import pytest

from scgen_book import provenance

LIBRARY = sorted((provenance.ROOT / "scgen_lib").rglob("*.py"))
OF_THE_BOOK = {"scgen_book", "papermill", "nbformat", "seaborn", "snakemake", "jupyter_book", "matplotlib"}
# to be removed with their settings
NOT_YET = {"dr_a.py"}


def imported(path):
    """The modules that a source imports anywhere, also inside functions and for type checkers."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.relative_to(provenance.ROOT).as_posix())
def test_the_library_imports_nothing_of_the_book(path):
    found = {name.partition(".")[0] for name in imported(path)} & OF_THE_BOOK
    assert found <= ({"scgen_book"} if path.name in NOT_YET else set())
