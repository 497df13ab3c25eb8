"""Keys follow the sources that are really imported: what is changed in them counts, and nothing else does."""

import ast
import functools
import re
import shutil

import nbformat
import pytest

from scgen_book import claims, experiments, parameters, provenance, sources
from scgen_book.batch import runner

NOTEBOOKS = provenance.ROOT / "notebooks"
READ = sources._read.__wrapped__


@functools.cache
def read(path, name, content):
    return READ(path, name)


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    root = tmp_path_factory.mktemp("sources")
    for package in ("scgen_lib", "book/scgen_book"):
        shutil.copytree(provenance.ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    return root


@pytest.fixture
def root(copied, monkeypatch):
    """A copy of the sources, from which the keys are made, each file as it is at the moment."""
    packages = {"scgen_lib": copied / "scgen_lib", "scgen_book": copied / "book" / "scgen_book"}
    monkeypatch.setattr(sources, "PACKAGES", packages)
    monkeypatch.setattr(sources, "_read", lambda path, name: read(path, name, path.read_bytes()))
    return copied


def changed(file, key, edit):
    """Say whether a key is another one while a file is edited."""
    before, text = key(), file.read_text()
    edited = edit(text)
    assert edited != text
    file.write_text(edited)
    try:
        return key() != before
    finally:
        file.write_text(text)


def code(text):
    return f"{text}\n\nADDED = 1\n"


def words(text):
    """Change every docstring, and add comments and empty lines."""
    text = re.sub(r'^( *)"""(?=\w)', r'\1# a comment\n\n\1"""Other words. ', text, flags=re.MULTILINE)
    return f"{text}\n\n# a comment\n"


def row(experiment):
    return lambda: experiments.key(experiment, "a", "b", 0, {})


def run(name):
    path = NOTEBOOKS / f"{name}.ipynb"
    values = parameters.check({}, parameters.from_notebook(path))
    return lambda: runner.key(path, values)


CODE = [
    ("scgen_lib/losses.py", row("denoising")),
    ("scgen_lib/files.py", row("denoising")),
    ("book/scgen_book/experiments/denoising/comparison.py", row("denoising")),
    ("book/scgen_book/experiments/denoising/cases.py", row("denoising")),
    ("book/scgen_book/experiments/__init__.py", row("simulation")),
    ("book/scgen_book/experiments/protocol.py", row("simulation")),
    ("scgen_lib/losses.py", run("dca")),
    ("scgen_lib/__init__.py", run("dca")),
    ("book/scgen_book/results.py", run("scgan")),
    # experiments that a notebook asks for by their names, and what it shows of their rows
    ("book/scgen_book/experiments/denoising/comparison.py", run("denoising")),
    ("book/scgen_book/experiments/simulation/cases.py", run("simulation")),
    ("book/scgen_book/experiments/denoising/chapter.py", run("denoising")),
    ("book/scgen_book/experiments/rows.py", run("denoising")),
    ("book/scgen_book/experiments/paired.py", run("representation")),
    ("book/scgen_book/chapters/comparisons.py", run("simulation")),
    ("book/scgen_book/chapters/denoising.py", run("denoising")),
    ("book/scgen_book/plots/comparison.py", run("denoising")),
]
OTHERS = [
    # page generators, and what runs the batches
    ("book/scgen_book/pages/__init__.py", run("dca")),
    ("book/scgen_book/pages/scorecard.py", run("denoising")),
    ("book/scgen_book/batch/runner.py", run("dca")),
    ("book/scgen_book/pages/findings.py", row("denoising")),
    ("book/scgen_book/batch/sweeps.py", row("denoising")),
    # words about rows, and which rows are asked for
    ("book/scgen_book/experiments/paired.py", row("denoising")),
    ("book/scgen_book/experiments/summaries.py", row("representation")),
    ("book/scgen_book/experiments/rows.py", row("denoising")),
    ("book/scgen_book/experiments/denoising/chapter.py", row("denoising")),
    ("book/scgen_book/chapters/denoising.py", row("denoising")),
    ("book/scgen_book/parameters.py", row("denoising")),
    # figures: a row has none
    ("book/scgen_book/plots/comparison.py", row("denoising")),
    # what is not imported
    ("book/scgen_book/experiments/simulation/comparison.py", row("denoising")),
    ("book/scgen_book/experiments/simulation/comparison.py", run("denoising")),
    ("scgen_lib/metrics/realism.py", row("denoising")),
    ("scgen_lib/cli.py", run("dca")),
    # what names the version and the machine
    ("scgen_lib/_version.py", run("dca")),
    ("book/scgen_book/provenance.py", row("denoising")),
]


def named(case):
    return case if isinstance(case, str) else ""


@pytest.mark.parametrize(("path", "key"), CODE, ids=named)
def test_a_change_of_what_is_imported_counts(root, path, key):
    assert changed(root / path, key, code)


@pytest.mark.parametrize(("path", "key"), CODE, ids=named)
def test_a_change_of_docstrings_comments_and_layout_does_not(root, path, key):
    assert not changed(root / path, key, words)


@pytest.mark.parametrize(("path", "key"), OTHERS, ids=named)
def test_a_change_of_anything_else_does_not(root, path, key):
    assert not changed(root / path, key, code)


@pytest.mark.parametrize("name", experiments.CHAPTERS)
def test_what_counts_for_a_row_counts_for_the_notebook_that_shows_it(name, monkeypatch):
    cells = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4).cells
    monkeypatch.setattr(sources, "digest", sources.followed)
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    shown = sources.of_notebook(code, folders=[], chapter=name)
    for experiment in experiments.chapter(name).experiments:
        rows = sources.followed([experiments._module(experiment)])
        assert rows.items() <= shown.items()
        assert {"scgen_lib.data", "scgen_lib.models.base"} & set(rows)
        # what draws, writes pages or runs batches stands above
        above = ("scgen_book.plots", "scgen_book.chapters", "scgen_book.pages", "scgen_book.batch")
        assert not [module for module in rows if module.startswith(above)]


