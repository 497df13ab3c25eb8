"""A chapter that is hit at a random moment: it says so in a line, and started again it ends as if nothing had been."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest

from scgen_book import provenance

pytestmark = pytest.mark.slow

KINDS = ("killed", "kernel killed", "disk full", "read-only", "file vanished")
EACH = 4
# In every process of a run, what writes below the present folder is refused while a file names an error. A real disk
# that is full, or a folder that root may not write to, cannot be had everywhere.
REFUSE = """
import errno, io, os, builtins

ROOT, read, WRITE = os.getcwd() + os.sep, io.open, os.O_WRONLY | os.O_RDWR | os.O_CREAT

def guarded(function, writes):
    def call(path, *args, **kwargs):
        if isinstance(path, (str, os.PathLike)) and writes(args, kwargs) and os.path.abspath(path).startswith(ROOT):
            try:
                with read({flag!r}) as file:
                    code = getattr(errno, file.read())
            except FileNotFoundError:
                pass
            else:
                raise OSError(code, os.strerror(code), os.fspath(path))
        return function(path, *args, **kwargs)
    return call

for place, name, writes in (
    (io, "open", lambda a, k: set("wax+") & set(str(k.get("mode", a[0] if a else "r")))),
    (os, "open", lambda a, k: (k.get("flags", a[0] if a else 0)) & WRITE),
    (os, "mkdir", lambda a, k: True),
    (os, "replace", lambda a, k: True),
):
    setattr(place, name, guarded(getattr(place, name), writes))
builtins.open = io.open
"""


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Start the quick path of a chapter, three methods and a network of one epoch, in a folder."""
    site = tmp_path_factory.mktemp("site")
    flag = site / "refuse"
    (site / "sitecustomize.py").write_text(REFUSE.format(flag=str(flag)))

    def run(folder):
        shutil.copy(provenance.ROOT / "notebooks" / "denoising.ipynb", folder)
        asked = {"fast": "true", "datasets": "[splat_g6]", "methods": "[truth, observed, gene_mean, dca_zinb]"}
        command = [sys.executable, "-m", "scgen_lib.cli", "run", "denoising.ipynb", "page.ipynb", "--run-dir", "mine"]
        for name, value in (asked | {"rows": "mine/rows"}).items():
            command += ["-p", name, value]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)

    run.flag = flag
    return run


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """A run that nothing happens to: seconds, values and files."""
    folder = tmp_path_factory.mktemp("whole")
    clock = time.monotonic()
    process = start(folder)
    _, error = process.communicate()
    assert process.returncode == 0, error
    return time.monotonic() - clock, values(folder), files(folder)


def values(folder):
    return json.loads((folder / "mine" / "records.json").read_text())["records"]


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def hit(kind, process, folder, flag, chance):
    """Do the harm."""
    if kind == "killed":
        process.kill()
    elif kind == "kernel killed":
        for child in psutil.Process(process.pid).children():
            child.send_signal(signal.SIGKILL)
    elif kind == "file vanished":
        there = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "denoising.ipynb")
        if there:
            chance.choice(there).unlink(missing_ok=True)
    else:
        flag.write_text({"disk full": "ENOSPC", "read-only": "EROFS"}[kind])


@pytest.mark.parametrize("number", range(EACH))
@pytest.mark.parametrize("kind", KINDS)
def test_a_second_start_ends_well_with_the_same_numbers_and_leaves_nothing_half_written(
    kind, number, start, whole, tmp_path
):
    seconds, expected, names = whole
    chance = random.Random(f"{kind} {number}")
    process = start(tmp_path)
    try:
        process.wait(timeout=chance.uniform(0.05, 0.95) * seconds)
    except subprocess.TimeoutExpired:
        hit(kind, process, tmp_path, start.flag, chance)
    _, error = process.communicate(timeout=300)
    start.flag.unlink(missing_ok=True)
    assert "Traceback" not in error
    if process.returncode != 0 and kind != "killed":
        assert process.returncode == 1
        assert re.search(r"^(denoising\.ipynb stopped with |[Ee]xpected )", error, re.MULTILINE), error
    again = start(tmp_path)
    _, error = again.communicate(timeout=600)
    assert again.returncode == 0, error
    assert values(tmp_path) == expected
    assert files(tmp_path) == names
    assert json.loads((tmp_path / "mine" / "run.json").read_text())["status"] == "ok"
