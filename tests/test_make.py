"""The Makefile and what it asks of a machine."""

import json
import os
import runpy
import shutil
import subprocess
import sys

import pytest
import yaml

from scgen_book import provenance
from scgen_book.batch import editions

CHECK = provenance.ROOT / "tools" / "check-machine"


@pytest.fixture
def fault(monkeypatch):
    """Return what is said of a machine."""

    def ask(system, machine, version=(3, 12), libc="glibc"):
        monkeypatch.setattr("platform.system", lambda: system)
        monkeypatch.setattr("platform.machine", lambda: machine)
        monkeypatch.setattr("platform.libc_ver", lambda: (libc, "2.36"))
        monkeypatch.setattr("sys.version_info", version)
        return runpy.run_path(str(CHECK))["fault"]()

    return ask


def test_a_machine_that_the_lock_serves_is_taken(fault):
    for machine in (("Linux", "x86_64"), ("Linux", "aarch64"), ("Darwin", "arm64")):
        assert fault(*machine) is None
    assert subprocess.run([sys.executable, CHECK], capture_output=True, check=True).stderr == b""


@pytest.mark.parametrize(
    ("machine", "line"),
    [
        (("Darwin", "x86_64"), "A Mac with an Apple processor"),
        (("Windows", "AMD64"), "Linux or macOS is needed, this is Windows; use WSL 2"),
        (("Linux", "x86_64", (3, 12), ""), "A Linux with glibc"),
        (("Linux", "ppc64le"), "A Linux with glibc"),
        (("Linux", "x86_64", (3, 14)), "Python 3.11 to 3.13 is needed"),
        (("Darwin", "x86_64", (3, 9)), "Python 3.11 to 3.13 is needed"),
    ],
)
def test_any_other_machine_is_refused_in_one_line_that_says_what_to_do(fault, machine, line):
    said = fault(*machine)
    assert said.startswith(line)
    assert "\n" not in said


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose environment stands for that of make: its Python says what it is asked to do."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(provenance.ROOT / name, tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text('#!/bin/sh\necho "$PIP_USER|$PIP_TARGET|$PYTHONPATH|$*"\n')
    python.chmod(0o755)
    return tmp_path


def test_make_runs_as_the_default_profile_does(checkout):
    (checkout / ".venv" / "ready").write_text(str(checkout))
    words = " ".join(make(checkout, "-n", "run")).replace("\\", "").split()
    profile = yaml.safe_load((provenance.ROOT / "workflow/profiles/default/config.yaml").read_text())
    for name, value in profile.items():
        place = words.index(f"--{name}") + 1
        given = [] if value is True else value
        assert words[place : place + len(given)] == given
    assert words[words.index("--workflow-profile") + 1] == "none"


@pytest.mark.parametrize("status", [0, 1])
def test_a_build_of_the_pages_shows_what_is_wrong_and_keeps_the_rest(tmp_path, status):
    said = ["reading sources", *["\x1b[31mWARNING: no such page\x1b[0m"] * 2, "writing output"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    (tmp_path / "bin" / "jupyter-book").write_text(f"import sys; print('\\n'.join({said!r})); sys.exit({status})")
    command = [tmp_path / "bin" / "python", provenance.ROOT / "tools" / "build_book.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "Building the pages\n")
    wrong = "WARNING: no such page\nThe pages were not built. All that was said: _build/build.log\n"
    assert done.stderr == (wrong if status else "")
    assert "writing output" in (tmp_path / "_build/build.log").read_text()


def make(checkout, *arguments):
    foreign = {"PIP_USER": "1", "PIP_TARGET": "/elsewhere", "PYTHONPATH": "/elsewhere"}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=checkout, env=os.environ | foreign, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.mark.parametrize(
    ("content", "anew"), [("{here}", None), ("", None), ("/where/it/was", " --clear")], ids=["here", "unknown", "moved"]
)
def test_the_environment_is_made_anew_where_the_checkout_was_moved(checkout, content, anew):
    (checkout / ".venv" / "ready").write_text(content.format(here=checkout))
    made = [line for line in make(checkout, "-n", "lint") if "-m venv" in line]
    assert made == ([] if anew is None else [f"python3 -m venv{anew} .venv"])


def test_an_environment_that_is_a_link_is_never_cleared(checkout, tmp_path):
    (checkout / ".venv").rename(checkout / "real")
    (checkout / ".venv").symlink_to("real")
    (checkout / "real" / "ready").write_text("/where/it/was")
    assert not any("-m venv" in line for line in make(checkout, "-n", "lint"))


def test_what_a_user_has_set_for_other_projects_has_no_effect(checkout):
    (checkout / ".venv" / "ready").write_text(str(checkout))
    assert "0|||-m ruff check ." in make(checkout, "lint")


def test_no_program_is_started_by_a_first_line_that_names_the_place_of_the_checkout(checkout):
    (checkout / ".venv" / "ready").write_text(str(checkout))
    for target in ("run", "pages", "html", "test", "lint"):
        for line in make(checkout, "-n", target):
            assert not line.startswith(".venv/bin/") or line.startswith(".venv/bin/python "), line


def test_the_durations_of_an_edition_are_kept_for_a_first_build(tmp_path):
    for name, status in (("one", "ok"), ("two", "failed")):
        (tmp_path / "results/quick" / name).mkdir(parents=True)
        entry = {"run": name, "status": status, "duration_s": 3.5}
        (tmp_path / "results/quick" / name / "run.json").write_text(json.dumps(entry))
    (tmp_path / "workflow" / "editions").mkdir(parents=True)
    assert editions.durations("quick", tmp_path / "workflow" / "editions") == {}
    subprocess.run([sys.executable, provenance.ROOT / "tools" / "keep-durations"], cwd=tmp_path, check=True)
    assert editions.durations("quick", tmp_path / "workflow" / "editions") == {"one": 3.5}


@pytest.mark.parametrize("edition", ["quick", "paper"])
def test_durations_are_kept_of_runs_that_there_are(edition):
    folder = provenance.ROOT / "workflow" / "editions"
    assert set(editions.durations(edition, folder)) <= set(editions.read_edition(folder / f"{edition}.yml"))
