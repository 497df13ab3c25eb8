"""What of a chapter is folded: a line says what is in it, and nothing is lost."""

import base64
import io

import bs4
import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure

from scgen_book.pages import folding


def png(height):
    image = io.BytesIO()
    # the style of the book, which another test may have set, would cut the margins off
    with matplotlib.rc_context({"savefig.bbox": None, "savefig.dpi": 100}):
        Figure(figsize=(1, height / 50)).savefig(image, format="png")
    return base64.b64encode(image.getvalue()).decode()


def code(source="rows.show(view)", caption=None, tags=(), **data):
    """A cell that has shown something: HTML, Markdown, a PNG of some height, or plain text."""
    kinds = {"html": "text/html", "markdown": "text/markdown", "plain": "text/plain"}
    shown = {kinds[kind]: value for kind, value in data.items() if kind in kinds}
    shown |= {"image/png": png(data["height"])} if "height" in data else {}
    metadata = {"tags": list(tags)} | ({"mystnb": {"figure": {"caption": caption}}} if caption else {})
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": [{"data": shown}]}


def section(name, text=""):
    return {"cell_type": "markdown", "source": f"## {name}\n{text}", "metadata": {}}


def folded(cell):
    """How a cell is folded, and what the line says."""
    hidden = {"hide-cell", "hide-output"} & set(cell["metadata"]["tags"])
    return (*hidden, cell["metadata"]["mystnb"]["code_prompt_show"]) if hidden else None


def texts(html):
    return [cell.get_text() for cell in bs4.BeautifulSoup(html, "html.parser").find_all("td")]


def test_low_figures_that_stand_first_and_those_of_the_landing_page_are_open():
    cells = [
        section("To know"), code(caption="A scheme.", height=500), section("Results"), code(caption="Low.", height=150),
        code(caption="Second. More.", height=150), code(caption="Main.", height=500, tags=["landing"]),
        section("More"), code(caption="Tall: 1.5 {a}. More.", height=500),
        code("x = 1\nrows.show(view)", caption="Tall, too.", height=500),
    ]  # fmt: skip
    folding.fold(cells)
    scheme, low, second, main, tall, after = (cell for cell in cells if cell["cell_type"] == "code")
    assert [folded(cell) for cell in (scheme, low, main)] == [None] * 3
    assert folded(second) == ("hide-cell", "Figure: Second")
    assert folded(tall) == ("hide-cell", "Figure: Tall: 1.5 (a)")
    # code that does more than to show is read
    assert folded(after) == ("hide-output", "Figure: Tall, too")


def test_of_a_long_table_the_first_rows_are_open_and_none_is_lost():
    table = pd.DataFrame({"a": range(30)}).to_html(index=False)
    cell = code(html=table)
    folding.fold([cell])
    html = cell["outputs"][0]["data"]["text/html"]
    assert folded(cell) is None
    assert texts(html) == texts(table)
    soup = bs4.BeautifulSoup(html, "html.parser")
    assert soup.summary.text == f"{30 - folding.FIRST_ROWS} more rows"
    first, rest = soup.find_all("table")
    assert rest.find_parent("details") is soup.details
    assert len(first.tbody.find_all("tr")) + len(rest.tbody.find_all("tr")) == 30
    assert rest.th.text == "a"


def test_a_table_is_not_cut_where_a_cell_spans_rows():
    index = pd.MultiIndex.from_product([["one", "two", "three"], range(4)], names=["data", "seed"])
    cell = code(html=pd.DataFrame({"a": range(12)}, index=index).to_html())
    folding.fold([cell])
    soup = bs4.BeautifulSoup(cell["outputs"][0]["data"]["text/html"], "html.parser")
    first, rest = (table.tbody.find_all("tr") for table in soup.find_all("table"))
    assert (len(first), len(rest)) == (4, 8)
    assert soup.summary.text == "8 more rows"
    assert rest[0].th.text == "two"


def test_a_table_that_cannot_be_cut_or_finds_no_more_room_is_folded_whole():
    whole = pd.DataFrame({"a": range(40)}, index=pd.MultiIndex.from_product([["one"], range(40)])).to_html()
    cell = code(html=whole)
    folding.fold([cell])
    soup = bs4.BeautifulSoup(cell["outputs"][0]["data"]["text/html"], "html.parser")
    assert soup.summary.text == "Table of 40 rows: a"
    assert soup.table.find_parent("details")
    short = pd.DataFrame({"b": range(6)}).to_html(index=False)
    cell = code(html=short)
    cell["outputs"].append({"data": {"text/html": short}})
    folding.fold([cell])
    open_, closed = (out["data"]["text/html"] for out in cell["outputs"])
    assert open_ == short
    assert "more row" in closed or "Table of 6 rows: b" in closed


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ({"plain": "line\n" * 40}, "Output of 40 lines"),
        ({"markdown": "| a |\n| --- |\n" + "| 1 |\n" * 20}, "Tables of 21 rows"),
        ({"plain": "line\n" * 3}, None),
        ({"markdown": "- a\n" * 3}, None),
    ],
)
def test_long_texts_are_folded(shown, words):
    cell = code("print(1)\nprint(2)", **shown)
    folding.fold([cell])
    assert folded(cell) == (("hide-output", words) if words else None)


def test_a_check_is_folded_with_its_first_line():
    cell = code(f"{folding.CHECKED}\nprint(sizes)", plain="5 weights\n6 weights\n")
    folding.fold([cell])
    assert folded(cell) == ("hide-cell", "Check: 5 weights")


def test_what_is_for_own_data_is_folded_below_its_heading():
    cell = section("On your own data", "\nRun this:\n\n```bash\nscgen run\n```\n")
    folding.fold([cell])
    head, _, rest = cell["source"].partition("\n")
    assert head == folding.OWN
    assert rest.strip().startswith("``````{dropdown} ")
    assert "```bash\nscgen run\n```" in rest


def test_a_summary_is_a_line():
    cell = code(caption="word " * 60, height=500)
    folding.fold([section("a"), section("b"), cell])
    _, words = folded(cell)
    assert len(words) <= folding.SUMMARY
    assert words.endswith("word…")


def test_code_that_is_folded_by_itself_says_what_it_is():
    cells = [
        code("x: int = 1  # any: x", tags=["parameters", "hide-input"]), code("x = 2", tags=["injected-parameters"]),
        code("import math\n\nmath.pi", tags=["hide-input"]), code("run.save()", tags=["hide-input"]), code("x"),
    ]  # fmt: skip
    folding.fold(cells)
    told = [cell["metadata"].get("mystnb", {}).get("code_prompt_show") for cell in cells]
    assert told == ["Code: all parameters", "Code: parameters of this edition", "Code: imports", "Code", None]
