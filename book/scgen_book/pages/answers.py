"""The answers at the head of the chapters and on the cards of the landing page."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from scgen_book import answers, markdown
from scgen_lib import files


def chapter_of(entry: Mapping) -> str:
    """Return the chapter whose notebook a run has executed."""
    return Path(entry["notebook"]).stem


def sentence(chapter: str) -> str:
    """Return the sentence that answers a chapter's question; empty for one that has no rule."""
    return answers.answer(chapter).sentence if chapter in answers.CHAPTERS else ""


def write(entries: Iterable[Mapping], generated: Path) -> None:
    """Write the answer of the page of each run, with the page's figure for the landing page below.

    Parameters
    ----------
    entries
        Ledger entries of runs, with their pages.
    generated
        Folder of the generated parts, where the figures lie.
    """
    for entry in entries:
        if chapter_of(entry) in answers.CHAPTERS:
            page = entry["page"]
            figure = generated / f"{page}.png"
            text = head(answers.answer(chapter_of(entry)), f"/{figure.as_posix()}" if figure.exists() else None)
            files.write_atomically(generated / "answers" / f"{page}.md", text)


def head(answer: answers.Answer, figure: str | None = None) -> str:
    """Return an answer in Markdown, as it stands at the head of a chapter."""
    lines = [f"**{markdown.escape(answer.sentence)}**", ""]
    lines += [f"- {markdown.escape(takeaway)}" for takeaway in answer.takeaways]
    if figure and answer.word != answers.UNKNOWN:
        lines += ["", f"```{{image}} {figure}", ":alt: The chapter's main figure, with its caption below.", "```"]
    ends = "" if answer.word == answers.UNKNOWN else "\nBy rule from {doc}`the record </book/scorecard>`.\n"
    return "`````{admonition} Answer\n:class: important answer\n" + "\n".join(lines) + f"\n{ends}`````\n"
