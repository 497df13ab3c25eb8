"""The wheel, installed alone: it must work where there is no repository, and the library where there are no extras."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scgen_book import provenance
from scgen_book.experiments import CHAPTERS
from scgen_lib import __version__

PROJECT = tomllib.loads((provenance.ROOT / "pyproject.toml").read_text())["project"]
PACKAGES = ("scgen_lib", "book/scgen_book")
CITATION = yaml.safe_load((provenance.ROOT / "CITATION.cff").read_text())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of wheel and source archive, built from a copy, since a build leaves files in its tree."""
    root, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(provenance.ROOT / name, root)
    for package in (*PACKAGES, "notebooks"):
        shutil.copytree(
            provenance.ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
        )
    build = f"from setuptools import build_meta as b; b.build_sdist({str(out)!r}); b.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=root, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def wheel(built):
    return next(built.glob("*.whl"))


def variables():
    """The variables of this process, but for those by which Python finds packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


def environment(wheel, folder):
    """The folder of programs of an environment that has the wheel, and of the project's only the dependencies."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", wheel], check=True, env=variables())
    (site,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, but its own .pth files, with the checkout's path, are not.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python.parent


@pytest.fixture(scope="module")
def scgen(wheel, tmp_path_factory):
    return environment(wheel, tmp_path_factory.mktemp("environment"))


WITHOUT = """\
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Without())
"""


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """An environment like `scgen`, in which nothing can be imported that only the extras bring.

    A real one would be a gigabyte of TensorFlow, installed once more.
    """
    brought, asked = set(), [Requirement(line) for line in PROJECT["dependencies"]]
    while asked:
        requirement = asked.pop()
        key = canonicalize_name(requirement.name), *sorted(requirement.extras)
        extras = requirement.extras or {""}
        needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if needed and key not in brought:
            brought.add(key)
            for line in metadata.requires(requirement.name) or ():
                inner = Requirement(line)
                if inner.marker is None or any(inner.marker.evaluate({"extra": extra}) for extra in extras):
                    inner.marker = None
                    asked.append(inner)
    brought = {name for name, *_ in brought}
    missing = {
        module
        for module, owners in metadata.packages_distributions().items()
        if not brought & {canonicalize_name(owner) for owner in owners} and not module.startswith("scgen_")
    }
    assert {"papermill", "snakemake", "jupyter_book", "nbformat"} <= missing
    assert not missing & {"numpy", "scanpy", "tensorflow"}
    folder = environment(wheel, tmp_path_factory.mktemp("bare"))
    (site,) = folder.parent.glob("lib/python*/site-packages")
    (site / "without_extras.py").write_text(WITHOUT.format(names=missing))
    (site / "without_extras.pth").write_text("import without_extras\n")
    return folder


def run(scgen, cwd, *command, fails=0):
    environment = variables() | {"PATH": f"{scgen}:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == fails, done.stderr
    return done.stderr if fails else done.stdout


def test_the_wheel_has_every_file_of_both_packages(wheel):
    expected = set()
    for package in (provenance.ROOT / name for name in PACKAGES):
        files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        expected |= {path.relative_to(package.parent).as_posix() for path in files}
    expected |= {f"scgen_book/_notebooks/{chapter}.ipynb" for chapter in CHAPTERS}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert packed == expected
    assert {"scgen_lib/data/registry.toml", "scgen_book/papers/dca.yml"} <= packed


def test_the_source_archive_can_build_the_wheel(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "scgen_lib/data/registry.toml"} <= names
    assert {"book/scgen_book/papers/dca.yml", "notebooks/dca.ipynb", "setup.py"} <= names


@pytest.mark.slow
def test_the_library_works_without_the_repository(scgen, tmp_path):
    where = run(scgen, tmp_path, "python", "-c", "import scgen_lib; print(scgen_lib.__file__)")
    assert where.startswith(str(scgen.parent))
    assert run(scgen, tmp_path, "scgen", "--version").strip() == __version__
    assert "pbmc68k_reduced" in run(scgen, tmp_path, "scgen", "datasets")
    code = (
        "from scgen_book import claims, provenance; from scgen_lib import data; "
        "print(len(claims.claims()), len(data.datasets()), data.load('pbmc68k_reduced').shape, "
        "provenance.commit(), provenance.lock_hash())"
    )
    counts = run(scgen, tmp_path, "python", "-c", code)
    assert re.fullmatch(r"\d{2,} \d{2,} \(700, 765\) None None\n", counts)


IMPORT_ALL = """\
import importlib, pkgutil, scgen_lib
for module in pkgutil.walk_packages(scgen_lib.__path__, "scgen_lib."):
    importlib.import_module(module.name)
    print(module.name)
"""


@pytest.mark.slow
def test_the_library_works_without_the_extras(bare, tmp_path):
    assert "pbmc68k_reduced" in run(bare, tmp_path, "scgen", "datasets")
    assert "scgen_lib.models.dca\n" in run(bare, tmp_path, "python", "-c", IMPORT_ALL)


@pytest.mark.slow
def test_a_command_of_the_book_says_which_extra_it_needs(bare, tmp_path):
    listed = re.findall(r"^  (\w+)  ", run(bare, tmp_path, "scgen", "--help"), re.MULTILINE)
    own = ["datasets", "denoise", "embed", "fetch"]
    assert listed == [*own, "pages", "plan", "record", "row", "run", "simulate", "verify"]
    assert "--ae-type NAME" in run(bare, tmp_path, "scgen", "denoise", "dca", "--help")
    row = ("row", "denoising", "--dataset", "a", "--method", "b", "--out", "c.json")
    for command in (("run", "a.ipynb", "b.ipynb"), row, ("pages",)):
        line = run(bare, tmp_path, "scgen", *command, fails=2)
        assert re.fullmatch(r"expected the packages of the book, got none of \w+: .*scgen_lib\[book\]\n", line)


@pytest.mark.slow
def test_a_notebook_runs_without_the_repository(scgen, tmp_path, write_notebook):
    show = "import scgen_lib\n\nprint(scgen_lib.__file__)"
    write_notebook(tmp_path / "tiny.ipynb", show)
    run(scgen, tmp_path, "scgen", "run", "tiny.ipynb", "out.ipynb", "-p", "seed", "3", "--run-dir", "mine")
    assert str(scgen.parent / "lib") in (tmp_path / "out.ipynb").read_text()
    assert (tmp_path / "mine" / "records.json").exists()


@pytest.mark.slow
def test_a_chapter_runs_by_its_name_without_the_repository(scgen, tmp_path):
    where = run(scgen, tmp_path, "python", "-c", "from scgen_book import notebooks; print(notebooks.path('dca'))")
    assert where.startswith(str(scgen.parent / "lib"))
    # refused by the parameters of the notebook that was found
    line = run(scgen, tmp_path, "scgen", "run", "dca", "mine.ipynb", "-p", "epocs", "3", fails=2)
    assert line == "expected a parameter of this notebook, got epocs: did you mean epochs?\n"
    line = run(scgen, tmp_path, "scgen", "run", "dcaa", "mine.ipynb", fails=2)
    assert line.count("\n") == 1
    assert ", ".join(CHAPTERS) in line
    # the versions of the packages stand for the lock file in the key of a result
    code = "from scgen_book import provenance; print(provenance.packages() == provenance.versions())"
    assert run(scgen, tmp_path, "python", "-c", code) == "True\n"


def test_the_version_is_the_same_everywhere(wheel):
    assert wheel.name.startswith(f"scgen_lib-{__version__}-")
    assert CITATION["version"] == __version__
    changes = (provenance.ROOT / "CHANGELOG.md").read_text()
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] == __version__


def test_the_address_of_the_repository_is_the_same_everywhere():
    url = yaml.safe_load((provenance.ROOT / "_config.yml").read_text())["repository"]["url"]
    assert PROJECT["urls"]["Repository"] == CITATION["repository-code"] == url
    owner, name = url.rsplit("/", 2)[1:]
    assert PROJECT["urls"]["Documentation"] == f"https://{owner}.github.io/{name}/"
