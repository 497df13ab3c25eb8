"""Cells of notebooks as Python: what they assign, what they remark, and which have run."""

import ast
import io
import linecache
import re
import tokenize
from os import PathLike
from typing import TYPE_CHECKING

from scgen_lib.errors import ParameterError

if TYPE_CHECKING:
    import nbformat

_CELL_FILE = re.compile(r"ipykernel_\d+|^<ipython-input")


def read_notebook(path: str | PathLike) -> "nbformat.NotebookNode":
    """Read a notebook file.

    Raises
    ------
    ParameterError
        If it is none.
    """
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
        raise ParameterError(
            f"expected a Jupyter notebook, got {str(path)!r}, which cannot be read as one ({type(error).__name__}): "
            "give the path of an .ipynb file"
        ) from error


def statements(source: str) -> list[ast.stmt]:
    """Return the statements of a source; none where it does not parse."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


def targets(statement: ast.stmt) -> list[str]:
    """Return the names that a statement assigns."""
    found = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    assigns = isinstance(statement, ast.Assign | ast.AnnAssign)
    return [target.id for target in found if isinstance(target, ast.Name)] if assigns else []


def comments(source: str) -> dict[int, str]:
    """Return the comments of a source by their lines."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}


def without_magic(source: str) -> str:
    """Return what stands below a cell magic such as ``%%time``, as it was written or as IPython has translated it."""
    match statements(source):
        case [
            ast.Expr(value=ast.Call(func=ast.Attribute(attr="run_cell_magic"), args=[_, _, ast.Constant(value=below)]))
        ]:
            return below
    return re.sub(r"\A\s*%%(time|capture)\b.*\n", "", source)


def compiled() -> list[str]:
    """Return the sources of the cells that this kernel has compiled, oldest first.

    nbval runs cells without storing them in the input history; for its tracebacks IPython keeps them all the same.
    """
    found = [(name, entry) for name, entry in linecache.cache.items() if _CELL_FILE.search(name) and len(entry) == 4]
    return ["".join(lines) for _, (_, _, lines, _) in found]
