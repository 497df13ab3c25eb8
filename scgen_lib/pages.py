"""The generated parts of the book: scorecard, run ledger, data sets; and the gate before them.

All paths are relative to the present folder, the top of the project.
"""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scgen_lib import claims, downloads, parameters, provenance, results, runner
from scgen_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

GENERATED = Path("book/generated")


def write(edition: str, *, editions_dir: str = "workflow/editions") -> None:
    """Check that an edition is complete, and write the parts of the book that follow from it.

    Raises
    ------
    RunError
        If a run is missing, failed or out of date; one line a run.
    """
    entries = gate(edition, editions_dir=editions_dir)
    table = scorecard(edition, [entry["run"] for entry in entries])
    data = datasets()
    figures = {entry["page"]: figure for entry in entries if (figure := _figure(entry["page"]))}
    for name, content in {
        "summary.md": _summary(table),
        "figures.md": "\n".join(_figure_link(page, caption) for page, (_, caption) in figures.items()),
        **{f"{page}.png": image for page, (image, _) in figures.items()},
        "scorecard.md": _claims(table),
        "ledger.md": "\n".join(map(_ledger, entries)),
        "datasets.md": data,
        "claims.csv": table.to_csv(index=False),
        "claims.json": table.to_json(orient="records", indent=1, force_ascii=False),
    }.items():
        provenance.write_atomically(GENERATED / name, content)
    downloads.write(entries, GENERATED)


def gate(edition: str, *, editions_dir: str = "workflow/editions") -> list[dict]:
    """Return the ledger entry of each run of an edition, all of them finished and up to date.

    Raises
    ------
    RunError
        If a run is missing, failed or out of date; one line a run.
    """
    entries, lines = [], []
    for name, run in runner.read_edition(Path(editions_dir) / f"{edition}.yml").items():
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
    if entry["status"] != "ok":
        return f"failed with {entry['error']}; see {folder / 'failed.ipynb'}."
    try:
        values = parameters.check({"edition": edition} | run["parameters"], parameters.from_notebook(run["notebook"]))
    except InputError as error:
        return f"cannot be run: {error}"
    again = f"run it again with `make run EDITION={edition}`."
    if runner.key(run["notebook"], values) != entry["key"]:
        return f"is out of date: notebook, parameters, library, lock or data have changed since; {again}"
    if not page.exists() or not (folder / "records.json").exists():
        return f"has lost its page or its records; {again}"
    if _read(page)["metadata"].get("scgen", {}).get("key") != entry["key"]:
        return f"is not the one that its page {page} shows; {again}"
    return None


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def scorecard(edition: str, runs: Iterable[str]) -> "pd.DataFrame":
    """Return all claims beside the values of an edition's runs (see :func:`scgen_lib.results.compare`)."""
    import pandas as pd

    tables = []
    for name in runs:
        content = _read(Path("results", edition, name, "records.json"))
        tables.append(results.compare(claims.claims(), content["records"], content.get("parameters")))
    table = pd.concat(tables or [results.compare(claims.claims(), [])])
    # A claim that one run does not touch may be judged by another one.
    idle = table["seeds"].eq(0) & table["verdict"].eq(claims.NOT_TESTED)
    busy = set(table.loc[~idle, "claim"])
    table = table[~(idle & table["claim"].isin(busy))].drop_duplicates(["claim", "variant", "dataset", "mean"])
    order = {item.id: place for place, item in enumerate(claims.claims())}
    table = table.sort_values("claim", key=lambda column: column.map(order), kind="stable", ignore_index=True)
    table.insert(0, "paper", table["claim"].map({item.id: item.paper for item in claims.claims()}))
    return table.assign(edition=edition)


def _headline(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep one row a claim: the variant of the released code where there are several."""
    ranked = table.assign(rank=(~table["variant"].isin(["faithful"]) & table["variant"].notna()).astype(int))
    return ranked.sort_values("rank", kind="stable").drop_duplicates("claim").sort_index()


def _summary(table: "pd.DataFrame") -> str:
    counted = _headline(table)
    rows = []
    for paper, part in counted.groupby("paper", sort=False):
        counts = [str(int((part["verdict"] == word).sum())) for word in claims.SHAPES]
        rows.append([f"{{cite}}`{paper}`", str(len(part)), *counts])
    heads = ["paper", "claims", *(_verdict(word) for word in claims.SHAPES)]
    judged = counted[counted["verdict"] != claims.NOT_TESTED]
    text = _markdown(heads, rows)
    return text + ("\n" + _rows(judged) if len(judged) else "\nNo claim has been judged by this edition.\n")


def _claims(table: "pd.DataFrame") -> str:
    parts = [f"## {{cite:t}}`{paper}`\n\n{_rows(part)}" for paper, part in table.groupby("paper", sort=False)]
    return "\n".join(parts)


def _rows(table: "pd.DataFrame") -> str:
    text = results.words(table).map(_plain)
    text["verdict"] = [_verdict(word) for word in table["verdict"]]
    return _markdown(list(text.columns), text.to_numpy().tolist())


def _verdict(word: str) -> str:
    return f'<span class="verdict {word.replace(" ", "-")}">{claims.SHAPES[word]} {word}</span>'


def _ledger(entry: dict) -> str:
    facts = entry["provenance"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    rows = {
        "notebook": f"`{entry['notebook']}`, shown as {{doc}}`/book/executed/{entry['page']}`",
        "edition": entry["edition"],
        "status": entry["status"],
        "started": entry["started"].replace("T", " ").replace("+00:00", " UTC"),
        "duration": runner.duration(entry["duration_s"]),
        "hardware": _plain(runner.machine(facts["hardware"])),
        "commit": f"`{facts['commit'] or 'unknown'}`",
        "lock file": f"`sha256 {(facts['lock_sha256'] or 'none')[:12]}`",
        "key": f"`{entry['key'][:12]}`",
        "versions": versions,
        "seed": str(entry["seed"]),
        "parameters": " ".join(f"`{name}={value!r}`" for name, value in entry["parameters"].items() if name != "out"),
    }
    return f"## Run {entry['run']}\n\n" + _markdown(["", ""], [[name, value] for name, value in rows.items()])


def _figure(page: str) -> tuple[bytes, str] | None:
    """Return a chapter's figure for the landing page and its caption: the first image of the cell tagged `landing`."""
    notebook = _read(Path("book/executed", f"{page}.ipynb"))
    for cell in notebook["cells"]:
        if "landing" in cell["metadata"].get("tags", ()):
            for output in cell["outputs"]:
                if image := output.get("data", {}).get("image/png"):
                    figure = cell["metadata"].get("mystnb", {}).get("figure", {})
                    return base64.b64decode("".join(image)), figure.get("caption", "")
    return None


def _figure_link(page: str, caption: str) -> str:
    return (
        f"```{{figure}} generated/{page}.png\n:target: executed/{page}.html\n:alt: {caption or page}\n\n"
        f"{_plain(caption)} From {{doc}}`executed/{page}`.\n```\n"
    )


def datasets() -> str:
    """Return the table of the public data sets in Markdown."""
    from scgen_lib import data

    table = data.datasets().astype(object).fillna("?")
    return _markdown(
        list(table.columns), [[_plain(str(cell)) for cell in row] for row in table.itertuples(index=False)]
    )


def _plain(text: str) -> str:
    """Escape what Markdown would take for markup."""
    return re.sub(r"([\\|*_<>$\[\]`{}~#])", r"\\\1", " ".join(text.split()))


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"
