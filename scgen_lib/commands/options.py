"""Options of a command, made of what a model declares: its settings, and the arguments of its `fit`."""

import collections.abc
import contextlib
import importlib
import os
import sys
import tempfile
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click

from scgen_lib.commands import MODELS
from scgen_lib.errors import ParameterError
from scgen_lib.settings import Argument, Option, arguments
from scgen_lib.values import parts, plain, word

#: Arguments of `fit` that a command line cannot give.
WITHOUT = ("callbacks", "progress")
#: Arguments of scGAN's `process` that choose what is trained on.
OF_PROCESS = ("min_genes", "min_cells", "min_class_size", "resolution")
#: Genes of highest variance that are trained on, where not all are: published.
GENES = {"dr_a": 720}
_ABOUT = """{meaning}

COUNTS is a file of raw counts, cells by genes (.h5ad, .zarr, 10x .h5, 10x mtx folder, .loom, .csv[.gz], .tsv[.gz]), or
the name of a data set (see `scgen datasets`). A large .h5ad, of more than 2 GiB if it were dense, is not read but
opened: it may be larger than memory. OUT is an .h5ad, written when all is done; one that is there is replaced.
"""
_MEANING = {
    "denoise": "Denoise the cells of COUNTS with {name}, and write them to OUT with layers['{model}'] beside what they "
    "had.",
    "embed": "Embed the cells of COUNTS with {name}, and write them to OUT with obsm['X_{model}'] beside what they "
    "had.",
    "simulate": "Train {name} on the cells of COUNTS and their types, and write new cells to OUT. With --model no "
    "COUNTS are needed: `scgen simulate {model} --model FILE OUT`.",
}


class Declared(click.Option):
    """The option of a declared argument; in `given` only where it stands on the command line."""

    def __init__(self, argument: Argument, section: str):
        self.argument, self.section = argument, section
        flag = f"--{argument.name.replace('_', '-')}"
        shown = f"{flag}/--no-{flag[2:]}" if argument.type is bool else flag
        kind: dict[str, Any] = (
            {} if argument.type is bool else {"type": _Value(argument, flag), "metavar": _metavar(argument.type)}
        )
        super().__init__([shown, argument.name], default=None, help=self._told(), **kind)

    def _told(self) -> str:
        told = self.argument.documented().partition("\n    ")[2].replace("``", "")
        return f"{told} Default: {_typed(self.argument.default)}."


class _Value(click.ParamType):
    """A value of a declared argument, from its text."""

    def __init__(self, argument: Argument, flag: str):
        self.argument, self.flag, self.name = argument, flag, argument.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value, or refuse it as the argument's own check does, by the name of the option."""
        try:
            return self.argument.check(read(value, self.argument.type))
        except ParameterError as error:
            raise ParameterError(
                f"expected {self.flag} to be {self.argument.told}, got {value!r}: set a legal value"
            ) from error


def read(text: str, kind: Any) -> Any:
    """Return what a text of a command line stands for in a type, or the text itself, for a check to refuse.

    A sequence is written with commas, None as ``none``.
    """
    for part in sorted(parts(kind), key=lambda part: part is not types.NoneType):
        if part is types.NoneType and text.lower() == "none":
            return None
        if typing.get_origin(part) in (list, collections.abc.Sequence):
            (of,) = typing.get_args(part)
            return [read(element.strip(), of) for element in text.strip("[]() ").split(",") if element.strip()]
        if part in (int, float):
            with contextlib.suppress(ValueError):
                return part(text)
    return text


def _metavar(kind: Any) -> str:
    members = [part for part in parts(kind) if part is not types.NoneType]
    if os.PathLike in members:
        return "PATH"
    if typing.get_origin(members[0]) in (list, collections.abc.Sequence):
        return "N,N,..."
    return {int: "INT", float: "NUMBER"}.get(members[0], "NAME")


def _typed(value: Any) -> str:
    """Return a value as it is typed."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else word(plain(value))


class _Sections(click.Command):
    """A command that lists its options in sections."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section of the help after the other."""
        sections: dict[str, list] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(ctx)):
                sections.setdefault(getattr(parameter, "section", "Help"), []).append(record)
        for name, records in sections.items():
            with formatter.section(name):
                formatter.write_dl(records)


class _Own(click.Option):
    section = "Files and cells"


