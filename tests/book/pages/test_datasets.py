"""The table of the public data sets."""

from scgen_book import pages
from scgen_lib import data


def test_every_data_set_has_a_row_with_its_size_and_where_it_is_from():
    lines = pages.datasets().splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines[2:]]
    assert {len(row) for row in rows} == {7}
    assert [row[0].split("`")[1] for row in rows] == data.datasets()["name"].tolist()
    of = {row[0].split("`")[1]: row for row in rows}
    assert of["pbmc68k"][1:6] == ["68,579", "32,738", "11", "counts", "125.8"]
    assert "Zheng et al. (2017)" in of["pbmc68k"][6]
    assert "SRP073767" in of["pbmc68k"][6]
    # a table without expression, and a file of a size that is not published
    assert of["pbmc68k_labels"][2] == "–"
    assert of["zeisel_720"][5] == "?"
