"""Data sets in what a notebook has shown: names for people, ids in the last column."""

import bs4
import pandas as pd
import pytest

from scgen_book import names, record
from scgen_book.pages import named
from scgen_lib import data
from scgen_lib.data.splatter_parameters import PRESETS


def rows(html):
    return [
        [(cell.get_text().strip(), int(cell.get("rowspan", 1))) for cell in row.find_all(["th", "td"])]
        for row in bs4.BeautifulSoup(html, "html.parser").find_all("tr")
    ]


def test_an_id_gives_its_place_to_the_name_and_stands_in_the_last_column():
    table = pd.DataFrame({"dataset": ["splat_g6", "mine"], "score": [0.5, 0.6]})
    head, first, second = rows(named.in_html(table.to_html(index=False)))
    assert [text for text, _ in head] == ["dataset", "score", "id"]
    assert [text for text, _ in first] == ["six simulated groups", "0.5", "splat_g6"]
    assert [text for text, _ in second] == ["mine", "0.6", ""]


def test_the_id_spans_the_rows_that_its_name_spans():
    index = pd.MultiIndex.from_product([["splat_g6 (simulated)", "goolam"], ["a", "b"]], names=["data", "method"])
    heads, under, *body = rows(named.in_html(pd.DataFrame({"score": range(4)}, index=index).to_html()))
    assert (heads[-1][0], under[-1][0]) == ("id", "")
    assert [row[0][0] for row in body[::2]] == ["six simulated groups (simulated)", "mouse embryos"]
    assert [row[-1] for row in body[::2]] == [("splat_g6", 2), ("goolam", 2)]
    assert [len(row) for row in body] == [4, 2, 4, 2]


def test_an_id_in_the_last_column_stays_and_one_in_a_head_or_a_sentence_is_named():
    table = pd.DataFrame({"goolam": ["of splat_g6: 0.1"], "data": ["splat_g6, splat_g8"]})
    head, first = rows(named.in_html(table.to_html(index=False)))
    assert [text for text, _ in head] == ["mouse embryos", "data"]
    assert [text for text, _ in first] == ["of six simulated groups: 0.1", "splat_g6, splat_g8"]
    words = pd.DataFrame({"": ["C7"], "measured effect": ["loss, splat_g6: 0.1; loss, goolam: 0.2"]})
    assert rows(named.in_html(words.to_html(index=False)))[1][1][0] == (
        "loss, six simulated groups: 0.1; loss, mouse embryos: 0.2"
    )


def test_what_names_no_data_set_is_kept_as_it_is():
    assert named.in_html("<p>A &amp; B<br></p>") == "<p>A &amp; B<br></p>"


@pytest.mark.parametrize("kept", ["`splat_g6`", "splat_g6.h5ad", "data/splat_g6", "my_splat_g6", "splat_g62", "Goolam"])
def test_code_paths_and_other_words_are_no_data_sets(kept):
    assert named.in_markdown(f"In {kept}.") == f"In {kept}."


def test_a_sentence_names_data_sets():
    assert named.in_markdown("**splat_g6**, at `a`: goolam.") == "**six simulated groups**, at `a`: mouse embryos."


def test_every_data_set_that_can_be_shown_has_a_name_of_its_own():
    kept = {dataset for _, dataset, *_ in record.current().rows}
    known = {*data.datasets()["name"], *kept} | {name for name in PRESETS if not name.startswith("dca_script_")}
    assert known - {"no data"} <= set(names.NAMES)
    assert len(set(names.NAMES.values())) == len(names.NAMES)
