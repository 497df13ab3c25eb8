"""Walls of the house: who may import whom, how long a module may be, and where an argument is declared."""

import ast
import inspect

import pytest

from scgen_book import provenance
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
ABOVE = ["plots", "batch", "pages", "cli"]
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
