import hashlib

import pytest

from scgen_lib import data
from scgen_lib.data import registry


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Register tiny files under a recipe, with the size of the matrix in them, and load them by name.

    The files go into the data folder, with the hash they have, damaged or not: the recipe sees what was written.
    """
    folder = tmp_path / "tiny"
    folder.mkdir()
    monkeypatch.setenv("SCGEN_DATA_DIR", str(tmp_path))

    def load(recipe, write, *names, values="counts", shape=(2, 3)):
        write(*(folder / name for name in names))
        for name in names:
            digits = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            file = registry.File(f"tiny/{name}", "MIT", "http://localhost", sha256=digits)
            monkeypatch.setitem(registry.FILES, file.key, file)
        files = tuple(f"tiny/{name}" for name in names)
        entry = registry.Dataset("tiny", "t", files, *shape, 2, values, "a", "c", recipe)
        monkeypatch.setitem(registry.DATASETS, "tiny", entry)
        return data.load("tiny")

    return load
