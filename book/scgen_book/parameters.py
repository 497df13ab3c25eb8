"""Parameters of a notebook: the cell tagged ``parameters`` says which names there are and which values are legal.

One name a line, typed, with a comment of the form ``legal values: meaning``::

    epochs: int = 300  # in [1, inf): epochs at most
    learning_rate: float | None = None  # in (0, 0.1]: step size; None: 1e-3
    activation: str = "relu"  # one of relu, selu, elu: hidden units
    variants: list[str] = ["faithful"]  # subset of faithful, repaired: what to run
    dataset: str = "dca_student"  # any: preset, name or path of the data

A rule applies to each element of a list and to each value of a dict, whose keys are texts; ``None`` is legal where the
type says so. A chapter has more parameters than its cell shows: those that its experiments declare (see `declared`).
"""

import ast
import difflib
import itertools
import tokenize
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike

import yaml

from scgen_book import cells
from scgen_book.strict_yaml import read_texts
from scgen_lib.errors import ParameterError
from scgen_lib.values import REFUSED, follows, is_rule, parts, type_told

Spec = dict[str, "Parameter"]

# what papermill sets with --inject-paths and its kin
_OF_PAPERMILL = ("PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH")
_SCALARS = {"int": int, "float": float, "bool": bool, "str": str}


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
        words = type_told(self.type)
        return words if self.rule == "any" else f"{words}, {self.rule}"

    def check(self, value: object) -> object:
        """Return the value in its declared type.

        Where the type is not a string, a string is read as papermill's command line reads it, which can only pass
        strings (`010` is ten), and lists and mappings, which that leaves as they are, as YAML of such strings.

        Raises
        ------
        ParameterError
            If the type is another one or the value is not legal.
        """
        try:
            coerced = _coerce(value, self.type)
        except (TypeError, ValueError, yaml.YAMLError):
            coerced = REFUSED
        if coerced is REFUSED or not follows(coerced, self.rule):
            raise ParameterError(f"expected {self.name} to be {self.legal}, got {value!r}: set a legal value")
        return coerced


def _coerce(value: object, declared: object) -> object:
    """Return the value in the declared type, or ``REFUSED``."""
    options = sorted(parts(declared), key=lambda option: option is not types.NoneType)
    if isinstance(value, str) and str not in options and any(map(typing.get_origin, options)):
        value = read_texts(value)
    for option in options:
        if option is types.NoneType:
            # On a command line None and null are words.
            if value in (None, "None", "null"):
                return None
        elif typing.get_origin(option) is list:
            if isinstance(value, list | tuple):
                (of,) = typing.get_args(option)
                elements = [_coerce(x, of) for x in value]
                if REFUSED not in elements:
                    return elements
        elif typing.get_origin(option) is dict:
            if isinstance(value, Mapping):
                _, of = typing.get_args(option)
                entries = {str(key): _coerce(x, of) for key, x in value.items()}
                if REFUSED not in entries.values():
                    return entries
        elif isinstance(value, str) and option is not str:
            if (read := _word(value, option)) is not REFUSED:
                return read
        elif option is float and not isinstance(value, bool):
            if isinstance(value, int | float) and (number := float(value)) == number:
                return number
        elif type(value) is option:
            return value
    return REFUSED


def _word(text: str, option: type) -> object:
    """Return what papermill's command line makes of a text, or ``REFUSED``; YAML's words for a boolean serve too."""
    if option is bool:
        return yaml.SafeLoader.bool_values.get(text.lower(), REFUSED)
    try:
        number = option(text)
    except ValueError:
        return REFUSED
    return number if number == number else REFUSED


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
    source = cells.without_magic(source)
    try:
        body = ast.parse(source).body
        comments = cells.comments(source)
    except (SyntaxError, tokenize.TokenError) as error:
        raise ParameterError(
            f"expected plain Python in the parameters cell, got what does not parse ({error}): correct it"
        ) from error
    spec = {}
    for statement in body:
        line = ast.get_source_segment(source, statement)
        try:
            if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
                raise ValueError(line)
            rule, colon, meaning = comments[statement.end_lineno].partition(":")
            if not colon or not is_rule(rule):
                raise ValueError(rule)
            name, declared = statement.target.id, _declared_type(statement.annotation)
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ParameterError(
                "expected each line of the parameters cell to read `name: type = default  # legal values: meaning`, "
                "with legal values `any`, `in [low, high)`, `one of a, b` or `subset of a, b`, got "
                f"`{line}`: correct it"
            ) from error
        parameter = Parameter(name, declared, _literal(name, statement.value), rule, meaning.strip())
        parameter.check(parameter.default)
        spec[name] = parameter
    return spec


def _literal(name: str, node: ast.expr) -> object:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"expected the value of {name} itself in the parameters cell, got `{ast.unparse(node)}`: write it out"
        ) from error


def from_notebook(notebook: str | PathLike | Mapping) -> Spec:
    """Read the parameters of a notebook, given as a path or as the notebook itself.

    Raises
    ------
    ParameterError
        If the file is no notebook, or has no cell tagged ``parameters``, or the cell does not parse.
    """
    notebook = notebook if isinstance(notebook, Mapping) else cells.read_notebook(notebook)
    for cell in notebook["cells"]:
        if "parameters" in cell["metadata"].get("tags", ()):
            return parse(cell["source"])
    raise ParameterError("expected a cell tagged `parameters` in the notebook, got none: add the tag to that cell")


