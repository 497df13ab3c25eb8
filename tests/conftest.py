import importlib.util
import os
import shutil
import sys

import nbformat
import pytest

from scgen_book import provenance

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers take all cores, so that one is left for what a test trains or starts.
    os.environ |= {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}

CHECK = "from scgen_book import parameters, results\n\nparameters.check_namespace(globals())"
NOTEBOOK = "test_a_notebook_runs_at_test_size"
FAULTS = "test_faults.py"
# What takes longest starts first, so that no worker ends long after the others.
LONGEST = (NOTEBOOK, "test_slurm", "test_workflow", "test_docs", "test_extend", "test_book", "test_scgan", "test_cvae")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A worker of xdist takes a module, whose tests share what they set up, but long tests one at a time."""
    from xdist.scheduler import LoadFileScheduling

    class ByModule(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return nodeid if NOTEBOOK in nodeid or FAULTS in nodeid else super()._split_scope(nodeid)

    return ByModule(config, log)


def pytest_collection_modifyitems(items):
    """Order the tests by how long they take."""

    def place(item):
        return next((i for i, name in enumerate(LONGEST) if name in item.nodeid), len(LONGEST))

    items.sort(key=place)


@pytest.fixture(scope="module", autouse=True)
def _functions_as_they_were():
    """Rows at test size, and `eager`, run the functions of TensorFlow eagerly; the tests of other modules do not."""
    yield
    if tensorflow := sys.modules.get("tensorflow"):
        tensorflow.config.run_functions_eagerly(False)


@pytest.fixture(scope="module")
def eager(_functions_as_they_were):
    """So few updates are sooner done than compiled."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)


@pytest.fixture(scope="session")
def extension():
    """Load an extension of the book by its name."""

    def load(name):
        path = provenance.ROOT / "book" / "_ext" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"{name}_of_the_book", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def copy_project():
    """Copy the project, without what was installed, run or built in it, into a folder."""

    def copy(root):
        made = (".*", "_build", "results", "executed", "generated", "__pycache__", "*.egg-info")
        return shutil.copytree(provenance.ROOT, root, ignore=shutil.ignore_patterns(*made), dirs_exist_ok=True)

    return copy


@pytest.fixture(scope="session")
def write_notebook():
    """Write a notebook that follows the contract of the chapters: title, parameters, check, then the given cells;
    one of a `chapter` takes what that declares too."""

    def write(path, *cells, parameters="", text="Does it run?", chapter=None):
        code = nbformat.v4.new_code_cell
        declared = "\n".join([
            *parameters.splitlines(),
            "seed: int = 0  # in [0, inf): seed of everything random",
            "fast: bool = False  # any: test size",
            'edition: str = "own"  # one of quick, full, paper, own: edition',
            "out: str | None = None  # any: folder of the records",
        ])  # fmt: skip
        notebook = nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_markdown_cell(f"# A small chapter\n\n{text}"),
                code(declared, metadata={"tags": ["parameters"]}),
                code(CHECK.replace("globals()", f"globals(), {chapter!r}") if chapter else CHECK),
                *[cell if isinstance(cell, dict) else code(cell) for cell in cells],
            ],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return write
