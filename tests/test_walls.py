"""Walls of the house: who may import whom, how long modules and cells may be, and where an argument is declared."""

import ast
import importlib
import inspect

import nbformat
import pytest

from scgen_book import experiments, notebooks, parameters, provenance
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA
from scgen_lib.models.dca.students import Student
from scgen_lib.models.dr_a import DRA
from scgen_lib.models.scgan import ScGAN
from scgen_lib.settings import arguments

LIBRARY = sorted((provenance.ROOT / "scgen_lib").rglob("*.py"))
BOOK = sorted((provenance.ROOT / "book" / "scgen_book").rglob("*.py"))
# Parts of the book that stand above the others, from the lowest. The pages ask the batch which runs there are.
ABOVE = ["plots", "chapters", "batch", "pages", "cli"]
OF_THE_BOOK = {"scgen_book", "papermill", "nbformat", "seaborn", "snakemake", "jupyter_book", "matplotlib"}


def imported(path):
    """The modules that a source imports anywhere, also inside functions and for type checkers."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.relative_to(provenance.ROOT).as_posix())
def test_the_library_imports_nothing_of_the_book(path):
    assert not {name.partition(".")[0] for name in imported(path)} & OF_THE_BOOK


@pytest.mark.parametrize("path", BOOK, ids=lambda path: path.relative_to(provenance.ROOT).as_posix())
def test_what_is_measured_imports_nothing_of_figures_pages_and_batches(path):
    part = path.relative_to(provenance.ROOT / "book" / "scgen_book").parts[0].removesuffix(".py")
    above = ABOVE[ABOVE.index(part) + 1 :] if part in ABOVE else ABOVE
    assert not [name for name in imported(path) if name.startswith(tuple(f"scgen_book.{other}" for other in above))]


@pytest.mark.parametrize("path", [*LIBRARY, *BOOK], ids=lambda path: path.relative_to(provenance.ROOT).as_posix())
def test_a_module_can_be_read_at_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 350


@pytest.mark.parametrize("model", [DCA, Student, DBAAE, DRA, CVAE, ScGAN])
def test_an_argument_of_a_model_is_declared_once(model):
    declared = arguments(model)
    # the constructor is that of the settings, and the net takes them whole
    assert list(inspect.signature(model).parameters) == list(declared)
    assert "__init__" not in vars(model)
    net = inspect.signature(model.net_type).parameters
    assert "settings" in net
    assert not declared.keys() & net.keys()
    # `fit` has arguments of its own, each declared in its signature
    of_fit = inspect.signature(model.fit).parameters
    assert not declared.keys() & of_fit.keys()
    assert of_fit.keys() - arguments(model.fit).keys() <= {"self", "adata", "train", "train_rows", "label_key"}
    for name, argument in (declared | arguments(model.fit)).items():
        assert argument.option.meaning, name
        assert argument.documented() in (inspect.getdoc(model) + inspect.getdoc(model.fit)), name


# The chapters ---------------------------------------------------------------------------------------------------------

each = pytest.mark.parametrize("chapter", experiments.CHAPTERS)


def code_of(chapter):
    """The sources of the code cells of a chapter's notebook."""
    cells = nbformat.read(notebooks.path(chapter), as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def lines(source):
    return [line for line in source.splitlines() if line.strip()]


def test_the_chapters_are_the_notebooks():
    assert sorted(experiments.CHAPTERS) == sorted(path.stem for path in (provenance.ROOT / "notebooks").glob("*.ipynb"))


@each
def test_a_notebook_can_be_read_with_its_code_shown(chapter):
    code = code_of(chapter)
    assert sum(len(lines(source)) for source in code) <= 250
    assert max(len(lines(source)) for source in code) <= 40
    for source in code:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                assert node.end_lineno - node.lineno < 10, node.name


@each
def test_the_experiments_of_a_chapter_are_there_and_asked_for(chapter):
    names = experiments.chapter(chapter).experiments
    assert names
    asked = {n.value for source in code_of(chapter) for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant)}
    for name in names:
        assert experiments.get(name).name == name
        assert name in asked, f"{name} is not asked for in notebooks/{chapter}.ipynb"
    # and none is there that nobody computes
    folder = provenance.ROOT / "book" / "scgen_book" / "experiments" / chapter
    modules = [importlib.import_module(f"scgen_book.experiments.{chapter}.{path.stem}") for path in folder.glob("*.py")]
    assert {module.EXPERIMENT.name for module in modules if hasattr(module, "EXPERIMENT")} == set(names)
    assert len(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")).body) == 1


@each
def test_a_parameter_of_a_chapter_is_declared_in_one_place(chapter):
    found = experiments.chapter(chapter)
    assert found.name == chapter
    # what a chapter declares for itself, no model declares, unless the chapter takes other values
    own, others = {}, {}
    for of in found.declared:
        target = own if of.__module__.startswith("scgen_book.") else others
        target |= {argument.flat: argument for argument in arguments(of).values() if argument.flat is not None}
    for name in own.keys() & others.keys():
        first, second = ((a.type, a.default, a.legal) for a in (own[name], others[name]))
        assert first != second, name
    cell = parameters.from_notebook(notebooks.path(chapter))
    shown = next(source for source in code_of(chapter) if parameters._is_parameters_cell(source))
    assert len(cell) == len([line for line in lines(shown) if not line.startswith("#")])
    # a row is decided by parameters that there are
    known = cell | parameters.declared(chapter)
    for name in found.experiments:
        settings = [of for of in experiments.get(name).settings if isinstance(of, str)]
        assert set(settings) <= set(known), name
    run = {"seed", "seeds", "fast", "edition", "rows", "out", "transpose"}
    assert run <= set(cell), run - set(cell)


@each
def test_at_test_size_only_values_of_known_parameters_change(chapter):
    spec = parameters.from_notebook(notebooks.path(chapter)) | parameters.declared(chapter)
    values = experiments.complete(chapter, parameters.check({}, spec))
    small = experiments.chapter(chapter).fast(values)
    assert small
    for name, value in small.items():
        spec[name].check(value)
