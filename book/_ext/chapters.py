"""Give the chapters what belongs to the site and not to the notebooks: downloads, and buttons that launch them."""

import json
from pathlib import Path

from sphinx.application import Sphinx

EXECUTED = "book/executed/"


def add_downloads(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the list of a chapter's files below its first cell, which has title and question."""
    block = Path(app.srcdir, "book/generated/downloads", f"{docname.removeprefix(EXECUTED)}.md")
    if docname.startswith(EXECUTED) and block.exists():
        notebook = json.loads(source[0])
        text = block.read_text(encoding="utf-8")
        notebook["cells"].insert(1, {"cell_type": "markdown", "id": "downloads", "metadata": {}, "source": text})
        source[0] = json.dumps(notebook)


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
    app.connect("source-read", add_downloads)
    app.connect("html-page-context", point_to_sources, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
