"""The answers at the head of the chapters and on the cards of the landing page."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from scgen_book import answers, markdown
from scgen_lib import files


def of(entries: Iterable[Mapping]) -> dict[str, answers.Answer]:
    """Return the answer of the page of each run whose chapter has a rule for one, from the ledger entries of runs."""
    chapters = {entry["page"]: Path(entry["notebook"]).stem for entry in entries}
    return {page: answers.answer(chapter) for page, chapter in chapters.items() if chapter in answers.CHAPTERS}


def write(found: Mapping[str, answers.Answer], generated: Path) -> None:
    """Write answers, each with its page's figure for the landing page below.

    Parameters
    ----------
    found
        Result of `of`.
    generated
        Folder of the generated parts, where the figures lie.
    """
    for page, answer in found.items():
        figure = generated / f"{page}.png"
        text = head(answer, f"/{figure.as_posix()}" if figure.exists() else None)
        files.write_atomically(generated / "answers" / f"{page}.md", text)


def head(answer: answers.Answer, figure: str | None = None) -> str:
    """Return an answer in Markdown, as it stands at the head of a chapter."""
    lines = [f"**{markdown.escape(answer.sentence)}**", ""]
    if figure and answer.word != answers.UNKNOWN:
        # before the list, which on a desk flows around it
        lines += [f"```{{image}} {figure}", ":alt: The same in a figure.", ":width: 20em", "```", ""]
    lines += [f"- {markdown.escape(takeaway)}" for takeaway in answer.takeaways]
    ends = "" if answer.word == answers.UNKNOWN else "\nBy rule from {doc}`the record </book/scorecard>`.\n"
    return "`````{admonition} Answer\n:class: important answer\n" + "\n".join(lines) + f"\n{ends}`````\n"
