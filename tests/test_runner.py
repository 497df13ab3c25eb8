import json
import re
import subprocess
import sys
import time

import nbformat
import pytest

from scgen_lib import cli, runner
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
    assert re.search(r"Run on \d{4}-\d\d-\d\d \d\d:\d\d UTC on .+ \(\d+ cores, .+\), from commit", title)
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
    assert capsys.readouterr().err == "bad.ipynb stopped with OSError: no space; see failed.ipynb.\n"
    assert {file.name for file in tmp_path.iterdir()} == {"bad.ipynb", "failed.ipynb", "run.json"}
    entry = json.loads((tmp_path / "run.json").read_text())
    assert (entry["status"], entry["error"]) == ("failed", "OSError: no space")
    assert "here" in (tmp_path / "failed.ipynb").read_text()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["-p", "leval", "3"], "Unknown parameter leval: did you mean level?\n"),
        (["-p", "level", "11"], "Parameter level must be float, in [0, 10], got '11'; set a legal value.\n"),
        (["--edition", "best"], "Parameter edition must be str, one of quick, paper, own, got 'best'; set a legal"),
        (["-f", "absent.yml"], "Expected a YAML file of parameters, but absent.yml cannot be read: "),
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
    assert capsys.readouterr().err.startswith("Expected a Jupyter notebook")


def test_a_file_of_parameters_is_overruled_by_the_command_line(notebook, tmp_path, monkeypatch):
    (tmp_path / "p.yml").write_text("level: 4\nseed: 2\n")
    seen = {}

    def execute(source, partial, values):
        seen.update(values)
        partial.write_text(source.read_text())

    monkeypatch.setattr(runner, "_execute", execute)
    assert cli.main(["run", str(notebook), "out.ipynb", "-f", "p.yml", "-p", "level", "5"]) == 0
    assert (seen["level"], seen["seed"]) == (5.0, 2)


def test_small_numbers_of_a_json_file_stay_numbers(tmp_path):
    (tmp_path / "p.json").write_text(json.dumps({"rate": 1e-5}))
    assert runner.read_parameters(tmp_path / "p.json") == {"rate": 1e-5}


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
    runner._finish(path, {"run": "a", "edition": "own", "key": "0"})
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
    assert runner.read_edition(path) == {"dca": dca}
    path.write_text("dca: {notebook: a.ipynb, page: dca, parameters: , sweep: true}\n")
    assert runner.read_edition(path) == {"dca": dca | {"sweep": True}}
    path.write_text("dca: {notebook: a.ipynb, pages: dca, parameters: {}}\n")
    with pytest.raises(ParameterError, match=r"run dca .* to have notebook, page and parameters"):
        runner.read_edition(path)
    path.write_text("- dca\n")
    with pytest.raises(ParameterError, match="write a mapping"):
        runner.read_edition(path)
