"""What the book's extension does to the cells of a chapter."""

import pytest


@pytest.fixture(scope="module")
def chapters(extension):
    return extension("chapters")


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


@pytest.mark.parametrize("folded", [False, True])
def test_takeaways_are_folded_from_the_sixth_on_or_below_an_answer(chapters, folded):
    said = "".join(f"- **{i}**\n" for i in range(7))
    cell = {"metadata": {"tags": ["takeaways"]}, "outputs": [{"data": {"text/markdown": said}}]}
    box = chapters.takeaways([cell], folded)
    assert [f"- **{i}**" in box for i in range(7)] == [True] * 7
    assert ("dropdown} 2 more" in box, "tip dropdown" in box) == (not folded, folded)
    assert "remove-cell" in cell["metadata"]["tags"]
