"""The command ``scgen``: models on own cells, data sets, and whatever commands other packages add."""

import os
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

import click

from scgen_lib import __version__, commands
from scgen_lib.errors import InputError, told


class Commands(click.Group):
    """Commands of this module, and those of the entry points ``scgen.commands``, loaded when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return sorted({*super().list_commands(ctx), *_added()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None."""
        if own := super().get_command(ctx, cmd_name):
            return own
        added = _added().get(cmd_name)
        return added and added.load()


def _added() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="scgen.commands")}


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def scgen() -> None:
    """Denoise, embed or simulate cells, fetch data, run a notebook or a row of an experiment, write the book."""


for command in (commands.denoise, commands.embed, commands.simulate):
    scgen.add_command(command)


@scgen.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--to", metavar="DIR", help="A folder to use as SCGEN_DATA_DIR; the cache if left out.")
def fetch(names: Sequence[str], to: str | None) -> None:
    """Download data sets, all or the named ones."""
    from scgen_lib import data

    data.prefetch(names or None, dest=to)


@scgen.command()
def datasets() -> None:
    """List the data sets."""
    from scgen_lib import data

    print(data.datasets().to_string(index=False, na_rep="?"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 if it failed, or 2 if the input was refused."""
    # A scheduler ends a job with SIGTERM: leave through the `finally` clauses, which remove half-written files.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        with scgen.make_context("scgen", list(sys.argv[1:] if arguments is None else arguments)) as context:
            scgen.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        print(error.format_message(), file=sys.stderr)
        return 2
    except InputError as error:
        print(error, file=sys.stderr)
        return getattr(error, "exit_status", 2)
    except BrokenPipeError:
        # The reader has seen enough (`scgen datasets | head`): leave nothing for the interpreter to flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(told(error), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