def test_the_registry_counts_by_its_content(root):
    table = root / "scgen_lib/data/registry.toml"

    def key():
        read.cache_clear()
        return row("denoising")()

    assert not changed(table, key, lambda text: f"# a comment\n{text}")
    assert changed(table, key, lambda text: f"{text}\n[added]\nfiles = 1\n")


def test_of_the_claims_those_count_whose_paper_the_notebook_names(monkeypatch):
    own, other = run("dca"), run("dr_a")
    before = own(), other()
    told = claims.claims
    monkeypatch.setattr(claims, "claims", lambda paper: told(paper)[paper == "eraslan2019" :])
    assert own() != before[0]
    assert other() == before[1]


HELPER = "import json\nfrom . import other\n"


@pytest.fixture
def notebook(tmp_path, write_notebook, monkeypatch):
    """A notebook with a package of its own beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for name, text in {"__init__": "", "part": HELPER, "other": "X = 1\n", "unused": "X = 1\n"}.items():
        (tmp_path / "mine" / f"{name}.py").write_text(text)
    cells = ("%matplotlib inline\nif True:\n    from mine.part import json", "not Python at all")
    return write_notebook(tmp_path / "notebook.ipynb", *cells)


@pytest.mark.parametrize(("name", "counts"), [("part", True), ("other", True), ("__init__", True), ("unused", False)])
def test_modules_beside_the_notebook_are_followed(notebook, tmp_path, name, counts):
    def key():
        return runner.key(notebook, {})

    before = key()
    (tmp_path / "mine" / f"{name}.py").write_text("X = 2\n")
    sources._read.cache_clear()
    assert (key() != before) == counts


def test_imports_are_found_wherever_they_stand():
    text = """\
if TYPE_CHECKING:
    import scgen_lib.a
else:
    import scgen_lib.b
def function():
    from scgen_lib.c import d
    return import_module("scgen_lib.e")
class Class:
    from .f import g
    from .. import h
"""
    found = set(sources._imports(sources._Bare().visit(ast.parse(text)), "scgen_lib.inner"))
    assert found >= {"scgen_lib.b", "scgen_lib.c", "scgen_lib.c.d", "scgen_lib.e"}
    assert found >= {"scgen_lib.inner.f", "scgen_lib.inner.f.g", "scgen_lib.h"}
    assert "scgen_lib.a" not in found