def command(verb: str, model: str) -> click.Command:
    """Return the command of a verb and a model, with all options."""
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_MININTERVAL", "10")  # a log needs no ten lines a second
    with quiet():
        kind = getattr(importlib.import_module(f"scgen_lib.models.{model}"), MODELS[model][0])
    return _Sections(
        model,
        params=[*_files(verb, model), *of_model(kind, model)],
        callback=_callback(verb, model, kind),
        help=_ABOUT.format(meaning=_MEANING[verb].format(name=kind.__name__, model=model)),
        short_help=MODELS[model][1],
        context_settings={"max_content_width": 120},
    )


def _files(verb: str, model: str) -> list[click.Parameter]:
    """Return what the command takes itself."""
    from scgen_lib.models.base import DenoisingModel

    needed = verb != "simulate"
    found: list[click.Parameter] = [
        click.Argument(["counts"], required=True, metavar="COUNTS" if needed else "[COUNTS]"),
        click.Argument(["out"], required=needed, metavar="OUT"),
        _Own(["--labels"], metavar="COLUMN", help="Column of the cells' types; cell_type if left out."),
        _Own(
            ["--layer"], metavar="NAME", help="Layer of an .h5ad with the counts; else counts, raw.X and X are tried."
        ),
        _Own(["--transpose"], is_flag=True, help="The file (.csv, .tsv, .h5ad) is genes by cells."),
        _Own(["--genome"], metavar="NAME", help="The one to read of a 10x file of several genomes."),
        _Own(["--model"], metavar="FILE", help="A model that was saved (.keras): nothing is trained."),
        _Own(["--save"], metavar="FILE", help="Save the trained model (.keras)."),
        _Own(["--faithful"], is_flag=True, help="The variant that computes what the released code does."),
    ]
    if verb == "denoise":
        kind = typing.get_args(arguments(DenoisingModel.denoise_to)["dtype"].type)
        found += [
            _Own(["--only-genes"], metavar="NAME,...", help="Write these genes alone; all if left out."),
            _Own(["--layer-out"], metavar="NAME", help=f"Layer of OUT with the denoised values; {model} if left out."),
            _Own(
                ["--dtype"],
                type=click.Choice(kind),
                default=kind[0],
                show_default=True,
                help="Of the denoised values in OUT: float16 takes half the disk, and keeps three digits.",
            ),
        ]
    if verb == "simulate":
        meaning = "How many cells of which types, or one number, shared as the training's types are."
        wanted = _Own(["--cells"], metavar="TYPE=N,...", default="1000", show_default=True, help=meaning)
        found.insert(2, wanted)
    return found


def of_model(kind: Any, model: str) -> list[Declared]:
    """Return the options of a model: what is trained on, of the training, and of the model itself."""
    of_fit = {name: a for name, a in arguments(kind.fit).items() if name not in WITHOUT}
    found = [Declared(argument, "Training") for argument in [*of_cells(model).values(), *of_fit.values()]]
    return found + [Declared(argument, "Model") for argument in arguments(kind).values()]


def of_cells(model: str) -> dict[str, Argument]:
    """Return the arguments that choose genes and cells before a training."""
    if model == "scgan":
        from scgen_lib.models.scgan.cells import process

        return {name: arguments(process)[name] for name in OF_PROCESS}
    if model == "db_aae":
        return {}  # which chooses genes by settings of its own
    meaning = "train on so many genes of highest variance; None: all"
    return {"genes": Argument("genes", int | None, GENES.get(model), Option("in [1, inf)", meaning))}


def _callback(verb: str, model: str, kind: Any) -> Callable[..., None]:
    """Return what the command calls: declared arguments apart by who takes them, and only those that were given."""

    def run(**given: Any) -> None:
        from scgen_lib.commands import work

        ctx = click.get_current_context()
        typed = click.core.ParameterSource.COMMANDLINE

        def chosen(declared: Mapping[str, Argument]) -> dict[str, Any]:
            taken = {name: given.pop(name) for name in declared if name in given}
            return {name: value for name, value in taken.items() if ctx.get_parameter_source(name) is typed}

        settings, training, choice = chosen(arguments(kind)), chosen(arguments(kind.fit)), chosen(of_cells(model))
        work.run(work.Request(kind, verb, settings=settings, training=training, choice=choice, **given))

    return run


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep from the terminal what TensorFlow's C++ side says when it starts, unless the environment asks for it.

    What it says later passes, the last words of a crash above all.
    """
    if os.environ["TF_CPP_MIN_LOG_LEVEL"] in ("0", "1"):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
