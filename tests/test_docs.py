"""What README, book and chapters print is run as printed, in a copy of the project with files of the names they use.

Commands that train are checked: notebook, options, names and values of parameters. With `SCGEN_TEST_COMMANDS=all` they
are run, at test size.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import nbformat
import pytest
import yaml

from scgen_book import parameters, provenance
from scgen_book.batch import editions
from scgen_book.cells import read_notebook
from scgen_book.experiments import CHAPTERS
from scgen_lib import cli

ALL = os.environ.get("SCGEN_TEST_COMMANDS") == "all"
DOCUMENTS = [
    provenance.ROOT / "README.md",
    *sorted((provenance.ROOT / "book").glob("*.md")),
    *sorted((provenance.ROOT / "notebooks").glob("*.ipynb")),
]
# Beginnings of commands that are not run here, each with the reason.
NOT_RUN = {
    "docker ": "needs a Docker daemon; the weekly workflow builds and runs the images",
    "export KERASTUNER_": "processes that search for minutes; tests/training/test_search.py runs chief and workers",
    "KERASTUNER_TUNER_ID=": "likewise",
    "wait": "likewise",
    "make book": "runs every notebook; CI does",
    "make pages": "shows what all runs of an edition have left",
    "make test": "runs this test",
    "python -m pytest tests/models/test_my_method.py": "tests/test_extend.py runs it",
    "scgen fetch --to data": "downloads gigabytes",
    "tensorboard ": "a server, which does not end",
}
ON_CELLS = ("scgen denoise ", "scgen embed ", "scgen simulate ")
TRAINS = ("scgen run ", "papermill ", *ON_CELLS)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([\w.-]+\.(?:yml|csv|tsv))`[^`]*:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`((?:scgen run|papermill|make) [^`\n]+)`(?!`)")
each = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


def text(path):
    if path.suffix == ".md":
        return path.read_text()
    return "\n\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "markdown")


def commands(block):
    """The commands of a block: lines joined where they are continued, without comments."""
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    return [line for line in (re.sub(r"\s+# .*$", "", line) for line in lines) if line and not line.startswith("#")]


def reason(command):
    return next((why for start, why in NOT_RUN.items() if command.startswith(start)), None)


@pytest.fixture(scope="module")
def original(tmp_path_factory, copy_project):
    """A copy of the project, with the files that commands name."""
    import anndata

    from scgen_lib.data import checks, splatter

    root = copy_project(tmp_path_factory.mktemp("original"))
    (root / ".venv").symlink_to(sys.prefix)
    cells = splatter.simulate(n_genes=80, batch_cells=(400,), group_prob=(0.5, 0.5), lib_loc=9, seed=0)
    cells = checks.drop_empty(cells)
    # as a file of one's own is: no truth beside the counts
    types = cells.obs["group"].map({"Group1": "B", "Group2": "NK"}.get).astype(str)
    cells = anndata.AnnData(cells.layers["counts"], types.to_frame("cell_type").assign(cluster=types), cells.var[[]])
    for name in ("counts.h5ad", "my_counts.h5ad"):
        cells.write_h5ad(root / name)
    named = ["CD3D", "LYZ", "NKG7", *cells.var_names[3:]]
    anndata.AnnData(cells.X, cells.obs, cells.var.set_axis(named)).write_h5ad(root / "cells.h5ad")
    # in the form of scGAN's released code
    model = {"type": "cscGAN", "gen_layers": [16], "critic_layers": [16]}
    experiment = {"input_ds": {"raw_input": "my_counts.h5ad"}, "model": model, "training": {"max_steps": 50}}
    (root / "parameters.json").write_text(json.dumps({"experiments": {"mine": experiment}}))
    # what the page of a chapter offers
    shutil.copy(root / "notebooks" / "dca.ipynb", root)
    values = parameters.check({}, parameters.from_notebook(root / "dca.ipynb"))
    del values["edition"], values["out"]
    (root / "parameters.yml").write_text(yaml.safe_dump(values))
    return root


@pytest.fixture
def project(original, tmp_path, request):
    """A copy for one document, with the files that it prints."""
    root = tmp_path / "project"
    shutil.copytree(original, root, symlinks=True)
    for name, content in NAMED.findall(text(request.getfixturevalue("path"))):
        (root / name).write_text(content)
    return root


def check(command, project):
    """Refuse a command that would be refused: the notebook, an option, the name or the value of a parameter."""
    program, *arguments = shlex.split(command)
    if command.startswith(ON_CELLS):
        group = cli.scgen.get_command(None, arguments[0])
        model, of_model, rest = group.resolve_command(click.Context(group), arguments[1:])
        if rest != ["--help"]:
            options = of_model.make_context(model, rest).params
            assert options["out"] is None or (project / options["counts"]).exists(), command
        return
    if program == "make":
        targets = re.findall(r"^([\w.]+):", (project / "Makefile").read_text(), re.MULTILINE)
        assert all(argument in targets or "=" in argument for argument in arguments), command
        return
    if program == "scgen":
        name, *arguments = arguments
        options = cli.scgen.get_command(None, name).make_context(name, arguments).params
        if name == "row":
            return
        notebook, file, given = options["notebook"], next(iter(options["files"]), None), dict(options["parameters"])
    else:
        from papermill.cli import papermill

        options = papermill.make_context(program, arguments).params
        notebook, file = options["notebook_path"], next(iter(options["parameters_file"]), None)
        given = dict(options["parameters"])
        for content in options["parameters_yaml"]:
            given |= yaml.safe_load(content)
    values = editions.read_parameters(project / file) | given if file else given
    # of a chapter by its name, which papermill does not know
    named = program == "scgen" and notebook in CHAPTERS and not (project / notebook).is_file()
    source = read_notebook(project / "notebooks" / f"{notebook}.ipynb" if named else project / notebook)
    parameters.check(values, parameters.known(source, values))
    dataset = str(values.get("dataset", ""))
    assert not dataset.endswith(".h5ad") or (project / dataset).exists(), command


def small(command):
    """What has a command train as little as can be."""
    if command.startswith(ON_CELLS):
        saved = " --model " in command or "--help" in command
        return "" if saved else " --steps 100 --batch-size 32" if " scgan " in command else " --epochs 1"
    return "" if " -p fast " in command or "scgen row" in command else " -p fast true"


# the commands of that page train models
@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] * (path.name == "how_to_run.md")) for path in DOCUMENTS],
    ids=lambda path: path.name,
)
def test_the_commands_of_a_document_work_as_printed(path, project):
    ran = 0
    for language, block in FENCE.findall(text(path)):
        if language not in ("sh", "bash"):
            continue
        script = []
        for command in commands(block):
            if reason(command):
                script.append(":")
            elif command.startswith(TRAINS) or (command.startswith("scgen row ") and path.suffix == ".ipynb"):
                check(command, project)
                script.append(f"{command}{small(command)}" if ALL else ":")
            elif command.startswith("snakemake "):
                # the paper edition has hundreds of rows to look up
                script.append((command if ALL else command.replace("=paper", "=quick")) + " --dry-run")
            else:
                script.append(command)
        ran += run(project, script)
    assert ran or not re.search(r"^```(sh|bash)$", text(path), re.MULTILINE)


def run(project, script):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PYTHONPATH"] = f"{project}{os.pathsep}{project / 'book'}"
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    whole = "set -eo pipefail\n" + "\n".join(script)
    done = subprocess.run(
        ["bash", "-c", whole], cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{whole}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return 1


@each
def test_the_commands_in_the_lines_of_a_document_are_legal(path, project):
    for command in INLINE.findall(text(path)):
        check(command, project)


def test_every_reason_not_to_run_a_command_is_needed():
    printed = {command for path in DOCUMENTS for _, block in FENCE.findall(text(path)) for command in commands(block)}
    for start in NOT_RUN:
        assert any(command.startswith(start) for command in printed), start


PYTHON = """\
import json, os, sys, traceback
from scgen_lib import training

