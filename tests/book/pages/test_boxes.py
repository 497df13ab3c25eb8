"""The boxes at the head of a chapter."""

import re

import pytest

from scgen_book import provenance
from scgen_book.answers import advice
from scgen_book.experiments import CHAPTERS
from scgen_book.pages import boxes

FACTS = {
    "versions": {"python": "3.12.1", "tensorflow": "2.21.0"},
    "lock_sha256": "0123456789abcdef",
    "hardware": {"cpu": "A_B", "cores": 2, "gpus": ["H200"]},
}


def test_each_chapter_has_advice():
    assert set(advice.CONTESTS) == set(CHAPTERS)
    assert {path.stem for path in (provenance.ROOT / boxes.CITED).glob("*.md")} == set(advice.CONTESTS)


@pytest.mark.parametrize("chapter", advice.CONTESTS)
def test_what_is_not_of_the_record_is_cited(chapter):
    text = (provenance.ROOT / boxes.CITED / f"{chapter}.md").read_text()
    known = re.findall(r"^@\w+\{(\w+),", (provenance.ROOT / "book" / "references.bib").read_text(), re.MULTILINE)
    points = re.split(r"^- ", text, flags=re.MULTILINE)[1:]
    assert points
    for point in points:
        keys = [key for named in re.findall(r"\{cite\}`([^`]+)`", point) for key in named.split(",")]
        assert keys
        assert set(keys) <= set(known)


def test_the_advice_of_the_record_stands_before_what_is_cited(monkeypatch):
    monkeypatch.chdir(provenance.ROOT)
    monkeypatch.setattr(advice, "lines", lambda chapter: [(f"Try a_b before {chapter}", ": so.")])
    box = boxes.use("dca")
    assert box.index(r"- **Try a\_b before dca**: so.") < box.index("{cite}")


def test_the_environment_says_versions_and_hardware_and_is_folded():
    entry = {"provenance": FACTS, "duration_s": 61.0, "notebook": "notebooks/dca.ipynb", "page": "dca"}
    box = boxes.environment(entry)
    assert ":class: tip dropdown" in box
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", box, re.MULTILINE))
    assert (rows["python"], rows["tensorflow"], rows["cores"], rows["GPU"]) == ("3.12.1", "2.21.0", "2", "H200")
    assert rows["lock file"] == "`sha256 0123456789ab`"
    assert rows["duration"] == "1 min 1 s"
