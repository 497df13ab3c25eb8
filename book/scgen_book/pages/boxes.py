"""The boxes at the head of a chapter that a notebook does not write: whether to use a method, and on what it ran."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from scgen_book import markdown
from scgen_book.answers import advice
from scgen_book.batch import executed
from scgen_lib import files

#: What is cited of today's alternatives, a list in Markdown a chapter.
CITED = Path("book/advice")


def write(entries: Iterable[Mapping], generated: Path) -> None:
    """Write the boxes of the page of each run, from the ledger entries of runs, into the folder of generated parts."""
    for entry in entries:
        chapter = Path(entry["notebook"]).stem
        boxes = {"environment": environment(entry)}
        if chapter in advice.CONTESTS:
            boxes["advice"] = use(chapter)
        for name, text in boxes.items():
            files.write_atomically(generated / name / f"{entry['page']}.md", text)


def use(chapter: str) -> str:
    """Return in Markdown what the record says for or against the use of a chapter's methods, and what is cited."""
    said = [(markdown.escape(point), sentence) for point, sentence in advice.lines(chapter)]
    ours = "".join(f"- **{point}**{sentence}\n" for point, sentence in said)
    cited = (CITED / f"{chapter}.md").read_text(encoding="utf-8")
    return f"`````{{admonition}} Should I use it?\n:class: note advice\n{ours}{cited}`````\n"


def environment(entry: Mapping) -> str:
    """Return in Markdown what the run of a ledger entry ran on, folded."""
    facts = entry["provenance"]
    hardware = facts["hardware"]
    rows = [
        *facts["versions"].items(),
        ("lock file", f"`sha256 {(facts['lock_sha256'] or 'none')[:12]}`"),
        ("processor", markdown.escape(hardware["cpu"])),
        ("cores", hardware["cores"]),
        ("GPU", markdown.escape(", ".join(hardware["gpus"]) or "none")),
        ("duration", executed.duration(entry["duration_s"])),
    ]
    table = markdown.table(["", ""], [[name, str(value)] for name, value in rows])
    return f"`````{{admonition}} Environment of this run\n:class: tip dropdown\n{table}`````\n"
