"""Which sources decide a result: those that a module or a notebook imports, followed from file to file.

A word in a docstring or a comment decides nothing, nor does a module that nobody on the way imports. Of other packages
the lock file says which they are.
"""

import ast
import functools
import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import scgen_lib

PACKAGES = {"scgen_lib": Path(scgen_lib.__file__).parent, "scgen_book": Path(__file__).parent}
# They name the version, the machine and the sources, and compute nothing.
IDLE = ("scgen_lib._version", "scgen_book.provenance", "scgen_book.sources")


def digest(modules: Iterable[str], *, folders: Sequence[Path] = (), without: Sequence[str] = ()) -> str:
    """Return a hash of modules and of all that they import (see `followed`)."""
    found = followed(modules, folders=folders, without=without)
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def of_notebook(cells: Iterable[str], *, folders: Sequence[Path], chapter: str | None = None) -> str:
    """Return the `digest` of what the code cells of a notebook import, without these cells themselves.

    The experiments of a chapter, which a notebook asks for by their names, count as imported.
    """
    modules = [name for cell in cells for name in _imports(_parsed(cell), "")]
    parts = PACKAGES["scgen_book"].joinpath("experiments", chapter).glob("*.py") if chapter else ()
    return digest([*modules, *(f"scgen_book.experiments.{chapter}.{part.stem}" for part in parts)], folders=folders)


def followed(modules: Iterable[str], *, folders: Sequence[Path] = (), without: Sequence[str] = ()) -> dict[str, str]:
    """Return a hash of each module that one of these imports, as its file is when this process first asks.

    Parameters
    ----------
    modules
        Their full names; those that are found nowhere are left out.
    folders
        Where modules lie that are of none of the packages.
    without
        Modules and packages that do not count.
    """
    found, left = {}, list(modules)
    while left:
        name = left.pop()
        idle = any(f"{name}.".startswith(f"{other}.") for other in (*IDLE, *without))
        path = None if name in found or idle else _file(name, folders)
        if path is not None:
            imports, found[name] = _read(path, name)
            left += imports
        # a package is run before its modules
        left += [parent] if (parent := name.rpartition(".")[0]) and parent not in found else []
    return found


def _file(name: str, folders: Sequence[Path]) -> Path | None:
    """Return the file of a module, or None."""
    top, *rest = name.split(".")
    for base in [PACKAGES[top]] if top in PACKAGES else [folder / top for folder in folders]:
        path = base.joinpath(*rest)
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file
    return None


@functools.cache
def _read(path: Path, name: str) -> tuple[list[str], str]:
    """Return what a module imports, and a hash of what it does."""
    tree = _Bare().visit(ast.parse(path.read_bytes()))
    # tables that lie beside it, by the name that it reads them by
    named = {str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    files = [path.parent / text for text in sorted(named) if text.endswith(".toml")]
    tables = [tomllib.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    text = _form(tree) + json.dumps(tables, sort_keys=True, default=str)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return sorted(set(_imports(tree, package))), hashlib.sha256(text.encode()).hexdigest()


class _Bare(ast.NodeTransformer):
    """Takes away docstrings, and what is imported for type checkers alone."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
        return super().generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.AST]:
        if ast.unparse(node.test).endswith("TYPE_CHECKING"):
            return [self.visit(other) for other in node.orelse]
        return self.generic_visit(node)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the names of the modules that a source imports anywhere, and others that may be none."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                above = package.split(".")[: 1 - level or None] if level else []
                base = ".".join([*above, *filter(None, [module])])
                yield base
                yield from (f"{base}.{alias.name}" for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def _form(node: object) -> str:
    """Return what a tree says, in words that do not depend on the version of Python as `ast.dump` does."""
    if isinstance(node, ast.AST):
        fields = (f"{name}={_form(value)}" for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({','.join(fields)})"
    return f"[{','.join(map(_form, node))}]" if isinstance(node, list) else repr(node)


def _parsed(cell: str) -> ast.AST:
    """Parse a cell, with IPython's commands if need be; a cell that cannot be parsed will not run either."""
    try:
        return ast.parse(cell)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        try:
            return ast.parse(TransformerManager().transform_cell(cell))
        except SyntaxError:
            return ast.Module(body=[], type_ignores=[])