def declared(chapter: str) -> Spec:
    """Return the parameters that a chapter's models and experiments declare, whether its notebook's cell shows them.

    Raises
    ------
    ParameterError
        If there is no such chapter.
    """
    from scgen_book import declarations

    return parse("\n".join(declarations.lines(chapter)))


def chapter_of(notebook: Mapping) -> str | None:
    """Return the chapter whose parameters a notebook checks, ``check_namespace(globals(), "dca")``, or None."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and "check_namespace" in cell["source"]:
            for node in ast.walk(ast.Module(cells.statements(cell["source"]), [])):
                match node:
                    case ast.Call(func=ast.Attribute(attr="check_namespace"), args=[_, ast.Constant(value=name)]):
                        return name
    return None


def known(notebook: Mapping, given: Iterable[str]) -> Spec:
    """Return the parameters of a notebook's cell, and with them those declared elsewhere that are given."""
    spec, chapter = from_notebook(notebook), chapter_of(notebook)
    if chapter is None or set(given) <= set(spec):
        return spec  # the models are not imported for what the cell says
    others = declared(chapter) | spec
    _refuse_unknown(given, others)
    return spec | {name: others[name] for name in given}


def injected(notebook: Mapping) -> dict[str, object]:
    """Return the parameters that papermill has injected into a notebook; none where it has not run yet.

    Raises
    ------
    ParameterError
        If the cell holds anything but values.
    """
    for cell in notebook["cells"]:
        if "injected-parameters" in cell["metadata"].get("tags", ()):
            pairs = [
                (name, statement.value)
                for statement in cells.statements(cell["source"])
                for name in cells.targets(statement)
            ]
            return {name: _literal(name, value) for name, value in pairs if name not in _OF_PAPERMILL}
    return {}


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
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(spec)}"
            raise ParameterError(f"expected a parameter of this notebook, got {name}: {hint}")


def check_namespace(namespace: dict[str, object], chapter: str | None = None) -> dict[str, object]:
    """Check the parameters in a running notebook, and write them back in their declared types.

    Call it as ``parameters.check_namespace(globals(), "dca")`` in the cell after the parameters. The names and legal
    values are those of the last parameters cell that ran, and of what the chapter declares; whatever a cell between
    that one and the check has set (papermill injects one there) counts as a parameter. Returns all parameters.

    Raises
    ------
    ParameterError
        If a name is unknown, a value is not legal, or no parameters cell has run in this session.
    """
    found = _last_parameters_cell(list(namespace.get("In", ()))) or _last_parameters_cell(cells.compiled())
    if found is None:
        raise ParameterError(
            "expected to run in a notebook after its parameters cell, got a session in which none has run: run it first"
        )
    spec, given = found
    known = spec | ({name: p for name, p in declared(chapter).items() if name not in spec} if chapter else {})
    _refuse_unknown(given, known)
    values = check({name: namespace[name] for name in (*spec, *given) if name in namespace}, known)
    namespace.update({name: values[name] for name in (*spec, *given)})
    _follow(namespace, values)
    return values


def _follow(namespace: dict[str, object], values: dict[str, object]) -> None:
    """Check the parameters cell whenever it is run again alone, and keep `values`, which are recorded, in step."""
    shell = namespace.get("get_ipython", lambda: None)()
    if shell is None:
        return

    def again(result: typing.Any) -> None:
        if result.success and _is_parameters_cell(cells.without_magic(result.info.raw_cell)):
            spec = parse(result.info.raw_cell)
            own = check({name: namespace[name] for name in spec if name in namespace}, spec)
            values.update(own)
            namespace.update(own)  # what the cell does not show may be a name of something else by now

    for callback in shell.events.callbacks["post_run_cell"]:
        if callback.__qualname__ == again.__qualname__:
            shell.events.unregister("post_run_cell", callback)
    shell.events.register("post_run_cell", again)


def _last_parameters_cell(history: Sequence[str]) -> tuple[Spec, list[str]] | None:
    """Find the last parameters cell of an input history, and the names set between it and the check."""
    history = [cells.without_magic(source) for source in history]
    place = max((i for i, source in enumerate(history) if _is_parameters_cell(source)), default=None)
    if place is None:
        return None
    between = itertools.takewhile(lambda source: "check_namespace" not in source, history[place + 1 :])
    names = [name for source in between for statement in cells.statements(source) for name in cells.targets(statement)]
    return parse(history[place]), [name for name in names if name not in _OF_PAPERMILL]


def _is_parameters_cell(source: str) -> bool:
    """Say whether a line of a cell declares a parameter; what else stands there is for `parse` to refuse by name."""
    lines = {statement.end_lineno for statement in cells.statements(source) if cells.targets(statement)}
    return bool(lines) and any(
        line in lines and ":" in comment and is_rule(comment.partition(":")[0])
        for line, comment in cells.comments(source).items()
    )
