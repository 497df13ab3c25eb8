"""Machines as users have them: foreign settings, no home, packages that somebody else has installed."""

import json
import os
import subprocess
import sys

import pytest

from scgen_book import provenance
from scgen_lib import environment

# a machine where nothing but the temporary folder can be written to, as far as one can ask
LOCKED = """
import os, tempfile
access = os.access
os.access = lambda path, mode, **more: access(path, mode, **more) and (
    mode != os.W_OK or str(path).startswith(tempfile.gettempdir())
)
"""


def python(code, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR")}
    environment |= variables
    environment = {name: value for name, value in environment.items() if value is not None}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_data_load_where_neither_home_nor_packages_can_be_written_to(tmp_path):
    """numba asks by writing, so that its two usual places are closed here by hand."""
    close = """
import numba.core.caching as caching
def refuse(self):
    raise OSError
for place in ("InTreeCacheLocator", "UserWideCacheLocator"):
    getattr(caching, place).ensure_cache_path = refuse
"""
    code = f"{LOCKED}import scgen_lib{close}from scgen_lib import data\nprint(data.load('pbmc68k_reduced').shape)"
    code += (
        "\nfolder = os.environ['NUMBA_CACHE_DIR']\nprint(folder == os.environ['MPLCONFIGDIR'], os.path.isdir(folder))"
    )
    assert python(code, HOME="/proc/none", TMPDIR=str(tmp_path)) == ["(700, 765)", "True True"]
    assert list(tmp_path.glob("scgen-cache-*")) == []


def test_nothing_is_provided_where_the_home_folder_serves(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"):
        monkeypatch.delenv(name, raising=False)
    environment.provide_caches()
    assert "NUMBA_CACHE_DIR" not in os.environ
    assert list(tmp_path.iterdir()) == []


NOBODY = "import pwd\npwd.getpwuid = lambda uid: {}[uid]\nimport os\nassert os.path.expanduser('~') == '~'\n"


@pytest.mark.slow
def test_a_user_whom_the_machine_does_not_know_loads_data_and_is_told_in_one_line_what_needs_a_home(tmp_path):
    code = f"""{NOBODY}os.chdir({str(tmp_path)!r})
from scgen_lib import cli, data
print(data.load('pbmc68k_reduced').shape)
import contextlib, sys
with contextlib.redirect_stderr(sys.stdout):
    print(cli.main(['row', 'denoising', '--dataset', '~/a.csv', '--method', 'observed', '--out', 'a.json']))
    print(cli.main(['fetch', 'zeisel', '--to', '~/data']))
print(os.listdir())
"""
    said = python(code, HOME=None, XDG_CACHE_HOME=None, SCGEN_DATA_DIR=None)
    assert said[0] == "(700, 765)"
    assert said[-2] == "2"
    assert said[-3] == "expected a home folder for ~/data, got none: write the whole path"
    assert "expected a home folder for ~/a.csv" in said[1]
    assert said[-1] == "['a.json']"


FOREIGN = {"floatx": "float64", "epsilon": 0.1, "backend": "jax", "image_data_format": "channels_first"}


@pytest.mark.slow
@pytest.mark.parametrize("module", ["training", "layers"])
def test_keras_is_what_the_library_needs_whatever_its_file_and_variables_say(tmp_path, module):
    (tmp_path / "keras.json").write_text(json.dumps(FOREIGN))
    code = f"""
from scgen_lib import {module}
import keras, os
print(keras.config.backend(), keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format())
print(keras.config.dtype_policy().name, "KERAS_MAX_EPOCHS" in os.environ)
"""
    said = python(code, KERAS_HOME=str(tmp_path), KERAS_BACKEND="jax", KERAS_MAX_EPOCHS="1")
    assert said == ["tensorflow float32 1e-07 channels_last", "float32 False"]


def test_keras_that_runs_on_another_backend_already_is_said_in_one_line():
    code = """
import sys, types
sys.modules["keras"] = types.SimpleNamespace(config=types.SimpleNamespace(backend=lambda: "jax"))
try:
    import scgen_lib
except ValueError as error:
    print(error)
"""
    line = "expected Keras on TensorFlow, got it running on jax already: import scgen_lib before keras"
    assert python(code) == [line]


def test_the_commit_is_that_of_this_checkout_inside_a_hook_of_another(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    here = provenance.commit()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    assert provenance.commit() == here
