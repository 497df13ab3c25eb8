import re

import bs4
import numpy as np

from scgen_book import plots
from scgen_book.plots import pointed

POINTS = {"real": np.array([[0.0, 0.0], [1.0, 2.0]]), "generated": np.array([[0.5, 1.0]])}
LABELS = {"real": ["B", "<T>"], "generated": ["B"]}


def test_each_cell_has_a_place_in_the_picture_and_a_title():
    html = plots.hover(POINTS, LABELS).data
    soup = bs4.BeautifulSoup(html, "html.parser")
    circles = soup.find_all("circle")
    assert sorted(circle.title.text for circle in circles) == ["generated: B", "real: <T>", "real: B"]
    for circle in circles:
        assert 0 < float(circle["cx"]) < pointed.WIDTH
        assert 0 < float(circle["cy"]) < pointed.HEIGHT
    # what is up in the embedding is up in the picture
    places = {circle.title.text: float(circle["cy"]) for circle in circles}
    assert places["real: <T>"] < places["generated: B"] < places["real: B"]


def test_a_set_is_told_by_shape_and_a_label_by_colour_and_all_without_a_script():
    soup = bs4.BeautifulSoup(plots.hover(POINTS, LABELS).data, "html.parser")
    ink = {group.circle.title.text: (group["fill"], group.get("stroke")) for group in soup.find_all("g")}
    assert ink["real: B"][0] == ink["generated: B"][1] != ink["real: <T>"][0]
    assert ink["generated: B"][0] == "none"
    assert soup.svg["role"] == "img"
    assert soup.svg["aria-label"] == "3 cells in one embedding: real, generated; <T>, B"
    assert not soup.find_all("script")
    assert not re.search(r"https?://", str(soup))


def test_a_page_carries_no_more_cells_than_it_can():
    n = pointed.MOST + 200
    many = {"real": np.random.default_rng(0).normal(size=(n, 2))}
    html = plots.hover(many, {"real": ["B"] * n}).data
    assert html.count("<circle ") == pointed.MOST
    assert len(html) < 200_000
    assert html == plots.hover(many, {"real": ["B"] * n}).data
    # of one set there are no other marks to tell
    assert "others" in plots.hover(POINTS, LABELS).data
    assert "others" not in html
