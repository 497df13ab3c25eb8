"""The wheel, installed alone: it must work where there is no repository."""

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

import pytest
import yaml

from scgen_lib import __version__, provenance

PROJECT = tomllib.loads((provenance.ROOT / "pyproject.toml").read_text())["project"]
CITATION = yaml.safe_load((provenance.ROOT / "CITATION.cff").read_text())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder of wheel and source archive, built from a copy, since a build leaves files in its tree."""
    root, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(provenance.ROOT / name, root)
    shutil.copytree(
        provenance.ROOT / "scgen_lib", root / "scgen_lib", ignore=shutil.ignore_patterns("__pycache__", "*.pyc")
    )
    build = f"from setuptools import build_meta as b; b.build_sdist({str(out)!r}); b.build_wheel({str(out)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=root, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def wheel(built):
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def scgen(wheel, tmp_path_factory):
    """The folder of programs of an environment that has the wheel, and of the project's only the dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", wheel], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # A path in a .pth file is searched, but its own .pth files, with the checkout's path, are not.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python.parent


def run(scgen, cwd, *command):
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment["PATH"] = f"{scgen}:{environment['PATH']}"
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_has_every_file_of_the_library(wheel):
    package = provenance.ROOT / "scgen_lib"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    expected = {path.relative_to(provenance.ROOT).as_posix() for path in files}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("scgen_lib/")}
    assert packed == expected
    assert {"scgen_lib/data/registry.toml", "scgen_lib/claims/dca.yml"} <= packed


def test_the_source_archive_can_build_the_wheel(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "scgen_lib/data/registry.toml"} <= names


def test_the_library_works_without_the_repository(scgen, tmp_path):
    where = run(scgen, tmp_path, "python", "-c", "import scgen_lib; print(scgen_lib.__file__)")
    assert where.startswith(str(scgen.parent))
    assert run(scgen, tmp_path, "scgen", "--version").strip() == __version__
    assert "pbmc68k_reduced" in run(scgen, tmp_path, "scgen", "datasets")
    code = (
        "from scgen_lib import claims, data, provenance; print(len(claims.claims()), len(data.datasets()), "
        "data.load('pbmc68k_reduced').shape, provenance.commit(), provenance.lock_hash())"
    )
    counts = run(scgen, tmp_path, "python", "-c", code)
    assert re.fullmatch(r"\d{2,} \d{2,} \(700, 765\) None None\n", counts)


def test_a_notebook_runs_without_the_repository(scgen, tmp_path, write_notebook):
    show = "import scgen_lib\n\nprint(scgen_lib.__file__)"
    write_notebook(tmp_path / "tiny.ipynb", show)
    run(scgen, tmp_path, "scgen", "run", "tiny.ipynb", "out.ipynb", "-p", "seed", "3", "--run-dir", "mine")
    assert str(scgen.parent / "lib") in (tmp_path / "out.ipynb").read_text()
    assert (tmp_path / "mine" / "records.json").exists()


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
