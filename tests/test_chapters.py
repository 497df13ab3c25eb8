"""What the book's extension does to the cells of a chapter."""

import importlib.util

import pytest

from scgen_book import provenance


@pytest.fixture(scope="module")
def chapters():
    path = provenance.ROOT / "book" / "_ext" / "chapters.py"
    spec = importlib.util.spec_from_file_location("chapters_of_the_book", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("data", "kept"), [({"image/png": "…"}, True), ({"text/markdown": "*Not shown.*"}, False)])
def test_a_caption_stands_below_a_picture_alone(chapters, data, kept):
    settings = {"figure": {"caption": "Cells.", "name": "fig-cells"}, "image": {}}
    cell = {"metadata": {"mystnb": settings}, "outputs": [{"output_type": "display_data", "data": data}]}
    chapters.describe(cell)
    assert ("figure" in settings) == kept
    assert settings["image"].get("alt") == ("Cells." if kept else None)


def test_the_question_stands_before_what_else_the_first_cell_says(chapters):
    cell = {"source": "# Title\n\n{bdg-primary}`quick`\n\nRun on a day.\n\n**Question.** Does it?\n\nThe chapter."}
    assert chapters.question(cell) == "# Title\n\n{bdg-primary}`quick`\n\n**Question.** Does it?"
    assert cell["source"] == "Run on a day.\n\nThe chapter."
