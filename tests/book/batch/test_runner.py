import dataclasses
import errno
import json
import os
import re
import subprocess
import sys
import tempfile
import time

import nbformat
import pytest

from scgen_book.batch import editions, executed, runner
from scgen_lib import cli, files
from scgen_lib.errors import ParameterError

SAVE = """\
run = results.Run("tiny", parameters={"edition": edition}, seed=seed, out=out)
run.add(None, "answer", level * 2)
run.save()"""
LEVEL = "level: float = 1.0  # in [0, 10]: how much"


@pytest.fixture
def notebook(tmp_path, write_notebook, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_notebook(tmp_path / "notebooks" / "tiny.ipynb", SAVE, "print(level)", parameters=LEVEL)


def no_kernel(*_):
    raise AssertionError("a kernel was started")


def test_a_run_leaves_page_records_and_ledger_entry(notebook, tmp_path):
    out = tmp_path / "page.ipynb"
    arguments = ["run", str(notebook), str(out), "-p", "level", "3", "--run-dir", "results/a", "--edition", "quick"]
    assert cli.main(arguments) == 0
    records = json.loads((tmp_path / "results/a/records.json").read_text())
    assert records["records"][0]["value"] == 6.0
    entry = json.loads((tmp_path / "results/a/run.json").read_text())
    assert (entry["status"], entry["error"], entry["run"], entry["seed"]) == ("ok", None, "a", 0)
    assert entry["parameters"] == {"level": 3.0, "seed": 0, "fast": False, "edition": "quick", "out": "results/a"}
    page = nbformat.read(out, as_version=4)
    title = page.cells[0].source
    assert re.match(r"# A small chapter\n\n\{bdg-primary\}`quick edition` \{bdg-primary-line\}`\d+ s`\n\n", title)
    assert re.search(r"Run on \d{4}-\d\d-\d\d \d\d:\d\d UTC on .+ \(\d+ cores?, .+\), from commit", title)
    assert title.endswith("Does it run?")
    assert page.metadata.scgen.key == entry["key"] == runner.key(notebook, entry["parameters"])
    assert page.cells[-1].outputs[0].text == "3.0\n"
    assert str(tmp_path) not in out.read_text()
    assert {file.name for file in tmp_path.iterdir()} == {"notebooks", "page.ipynb", "results"}


def test_a_notebook_that_stops_leaves_a_failed_copy_and_no_page(tmp_path, write_notebook, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bad = write_notebook(tmp_path / "bad.ipynb", SAVE, "print('here')", "raise OSError('no\\nspace')", parameters=LEVEL)
    for old in ("page.ipynb", "records.json"):
        (tmp_path / old).write_text("{}")
    assert cli.main(["run", str(bad), "page.ipynb", "--run-dir", "."]) == 1
    assert (
        capsys.readouterr().err == "bad.ipynb stopped with OSError: no space, in code cell 6 of 6; see failed.ipynb.\n"
    )
    assert {file.name for file in tmp_path.iterdir()} == {"bad.ipynb", "failed.ipynb", "run.json"}
    entry = json.loads((tmp_path / "run.json").read_text())
    assert (entry["status"], entry["error"]) == ("failed", "OSError: no space")
    assert "here" in (tmp_path / "failed.ipynb").read_text()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-p", "leval", "3"], "expected a parameter of this notebook, got leval: did you mean level?\n"),
        (["-p", "level", "11"], "expected level to be float, in [0, 10], got '11': set a legal value\n"),
        (["--edition", "best"], "expected edition to be str, one of quick, full, paper, own, got 'best': set a legal"),
        (["-f", "absent.yml"], "expected a YAML file of parameters, got absent.yml, which cannot be read: "),
    ],
)
def test_bad_parameters_are_refused_in_one_line_before_a_kernel_starts(notebook, monkeypatch, capsys, arguments, line):
    monkeypatch.setattr(runner, "_execute", no_kernel)
    assert cli.main(["run", str(notebook), "out.ipynb", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith(line)
    assert error.count("\n") == 1


def test_an_absent_notebook_is_refused_in_one_line(tmp_path, capsys):
    assert cli.main(["run", str(tmp_path / "absent.ipynb"), "out.ipynb"]) == 2
    assert capsys.readouterr().err.startswith("expected a Jupyter notebook")


def test_a_file_of_parameters_is_overruled_by_the_command_line(notebook, tmp_path, monkeypatch):
    (tmp_path / "p.yml").write_text("level: 4\nseed: 2\n")
    seen = {}

    def execute(source, partial, values, tell):
        seen.update(values)
        partial.write_text(source.read_text())

    monkeypatch.setattr(runner, "_execute", execute)
    assert cli.main(["run", str(notebook), "out.ipynb", "-f", "p.yml", "-p", "level", "5"]) == 0
    assert (seen["level"], seen["seed"]) == (5.0, 2)


def seen_by(monkeypatch, *arguments):
    """Return the values that a run would get."""
    seen = {}
    monkeypatch.setattr(runner, "_execute", lambda source, partial, values, tell: seen.update(values))
    assert cli.main(["run", *arguments]) == 0
    return seen


def test_of_several_files_and_the_command_line_the_last_one_counts(notebook, tmp_path, monkeypatch):
    (tmp_path / "-a.yml").write_text("level: 1\nseed: 1\n")
    (tmp_path / "b.json").write_text('{"level": 2, "fast": true}')
    seen = seen_by(monkeypatch, str(notebook), "out.ipynb", "-f", "-a.yml", "-p", "seed", "010", "-f", "b.json")
    assert (seen["level"], seen["seed"], seen["fast"]) == (2.0, 10, True)


def test_values_and_file_names_may_begin_with_a_dash(tmp_path, write_notebook, monkeypatch):
    monkeypatch.chdir(tmp_path)
    declared = "low: float = 1.0  # in (-10, 10]: how much\nname_of: str = 'a'  # any: whose"
    write_notebook(tmp_path / "-x.ipynb", parameters=declared)
    given = ["-p", "low", "-1e-3", "-p", "name_of", "-counts.csv", "--run-dir", "-mine"]
    seen = seen_by(monkeypatch, *given, "--", "-x.ipynb", "-page.ipynb")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert seen_by(monkeypatch, "-p", "out", "~/a", "--", "-x.ipynb", "b.ipynb")["out"] == str(tmp_path / "a")
    assert (seen["low"], seen["name_of"], seen["out"]) == (-1e-3, "-counts.csv", "-mine")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("p.yml", "seed: 1\nlevel: 2\nseed: 3\n", "a second 'seed'"),
        ("p.json", '{"seed": 1, "seed": 3}', "a second 'seed'"),
        ("p.yml", "seed: 010\n", "010 is a number of base 8"),
        ("p.yml", "seed: 1:30\n", "1:30 is a number of base 60"),
    ],
)
def test_a_file_that_two_readers_understand_in_two_ways_is_refused_in_one_line(
    notebook, tmp_path, monkeypatch, capsys, name, text, reason
):
    monkeypatch.setattr(runner, "_execute", no_kernel)
    (tmp_path / name).write_text(text)
    assert cli.main(["run", str(notebook), "out.ipynb", "-f", name]) == 2
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


