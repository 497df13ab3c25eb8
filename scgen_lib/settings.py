"""An argument, declared once: type, default, legal values, meaning, value of the released code, original's name.

The constructor's arguments of a model are the fields of one frozen dataclass::

    @declared
    class DCASettings(Settings):
        ridge: float = option(0.0, "in [0, inf)", "penalty of squared dropout probabilities", origin="dca --ridge")

and those of `fit` stand in its signature, under `checked`::

    @checked
    def fit(self, adata, *, epochs: Annotated[int, Option("in [1, inf)", "passes over the cells")] = 300): ...

From a declaration follow the check with its message, the signature, the docstring's Parameters, the line in a
notebook's parameters cell, what is saved with the weights, and ``repr``.
"""

import dataclasses
import functools
import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, Self, TypeVar

from scgen_lib.errors import ParameterError
from scgen_lib.values import REFUSED, coerce, follows, literal, parts, plain, type_told, word

T = TypeVar("T")
P = ParamSpec("P")

_SECTION = re.compile(r"^[A-Z][A-Za-z ]+\n-{3,}$", re.MULTILINE)
_SAME: Any = object()


@dataclasses.dataclass(frozen=True)
class Option:
    """What is said of an argument beside its name, type and default.

    Attributes
    ----------
    legal
        Legal values of it, or of its elements: ``any``, a range as ``in [0, inf)``, ``one of a, b`` or
        ``subset of a, b``; empty: what the type says.
    meaning
        What it does, with its unit.
    released
        Its value in the released code, where the default is another one, or where that code has no other.
    finding
        Name of the finding that this value of the released code causes.
    origin
        What the original calls it.
    flat
        Its name among the parameters of a notebook, where that is another one; None: it has no line there.
    """

    legal: str = ""
    meaning: str = ""
    released: Any = _SAME
    finding: str | None = None
    origin: str = ""
    flat: str | None = ""


@dataclasses.dataclass(frozen=True)
class Argument:
    """A declared argument: its `name`, `type`, `default` and `option`."""

    name: str
    type: Any
    default: Any
    option: Option

    @property
    def flat(self) -> str | None:
        """Name among the parameters of a notebook, or None where there is no line for it."""
        return self.name if self.option.flat == "" else self.option.flat

    @property
    def deviates(self) -> bool:
        """Whether the faithful model has the value of the released code, and no other."""
        return self.option.released is not _SAME

    @property
    def fixed(self) -> bool:
        """Whether that value is the default's too, so that only the repaired model has others."""
        return self.deviates and plain(self.option.released) == plain(self.default)

    @property
    def may_be_none(self) -> bool:
        """Whether None is a value, and not what leaves the choice to the variant."""
        return types.NoneType in parts(self.type) and not self.deviates

    @property
    def legal(self) -> str:
        """Legal values, where the declaration leaves them to the type as well."""
        if self.option.legal:
            return self.option.legal
        literals = [x for part in parts(self.type) if typing.get_origin(part) is Literal for x in typing.get_args(part)]
        return f"one of {', '.join(literals)}" if literals else "any"

    @property
    def told(self) -> str:
        """Type and legal values in words."""
        return type_told(self.type) + ("" if self.legal == "any" else f", {self.legal}")

    def check(self, value: Any) -> Any:
        """Return the value in the declared type, sequences as tuples.

        Raises
        ------
        ParameterError
            If the type is another one or the value is not legal.
        """
        found = coerce(value, self.type)
        if found is REFUSED or not follows(found, self.legal):
            raise ParameterError(f"expected {self.name} to be {self.told}, got {value!r}: set a legal value")
        return found

    def line(self, default: Any = _SAME) -> str:
        """Return the line of a notebook's parameters cell; `default` is a chapter's own."""
        own = default is not _SAME and default != plain(self.default)
        value, kind = (default if own else plain(self.default)), type_told(self.type)
        meaning = self.option.meaning
        if self.fixed:
            meaning += f"; always {word(self.default)} if faithful"
        elif self.deviates:
            value = default if own else None
            meaning += f"; None: {word(self.option.released)} if faithful, {word(self.default)} if repaired"
            kind += "" if "None" in kind else " | None"
        elif own:
            meaning += f"; elsewhere {word(self.default)}"
        if self.option.origin:
            meaning += f" ({self.option.origin})"
        return f"{self.flat}: {kind} = {literal(value)}  # {self.legal}: {meaning}"

    def documented(self) -> str:
        """Return the entry of a numpydoc section Parameters."""
        text = self.option.meaning[:1].upper() + self.option.meaning[1:]
        text += f" (``{self.option.origin}``)." if self.option.origin else "."
        if self.legal != "any":
            text += f" Legal: {self.legal}."
        if self.deviates:
            finding = f", finding {self.option.finding}" if self.option.finding else ""
            text += f" Released code: {word(self.option.released)}{finding}."
        return f"{self.name}\n    {text}"


def option(
    default: Any,
    legal: str = "",
    meaning: str = "",
    *,
    released: Any = _SAME,
    finding: str | None = None,
    origin: str = "",
    flat: str | None = "",
) -> Any:
    """Declare a field of `Settings`: its default, and what an `Option` says."""
    told = Option(legal, meaning, released, finding, origin, flat)
    default = _Fixed(default) if isinstance(default, dict) else default
    return dataclasses.field(default=default, metadata={"option": told})


class _Fixed(dict):
    """A mapping that a dataclass takes for a default, since nobody writes into it."""

    __hash__ = object.__hash__  # type: ignore[assignment]


