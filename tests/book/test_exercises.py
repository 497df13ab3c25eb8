"""The exercises of the chapters: their solutions run as they are printed, and give what stands below them."""

import contextlib
import io
import re

import pytest

from scgen_book import provenance
from scgen_book.experiments import CHAPTERS

EXERCISES = {path.stem: path for path in sorted((provenance.ROOT / "book" / "exercises").glob("*.md"))}
SOLUTION = re.compile(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# Weights of a short training move with the order in which a processor adds.
NEAR = {"rel": 0.15, "abs": 0.05}


def test_each_chapter_has_exercises_with_a_solution_each():
    assert set(EXERCISES) == set(CHAPTERS)
    for path in EXERCISES.values():
        text = path.read_text()
        exercises = text.count("{admonition} Exercise: ")
        assert 1 <= exercises == text.count("{dropdown}") == len(SOLUTION.findall(text))


@pytest.mark.slow
@pytest.mark.parametrize("chapter", EXERCISES)
def test_a_solution_gives_what_stands_below_it(chapter, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for code, expected in SOLUTION.findall(EXERCISES[chapter].read_text()):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, f"{chapter}.md", "exec"), {})
        found, shown = printed.getvalue(), expected
        assert NUMBER.sub("N", found) == NUMBER.sub("N", shown)
        numbers, known = ([float(n) for n in NUMBER.findall(text)] for text in (found, shown))
        assert numbers == pytest.approx(known, **NEAR)
        assert list(tmp_path.iterdir()) == []