fit = training.fit
def short(*args, epochs, **kwargs):
    return fit(*args, epochs=min(epochs, 1), **kwargs)
training.fit = short
training.WindowModel.jit = False
folder, documents = sys.argv[1], json.loads(sys.argv[2])
os.chdir(folder)
for name, blocks in documents.items():
    space = {}
    for block in blocks:
        try:
            exec(compile(block, name, "exec"), space)
        except Exception:
            sys.exit(f"{name}:\\n{block}\\n{traceback.format_exc()}")
"""


@pytest.mark.slow
def test_the_python_that_readme_and_book_print_works(original, tmp_path):
    found = {}
    for path in DOCUMENTS:
        blocks = [block for language, block in FENCE.findall(text(path)) if language == "python"]
        for block in blocks:
            compile(block, path.name, "exec")
        if path.suffix == ".md" or ALL:
            found[path.name] = blocks
    assert sum(map(len, found.values())) >= 3
    shutil.copytree(original, tmp_path / "project", symlinks=True)
    command = [sys.executable, "-c", PYTHON, tmp_path / "project", json.dumps(found)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


# Modules of the library that nobody imports: how others are made, and the command line.
WITHOUT_PAGE = {
    "_version", "backend", "cli", "data.datasets", "data.opened", "data.own", "data.readers", "data.recipes",
    "data.registry", "data.sources", "data.splatter_parameters", "data.splatter_paths", "environment", "files",
    "models", "training.arrays", "training.checkpoint", "training.loop", "training.model", "training.parallel",
    "training.search", "training.windows", "values",
}  # fmt: skip


def test_each_module_of_the_library_has_a_page_that_its_overview_and_the_contents_list():
    book, library = provenance.ROOT / "book", provenance.ROOT / "scgen_lib"
    paths = [path.relative_to(library).with_suffix("") for path in library.rglob("*.py")]
    modules = {".".join(path.parts).removesuffix("__init__").removesuffix(".") for path in paths} - {""}
    # what a model's class is in is described by its package, and a command by its help
    modules = {name for name in modules if not re.fullmatch(r"models\.\w+\.model|commands(\.\w+)?", name)}
    pages = {path.stem if path.suffix == ".md" else path.name: path for path in (book / "api").iterdir()}
    assert set(pages) == modules - WITHOUT_PAGE
    assert modules >= WITHOUT_PAGE
    for name, path in pages.items():
        assert f".. automodule:: scgen_lib.{name}\n" in path.read_text()
    listed = re.findall(r"^   scgen_lib\.(\S+)$", (book / "api.md").read_text(), re.MULTILINE)
    contents = re.findall(r"- file: book/api/(\S+)$", (provenance.ROOT / "_toc.yml").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(contents) == sorted(pages)


def test_what_a_million_cells_take_is_what_the_benchmark_has_measured():
    lines = (provenance.ROOT / "benchmarks" / "scale.md").read_text().splitlines()
    table = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines if line.startswith("| ")]
    head = next(cells for cells in table if cells[0] == "model")
    rows = {cells[0]: dict(zip(head, cells, strict=True)) for cells in table if cells[1] == "1,000,000"}
    text = " ".join((provenance.ROOT / "book" / "how_to_run.md").read_text().split())
    for name, words in {"DCA": "DCA", "DR-A": "DR-A", "CVAE": "the conditional VAE", "scVI": "takes"}.items():
        seconds, peak = rows[name]["s per epoch"].strip("*"), float(rows[name]["peak, GiB"])
        assert f"{words} {seconds} seconds and {peak:.1f} GiB" in text, name


def test_the_entry_for_the_registry_is_that_of_this_version():
    import tomllib

    from scgen_lib import __version__

    entry = yaml.safe_load((provenance.ROOT / "book" / "scverse_meta.yaml").read_text())
    project = tomllib.loads((provenance.ROOT / "pyproject.toml").read_text())["project"]
    required = {"name", "description", "project_home", "documentation_home", "install", "license", "tags", "version"}
    assert required | {"category", "contact"} <= set(entry)
    assert (entry["name"], entry["install"]["pypi"], entry["license"]) == (project["name"],) * 2 + (project["license"],)
    assert entry["version"] == f"v{__version__}"
    assert entry["project_home"] == project["urls"]["Repository"]
    assert entry["documentation_home"] == project["urls"]["Documentation"]
