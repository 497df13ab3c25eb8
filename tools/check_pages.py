#!/usr/bin/env python3
"""Check that every link, image and script of the built book that is not on another site is there.

Usage: check_pages.py [FOLDER], by default _build/html. It writes a line for each link that leads nowhere, and its
status is 1 if there is one.
"""

import sys
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path


class Page(HTMLParser):
    """The places that a page has, and those that it names."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the places and targets of a tag."""
        for name, value in attrs:
            if name == "id" or (tag == "a" and name == "name"):
                self.ids.add(value)
            elif name in ("href", "src") and value:
                self.targets.add(value)


def broken(folder: Path) -> list[str]:
    """Return a line for each link within a folder of pages whose file or whose place in a page is missing."""
    folder = folder.resolve()
    pages = {path: Page(path) for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts}
    lines = []
    for path, page in pages.items():
        for target in sorted(page.targets):
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            file = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            file = file / "index.html" if file.is_dir() else file
            place = urllib.parse.unquote(parts.fragment)
            if not file.is_relative_to(folder) or not file.exists():
                lines.append(f"{path.relative_to(folder)}: {target} is not there")
            elif place and file in pages and place not in pages[file].ids:
                lines.append(f"{path.relative_to(folder)}: {target} names a place that {file.name} does not have")
    return lines


if __name__ == "__main__":
    found = broken(Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html"))
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)
