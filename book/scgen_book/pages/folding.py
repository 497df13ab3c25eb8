"""What of a chapter is seen at once, so that it is read at one sitting; the rest is folded, and nothing left out.

Open stand the figure of the landing page, those of the first section, the first of another if it is low, and the first
rows of tables. What is folded says in a line what is in it.
"""

import base64
import re
import struct

import bs4

#: Lines of text, and about so many lines of the tables of a cell, that stand open.
LONGEST_TEXT, LONGEST_TABLE = 12, 7
#: Of longer tables about so many lines do.
FIRST_ROWS = 4
#: Characters in a line of a table as wide as a page.
WIDTH = 105
#: Height of a figure, at two pixels of its image a pixel of the page, up to which it stands open.
LOW = 200
#: Characters of a summary.
SUMMARY = 90
#: Heads what a reader does with own data, commands for the most part.
OWN = "## On your own data"
#: Begins a cell whose output tests compare: a check, no reading.
CHECKED = "# NBVAL_CHECK_OUTPUT"


def fold(cells: list[dict]) -> None:
    """Fold the parameters of an edition, checks, further figures, long tables and texts, and what is for own data."""
    sections, seen = 0, False
    for cell in cells:
        tags, source = cell["metadata"].setdefault("tags", []), "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            if re.search(r"^## ", source, re.MULTILINE):
                sections, seen = sections + 1, False
            head, found, rest = source.partition(f"{OWN}\n")
            if found and rest.strip():
                cell["source"] = f"{head}{found}\n``````{{dropdown}} Commands, and the same in Python\n{rest}\n``````\n"
            continue
        if "injected-parameters" in tags:
            tags.append("hide-input")
        if "hide-input" in tags:
            _name(cell, _code(tags, source))
        figure = _figure(cell)
        if figure and "landing" not in tags and sections > 1 and (seen or figure[1] > LOW):
            _hide(cell, f"Figure: {_sentence(figure[0])}")
        elif source.startswith(CHECKED):
            _hide(cell, f"Check: {_text(cell).strip().partition(chr(10))[0]}", whole=True)
        elif (lines := _text(cell).count("\n")) > LONGEST_TEXT:
            _hide(cell, f"Output of {lines} lines")
        elif (lines := _rows_of_markdown(cell)) > LONGEST_TABLE:
            _hide(cell, f"Tables of {lines} rows")
        else:
            _shorten(cell)
        seen = seen or bool(figure)


def _hide(cell: dict, words: str, *, whole: bool = False) -> None:
    """Fold a cell: whole where it is to be or its code does no more than show, else what it has shown."""
    tags = cell["metadata"]["tags"]
    shows = re.fullmatch(r"[\w.\[\]\"']+\(.*\);?", "".join(cell["source"]).strip())
    alone = whole or shows or "hide-input" in tags
    tags[:] = [tag for tag in tags if tag not in ("hide-input", "hide-output")]
    tags.append("hide-cell" if alone else "hide-output")
    _name(cell, words)


def _name(cell: dict, words: str) -> None:
    """Say what is folded."""
    # a prompt has a place between braces of its own
    short = _short(words).replace("{", "(").replace("}", ")")
    cell["metadata"].setdefault("mystnb", {}).update(code_prompt_show=short, code_prompt_hide=short)


def _code(tags: list[str], source: str) -> str:
    """Return what the code of a cell is that is folded by itself."""
    if "parameters" in tags:
        return "Code: all parameters"
    if "injected-parameters" in tags:
        return "Code: parameters of this edition"
    return "Code: imports" if re.match(r"(import|from) ", source) else "Code"


def _figure(cell: dict) -> tuple[str, float] | None:
    """Return the caption of the figure that a cell has drawn, and its height on a page."""
    images = ("".join(out.get("data", {}).get("image/png", "")) for out in cell.get("outputs", ()))
    image = next(filter(None, images), None)
    caption = cell["metadata"].get("mystnb", {}).get("figure", {}).get("caption")
    if image is None or caption is None:
        return None
    _, height = struct.unpack(">II", base64.b64decode(image[:32])[16:24])  # where a PNG has its size
    return caption, height / 2


