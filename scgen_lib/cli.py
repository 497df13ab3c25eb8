"""The command ``scgen``: run a notebook or a row of a comparison, fetch data, write the book's generated pages."""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence

import click

from scgen_lib import __version__
from scgen_lib.errors import InputError, told

ONE_GPU = click.option(
    "--one-gpu",
    is_flag=True,
    help="See one GPU only, which no other command with this option holds; wait until one is free.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(version)s")
def scgen() -> None:
    """Run a notebook or a row of a comparison, fetch data, write the book's generated pages."""


# As papermill's, an option takes its values whatever they look like: `-p level -1e-3`.
@scgen.command()
@click.argument("notebook")
@click.argument("output")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE", help="A parameter; may be repeated.")
@click.option(
    "-f",
    "files",
    multiple=True,
    metavar="FILE",
    help="YAML file of parameters; - is the standard input. Of several, and of -p, the last one counts.",
)
@click.option("--run-dir", metavar="DIR", help="Folder of the records and of run.json.")
@click.option("--edition", default="own", show_default=True)
@ONE_GPU
def run(
    notebook: str,
    output: str,
    parameters: Sequence[tuple[str, str]],
    files: Sequence[str],
    run_dir: str | None,
    edition: str,
    one_gpu: bool,
) -> None:
    """Execute NOTEBOOK with checked parameters; OUTPUT is written only when the whole notebook has run."""
    from scgen_lib import gpus, runner

    given = _read(files) | dict(parameters)
    with gpus.one() if one_gpu else contextlib.nullcontext():
        runner.run(notebook, output, parameters=given, run_dir=run_dir, edition=edition)


@scgen.command()
@click.argument("comparison")
@click.option("--dataset", required=True)
@click.option("--method", required=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", required=True, metavar="FILE", help="The row as JSON, or the reason why there is none.")
@click.option(
    "-f",
    "files",
    multiple=True,
    metavar="FILE",
    help="YAML file of settings; - is the standard input. The others are the defaults of its notebook.",
)
@click.option("--attempt", type=int, metavar="N", help="Compute it in a process that may die (see --tries).")
@click.option("--tries", type=int, default=1, help="After so many attempts the death is the reason of a gap.")
@ONE_GPU
def row(
    comparison: str,
    dataset: str,
    method: str,
    seed: int,
    out: str,
    files: Sequence[str],
    attempt: int | None,
    tries: int,
    one_gpu: bool,
) -> None:
    """Compute one row of COMPARISON: a data set, a method and a seed."""
    from scgen_lib import gpus, runner, sweeps

    asked = sweeps.Row(comparison, dataset, method, seed, sweeps.settings(comparison, _read(files)))
    with gpus.one() if one_gpu else contextlib.nullcontext():
        found = sweeps.compute(asked, out, attempt=attempt, tries=tries)
    name = f"{comparison} {dataset} {method} {seed}"
    if found is None:
        raise runner.RunError(f"{name}: the process died at try {attempt} of {tries}; start it again.")
    print(f"{name}: {found['reason'] or 'ok'} ({runner.duration(found['duration_s'])})")


def _read(files: Sequence[str]) -> Mapping[str, object]:
    from scgen_lib import runner

    return {name: value for file in files for name, value in runner.read_parameters(file).items()}


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


@scgen.command()
@click.option("--edition", default="quick", show_default=True)
@click.option("--editions-dir", default="workflow/editions", show_default=True)
def pages(edition: str, editions_dir: str) -> None:
    """Check that every run of an edition is there, and write its pages."""
    from scgen_lib import pages

    pages.write(edition, editions_dir=editions_dir)


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
