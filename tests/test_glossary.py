"""The glossary: each word has a meaning, and chapters link the first place of each in prose alone."""

import pytest

from scgen_book import provenance


@pytest.fixture(scope="module")
def glossary(extension):
    return extension("glossary")


def test_the_words_are_sorted_and_each_once(glossary):
    text = (provenance.ROOT / "book" / "glossary.md").read_text(encoding="utf-8")
    found = glossary.terms(text)
    assert len(found) == len(set(found)) >= 20
    stand = [word for word in text.splitlines() if word in found]
    assert stand == sorted(stand, key=str.lower)


def test_the_first_place_of_a_word_in_prose_is_a_link(glossary):
    left = ["silhouette", "ZINB"]
    text = "# The silhouette\n\nSilhouettes of ZINB, `silhouette` and silhouette.\n\nAgain a ZINB."
    assert glossary.linked(text, left) == (
        "# The silhouette\n\n{term}`Silhouettes <silhouette>` of ZINB, `silhouette` and silhouette.\n\n"
        "Again a {term}`ZINB <ZINB>`."
    )
    assert left == []


@pytest.mark.parametrize("kept", [
    "`ARI`", "$ARI$", "[the ARI](there)", "**ARI**", "| ARI |", "{cite}`ARI`", "ari", "variance", "SARI",
    "```bash\nARI\n```", "$$\nARI\n$$",
])  # fmt: skip
def test_code_formulas_links_tables_and_parts_of_words_are_left_alone(glossary, kept):
    left = ["ARI"]
    assert glossary.linked(kept, left) == kept
    assert left == ["ARI"]
