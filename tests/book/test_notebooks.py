import pytest

from scgen_book import notebooks, provenance
from scgen_book.experiments import CHAPTERS
from scgen_lib import cli
from scgen_lib.errors import ParameterError


def test_a_chapter_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for chapter in CHAPTERS:
        assert notebooks.find(chapter) == provenance.ROOT / "notebooks" / f"{chapter}.ipynb"
        assert notebooks.find(chapter).is_file()


def test_a_file_comes_before_a_chapter_and_a_folder_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dca").mkdir()
    assert notebooks.find("dca") == notebooks.path("dca")
    (tmp_path / "cvae").touch()
    assert notebooks.find("cvae").resolve() == tmp_path / "cvae"


def test_a_name_that_is_neither_is_refused_in_one_line_with_the_chapters(capsys):
    assert cli.main(["run", "dcaa", "mine.ipynb"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert ", ".join(CHAPTERS) in error
    with pytest.raises(ParameterError, match="expected a chapter"):
        notebooks.path("dcaa")


def test_a_chapter_is_run_by_its_name(tmp_path, write_notebook, monkeypatch):
    write_notebook(tmp_path / "packed" / "dca.ipynb", "print(seed)")
    monkeypatch.setattr(notebooks, "_PACKED", tmp_path / "packed")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "dca", "mine.ipynb", "-p", "seed", "7"]) == 0
    assert '"7\\n"' in (tmp_path / "mine.ipynb").read_text()
