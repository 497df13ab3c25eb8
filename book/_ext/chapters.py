"""Give the chapters what belongs to the site and not to the notebooks: their head, downloads, and launch buttons."""

import gc
import json
import re
from pathlib import Path

import yaml
from sphinx.application import Sphinx

EXECUTED = "book/executed/"


# So many takeaways are seen at once.
FIRST = 5


def dress(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the answer of the record below a chapter's question, then advice, what this run shows, files and the like.

    What is long is folded, and the exercises stand last.
    """
    if not docname.startswith(EXECUTED):
        return
    from scgen_book.pages import folding

    notebook, page = json.loads(source[0]), docname.removeprefix(EXECUTED)
    cells = notebook["cells"]
    for cell in cells:
        name(cell)
    parts = ("answers", "advice", "downloads", "environment")
    answer, advice, files, environment = (_read(app, "book/generated", folder, page) for folder in parts)
    blocks = {
        "answer": answer,
        "advice": advice,
        "key-takeaways": takeaways(cells, folded="\n- " in answer),
        "downloads": files,
        "environment": environment,
        "citation": citation(Path(app.srcdir), page),
    }
    folding.fold(cells)
    for cell in cells:
        describe(cell)
    blocks = {"question": question(cells[0])} | blocks
    cells[0:0] = [_cell(id_, text) for id_, text in blocks.items() if text]
    if exercises := _read(app, "book/exercises", page):
        cells.append(_cell("exercises", f"## Exercises\n\n{exercises}"))
    source[0] = json.dumps(notebook)


def question(cell: dict) -> str:
    """Take title, edition and question away from a chapter's first cell, and return them: what stands first of all."""
    paragraphs = "".join(cell["source"]).split("\n\n")
    first = [p for p in paragraphs if p.lstrip().startswith(("# ", "{bdg", "**Question.**"))]
    cell["source"] = "\n\n".join(p for p in paragraphs if p not in first)
    return "\n\n".join(first)


def _cell(id_: str, text: str) -> dict:
    return {"cell_type": "markdown", "id": id_, "metadata": {}, "source": text}


def _read(app: Sphinx, *parts: str) -> str:
    """Return what stands in the file of Markdown of a page, or nothing where there is none."""
    path = Path(app.srcdir, *parts).with_suffix(".md")
    return path.read_text(encoding="utf-8") if path.exists() else ""


def takeaways(cells: list[dict], folded: bool = False) -> str:
    """Take away the cells with this tag, heading and all, and return what they say, folded below an answer."""
    said = []
    for cell in cells:
        tags = cell["metadata"].get("tags", [])
        if "takeaways" in tags:
            tags.append("remove-cell")
            said += ["".join(out.get("data", {}).get("text/markdown", "")) for out in cell.get("outputs", ())]
    text = "\n".join(filter(None, said))
    if not text:
        return ""
    if folded:
        return f"`````{{admonition}} What this run measured\n:class: tip dropdown\n{text}\n`````\n"
    points = re.split(r"^(?=- )", text, flags=re.MULTILINE)
    first, rest = "".join(points[: FIRST + 1]), "".join(points[FIRST + 1 :])
    more = f"\n````{{dropdown}} {len(points) - 1 - FIRST} more\n{rest}\n````\n" if rest else ""
    return f"`````{{admonition}} Key takeaways of this run\n:class: tip\n{first}\n{more}`````\n"


def citation(root: Path, page: str) -> str:
    """Return how to cite a chapter's paper and the software, in BibTeX."""
    from scgen_book import claims

    papers = {paper.chapter: paper.key for paper in claims.papers()}
    library = (root / "book/references.bib").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^(@\w+\{(\w+),.*?^\}$)", library, re.MULTILINE | re.DOTALL))
    entries = {key: entry for entry, key in entries.items()}
    software = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
    fields = {
        "title": f"{{{software['title']}}}",
        "author": " and ".join(f"{{{author['name']}}}" for author in software["authors"]),
        "version": software["version"],
        "url": software["repository-code"],
    }
    lines = ",\n".join(f"  {name:7} = {{{value}}}" for name, value in fields.items())
    found = [entries[papers[page]]] if page in papers else []
    bibtex = "\n\n".join([*found, f"@software{{scgen_lib,\n{lines}\n}}"])
    return f"````{{admonition}} Cite\n:class: tip dropdown\n```bibtex\n{bibtex}\n```\n````\n"


def name(cell: dict) -> None:
    """Let outputs call data sets by their names, not by their ids."""
    from scgen_book.pages import named

    for out in cell.get("outputs", ()):
        for kind, of in (("text/html", named.in_html), ("text/markdown", named.in_markdown)):
            if kind in out.get("data", {}):
                out["data"][kind] = of("".join(out["data"][kind]))


def describe(cell: dict) -> None:
    """Let who cannot see a figure hear its caption, not the name of a file; what drew nothing is no figure."""
    settings = cell["metadata"].get("mystnb", {})
    if not any("image/png" in out.get("data", {}) for out in cell.get("outputs", ())):
        settings.pop("figure", None)
    if caption := settings.get("figure", {}).get("caption"):
        settings.setdefault("image", {}).setdefault("alt", caption)


def point_to_sources(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: object) -> None:
    """Let the launch buttons open what is there: the theme takes the pages for notebooks of the repository."""
    branch, page = app.config.html_theme_options.get("repository_branch"), f"{pagename}.ipynb"
    places = {
        # written by binder/postBuild
        f"lab/tree/{page}": f"lab/tree/quick/{page.removeprefix(EXECUTED)}",
        # published beside the book
        f"/blob/{branch}/{page}": f"/blob/gh-pages/{branch}/colab/{page.removeprefix(EXECUTED)}",
    }
    for group in context.get("header_buttons", ()):
        if group.get("label") == "launch-buttons":
            for button in group["buttons"]:
                for old, new in places.items():
                    button["url"] = button["url"].replace(old, new)


def setup(app: Sphinx) -> dict:
    """Run after the theme, which makes the buttons."""
    # All that a build makes stays to its end; to look for garbage among it takes a quarter of the time.
    gc.disable()
    app.connect("source-read", dress)
    app.connect("html-page-context", point_to_sources, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
