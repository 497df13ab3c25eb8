"""The generated parts of the book: landing page, scorecard, findings, ledger, data sets; and the gate.

All paths are relative to the present folder, the top of the project.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from scgen_book import claims, markdown, originals, parameters, record
from scgen_book.batch import editions, executed, runner
from scgen_book.cells import read_notebook
from scgen_book.pages import answers, boxes, cards, downloads, findings, recorded, scorecard
from scgen_book.record import agreement
from scgen_lib import files
from scgen_lib.errors import InputError

GENERATED = Path("book/generated")


def write(edition: str, *, editions_dir: str = "workflow/editions") -> None:
    """Check that an edition is complete, and write the parts of the book that follow from it.

    Raises
    ------
    RunError
        If a run is missing, failed or out of date; one line a run.
    """
    entries = _in_order(gate(edition, editions_dir=editions_dir))
    runs = [_read(Path("results", edition, entry["run"], "records.json")) for entry in entries]
    pages = {entry["page"]: cards.figures(entry["page"]) for entry in entries}
    chapters = {entry["page"]: Path(entry["notebook"]).stem for entry in entries}
    places = {page: i for i, page in enumerate(pages)}
    kept, theirs = record.current(), originals.read(Path("benchmarks/originals"))
    table = scorecard.collect(edition, runs, kept)
    order = table["chapter"].map(places).fillna(len(places)).sort_values(kind="stable").index
    table = table.loc[order].reset_index(drop=True)
    answered = answers.of(entries)
    found = findings.rank({entry["page"]: run for entry, run in zip(entries, runs, strict=True)})
    for name, content in {
        "totals.md": scorecard.totals(table),
        "summary.md": scorecard.summary(table),
        "headlines.md": scorecard.drawn(scorecard.headlines(table), GENERATED / "headlines.png"),
        "papers.md": cards.listing(pages, chapters, table, answered, GENERATED),
        "scorecard.md": scorecard.listing(table, pages),
        "findings-table.md": findings.overview(found),
        "findings.md": findings.listing(found, pages),
        "findings.json": json.dumps(found, indent=1, ensure_ascii=False),
        "keras.md": originals.optimiser_table(*theirs),
        "originals.md": originals.beside(*theirs),
        "agreement.md": recorded.agreement_of(agreement.of_rows(kept, Path("results", edition))),
        "agreement-rule.md": agreement.RULE,
        "batches.md": recorded.batches(kept),
        "untested.md": markdown.table(["not tested", "meaning"], claims.UNTESTED.items()),
        "ledger.md": "\n".join(map(_ledger, entries)),
        "datasets.md": datasets(),
        "claims.csv": table.to_csv(index=False),
        "claims.json": table.to_json(orient="records", indent=1, force_ascii=False, double_precision=15),
    }.items():
        files.write_atomically(GENERATED / name, content)
    downloads.write(entries, GENERATED)
    answers.write(answered, GENERATED)
    boxes.write(entries, GENERATED)


def gate(edition: str, *, editions_dir: str = "workflow/editions") -> list[dict]:
    """Return the ledger entry of each run of an edition, all of them finished and up to date.

    Raises
    ------
    RunError
        If a run is missing, failed or out of date; one line a run.
    """
    entries, lines = [], []
    for name, run in editions.read_edition(Path(editions_dir) / f"{edition}.yml").items():
        folder, page = Path("results", edition, name), Path("book/executed", f"{run['page']}.ipynb")
        if fault := _fault(edition, run, folder, page):
            lines.append(f"Run {name} of edition {edition} {fault}")
        else:
            entries.append(_read(folder / "run.json") | {"page": run["page"]})
    if lines:
        raise runner.RunError("\n".join(lines))
    return entries


def _fault(edition: str, run: dict, folder: Path, page: Path) -> str | None:
    """Return why a run cannot be shown, or None."""
    if not (folder / "run.json").exists():
        return f"has not been run; do so with `make run EDITION={edition}`."
    entry = _read(folder / "run.json")
    if entry["status"] == runner.STARTED:
        return f"{runner.NO_END} Do so with `make run EDITION={edition}`."
    if entry["status"] != "ok":
        return f"failed with {runner.failure(entry, folder)}"
    try:
        spec = parameters.known(read_notebook(run["notebook"]), run["parameters"])
        values = parameters.check({"edition": edition} | run["parameters"], spec)
    except InputError as error:
        return f"cannot be run: {error}"
    again = f"run it again with `make run EDITION={edition}`."
    if runner.key(run["notebook"], values) != entry["key"]:
        return f"is out of date: notebook, parameters, sources, claims, lock or data have changed since; {again}"
    if not page.exists() or not (folder / "records.json").exists():
        return f"has lost its page or its records; {again}"
    if _read(page)["metadata"].get("scgen", {}).get("key") != entry["key"]:
        return f"is not the one that its page {page} shows; {again}"
    return None


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _ledger(entry: dict) -> str:
    facts = entry["provenance"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    rows = {
        "notebook": f"`{entry['notebook']}`, shown as {{doc}}`/book/executed/{entry['page']}`",
        "edition": entry["edition"],
        "status": entry["status"],
        "started": entry["started"].replace("T", " ").replace("+00:00", " UTC"),
        "duration": executed.duration(entry["duration_s"]),
        "hardware": markdown.escape(executed.machine(facts["hardware"])),
        "commit": f"`{facts['commit'] or 'unknown'}`",
        "lock file": f"`sha256 {(facts['lock_sha256'] or 'none')[:12]}`",
        "key": f"`{entry['key'][:12]}`",
        "versions": versions,
        "seed": str(entry["seed"]),
        "parameters": " ".join(f"`{name}={value!r}`" for name, value in entry["parameters"].items() if name != "out"),
    }
    return f"## Run {entry['run']}\n\n" + markdown.table(["", ""], [[name, value] for name, value in rows.items()])


def _in_order(entries: Iterable[dict]) -> list[dict]:
    """Sort runs by the place of their pages in the table of contents; pages that are not in it stand last."""
    contents = yaml.safe_load(Path("_toc.yml").read_text(encoding="utf-8"))
    places = {Path(chapter["file"]).name: i for i, chapter in enumerate(_chapters(contents))}
    return sorted(entries, key=lambda entry: places.get(entry["page"], len(places)))


def _chapters(contents: Mapping) -> Iterator[dict]:
    for part in contents["parts"]:
        yield from part["chapters"]


def datasets() -> str:
    """Return the table of the public data sets in Markdown."""
    import pandas as pd

    from scgen_lib import data

    def number(n: int) -> str:
        return f"{n:,}" if n else "–"

    rows = []
    for entry in data.datasets().itertuples(index=False):
        size = "?" if pd.isna(entry.bytes) else f"{entry.bytes / 1e6:.1f}"
        source = ". ".join(map(markdown.escape, (entry.accession, entry.licence, entry.citation)))
        name = f"`{entry.name}`<br>{markdown.escape(entry.title)}"
        rows.append([name, *map(number, (entry.cells, entry.genes, entry.labels)), entry.values, size, source])
    return markdown.table(["data set", "cells", "genes", "types", "values", "MB", "accession, licence, citation"], rows)
