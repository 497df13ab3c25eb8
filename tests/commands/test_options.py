import importlib
import os
import pkgutil
import subprocess
import sys

import click
import pytest

from scgen_lib import commands, models
from scgen_lib.commands import options
from scgen_lib.errors import ParameterError
from scgen_lib.settings import arguments
from scgen_lib.values import plain

VERBS = {group.name: group for group in (commands.denoise, commands.embed, commands.simulate)}
MODELS = [(verb, model) for verb, group in VERBS.items() for model in group.commands]


def kind_of(model):
    return getattr(importlib.import_module(f"scgen_lib.models.{model}"), commands.MODELS[model][0])


def test_every_model_has_a_command_for_what_it_can_do():
    names = [module.name for module in pkgutil.iter_modules(models.__path__) if module.ispkg]
    assert sorted(commands.MODELS) == sorted(names)
    assert all(kind_of(name).key == name for name in names)
    for verb, group in VERBS.items():
        assert sorted(group.commands) == [name for name in sorted(names) if hasattr(kind_of(name), verb)]


@pytest.mark.parametrize(("verb", "model"), MODELS)
def test_every_declared_argument_is_an_option_with_its_default_and_legal_values(verb, model):
    kind, command = kind_of(model), options.command(verb, model)
    named = {parameter.name: parameter for parameter in command.params}
    assert len(named) == len(command.params)  # none has the name of another
    flags = [flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)]
    assert len(set(flags)) == len(flags)
    declared = arguments(kind) | arguments(kind.fit)
    for name in options.WITHOUT:
        declared.pop(name)
    assert len(declared) > 10
    help_ = " ".join(command.get_help(click.Context(command, info_name=model, terminal_width=1000)).split())
    for name, argument in declared.items():
        option = named[name]
        assert option.opts == [f"--{name.replace('_', '-')}"]
        told = option.help
        for part in (argument.option.meaning[1:], argument.option.origin, argument.option.finding or ""):
            assert part.replace("`", "") in told.replace("`", "")
        assert argument.legal == "any" or argument.legal in told
        if argument.type is bool:
            assert option.secondary_opts == [f"--no-{name.replace('_', '-')}"]
        else:
            text = told.rpartition("Default: ")[2].removesuffix(".")
            assert plain(option.type(text)) == plain(argument.default)
        assert " ".join(told.split()) in help_
    sections = ["Files and cells:", "Training:", "Model:", "Help:"]
    assert [help_.index(section) for section in sections] == sorted(map(help_.index, sections))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("3", int, 3),
        ("3.5", int, "3.5"),
        ("1e-3", float, 1e-3),
        ("none", float | None, None),
        ("none", str, "none"),
        ("64, 32,64", list[int], [64, 32, 64]),
        ("[64]", list[int], [64]),
        ("", list[int], []),
        ("a,1", list[int], ["a", 1]),
    ],
)
def test_a_text_is_read_by_the_type_of_the_argument(text, kind, value):
    assert options.read(text, kind) == value


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("hidden", "64,x"),
        ("epochs", "0"),
        ("epochs", "1.5"),
        ("activation", "tanh"),
        ("clip_value", "-1"),
        ("l1", "nan"),
    ],
)
def test_an_illegal_value_is_refused_by_the_name_of_the_option(flag, text):
    named = {parameter.name: parameter for parameter in options.command("denoise", "dca").params}
    with pytest.raises(ParameterError, match=f"^expected --{flag.replace('_', '-')} to be .*, got '{text}': set a"):
        named[flag].type(text)


def test_what_is_not_needed_for_the_help_is_not_loaded():
    code = (
        "import sys; from scgen_lib import cli; cli.main(['--help']); cli.main(['denoise', '--help']); "
        "print(*(name for name in ('tensorflow', 'numpy', 'anndata') if name in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "\n"
    assert "  denoise  " in done.stdout
    assert "  dca     Deep count autoencoder" in done.stdout


def test_the_standard_error_is_hidden_from_programs_while_tensorflow_starts(capfd, monkeypatch):
    def say():
        os.write(2, b"I0000 a line\n")

    with options.quiet():
        say()
    assert capfd.readouterr().err == ""
    say()
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    with options.quiet():
        say()
    assert capfd.readouterr().err == "I0000 a line\n" * 2
