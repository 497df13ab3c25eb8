import os
import shutil
import stat
import subprocess
import sys
import threading

import anndata
import h5py
import numpy as np
import pytest

from scgen_lib import errors, files
from scgen_lib.errors import InputError

HOLD = """\
import sys
from scgen_lib import files
with files.held(sys.argv[1], "mine"):
    print("held", flush=True)
    input()"""


@pytest.fixture
def umask():
    before = os.umask(0o007)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_a_file_gets_the_mode_that_the_umask_asks_for(tmp_path):
    with files.replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("a")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o660


def test_a_link_stays_and_the_file_that_it_names_is_replaced(tmp_path):
    (tmp_path / "scratch").mkdir()
    (tmp_path / "a.txt").symlink_to(tmp_path / "scratch" / "b.txt")
    with files.replacing(tmp_path / "a.txt") as temporary:
        assert temporary.parent == tmp_path / "scratch"
        temporary.write_text("new")
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "scratch" / "b.txt").read_text() == "new"


@pytest.mark.parametrize("name", ["x" * 251 + ".txt", "ä" * 120 + ".txt"])
def test_a_file_of_the_longest_name_that_there_can_be_is_written(tmp_path, name):
    with files.replacing(tmp_path / name) as temporary:
        temporary.write_text("a")
    assert [path.name for path in tmp_path.iterdir()] == [name]


FULL = """\
import resource, sys
import anndata, numpy as np
from scgen_lib import files
adata = anndata.AnnData(np.random.default_rng(0).random((100, 500)))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)  # as on a disk with so much room
try:
    files.write_h5ad(adata, sys.argv[1])
except OSError as error:
    print(error.filename, error.strerror, flush=True)"""


@pytest.mark.parametrize("size", [3_000, 100_000])
def test_a_file_of_hdf5_that_the_system_does_not_take_is_named_and_the_older_one_stays(tmp_path, size):
    path = tmp_path / "a.h5ad"
    path.write_text("older")
    # in a process of its own, which HDF5 may well bring down afterwards
    done = subprocess.run([sys.executable, "-c", FULL, path, str(size)], capture_output=True, text=True, check=False)
    assert done.stdout == f"{path} File too large\n"
    assert path.read_text() == "older"
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5ad"]


def test_no_file_of_hdf5_is_begun_where_there_is_no_room_for_it(tmp_path, monkeypatch):
    adata = anndata.AnnData(np.ones((100, 50), "float32"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**6, 10**6 - 10**4, 10**4))
    monkeypatch.setattr(anndata.AnnData, "write_h5ad", lambda *_: pytest.fail("it was begun"))
    with pytest.raises(OSError, match="No space left on device") as caught:
        files.write_h5ad(adata, tmp_path / "a.h5ad")
    assert caught.value.filename == str(tmp_path / "a.h5ad")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_half_written_is_removed_and_nothing_else(tmp_path):
    deep = tmp_path / "rows [1]" / "deep"
    deep.mkdir(parents=True)
    with files.replacing(deep / "a.json") as temporary:
        shutil.copy(temporary, deep / f"{temporary.name}x")
    for name in ("a.partial.json", ".hidden"):
        (deep / name).touch()
    other = tmp_path / "rows [1]" / "other"
    other.mkdir()
    for name in (files.LOCK, ".a-1.partial.json"):
        (other / name).touch()
    files.remove_partial(tmp_path / "rows [1]")
    assert {path.name for path in deep.iterdir()} == {"a.json", "a.partial.json", ".hidden"}
    assert len(list(other.iterdir())) == 2  # another run's


def test_an_h5ad_that_is_open_elsewhere_is_replaced_whole(tmp_path):
    path = tmp_path / "a.h5ad"
    files.write_h5ad(anndata.AnnData(np.ones((2, 2), "float32")), path)
    with h5py.File(path, "r"):
        files.write_h5ad(anndata.AnnData(np.ones((3, 2), "float32")), path)
    assert anndata.read_h5ad(path).shape == (3, 2)
    assert [file.name for file in tmp_path.iterdir()] == ["a.h5ad"]


def test_a_name_is_short_enough_for_a_file_and_long_texts_that_differ_get_names_that_do():
    assert files.named("a b/c.h5ad") == "a_b_c.h5ad"
    one, two = ("/data/" + "ä" * 300 + end for end in "ab")
    assert files.named(one) != files.named(two)
    assert len(files.named(one).encode()) <= files.LONGEST


def test_only_one_process_holds_a_place_and_its_death_frees_it(tmp_path):
    path = tmp_path / ".lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        line = rf"another run that writes to mine \(process {process.pid} on .+\): wait for its end$"
        with pytest.raises(InputError, match=line), files.held(path, "mine"):
            pass
    finally:
        process.kill()
        process.wait()
    with files.held(path, "mine"):
        assert path.exists()
    assert not path.exists()


def test_a_place_is_never_held_twice_while_its_lock_file_comes_and_goes(tmp_path):
    inside, most = [], []

    def work():
        for _ in range(200):
            try:
                with files.held(tmp_path / ".lock", "mine"):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
            except InputError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}


def test_a_home_that_nobody_knows_is_said_in_one_line(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    with pytest.raises(InputError, match=r"^expected a home folder for ~/a.csv, got none: write the whole path"):
        files.expanded("~/a.csv")


def test_an_error_of_the_system_is_one_sentence_that_says_what_to_do(tmp_path):
    with pytest.raises(OSError, match="directory") as caught:
        tmp_path.read_text()
    assert errors.told(caught.value) == (
        f"expected to read or write {tmp_path}, got 'Is a directory' from the system: name a file, not a folder"
    )
    assert errors.told(OSError("no\nanswer")).count("\n") == 0
