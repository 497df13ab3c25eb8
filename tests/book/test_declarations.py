import json
import os
import subprocess
import sys

import pytest

from scgen_book import declarations, experiments, parameters, provenance
from scgen_lib.errors import ParameterError

ASK = """\
import sys
from scgen_book import parameters

print(len(parameters.declared("dca")), "tensorflow" in sys.modules)"""


def ask(cache):
    search = os.pathsep.join([str(provenance.ROOT), str(provenance.ROOT / "book")])
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "PYTHONPATH": search}
    return subprocess.run([sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True)


@pytest.mark.slow
def test_what_a_chapter_declares_is_read_a_second_time_without_its_models_and_nothing_is_said(tmp_path):
    declared = len(parameters.declared("dca"))
    first, second = ask(tmp_path), ask(tmp_path)
    assert (first.stdout, second.stdout) == (f"{declared} True\n", f"{declared} False\n")
    assert first.stderr == second.stderr == ""
    # a damaged file is none
    (kept,) = tmp_path.rglob("dca-*.json")
    kept.write_text('["epo')
    assert ask(tmp_path).stdout == f"{declared} True\n"
    assert json.loads(kept.read_text()) == declarations.lines("dca")


def test_other_sources_or_packages_are_other_declarations(monkeypatch):
    name = "scgen_book.experiments.dca.chapter"
    place = declarations._place(name)
    assert declarations._place(name) == place
    monkeypatch.setattr(declarations.sources, "digest", lambda modules: "0")
    other = declarations._place(name)
    monkeypatch.setattr(declarations.provenance, "versions", lambda: {"keras": "0"})
    assert len({place, other, declarations._place(name)}) == 3


def test_a_chapter_that_is_none_is_refused():
    with pytest.raises(ParameterError, match=", ".join(experiments.CHAPTERS)):
        declarations.lines("dcaa")
