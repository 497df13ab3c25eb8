"""Every notebook: stripped, with checked parameters, and executed at test size through nbval."""

import os
import re
import subprocess
import sys

import anndata
import nbformat
import numpy as np
import pytest

from scgen_book import experiments, parameters, provenance
from scgen_lib.errors import ParameterError

NOTEBOOKS = sorted((provenance.ROOT / "notebooks").glob("*.ipynb"))
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
#: The others run with the tests that take longer: what they compute are rows, which have tests of their own.
EXECUTED = ("denoising",)


def test_there_are_notebooks():
    assert NOTEBOOKS


@each
def test_a_notebook_is_stripped_but_for_its_reference_cells(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code" and "# NBVAL_CHECK_OUTPUT" not in cell.source:
            assert cell.outputs == [], cell.source
            assert cell.execution_count is None, cell.source


@each
def test_a_notebook_writes_results_whole_or_not_at_all(path):
    code = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    assert ".write_h5ad(" not in code.replace("files.write_h5ad(", "")


@each
def test_a_notebook_checks_its_parameters_in_the_cell_after_them(path):
    notebook = nbformat.read(path, as_version=4)
    spec = parameters.from_notebook(notebook)
    assert {"seed", "fast", "edition", "out"} <= set(spec)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    (place,) = (i for i, cell in enumerate(code) if "parameters" in cell.metadata.get("tags", ()))
    # the notebook of a registered chapter takes what that declares as well
    chapter = f', "{path.stem}"' if path.stem in experiments.CHAPTERS else ""
    assert f"parameters.check_namespace(globals(){chapter})" in code[place + 1].source
    # no other cell is taken for it in a live session
    assert [i for i, cell in enumerate(code) if parameters._is_parameters_cell(cell.source)] == [place]


@each
def test_a_seed_is_what_all_that_takes_it_can_take(path):
    # scikit-learn takes 32 bits
    spec = parameters.from_notebook(path)
    seeds = [p for name, p in spec.items() if re.fullmatch(r"\w*seeds?|masks", name) and p.rule.startswith("in [0,")]
    assert seeds
    for parameter in seeds:
        largest = [2**32 - 1] if isinstance(parameter.default, list) or parameter.default is None else 2**32 - 1
        assert parameter.check(largest) == largest
        with pytest.raises(ParameterError, match=parameter.name):
            parameter.check([2**32] if isinstance(largest, list) else 2**32)


@each
def test_a_file_can_be_the_other_way_round(path):
    assert parameters.from_notebook(path)["transpose"].default is False
    code = "".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    # the notebook loads the data itself, or its rows do
    names = experiments.chapter(path.stem).experiments if path.stem in experiments.CHAPTERS else ()
    rows = any(experiments.settings_of(experiments.get(name), {"transpose": True}) for name in names)
    assert "transpose=transpose" in code or '"transpose": transpose' in code or rows


def test_the_book_can_draw_every_formula(extension):
    mathtext = extension("mathtext")
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                text = re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.DOTALL)
                for block in re.findall(r"\$\$(.*?)\$\$", text, re.DOTALL):
                    for row in mathtext.rows(block):
                        mathtext.draw(row)
                for formula in re.findall(r"\$([^$]+)\$", re.sub(r"\$\$.*?\$\$", "", text, flags=re.DOTALL)):
                    mathtext.draw(formula)


def test_labels_and_figure_names_are_those_of_one_chapter():
    names = []
    for path in NOTEBOOKS:
        for cell in nbformat.read(path, as_version=4).cells:
            names += re.findall(r"^\(([\w-]+)\)=$", cell.source, re.MULTILINE)
            names += filter(None, [cell.metadata.get("mystnb", {}).get("figure", {}).get("name")])
    assert sorted(names) == sorted(set(names))


def test_a_chapter_on_simulated_cells_does_not_call_them_real():
    (path,) = (path for path in NOTEBOOKS if path.stem == "cvae")
    for cell in nbformat.read(path, as_version=4).cells:
        text = [cell.source] if cell.cell_type == "markdown" else []
        text += [str(cell.metadata.get("mystnb", ""))]
        allowed = "`pbmc68k_reduced` beside them are\nreal cells", "not of real ones"
        for words in text:
            for phrase in allowed:
                words = words.replace(phrase, "")
            assert not re.search(r"\breal\b", words), words


def test_an_edition_shows_each_notebook():
    from scgen_book.batch import editions

    for edition in ("quick", "paper"):
        runs = editions.read_edition(provenance.ROOT / "workflow" / "editions" / f"{edition}.yml")
        assert {run["notebook"] for run in runs.values()} == {f"notebooks/{path.name}" for path in NOTEBOOKS}


def nbval(path):
    """Execute a notebook cell by cell; return whether all cells passed, and the report."""
    # The variables of the surrounding pytest would make the inner one believe that it is a worker of it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-p", "no:cacheprovider"]
    command += ["--exitfirst", "--no-header", "-q", "--nbval-cell-timeout", "600", path.name]
    done = subprocess.run(command, cwd=path.parent, env=environment, capture_output=True, text=True, check=False)
    return done.returncode == 0, re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)


def prepare(path, target, **values):
    import papermill

    papermill.execute_notebook(str(path), str(target), parameters=values, prepare_only=True, progress_bar=False)
    return target


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] * (path.stem not in EXECUTED), id=path.stem) for path in NOTEBOOKS],
)
def test_a_notebook_runs_at_test_size(path, tmp_path):
    passed, report = nbval(prepare(path, tmp_path / path.name, fast=True))
    assert passed, report


@pytest.mark.slow
@pytest.mark.parametrize("chapter", ["dca", "db_aae"])
def test_labels_that_do_not_score_leave_their_scores_out(chapter, tmp_path):
    rng = np.random.default_rng(0)
    cells = anndata.AnnData(rng.poisson(rng.gamma(1, 3, 80), (120, 80)) + np.eye(120, 80, dtype=int))
    cells.obs["cell_type"] = np.where(np.arange(120) < 3, "rare", "common")
    cells.write_h5ad(tmp_path / "mine.h5ad")
    path = provenance.ROOT / "notebooks" / f"{chapter}.ipynb"
    target = prepare(path, tmp_path / path.name, fast=True, dataset=str(tmp_path / "mine.h5ad"))
    passed, report = nbval(target)
    assert passed, report


def test_a_cell_that_fails_fails_the_notebook(tmp_path, write_notebook):
    path = write_notebook(tmp_path / "bad.ipynb", "assert fast, 'at full size'")
    passed, report = nbval(prepare(path, tmp_path / "full.ipynb", fast=False))
    assert not passed
    assert "at full size" in report
    assert nbval(prepare(path, tmp_path / "fast.ipynb", fast=True))[0]


def test_an_unknown_parameter_fails_the_notebook(tmp_path, write_notebook):
    path = write_notebook(tmp_path / "good.ipynb", "print(seed)")
    passed, report = nbval(prepare(path, tmp_path / "bad.ipynb", sede=1))
    assert not passed
    assert "expected a parameter of this notebook, got sede: did you mean seed?" in report
