"""Parameters of a notebook: the cell tagged ``parameters`` says which names there are and which values are legal.

One name a line, typed, with a comment of the form ``legal values: meaning``::

    epochs: int = 300  # in [1, inf): epochs at most
    learning_rate: float | None = None  # in (0, 0.1]: step size; None: 1e-3
    activation: str = "relu"  # one of relu, selu, elu: hidden units
    variants: list[str] = ["faithful"]  # subset of faithful, repaired: what to run
    dataset: str = "dca_student"  # any: preset, name or path of the data

A rule applies to each element of a list and to each value of a dict, whose keys are texts; ``None`` is legal where the
type says so.
"""

import ast
import difflib
import io
import linecache
import re
import tokenize
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike

import yaml

from scgen_lib.errors import ParameterError

Spec = dict[str, "Parameter"]

_SCALARS = {"int": int, "float": float, "bool": bool, "str": str}
_CELL_FILE = re.compile(r"ipykernel_\d+|^<ipython-input")
_RANGE = re.compile(r"in ([\[(])\s*([^,\s]+)\s*,\s*([^,\s]+)\s*([\])])")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook.

    Attributes
    ----------
    name
        Its name in the notebook.
    type
        Its declared type: ``int``, ``float``, ``bool``, ``str``, a list of one of them, a dict from texts to one of
        them, or a union with ``None``.
    default
        The value in the notebook.
    rule
        The legal values: ``any``, a range such as ``in [1, inf)``, ``one of a, b`` or ``subset of a, b``.
    meaning
        What it does, its unit and its source.
    """

    name: str
    type: object
    default: object
    rule: str
    meaning: str

    @property
    def legal(self) -> str:
        """Type and legal values in words."""
        words = getattr(self.type, "__name__", "") if isinstance(self.type, type) else ""
        words = words if words in _SCALARS else str(self.type)
        return words if self.rule == "any" else f"{words}, {self.rule}"

    def check(self, value: object) -> object:
        """Return the value in its declared type.

        A string is read as YAML where the type is not a string, since a command line can only pass strings.

        Raises
        ------
        ParameterError
            If the type is another one or the value is not legal.
        """
        try:
            coerced = _coerce(value, self.type)
        except (TypeError, ValueError, yaml.YAMLError):
            coerced = _REFUSED
        if coerced is _REFUSED or not self._follows_rule(coerced):
            raise ParameterError(f"Parameter {self.name} must be {self.legal}, got {value!r}; set a legal value.")
        return coerced

    def _follows_rule(self, value: object) -> bool:
        if value is None or self.rule == "any":
            return True
        elements = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else [value]
        if bounds := _RANGE.fullmatch(self.rule):
            left, low, high, right = bounds.groups()
            return all(
                (float(low) < x or (left == "[" and x == float(low)))
                and (x < float(high) or (right == "]" and x == float(high)))
                for x in elements
            )
        kind, _, names = self.rule.partition(" of ")
        legal = [name.strip() for name in names.split(",")]
        if kind == "subset" and (not elements or len(set(map(str, elements))) < len(elements)):
            return False
        return all(str(x) in legal for x in elements)


_REFUSED = object()


def _coerce(value: object, declared: object) -> object:
    """Return the value in the declared type, or ``_REFUSED``."""
    options = typing.get_args(declared) if isinstance(declared, types.UnionType) else (declared,)
    options = sorted(options, key=lambda option: option is not types.NoneType)
    if isinstance(value, str) and str not in options:
        value = yaml.safe_load(value)
    for option in options:
        if option is types.NoneType:
            # On a command line None and null are words.
            if value in (None, "None", "null"):
                return None
        elif typing.get_origin(option) is list:
            if isinstance(value, list | tuple):
                (of,) = typing.get_args(option)
                elements = [_coerce(x, of) for x in value]
                if _REFUSED not in elements:
                    return elements
        elif typing.get_origin(option) is dict:
            if isinstance(value, Mapping):
                _, of = typing.get_args(option)
                entries = {str(key): _coerce(x, of) for key, x in value.items()}
                if _REFUSED not in entries.values():
                    return entries
        elif option is float and not isinstance(value, bool):
            # YAML 1.1 reads 1e-3, which has no point, as a string.
            if isinstance(value, int | float | str) and (number := float(value)) == number:
                return number
        elif type(value) is option:
            return value
    return _REFUSED


def _declared_type(node: ast.expr) -> object:
    match node:
        case ast.Name(id=name) if name in _SCALARS:
            return _SCALARS[name]
        case ast.Constant(value=None):
            return types.NoneType
        case ast.Subscript(value=ast.Name(id="list"), slice=of):
            return list[_declared_type(of)]
        case ast.Subscript(value=ast.Name(id="dict"), slice=ast.Tuple(elts=[ast.Name(id="str"), of])):
            return dict[str, _declared_type(of)]
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _declared_type(left) | _declared_type(right)
    raise ValueError(ast.unparse(node))


def parse(source: str) -> Spec:
    """Read the parameters out of the source of a ``parameters`` cell, in the order of their lines.

    Raises
    ------
    ParameterError
        If a line is not of the form ``name: type = default  # legal values: meaning``, or a default is not legal.
    """
    try:
        body = ast.parse(source).body
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError) as error:
        raise ParameterError(f"The parameters cell must be plain Python, but it does not parse: {error}.") from error
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    spec = {}
    for statement in body:
        line = ast.get_source_segment(source, statement)
        try:
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                raise ValueError(line)
            rule, colon, meaning = comments[statement.end_lineno].partition(":")
            if not colon or not _is_rule(rule):
                raise ValueError(rule)
            name = statement.target.id
            default = ast.literal_eval(statement.value)
            parameter = Parameter(name, _declared_type(statement.annotation), default, rule, meaning.strip())
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ParameterError(
                "Each line of the parameters cell must read `name: type = default  # legal values: meaning` with legal "
                f"values `any`, `in [low, high)`, `one of a, b` or `subset of a, b`, got `{line}`; correct that line."
            ) from error
        parameter.check(default)
        spec[name] = parameter
    return spec


def _is_rule(rule: str) -> bool:
    return rule == "any" or bool(_RANGE.fullmatch(rule)) or rule.startswith(("one of ", "subset of "))


def from_notebook(notebook: str | PathLike | Mapping) -> Spec:
    """Read the parameters of a notebook, given as a path or as the notebook itself.

    Raises
    ------
    ParameterError
        If the file is no notebook, or has no cell tagged ``parameters``, or the cell does not parse.
    """
    if not isinstance(notebook, Mapping):
        import nbformat

        try:
            notebook = nbformat.read(notebook, as_version=4)
        except (OSError, ValueError, nbformat.reader.NotJSONError) as error:
            raise ParameterError(
                f"Expected a Jupyter notebook, but {str(notebook)!r} cannot be read as one ({type(error).__name__}); "
                "give the path of an .ipynb file."
            ) from error
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            return parse(cell["source"])
    raise ParameterError("Expected a cell tagged `parameters` in the notebook, found none; add the tag to that cell.")


def check(values: Mapping[str, object], spec: Spec) -> dict[str, object]:
    """Return all parameters: the given values in their declared types, and defaults for the rest.

    Raises
    ------
    ParameterError
        If a name is unknown or a value is not legal; the sentence names the parameter and the legal values.
    """
    _refuse_unknown(values, spec)
    return {name: parameter.check(values.get(name, parameter.default)) for name, parameter in spec.items()}


def _refuse_unknown(names: Iterable[str], spec: Spec) -> None:
    for name in names:
        if name not in spec:
            near = difflib.get_close_matches(name, spec, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the parameters are {', '.join(spec)}."
            raise ParameterError(f"Unknown parameter {name}: {hint}")


def check_namespace(namespace: dict[str, object]) -> dict[str, object]:
    """Check the parameters in a running notebook, and write them back in their declared types.

    Call it as ``parameters.check_namespace(globals())`` in the cell after the parameters. The names and legal values
    are those of the last parameters cell that ran; whatever a cell between that one and the check has set (papermill
    injects one there) counts as a parameter. Returns all parameters.

    Raises
    ------
    ParameterError
        If a name is unknown, a value is not legal, or no parameters cell has run in this session.
    """
    found = _last_parameters_cell(namespace.get("In", ())) or _last_parameters_cell(_compiled_cells())
    if found is None:
        raise ParameterError(
            "Expected to run in a notebook after its parameters cell, but no such cell has run in this session; "
            "run the parameters cell first."
        )
    spec, given = found
    _refuse_unknown(given, spec)
    values = check({name: namespace[name] for name in spec if name in namespace}, spec)
    namespace.update(values)
    return values


def _compiled_cells() -> list[str]:
    """Return the sources of the cells that this kernel has compiled, oldest first.

    nbval runs cells without storing them in the input history; for its tracebacks IPython keeps them all the same.
    """
    cells = [(name, entry) for name, entry in linecache.cache.items() if _CELL_FILE.search(name) and len(entry) == 4]
    return ["".join(lines) for _, (_, _, lines, _) in cells]


def _last_parameters_cell(history: Iterable[str]) -> tuple[Spec, list[str]] | None:
    """Find the last parameters cell of an input history, and the names set between it and the check."""
    spec, given, open_ = None, [], False
    for source in history:
        if _is_parameters_cell(source):
            spec, given, open_ = parse(source), [], True
        elif open_:
            open_ = "check_namespace" not in source
            given += _assigned(source) if open_ else []
    return None if spec is None else (spec, given)


def _statements(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


def _is_parameters_cell(source: str) -> bool:
    body = _statements(source)
    comments = [line.partition("#")[2] for line in source.splitlines()]
    return (
        bool(body)
        and all(isinstance(statement, ast.AnnAssign) for statement in body)
        and any(":" in comment for comment in comments)
    )


def _assigned(source: str) -> list[str]:
    targets = []
    for statement in _statements(source):
        if isinstance(statement, ast.Assign):
            targets += statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets.append(statement.target)
    return [target.id for target in targets if isinstance(target, ast.Name)]