def test_the_command_line_refuses_in_one_line(capsys):
    for arguments in (["run", "a.ipynb"], ["run", "a.ipynb", "b.ipynb", "-p", "level"], ["row", "--seed", "x"], ["no"]):
        assert cli.main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("notebooks/tiny.ipynb", "notebooks/tiny.ipynb"),
        ("link.ipynb", "notebooks/tiny.ipynb"),
        ("notebooks/tiny.ipynb", "link.ipynb"),
        ("notebooks/tiny.ipynb", "hard.ipynb"),
        ("mine/failed.ipynb", "out.ipynb"),
        ("mine/failed.ipynb", "mine/failed.ipynb"),
        ("notebooks/tiny.ipynb", "mine/failed.ipynb"),
        ("notebooks/tiny.ipynb", "counts.csv"),
        ("notebooks/tiny.ipynb", "data.ipynb"),
    ],
)
def test_a_run_never_writes_over_what_it_reads(notebook, tmp_path, monkeypatch, capsys, source, output):
    (tmp_path / "mine").mkdir()
    (tmp_path / "link.ipynb").symlink_to(notebook)
    (tmp_path / "hard.ipynb").hardlink_to(notebook)
    content = notebook.read_text().replace("edition: str", "dataset: str | None = None  # any: data\\nedition: str")
    for path in (notebook, tmp_path / "mine" / "failed.ipynb", tmp_path / "data.ipynb", tmp_path / "counts.csv"):
        path.write_text(content)
    monkeypatch.setattr(runner, "_execute", no_kernel)
    assert cli.main(["run", source, output, "--run-dir", "mine", "-p", "dataset", "data.ipynb"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("expected ")
    assert error.count("\n") == 1
    assert (tmp_path / output).exists() or output == "out.ipynb"
    for path in (notebook, tmp_path / "mine" / "failed.ipynb", tmp_path / "data.ipynb", tmp_path / "counts.csv"):
        assert path.read_text() == content


def test_an_executed_notebook_keeps_its_values_and_one_banner_when_it_is_run_again(notebook, tmp_path):
    runner.run(notebook, "first.ipynb", parameters={"level": 3, "seed": 2}, run_dir="one", edition="quick")
    again = runner.run("first.ipynb", "second.ipynb", run_dir="two", parameters={"seed": 4})
    assert again["parameters"] == {"level": 3.0, "seed": 4, "fast": False, "edition": "own", "out": "two"}
    page = nbformat.read(tmp_path / "second.ipynb", as_version=4)
    assert page.cells[0].source.count("bdg-primary}") == 1
    assert "`own edition`" in page.cells[0].source
    assert [cell.metadata.get("tags") for cell in page.cells if "injected" in str(cell.metadata)] == [
        ["injected-parameters"]
    ]
    assert page.cells[-1].outputs[0].text == "3.0\n"
    # what was computed is the same as from the source
    assert runner.key("first.ipynb", again["parameters"]) == runner.key(notebook, again["parameters"])
    # nothing of the first run has been written to
    assert json.loads((tmp_path / "one" / "records.json").read_text())["seed"] == 2
    # without a folder, the notebook does not write to the first one's
    assert runner.run("first.ipynb", "third.ipynb")["parameters"]["out"] is None


def test_a_mended_copy_of_a_failed_run_goes_on_with_its_values(tmp_path, write_notebook, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path / "bad.ipynb", "assert level == 5", "print(1 / 0)", parameters=LEVEL)
    with pytest.raises(runner.RunError):
        runner.run("bad.ipynb", "out.ipynb", parameters={"level": 5}, run_dir="mine")
    mended = (tmp_path / "mine" / "failed.ipynb").read_text().replace("1 / 0", "1 / 1")
    (tmp_path / "mended.ipynb").write_text(mended)
    runner.run("mended.ipynb", "out.ipynb", run_dir="mine")
    text = (tmp_path / "out.ipynb").read_text()
    assert text.count("bdg-primary}") == 1
    assert "ZeroDivisionError" not in text
    assert not (tmp_path / "mine" / "failed.ipynb").exists()


@pytest.mark.parametrize(
    "arguments",
    [("a.ipynb", "--run-dir", "mine"), pytest.param(("page.ipynb", "--run-dir", "other"), marks=pytest.mark.slow)],
)
def test_a_second_run_into_one_place_is_refused_and_changes_nothing(tmp_path, write_notebook, arguments, capsys):
    wait = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)"
    write_notebook(tmp_path / "slow.ipynb", "open('started', 'w').close()", wait, SAVE, parameters=LEVEL)
    command = [sys.executable, "-m", "scgen_lib.cli", "run", "slow.ipynb"]
    first = subprocess.Popen([*command, "page.ipynb", "--run-dir", "mine", "-p", "level", "2"], cwd=tmp_path)
    try:
        while not (tmp_path / "started").exists():
            assert first.poll() is None
            time.sleep(0.02)
        second = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert second.returncode == 2
        line = r"expected to write alone, got another run that writes to (mine|page.ipynb) \(process %d on .+\): wait"
        assert re.match(line % first.pid, second.stderr)
        assert second.stderr.count("\n") == 1
        (tmp_path / "go").touch()
        assert first.wait(timeout=60) == 0
    finally:
        first.kill()
    assert json.loads((tmp_path / "mine/records.json").read_text())["records"][0]["value"] == 4.0
    assert json.loads((tmp_path / "mine/run.json").read_text())["status"] == "ok"
    assert {file.name for file in (tmp_path / "mine").iterdir()} == {"records.json", "run.json"}


def test_results_lie_in_the_folder_of_the_run_which_is_held_however_it_is_named(notebook, capsys):
    assert cli.main(["run", str(notebook), "page.ipynb", "--run-dir", "mine", "-p", "out", "other"]) == 2
    line = "expected results in the run's folder mine, got out = other: leave out away\n"
    assert capsys.readouterr().err == line
    with files.held(files.LOCK, "mine"):
        assert cli.main(["run", str(notebook), "page.ipynb", "-p", "out", "."]) == 2
    assert "another run that writes to ." in capsys.readouterr().err


def test_records_that_vanish_fail_the_run_and_are_never_taken_for_none(tmp_path, write_notebook, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lost = write_notebook(tmp_path / "a.ipynb", SAVE, "import os; os.remove('mine/records.json')", parameters=LEVEL)
    with pytest.raises(runner.RunError, match=r"mine/records.json was there and is gone or damaged"):
        runner.run(lost, "out.ipynb", run_dir="mine")
    assert {file.name for file in (tmp_path / "mine").iterdir()} == {"failed.ipynb", "run.json"}
    assert json.loads((tmp_path / "mine/run.json").read_text())["status"] == "failed"
    none = write_notebook(tmp_path / "b.ipynb", "print('nothing to record')")
    runner.run(none, "out.ipynb", run_dir="mine")
    assert json.loads((tmp_path / "mine/records.json").read_text()) == {"run": "mine", "records": []}


def test_a_run_that_is_killed_says_so_and_the_next_one_cleans_up(tmp_path, write_notebook):
    die = "if fast:\n    open('mine/.a-1.partial.h5ad', 'w').close()\n    os.kill(os.getppid(), signal.SIGKILL)"
    die = f"import os, signal\n{die}"
    write_notebook(tmp_path / "a.ipynb", SAVE, die, parameters=LEVEL)
    command = [sys.executable, "-m", "scgen_lib.cli", "run", "a.ipynb", "out.ipynb", "--run-dir", "mine"]
    assert subprocess.run([*command, "-p", "fast", "true"], cwd=tmp_path, check=False).returncode == -9
    entry = json.loads((tmp_path / "mine/run.json").read_text())
    assert (entry["status"], entry["parameters"]["fast"]) == (runner.STARTED, True)
    assert not (tmp_path / "out.ipynb").exists()
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == 0
    assert {file.name for file in tmp_path.iterdir()} == {"a.ipynb", "out.ipynb", "mine"}
    assert {file.name for file in (tmp_path / "mine").iterdir()} == {"records.json", "run.json"}


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="needs a second file system")
@pytest.mark.parametrize("bad", [False, True])
def test_page_and_folder_may_lie_on_two_file_systems(notebook, tmp_path, bad):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        assert os.stat(scratch).st_dev != os.stat(tmp_path).st_dev
        (tmp_path / "results").symlink_to(scratch)
        if bad:
            notebook.write_text(notebook.read_text().replace("print(level)", "raise ValueError('why')"))
            with pytest.raises(
                runner.RunError, match=r"ValueError: why, in code cell 5 of 5; see results/a/failed.ipynb"
            ):
                runner.run(notebook, "page.ipynb", run_dir="results/a")
        else:
            runner.run(notebook, "page.ipynb", run_dir="results/a")
        entry = json.loads((tmp_path / "results/a/run.json").read_text())
        assert entry["error"] == ("ValueError: why" if bad else None)
        assert (tmp_path / "page.ipynb").exists() != bad
        assert (tmp_path / "results/a/failed.ipynb").exists() == bad


def test_the_kernel_is_this_interpreter_whatever_jupyter_finds(tmp_path, write_notebook, monkeypatch):
    spec = tmp_path / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "other", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "share" / "jupyter"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("long" * 25)))  # no socket has so long a path
    (tmp_path / ("long" * 25)).mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    draw = "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"
    path = write_notebook(tmp_path / "a.ipynb", "import sys\nprint(sys.executable)", draw)
    content = nbformat.read(path, as_version=4)
    content.metadata.kernelspec.name = "somebody-elses"
    nbformat.write(content, path)
    runner.run(path, tmp_path / "out.ipynb")
    shown, drawn = nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[-2:]
    assert shown.outputs[0].text == f"{sys.executable}\n"
    assert "image/png" in drawn.outputs[0].data


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_kernel_that_does_not_come_up_gets_one_more_chance_and_then_a_reason(
    notebook, tmp_path, monkeypatch, deaths, capfd
):
    """Python itself ends at its start as often as there are files that say so."""
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "ipykernel_launcher.py").write_text(
        f"import os, runpy, sys\nsys.path.remove({str(shadow)!r})\ntry:\n    os.remove({str(shadow / 'die')!r} + "
        f"str(len(os.listdir({str(shadow)!r})) - 1))\nexcept OSError:\n    runpy.run_module('ipykernel_launcher', "
        "run_name='__main__')\nelse:\n    os._exit(3)"
    )
    for i in range(1, deaths + 1):
        (shadow / f"die{i}").touch()
    monkeypatch.setenv("PYTHONPATH", str(shadow), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    status = cli.main(["run", str(notebook), "out.ipynb", "--run-dir", "mine"])
    entry = json.loads((tmp_path / "mine" / "run.json").read_text())
    if deaths == 1:
        assert (status, entry["status"]) == (0, "ok")
    else:
        assert (status, entry["status"]) == (1, "failed")
        assert entry["error"].startswith("no kernel: ")
        assert "Kernel died" in entry["error"]
        assert capfd.readouterr().err.count("\n") == 1


def test_a_kernel_that_never_answers_is_given_up(notebook, tmp_path, monkeypatch):
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "ipykernel_launcher.py").write_text("import time\ntime.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(shadow), prepend=os.pathsep)
    monkeypatch.setattr(runner, "_START_LIMIT", 1)
    with pytest.raises(runner.RunError, match=r"no kernel: .*didn't respond in 1 seconds"):
        runner.run(notebook, "out.ipynb", run_dir="mine")
    assert json.loads((tmp_path / "mine" / "run.json").read_text())["status"] == "failed"


def test_a_kernel_that_dies_in_the_middle_is_the_reason_of_the_failure(tmp_path, write_notebook, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_notebook(tmp_path / "a.ipynb", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(runner.RunError, match=r"a.ipynb stopped with DeadKernelError: the kernel died, most often for"):
        runner.run(path, "out.ipynb", run_dir="mine")
    assert json.loads((tmp_path / "mine" / "run.json").read_text())["error"].startswith("DeadKernelError")


@pytest.mark.parametrize(
    "kind", ["page is a folder", "folder is a file", "folder of the page is a file", "name too long"]
)
def test_an_error_of_the_system_is_one_line_and_has_its_place_in_the_ledger(notebook, tmp_path, capsys, kind):
    (tmp_path / "folder.ipynb").mkdir()
    (tmp_path / "file").touch()
    output, run_dir = {
        "page is a folder": ("folder.ipynb", "mine"),
        "folder is a file": ("out.ipynb", "file"),
        "folder of the page is a file": ("file/out.ipynb", "mine"),
        "name too long": ("x" * 300 + ".ipynb", "mine"),
    }[kind]
    assert cli.main(["run", str(notebook), output, "--run-dir", run_dir]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "expected to read or write" in error
    if run_dir == "mine":
        entry = json.loads((tmp_path / "mine" / "run.json").read_text())
        assert entry["status"] == "failed"
        assert entry["error"].startswith("expected to read or write")
    assert not list(tmp_path.rglob("*.lock"))


def test_a_disk_that_is_full_when_the_page_is_written_is_said_in_the_ledger(notebook, tmp_path, monkeypatch):
    write = files.write_atomically

    def full(path, content):
        if str(path).endswith("page.ipynb"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, content)

    monkeypatch.setattr(files, "write_atomically", full)
    with pytest.raises(runner.RunError, match="'No space left on device' from the system: make room there"):
        runner.run(notebook, "page.ipynb", run_dir="mine")
    entry = json.loads((tmp_path / "mine" / "run.json").read_text())
    assert entry["status"] == "failed"
    assert "No space left" in entry["error"]
    assert {file.name for file in tmp_path.iterdir()} == {"notebooks", "mine"}


def test_a_run_in_the_present_folder_has_its_name(notebook, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_execute", lambda *_: None)
    assert runner.run(notebook, "out.ipynb", run_dir=".")["run"] == tmp_path.name


def test_small_numbers_of_a_json_file_stay_numbers(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"rate": 1e-5}))
    assert editions.read_parameters(tmp_path / "p.json") == {"rate": 1e-5}


def test_the_key_follows_cells_parameters_and_data_but_not_outputs(notebook, tmp_path):
    values = {"level": 1.0, "dataset": "own.csv", "more": ["other.csv"], "out": "a", "rows": None}
    first = runner.key(notebook, values)
    content = nbformat.read(notebook, as_version=4)
    content.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="x")]
    nbformat.write(content, notebook)
    assert runner.key(notebook, values | {"out": "b", "rows": "c"}) == first
    keys = {first, runner.key(notebook, values | {"level": 2.0})}
    (tmp_path / "own.csv").write_text("1")
    keys.add(runner.key(notebook, values))
    (tmp_path / "own.csv").write_text("2")
    keys.add(runner.key(notebook, values))
    (tmp_path / "other.csv").write_text("2")
    keys.add(runner.key(notebook, values))
    content.cells[-1].source = "print(2)"
    nbformat.write(content, notebook)
    keys.add(runner.key(notebook, values))
    assert len(keys) == 6


@pytest.mark.parametrize("value", ["~/own.csv", ["a", "~/own.csv"], {"a": "~/own.csv"}, "link.csv", "~/folder"])
def test_the_key_follows_data_however_they_are_named(notebook, tmp_path, monkeypatch, value):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "folder").mkdir(parents=True)
    (tmp_path / "link.csv").symlink_to(tmp_path / "home" / "own.csv")
    keys = set()
    for text in "12":
        for file in ("own.csv", "folder/own.csv"):
            (tmp_path / "home" / file).write_text(text)
        keys.add(runner.key(notebook, {"dataset": value}))
    assert len(keys) == 2


