"""The book's commands of ``scgen``: run a notebook or a row of an experiment, write the generated pages."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import click

from scgen_lib.errors import InputError

ONE_GPU = click.option(
    "--one-gpu",
    is_flag=True,
    help="See one GPU only, which no other command with this option holds; wait until one is free.",
)


@contextlib.contextmanager
def _extra() -> Iterator[None]:
    """Say what to install where a package of the extra is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(
            f"expected the packages of the book, got none of {error.name}: install scgen_lib[book]"
        ) from error


# As papermill's, an option takes its values whatever they look like: `-p level -1e-3`.
@click.command()
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
    """Execute NOTEBOOK, a file or the name of a chapter, with checked parameters.

    OUTPUT is written only when the whole notebook has run.
    """
    with _extra():
        import papermill  # noqa: F401 (the runner asks for it late, when it has written already)

        from scgen_book import notebooks
        from scgen_book.batch import gpus, runner

    source = notebooks.find(notebook)
    given = _read(files) | dict(parameters)
    with gpus.one() if one_gpu else contextlib.nullcontext():
        runner.run(source, output, parameters=given, run_dir=run_dir, edition=edition)


@click.command()
@click.argument("experiment")
@click.option("--dataset", required=True)
@click.option("--method", required=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--out", required=True, metavar="FILE", help="The row as JSON, or the reason why there is none.")
@click.option(
    "-f",
    "files",
    multiple=True,
    metavar="FILE",
    help="YAML file of settings; - is the standard input. The others are the defaults of its chapter.",
)
@click.option("--attempt", type=int, metavar="N", help="Compute it in a process that may die (see --tries).")
@click.option("--tries", type=int, default=1, help="After so many attempts the death is the reason of a gap.")
@ONE_GPU
def row(
    experiment: str,
    dataset: str,
    method: str,
    seed: int,
    out: str,
    files: Sequence[str],
    attempt: int | None,
    tries: int,
    one_gpu: bool,
) -> None:
    """Compute one row of EXPERIMENT: a data set, a method and a seed."""
    with _extra():
        import nbformat  # noqa: F401 (the settings that are not given stand in a notebook)

        from scgen_book.batch import executed, gpus, rows, runner

    asked = rows.Row(experiment, dataset, method, seed, rows.settings(experiment, _read(files)))
    with gpus.one() if one_gpu else contextlib.nullcontext():
        found = rows.compute(asked, out, attempt=attempt, tries=tries)
    name = f"{experiment} {dataset} {method} {seed}"
    if found is None:
        raise runner.RunError(f"{name}: the process died at try {attempt} of {tries}; start it again.")
    print(f"{name}: {found['reason'] or 'ok'} ({executed.duration(found['duration_s'])})")


def _read(files: Sequence[str]) -> Mapping[str, object]:
    from scgen_book.batch import editions

    return {name: value for file in files for name, value in editions.read_parameters(file).items()}


@click.command()
@click.option("--edition", default="quick", show_default=True)
@click.option("--editions-dir", default="workflow/editions", show_default=True)
def pages(edition: str, editions_dir: str) -> None:
    """Check that every run of an edition is there, and write its pages."""
    with _extra():
        import nbformat  # noqa: F401 (the notebooks that are offered for download)

        from scgen_book import pages

    pages.write(edition, editions_dir=editions_dir)


@click.command()
@click.argument("edition")
@click.option("--rows", "each", is_flag=True, help="Every row by itself.")
@click.option("--editions-dir", default="workflow/editions", show_default=True)
def plan(edition: str, each: bool, editions_dir: str) -> None:
    """List the rows of EDITION: how many the record has, and the core-hours of the others."""
    with _extra():
        from scgen_book.batch import plan
        from scgen_book.record import Record

    asked = plan.rows(edition, Record(), editions=editions_dir)
    print(plan.listed(asked) if each else plan.table(asked))


@click.command()
@click.argument("edition")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Experiment, run, data set or method whose rows are computed; may be repeated.",
)
@click.option("--hours", type=float, help="After which no further row is begun.")
@click.option("--jobs", type=click.IntRange(min=1), help="Rows at a time, a core each; as many as there are cores.")
@click.option("--editions-dir", default="workflow/editions", show_default=True)
def record(edition: str, only: Sequence[str], hours: float | None, jobs: int | None, editions_dir: str) -> None:
    """Compute the rows of EDITION that the record lacks, and write each down as soon as it is there."""
    with _extra():
        from scgen_book.batch import recording
        from scgen_book.record import Record

    kept = Record()
    written = recording.record(edition, kept, only=only, hours=hours, jobs=jobs, editions=editions_dir, told=_told)
    print(f"{written} rows were written down in {kept.folder}, which has {len(kept.rows)}.")


@click.command()
@click.option("--rows", "number", type=click.IntRange(min=1), default=5, show_default=True, help="How many.")
@click.option("--experiment", help="Of which experiment; of any.")
@click.option("--longest", type=float, metavar="SECONDS", help="Draw only rows that took no more of a core.")
@click.option("--seed", type=int, help="Of the draw; another one each time.")
@click.option("--jobs", type=click.IntRange(min=1), help="Rows at a time, a core each; as many as there are cores.")
def verify(number: int, experiment: str | None, longest: float | None, seed: int | None, jobs: int | None) -> None:
    """Compute rows of the record once more, drawn at random; one that differs fails."""
    with _extra():
        from scgen_book.batch import recording
        from scgen_book.record import Record, agreement

    kept, found = Record(), []
    rows = agreement.drawn(kept, number, experiment=experiment, longest_s=longest, seed=seed)
    if not rows:
        raise InputError(f"expected rows in {kept.folder}, got none of that kind: ask for others (see `scgen plan`)")
    for one in recording.again(kept, rows, jobs=jobs):
        _told(str(one))
        found.append(one)
    print(agreement.told(found))
    if differing := [str(one) for one in found if one.word == agreement.DIFFERENT]:
        raise InputError("\n".join(["expected the recorded numbers, got others: find out why", *differing]))


def _told(line: str) -> None:
    print(line, flush=True)