def _short(words: str) -> str:
    return words if len(words) <= SUMMARY else words[: SUMMARY - 1].rsplit(" ", 1)[0].rstrip(" ,;:(") + "…"


def _sentence(caption: str) -> str:
    return re.split(r"(?<=[^.])\.(?= |$)", caption, maxsplit=1)[0]


def _text(cell: dict) -> str:
    """Return what a cell has shown as plain text."""
    shown = []
    for out in cell.get("outputs", ()):
        data = out.get("data", {})
        rich = any(kind in data for kind in ("text/html", "text/markdown", "image/png"))
        shown += ["".join(out.get("text", "")), "" if rich else "".join(data.get("text/plain", ""))]
    return "".join(shown)


def _rows_of_markdown(cell: dict) -> int:
    """Return how many rows the tables have that a cell has written as Markdown."""
    texts = ("".join(out.get("data", {}).get("text/markdown", "")) for out in cell.get("outputs", ()))
    return sum(len(re.findall(r"^\|(?! ?:?-)", text, re.MULTILINE)) for text in texts)


def _shorten(cell: dict) -> None:
    """Fold the rows of tables for which there is no room."""
    room = LONGEST_TABLE
    for out in cell.get("outputs", ()):
        html = "".join(out.get("data", {}).get("text/html", ""))
        if "<table" not in html:
            continue
        soup = bs4.BeautifulSoup(html, "html.parser")
        for table in soup.find_all("table"):
            body = [row for row in table.find_all("tr") if row.find_parent("thead") is None]
            lines = sum(map(_lines, body))
            if lines > room and table.find_parent("details") is None:
                _cut(soup, table, body, room)
                out["data"]["text/html"] = str(soup)
            room -= min(lines, room)


def _cut(soup: bs4.BeautifulSoup, table: bs4.Tag, body: list[bs4.Tag], room: int) -> None:
    """Fold a table from where there is no more room on, or as a whole."""
    end = _end(body)
    details, summary = soup.new_tag("details"), soup.new_tag("summary")
    details.append(summary)
    if sum(map(_lines, body[:end])) > room:
        cells = (cell.get_text(" ", strip=True) for cell in table.find_all("th") if cell.find_parent("thead"))
        named = _short(", ".join(dict.fromkeys(filter(None, cells))))
        summary.string = f"Table of {len(body)} rows{': ' * bool(named)}{named}"
        table.insert_before(details)
        details.append(table.extract())
    elif rows := body[end:]:
        summary.string = f"{len(rows)} more row{'s' * (len(rows) != 1)}"
        rest = soup.new_tag("table", attrs={name: value for name, value in table.attrs.items() if name != "id"})
        if table.thead:
            rest.append(bs4.BeautifulSoup(str(table.thead), "html.parser"))
        rest.append(soup.new_tag("tbody"))
        rest.tbody.extend(row.extract() for row in rows)
        table.insert_after(details)
        details.append(rest)


def _end(body: list[bs4.Tag]) -> int:
    """Return how many rows stand open: as many as there is room for, one at least, and none that a cell goes beyond."""
    lines, reach, end = 0, 0, 0
    for i, row in enumerate(body, 1):
        lines += _lines(row)
        spans = (int(cell.get("rowspan", 1)) for cell in row.find_all(["th", "td"]))
        reach = max(reach, i - 1 + max(spans, default=1))
        if reach == i and (not end or lines <= FIRST_ROWS):
            end = i
    return end


def _lines(row: bs4.Tag) -> int:
    """Return about how many lines a row takes: its columns share the page by what is in them."""
    return 1 + len(row.get_text()) // WIDTH