def test_the_key_follows_a_data_set_for_which_no_hash_is_published(notebook, tmp_path, monkeypatch):
    from scgen_lib.data import registry

    name, file = "zeisel_720", registry.FILES["zeisel-2015/sub_set-720.mtx"]
    monkeypatch.setenv("SCGEN_DATA_DIR", str(tmp_path))
    monkeypatch.setitem(registry.FILES, file.key, dataclasses.replace(file, git=""))
    (tmp_path / file.key).parent.mkdir()
    keys = set()
    for text in "12":
        (tmp_path / file.key).write_text(text)
        keys.add(runner.key(notebook, {"dataset": name}))
    assert len(keys) == 2


def test_start_up_lines_of_libraries_are_dropped_and_real_warnings_kept(tmp_path):
    noise = (
        "2026-01-02 03:04:05.678901: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.\n"
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
        "I0000 00:00:1700000000.123456    1234 cpu_feature_guard.cc:210] This TensorFlow binary is optimized\n"
        "/some/where/tqdm/auto.py:21: TqdmWarning: IProgress not found. Please update jupyter and ipywidgets.\n"
        "  from .autonotebook import tqdm as notebook_tqdm\n"
        "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow\n"
    )
    outputs = [
        nbformat.v4.new_output("stream", name="stderr", text=noise),
        nbformat.v4.new_output("stream", name="stderr", text=noise + "UserWarning: few cells\n"),
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs)
    path = tmp_path / "a.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    executed.finish(path, {"run": "a", "edition": "own", "key": "0"})
    kept = nbformat.read(path, as_version=4).cells[0].outputs
    assert [out.text for out in kept] == ["UserWarning: few cells\n"]


