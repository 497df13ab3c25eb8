"""Link the first place of each word of the glossary in a chapter, and show its meaning where a pointer rests on it."""

import json
import re

from docutils import nodes
from sphinx.application import Sphinx

GLOSSARY, CHAPTERS = "book/glossary", "book/executed/"
# Code, formulas, roles, links, tags and what is set off already: no place for a link.
KEPT = re.compile(r"(`[^`]*`|\$[^$]*\$|\{[\w:-]+\}`[^`]*`|\[[^\]]*\](?:\([^)]*\))?|<[^>]*>|\*\*[^*]*\*\*)")
# A paragraph of prose: no heading, table, directive, fence, label or list of parameters.
PROSE = re.compile(r"^(?![#|:`(>$~]|\s*$)")
# Cells of the page that have no prose or are mostly code, or that a reader meets first.
UNLINKED = ("question", "citation", "downloads", "environment", "exercises")
# Ordinary words that stand in nearly every sentence in another sense.
COMMON = {"code", "control", "prior", "epoch", "posterior"}


def terms(text: str) -> list[str]:
    """Return the words that a glossary defines, long ones first."""
    _, _, inside = text.partition("{glossary}")
    found = re.findall(r"^(\w.*)\n  ", inside, re.MULTILINE)
    return sorted(found, key=len, reverse=True)


def linked(markdown: str, open_terms: list[str]) -> str:
    """Return Markdown with a link at the first place of each term in prose; those are taken out of the list."""
    lines, fenced = markdown.split("\n"), False
    for i, line in enumerate(lines):
        mark = line.strip()
        if mark.startswith("```") or mark == "$$":
            fenced = not fenced
        if fenced or mark.startswith(("```", ":::", "$$")) or not PROSE.match(line):
            continue
        pieces = KEPT.split(line)
        for j in range(0, len(pieces), 2):
            for term in list(open_terms):
                flags = 0 if term.isupper() else re.IGNORECASE
                place = re.search(rf"(?<![\w-]){re.escape(term)}s?(?![\w-])", pieces[j], flags)
                if place:
                    before, after = pieces[j][: place.start()], pieces[j][place.end() :]
                    pieces[j] = f"{before}{{term}}`{place.group()} <{term}>`{after}"
                    open_terms.remove(term)
                    break  # what follows in this piece waits for the next line
        lines[i] = "".join(pieces)
    return "\n".join(lines)


def link(app: Sphinx, docname: str, source: list[str]) -> None:
    """Link the terms of a chapter."""
    if not docname.startswith(CHAPTERS):
        return
    with open(f"{app.srcdir}/{GLOSSARY}.md", encoding="utf-8") as file:
        left = [term for term in terms(file.read()) if term not in COMMON]
    notebook = json.loads(source[0])
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and cell.get("id") not in UNLINKED:
            cell["source"] = linked("".join(cell["source"]), left)
    source[0] = json.dumps(notebook)


def explain(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Give links to the glossary the meaning of their word as a title."""
    if not docname.startswith(CHAPTERS):
        return
    meanings = {}
    for item in app.env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        *words, meaning = item.children
        for word in words:
            meanings |= dict.fromkeys(word["ids"], " ".join(meaning.astext().split()))
    for reference in doctree.findall(nodes.reference):
        _, _, anchor = reference.get("refuri", "").partition("glossary.html#")
        if anchor in meanings:
            reference["reftitle"] = meanings[anchor]


def setup(app: Sphinx) -> dict:
    """Run after the chapters are dressed."""
    app.connect("source-read", link, priority=600)
    app.connect("doctree-resolved", explain, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
