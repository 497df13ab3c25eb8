"""The command ``scgen``: run a notebook or a row of a comparison, fetch data, write the book's generated pages."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence

from scgen_lib import __version__
from scgen_lib.errors import InputError

ONE_GPU = "see one GPU only, which no other command with this option holds; wait until one is free"


def _run(options: argparse.Namespace) -> None:
    from scgen_lib import gpus, runner

    given = runner.read_parameters(options.file) if options.file else {}
    given |= dict(options.parameters)
    with gpus.one() if options.one_gpu else contextlib.nullcontext():
        runner.run(options.notebook, options.output, parameters=given, run_dir=options.run_dir, edition=options.edition)


def _row(options: argparse.Namespace) -> None:
    from scgen_lib import gpus, runner, sweeps

    settings = runner.read_parameters(options.file) if options.file else {}
    settings = sweeps.settings(options.comparison, settings)
    row = sweeps.Row(options.comparison, options.dataset, options.method, options.seed, settings)
    with gpus.one() if options.one_gpu else contextlib.nullcontext():
        found = sweeps.compute(row, options.out, attempt=options.attempt, tries=options.tries)
    name = f"{row.comparison} {row.dataset} {row.method} {row.seed}"
    if found is None:
        raise runner.RunError(f"{name}: the process died at try {options.attempt} of {options.tries}; start it again.")
    print(f"{name}: {found['reason'] or 'ok'} ({runner.duration(found['duration_s'])})")


def _fetch(options: argparse.Namespace) -> None:
    from scgen_lib import data

    data.prefetch(options.names or None, dest=options.to)


def _datasets(options: argparse.Namespace) -> None:
    from scgen_lib import data

    print(data.datasets().to_string(index=False, na_rep="?"))


def _pages(options: argparse.Namespace) -> None:
    from scgen_lib import pages

    pages.write(options.edition, editions_dir=options.editions_dir)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scgen", description=__doc__.splitlines()[0])
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="execute a notebook with checked parameters")
    run.add_argument("notebook")
    run.add_argument("output", help="the executed copy; written only when the whole notebook has run")
    run.add_argument("-p", nargs=2, action="append", default=[], dest="parameters", metavar=("NAME", "VALUE"))
    run.add_argument("-f", dest="file", metavar="FILE", help="YAML file of parameters; - is the standard input")
    run.add_argument("--run-dir", help="folder of the records and of run.json")
    run.add_argument("--edition", default="own")
    run.add_argument("--one-gpu", action="store_true", help=ONE_GPU)
    run.set_defaults(command=_run)

    row = commands.add_parser("row", help="compute one row of a comparison: a data set, a method and a seed")
    row.add_argument("comparison")
    row.add_argument("--dataset", required=True)
    row.add_argument("--method", required=True)
    row.add_argument("--seed", type=int, default=0)
    row.add_argument("--out", required=True, metavar="FILE", help="the row as JSON, or the reason why there is none")
    row.add_argument(
        "-f",
        dest="file",
        metavar="FILE",
        help="YAML file of settings; - is the standard input; the others are the defaults of its notebook",
    )
    row.add_argument("--attempt", type=int, metavar="N", help="compute it in a process that may die (see --tries)")
    row.add_argument("--tries", type=int, default=1, help="after so many attempts the death is the reason of a gap")
    row.add_argument("--one-gpu", action="store_true", help=ONE_GPU)
    row.set_defaults(command=_row)

    fetch = commands.add_parser("fetch", help="download data sets, all or the named ones")
    fetch.add_argument("names", nargs="*", metavar="NAME")
    fetch.add_argument("--to", metavar="DIR", help="a folder to use as SCGEN_DATA_DIR; the cache if left out")
    fetch.set_defaults(command=_fetch)

    commands.add_parser("datasets", help="list the data sets").set_defaults(command=_datasets)

    pages = commands.add_parser("pages", help="check that every run of an edition is there, and write its pages")
    pages.add_argument("--edition", default="quick")
    pages.add_argument("--editions-dir", default="workflow/editions")
    pages.set_defaults(command=_pages)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 if a run failed, or 2 if the input was refused."""
    options = _parser().parse_args(arguments)
    # A scheduler ends a job with SIGTERM: leave through the `finally` clauses, which remove half-written files.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        options.command(options)
        sys.stdout.flush()
    except InputError as error:
        print(error, file=sys.stderr)
        return getattr(error, "exit_status", 2)
    except BrokenPipeError:
        # The reader has seen enough (`scgen datasets | head`): leave nothing for the interpreter to flush at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
