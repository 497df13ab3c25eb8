"""The cards of the landing page: a chapter each, with a figure from the record, its question, answer and verdicts."""

import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scgen_book import claims, markdown
from scgen_book.answers import Answer, cards
from scgen_book.pages import scorecard
from scgen_lib import files

if TYPE_CHECKING:
    import pandas as pd


def figures(page: str) -> dict[str, dict]:
    """Return the figures that a page shows, by label: caption, PNG, and whether the landing page may take it."""
    found = {}
    for cell in json.loads(Path("book/executed", f"{page}.ipynb").read_text(encoding="utf-8"))["cells"]:
        about = cell["metadata"].get("mystnb", {}).get("figure", {})
        images = [output.get("data", {}).get("image/png") for output in cell.get("outputs", ())]
        if (image := next(filter(None, images), None)) and "name" in about:
            landing = "landing" in cell["metadata"].get("tags", ())
            found[about["name"]] = {"caption": about.get("caption", ""), "image": image, "landing": landing}
    return found


def listing(
    pages: Mapping[str, Mapping[str, dict]],
    chapters: Mapping[str, str],
    table: "pd.DataFrame",
    answered: Mapping[str, Answer],
    generated: Path,
) -> str:
    """Return a card for each page in Markdown, and write its figure: that of the record, else one of the page.

    Parameters
    ----------
    pages
        Results of `figures` by page; one without a figure for the landing page has no card.
    chapters
        Chapters by page.
    table
        The scorecard.
    answered
        Answers by page.
    generated
        Folder of the generated parts; it gets ``<page>.png``.
    """
    papers = {paper.chapter: paper for paper in claims.papers()}
    written = []
    for page, shown in pages.items():
        landing = next(((label, figure) for label, figure in shown.items() if figure["landing"]), None)
        if landing is None:
            continue
        label, figure = landing
        image, words = drawn(chapters[page]) or (base64.b64decode("".join(figure["image"])), figure["caption"])
        files.write_atomically(generated / f"{page}.png", image)
        lines = [":::{card-header}", f"{{doc}}`/book/executed/{page}`", ":::", ""]
        lines += [f"```{{image}} generated/{page}.png", f":target: executed/{page}.html#{label}"]
        lines += [f":alt: {words}", "```", ""]
        if page in papers:
            lines += [f"{markdown.escape(papers[page].question)} {{cite}}`{papers[page].key}`", ""]
        lines += [f"**{markdown.escape(answered[page].sentence)}**"] if page in answered else []
        if page in papers:
            lines += ["", ":::{card-footer}", scorecard.marks(table[table["chapter"] == page]), ":::"]
        written.append("::::{grid-item-card}\n" + "\n".join(lines) + "\n::::\n")
    return ":::::{grid} 1 1 2 2\n:gutter: 3\n\n" + "\n".join(written) + ":::::\n" if written else ""


def drawn(chapter: str) -> tuple[bytes, str] | None:
    """Return the figure of a chapter's card as PNG, and what it shows in words; None while the record has nothing."""
    from scgen_book.plots.cards import card

    found = cards.card(chapter) if chapter in cards.SHOWN else None
    if found is None:
        return None
    image = io.BytesIO()
    card(found.scores, found.label, found.data).savefig(image, format="png", dpi=200)
    numbers = ", ".join(f"{name} {mean:.2f}" for name, (mean, *_) in found.scores.items())
    return image.getvalue(), f"{found.label}, {found.data}: {numbers}."
