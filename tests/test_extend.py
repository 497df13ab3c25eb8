"""A further paper, started from the template in a copy of the project: tests pass, and the book has its chapter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml


def call(project, *command, ok=True):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PYTHONPATH"] = f"{project}{os.pathsep}{project / 'book'}"
    command = [str(Path(sys.executable).with_name(command[0])) if "/" not in command[0] else command[0], *command[1:]]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == ok, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory, copy_project):
    """A copy of the project with a sixth paper as the template has it."""
    root = copy_project(tmp_path_factory.mktemp("project"))
    before = {path: path.read_text() for path in root.rglob("*") if path.suffix in (".yml", ".bib", ".md")}
    out = call(root, "tools/new-paper", "toy", "Toy", "someone2026")
    assert set(out.split()) == {
        "scgen_lib/models/toy/__init__.py", "scgen_lib/models/toy/settings.py", "scgen_lib/models/toy/net.py",
        "scgen_lib/models/toy/model.py", "tests/models/test_toy.py", "book/scgen_book/papers/toy.yml",
        "notebooks/toy.ipynb",
        "book/references.bib", "_toc.yml", "workflow/editions/quick.yml", "workflow/editions/paper.yml",
    }  # fmt: skip
    # what was there before is still there, line by line
    for path, text in before.items():
        rest = path.read_text().splitlines()
        assert all(line in rest for line in text.splitlines())
    return root


def test_the_contents_and_the_editions_have_the_paper(project):
    contents = yaml.safe_load((project / "_toc.yml").read_text())
    chapters = {part["caption"]: [chapter["file"] for chapter in part["chapters"]] for part in contents["parts"]}
    assert chapters["The papers"][-1] == "book/executed/toy"
    assert sum(map(len, chapters.values())) == len({file for part in chapters.values() for file in part})
    for edition in ("quick", "paper"):
        entry = yaml.safe_load((project / f"workflow/editions/{edition}.yml").read_text())["toy"]
        assert (entry["notebook"], entry["page"]) == ("notebooks/toy.ipynb", "toy")


def test_the_files_follow_the_style_of_the_project(project):
    files = ["scgen_lib/models/toy", "tests/models/test_toy.py", "notebooks/toy.ipynb"]
    call(project, "ruff", "check", *files)
    call(project, "ruff", "format", "--check", *files)


def test_the_parameters_cell_has_the_declared_lines(project):
    code = (
        "from scgen_lib.models.toy import Toy; from scgen_lib.settings import arguments; "
        "[print(a.line()) for a in (arguments(Toy) | arguments(Toy.fit)).values() if a.flat]"
    )
    lines = call(project, "python", "-c", code).splitlines()
    cell = nbformat.read(project / "notebooks/toy.ipynb", as_version=4)["cells"]
    cell = next(c["source"] for c in cell if "parameters" in c["metadata"].get("tags", ()))
    declared = [line for line in lines if "  # " in line]
    assert len(declared) == 5
    assert set(declared) <= set(cell.splitlines())


@pytest.mark.slow
def test_the_tests_of_the_template_and_of_its_notebook_pass(project):
    files = ["tests/models/test_toy.py", "tests/test_notebooks.py"]
    call(project, "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", "toy and not runs")


@pytest.mark.slow
def test_the_paper_runs_and_the_book_has_its_chapter_and_its_claims(project):
    # The other papers are left out of this edition, and the pages that say nothing of this one have a title only.
    edition = project / "workflow" / "editions" / "quick.yml"
    runs = yaml.safe_load(edition.read_text())
    edition.write_text(yaml.safe_dump({"toy": runs["toy"]}))
    contents = yaml.safe_load((project / "_toc.yml").read_text())
    for file in (project / chapter["file"] for part in contents["parts"] for chapter in part["chapters"]):
        file.parent.mkdir(exist_ok=True)
        if file.parent.name == "executed" and file.name != "toy":
            title = nbformat.v4.new_markdown_cell(f"# {file.name}")
            nbformat.write(nbformat.v4.new_notebook(cells=[title]), file.with_suffix(".ipynb"))
        elif file.parent.name == "book" and file.name not in ("scorecard", "findings", "bibliography"):
            file.with_suffix(".md").write_text(f"({file.name})=\n# {file.name}\n")
    call(project, "snakemake", "--snakefile", "workflow/Snakefile", "--cores", "1", "--config", "edition=quick")
    call(project, "scgen", "pages")
    call(project, "jupyter-book", "build", ".", "--all", "-W", "-n", "--keep-going")
    page = (project / "_build/html/book/executed/toy.html").read_text()
    assert "MyMethod" not in page
    assert "X_toy" in page
    table = json.loads((project / "book/generated/claims.json").read_text())
    verdicts = {row["claim"]: row["verdict"] for row in table if row["paper"] == "someone2026"}
    assert set(verdicts) == {"toy.silhouette", "toy.pca", "toy.order", "toy.private"}
    assert {verdicts["toy.pca"], verdicts["toy.private"]} <= {"reproduced", "partly", "not reproduced", "not tested"}
    assert verdicts["toy.private"] == "not tested"
    assert verdicts["toy.pca"] != "not tested"
    assert "someone2026" in (project / "book/generated/summary.md").read_text()
    assert (project / "results/quick/toy/embedded.h5ad").exists()
    assert "Key takeaways of this run" in page
    assert "the decoder has the weights of the encoder" in (project / "_build/html/book/findings.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("dca", "DCA", "eraslan2019"), "but there is scgen_lib/models/dca/__init__.py"),
        (("New-Paper", "NewPaper", "new2026"), "Expected NAME of the form"),
        (("new", "NewPaper"), "tools/new-paper NAME CLASS KEY"),
    ],
)
def test_what_cannot_be_a_paper_changes_nothing(project, arguments, line):
    contents = (project / "_toc.yml").read_text()
    assert line in call(project, "tools/new-paper", *arguments, ok=False)
    assert (project / "_toc.yml").read_text() == contents