def test_a_run_ended_by_its_scheduler_leaves_nothing_half_written(tmp_path, write_notebook):
    slow = write_notebook(tmp_path / "slow.ipynb", "open('started', 'w').close()", "import time; time.sleep(60)")
    command = [sys.executable, "-m", "scgen_lib.cli"]
    process = subprocess.Popen([*command, "run", "slow.ipynb", "out.ipynb"], cwd=tmp_path)
    try:
        while not (tmp_path / "started").exists():
            assert process.poll() is None
            time.sleep(0.02)
        process.terminate()
        assert process.wait(timeout=30) == 143
    finally:
        process.kill()
    assert {file.name for file in tmp_path.iterdir()} == {"slow.ipynb", "started"}
    assert slow.exists()


def test_a_reader_that_stops_reading_is_no_error():
    command = f"{sys.executable} -m scgen_lib.cli datasets | true"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_edition_lists_notebook_page_and_parameters_of_each_run(tmp_path):
    path = tmp_path / "quick.yml"
    path.write_text("dca: {notebook: a.ipynb, page: dca, parameters: }\n")
    dca = {"notebook": "a.ipynb", "page": "dca", "parameters": {}, "sweep": False}
    assert editions.read_edition(path) == {"dca": dca}
    path.write_text("dca: {notebook: a.ipynb, page: dca, parameters: , sweep: true}\n")
    assert editions.read_edition(path) == {"dca": dca | {"sweep": True}}
    path.write_text("dca: {notebook: a.ipynb, pages: dca, parameters: {}}\n")
    with pytest.raises(ParameterError, match=r"run dca .* to have notebook, page and parameters"):
        editions.read_edition(path)
    path.write_text("- dca\n")
    with pytest.raises(ParameterError, match="write a mapping"):
        editions.read_edition(path)
