import re
import tomllib

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from scgen_book import provenance

PROJECT = tomllib.loads((provenance.ROOT / "pyproject.toml").read_text())["project"]
LOCK = (provenance.ROOT / "requirements.lock").read_text()
DIRECT = [
    Requirement(line)
    for line in [
        *PROJECT["dependencies"],
        *PROJECT["optional-dependencies"]["book"],
        *PROJECT["optional-dependencies"]["cluster"],
        *PROJECT["optional-dependencies"]["dev"],
    ]
]
PYTHONS = ["3.11", "3.12", "3.13"]
ENVIRONMENT = yaml.safe_load((provenance.ROOT / "environment.yml").read_text())["dependencies"]


def locked(python):
    """Return the locked version of each package on Linux with that Python."""
    environment = default_environment() | {
        "python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux",
        "platform_system": "Linux", "platform_machine": "x86_64", "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }  # fmt: skip
    found = {}
    for line in re.findall(r"^\S+==.*(?= \\$)", LOCK, re.MULTILINE):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            found[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    return found


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("requirement", DIRECT, ids=lambda requirement: requirement.name)
def test_the_locked_version_satisfies_each_direct_requirement(requirement, python):
    assert locked(python)[canonicalize_name(requirement.name)] in requirement.specifier


def test_the_lock_can_build_the_package_itself():
    assert all("setuptools" in locked(python) for python in PYTHONS)


def test_every_locked_version_has_hashes():
    blocks = re.split(r"\n(?=\S)", LOCK.strip())
    assert len(blocks) > 100
    for block in blocks:
        head, *hashes = block.split(" \\\n")
        assert "==" in head
        assert hashes
        for line in hashes:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", line), head


def test_the_lock_names_no_index():
    assert "://" not in LOCK
    assert not re.search(r"^(-i|--\w*index|--find-links)", LOCK, re.MULTILINE)


def test_the_conda_environment_has_the_same_bounds():
    (pip,) = (entry["pip"] for entry in ENVIRONMENT if isinstance(entry, dict))
    assert sorted(line for line in pip if line != "-e .") == sorted(
        f"{requirement.name}{','.join(sorted(str(s) for s in requirement.specifier)[::-1])}" for requirement in DIRECT
    )


def test_the_python_versions_are_in_step():
    served = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(20) if f"3.{minor}" in served] == PYTHONS
    named = [
        c.rpartition(" ")[2] for c in PROJECT["classifiers"] if c.startswith("Programming Language :: Python :: 3.")
    ]
    assert named == PYTHONS
    chosen = (provenance.ROOT / ".python-version").read_text().strip()
    assert chosen in PYTHONS
    assert f"python={chosen}" in ENVIRONMENT
    checked = (provenance.ROOT / "tools" / "check-machine").read_text()
    bounds = f"({PYTHONS[0].replace('.', ', ')}) <= sys.version_info[:2] <= ({PYTHONS[-1].replace('.', ', ')})"
    assert bounds in checked
    assert "tools/check-machine" in (provenance.ROOT / "Makefile").read_text()
