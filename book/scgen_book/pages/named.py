"""What a notebook has shown, as people name data sets: in tables the ids stand in the last column."""

import re

import bs4

from scgen_book import names

_CODE = re.compile(r"(`[^`]*`)")


def in_markdown(text: str) -> str:
    """Return Markdown with names of data sets in place of their ids, but in code."""
    pieces = _CODE.split(text)
    return "".join(piece if i % 2 else names.told(piece) for i, piece in enumerate(pieces))


def in_html(text: str) -> str:
    """Return the HTML of an output with names of data sets in the cells of its tables.

    A cell that is the id of a data set moves that into a column of its own at the end; ids that are all there is in the
    last cell of a row stay.
    """
    if names.told(text) == text:
        return text
    soup = bs4.BeautifulSoup(text, "html.parser")
    for table in soup.find_all("table"):
        _name(soup, table)
    return str(soup)


def _name(soup: bs4.BeautifulSoup, table: bs4.Tag) -> None:
    ids, covered = {}, set()
    rows = table.find_all("tr")
    for i, row in enumerate(rows):
        cells = row.find_all(["th", "td"])
        for cell in cells:
            last = cell is cells[-1] and row.find_parent("thead") is None
            # alone, or with a remark behind it
            id_, _, remark = cell.get_text().strip().partition(" (")
            whole = not remark or remark.endswith(")")
            if id_ in names.NAMES and whole and not last and row.find_parent("thead") is None:
                ids[i] = id_, int(cell.get("rowspan", 1))
                covered.update(range(i + 1, i + ids[i][1]))
            if not (last and all(part in names.NAMES for part in re.split(r"[,;]\s*", cell.get_text().strip()))):
                _say(cell)
    if not ids:
        return
    heads = [row for row in rows if row.find_parent("thead")]
    for row in heads:
        row.append(soup.new_tag("th", string="id" if row is heads[0] else ""))
    for i, row in enumerate(rows):
        if row not in heads and i not in covered:
            id_, span = ids.get(i, ("", 1))
            cell = soup.new_tag("td", attrs={"class": "id"} | ({"rowspan": span} if span > 1 else {}))
            for part in re.findall("[^_]*_|[^_]+", id_):  # a line may end behind each
                cell.extend([part, soup.new_tag("wbr")])
            row.append(cell)


def _say(cell: bs4.Tag) -> None:
    """Name the data sets in the words of a cell."""
    for words in cell.find_all(string=True):
        if words.find_parent("code") is None and (said := names.told(words)) != words:
            words.replace_with(said)