@typing.dataclass_transform(kw_only_default=True, frozen_default=True)
def declared(cls: type[T]) -> type[T]:
    """Make a frozen dataclass of keyword arguments out of a subclass of `Settings`."""
    return dataclasses.dataclass(frozen=True, kw_only=True, repr=False, eq=False)(cls)


class Settings:
    """Arguments of a model's constructor, checked when they are given.

    A class that inherits from such a dataclass has its constructor; its other attributes may be set, the settings not.

    Raises
    ------
    ParameterError
        If the type of a value is another one, or the value is not legal.
    """

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        # The fields are those of a class above, so this one has a constructor and none of its own declarations.
        if dataclasses.is_dataclass(cls):
            cls.__doc__ = document(cls.__doc__, arguments(cls))

    def __post_init__(self) -> None:
        for name, argument in arguments(type(self)).items():
            object.__setattr__(self, name, argument.check(getattr(self, name)))
        self.check()

    def check(self) -> None:
        """Refuse values that are not legal together; called when all of them are legal by themselves."""

    def values(self) -> dict[str, Any]:
        """Return name → value, as JSON keeps it."""
        return {name: plain(getattr(self, name)) for name in arguments(type(self))}

    def __repr__(self) -> str:
        changed = {
            name: getattr(self, name)
            for name, argument in arguments(type(self)).items()
            if getattr(self, name) != argument.default
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    @classmethod
    def faithful(cls, *, except_for: Sequence[str] = (), **changes: Any) -> Self:
        """Return the model of the released code: every argument with a released value takes it.

        Parameters
        ----------
        except_for
            Names of arguments whose released value may be changed all the same.
        **changes
            The other arguments.

        Raises
        ------
        ParameterError
            A change of a released value that `except_for` does not name.
        """
        released = {name: a.option.released for name, a in arguments(cls).items() if a.deviates}
        for name, value in changes.items():
            if name in released and plain(value) != plain(released[name]) and name not in except_for:
                raise ParameterError(
                    f"expected {name} = {released[name]!r}, as in the released code, in the faithful model, got "
                    f"{value!r}: leave it out, or change the repaired model, {cls.__name__}({name}=…)"
                )
        return cls(**released | changes)

    @classmethod
    def variant(cls, name: str, **changes: Any) -> Self:
        """Return the variant of a name: ``repaired``, which is the constructor itself, or ``faithful``."""
        if name not in ("repaired", "faithful"):
            raise ParameterError(f"expected variant 'repaired' or 'faithful', got {name!r}: choose one of the two")
        return cls.faithful(**changes) if name == "faithful" else cls(**changes)


def arguments(of: Any) -> dict[str, Argument]:
    """Return the declared arguments of a class of `Settings`, or of a function under `checked`, by name."""
    return _of_class(of) if isinstance(of, type) else _of_function(getattr(of, "__wrapped__", of))


@functools.cache
def _of_class(cls: type) -> dict[str, Argument]:
    kinds = typing.get_type_hints(cls)
    return {
        field.name: Argument(field.name, kinds[field.name], field.default, field.metadata["option"])
        for field in dataclasses.fields(cls)
    }


@functools.cache
def _of_function(function: Callable) -> dict[str, Argument]:
    kinds, found = typing.get_type_hints(function, include_extras=True), {}
    for name, parameter in inspect.signature(function).parameters.items():
        for extra in getattr(kinds.get(name), "__metadata__", ()):
            if isinstance(extra, Option):
                found[name] = Argument(name, typing.get_args(kinds[name])[0], parameter.default, extra)
    return found


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Check the annotated arguments of a method when it is called, and write them into its docstring."""
    found, signature = arguments(function), inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        bound = signature.bind(*args, **kwargs)
        for name, argument in found.items():
            if name in bound.arguments:
                bound.arguments[name] = argument.check(bound.arguments[name])
        return function(*bound.args, **bound.kwargs)

    wrapper.__doc__ = document(function.__doc__, found)
    # what tools read of a method: the types alone
    wrapper.__annotations__ = kinds = typing.get_type_hints(function)
    wrapper.__signature__ = signature.replace(
        parameters=[p.replace(annotation=kinds.get(name, p.annotation)) for name, p in signature.parameters.items()],
        return_annotation=kinds.get("return", signature.return_annotation),
    )
    return wrapper


def chosen(of: Any, flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a class or function that a flat mapping holds, other names passed over.

    Parameters
    ----------
    of
        As for `arguments`.
    flat
        Values by flat name, as the parameters of a notebook; None leaves the choice to the variant, or to the
        default, where it is no value of the argument itself.
    """
    taken = {a.name: (a, flat[a.flat]) for a in arguments(of).values() if a.flat in flat}
    return {name: value for name, (a, value) in taken.items() if value is not None or a.may_be_none}


def document(doc: str | None, found: Mapping[str, Argument]) -> str:
    """Return a docstring with a section Parameters that ends in the declared arguments."""
    text = inspect.cleandoc(doc or "")
    entries = "\n".join(argument.documented() for argument in found.values())
    heads = list(_SECTION.finditer(text))
    head = next((h for h in heads if h.group().startswith("Parameters\n")), None)
    place = next((h.start() for h in heads if head is None or h.start() > head.start()), len(text))
    before, after = text[:place].rstrip(), text[place:]
    before += "\n" if head else "\n\nParameters\n----------\n"
    return f"{before}{entries}\n\n{after}".rstrip() + "\n"
