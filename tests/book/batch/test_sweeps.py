import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scgen_book import experiments, notebooks
from scgen_book.batch import rows, runner, sweeps
from scgen_book.experiments import rows as measured
from scgen_book.experiments.protocol import BASELINE, Chapter, Experiment, Method, Metric, NotApplicable
from scgen_lib import cli
from scgen_lib.errors import InputError, ParameterError
from scgen_lib.settings import Settings, declared, option

LEVEL = "level: float = 1.0  # in [0, 10]: how much\nname_of: str = 'a'  # any: whose"
ROWS = """\
datasets: list[str] = ["a"]  # any: data
methods: list[str] = ["mean"]  # any: methods
seeds: list[int] = [0]  # in [0, inf): seeds
rows: str | None = None  # any: folder of rows
epochs: int = 3  # in [1, inf): epochs"""


@declared
class Toy(Settings):
    """Settings of the toy: its cell shows the first."""

    epochs: int = option(3, "in [1, inf)", "epochs")
    width: int = option(8, "in [1, inf)", "width")


@pytest.fixture
def project(tmp_path, write_notebook, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path / "tiny.ipynb", "print(level)", parameters=LEVEL)
    write_notebook(tmp_path / "other.ipynb", parameters="width: int = 1  # in [1, 9]: width")
    write_notebook(tmp_path / "denoising.ipynb", parameters=ROWS, chapter="denoising")
    return tmp_path


@pytest.fixture
def toy(project, monkeypatch, tmp_path):
    """A chapter of one experiment with one method, in place of all others, also of those declared before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    found = Experiment(
        "denoising", {"mean": Method(lambda case, seed, settings: case * seed, role=BASELINE)},
        {"error": Metric("error", "lower")}, lambda dataset, seed, settings: settings["epochs"],
        lambda case, output, seed, settings: {"error": output}, (Toy,),
    )  # fmt: skip
    monkeypatch.setattr(experiments, "get", lambda name: found)
    monkeypatch.setattr(experiments, "chapter", lambda name: Chapter(name, ("denoising",), (Toy,)))
    monkeypatch.setattr(notebooks, "path", lambda chapter: project / f"{chapter}.ipynb")
    return found


def sweep(text, name="my.csv", **options):
    Path(name).write_text(text)
    return sweeps.table(name, **options)


def faults(text, name="my.csv", **options):
    with pytest.raises(ParameterError) as caught:
        sweep(text, name, **options)
    return str(caught.value).splitlines()


@pytest.mark.usefixtures("project")
def test_a_table_gives_a_run_a_line_and_an_empty_field_keeps_the_default():
    batch = sweep("level,name_of,seed\n2,b,\n,a b,1\n\n,,\n", notebook="tiny.ipynb")
    assert list(batch.runs) == ["level-2_name_of-b", "name_of-a_b_seed-1"]
    first, second = batch.runs.values()
    assert (first.page, first.folder) == ("results/my/level-2_name_of-b/tiny.ipynb", "results/my/level-2_name_of-b")
    values = {"name_of": "b", "level": 2.0, "seed": 0, "fast": False, "edition": "own", "out": None}
    assert first.values() == values
    assert first.key() == runner.key("tiny.ipynb", values)
    assert second.values()["level"] == 1.0
    assert second.values()["name_of"] == "a b"


@pytest.mark.usefixtures("project")
def test_lines_may_name_their_runs_and_notebooks_and_be_separated_by_tabs():
    batch = sweep("name\tnotebook\tseed\none\ttiny.ipynb\t1\ntwo\tother.ipynb\t2\n", "my.tsv")
    assert {name: (run.notebook, run.parameters) for name, run in batch.runs.items()} == {
        "one": ("tiny.ipynb", {"seed": "1"}),
        "two": ("other.ipynb", {"seed": "2"}),
    }


@pytest.mark.usefixtures("project")
def test_all_faults_of_a_table_are_listed_at_once():
    text = (
        "name,notebook,leval,level,edition\na b,tiny.ipynb,1,x,,9\nc,,,1,quick\nc,absent.ipynb,,1,\nd,other.ipynb,,1,\n"
    )
    found = faults(text)
    assert [re.sub(r"^my.csv, line (\d): ", r"\1 ", line) for line in found[:-2]] == [
        "2 has 6 fields, the head has 5",
        "2 has the name 'a b'; use at most 100 letters, digits and . _ + -",
        "2 expected a parameter of this notebook, got leval: did you mean level?",
        "2 expected level to be float, in [0, 10], got 'x': set a legal value",
        "3 names no notebook; add a column notebook, or --config notebook=...",
        "4 is a second run of the name c",
    ]
    assert found[-2].startswith("my.csv, line 4: expected a Jupyter notebook, got 'absent.ipynb'")
    assert found[-1] == (
        "my.csv, line 5: expected a parameter of this notebook, got level: choose from width, seed, fast, edition, out"
    )


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("text", "name", "fault"),
    [
        ("", "my.csv", "my.csv: expected a line of names and a line for each run, got 0 runs"),
        ("level\n", "my.csv", "my.csv: expected a line of names and a line for each run, got 0 runs"),
        ("level,level\n1,2\n", "my.csv", "my.csv: a second column 'level'"),
        ("level\n1\n", "my sweep.csv", "my sweep.csv: 'my sweep' is no name for a sweep; use letters, digits and"),
        ("level\n1\n", "quick.csv", "quick.csv: 'quick' is no name for a sweep; use letters, digits and . _"),
        ("edition\nown\n", "my.csv", "my.csv, line 2: expected a column that is not the sweep's own, got edition"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_a_sweep_is_refused(project, text, name, fault):
    (project / "quick.yml").touch()
    (found,) = faults(text, name, notebook="tiny.ipynb", editions=".")
    assert found.startswith(fault)


def test_a_file_that_is_absent_is_refused_in_one_line():
    with pytest.raises(ParameterError, match=r"^expected a table of runs \(.csv, .tsv\), got absent.csv \("):
        sweeps.table("absent.csv")


def entry(**more):
    return json.dumps({"run": {"notebook": "denoising.ipynb", "page": "p", "parameters": {}, "sweep": True} | more})


@pytest.mark.usefixtures("toy")
def test_an_edition_that_says_so_makes_each_data_set_method_and_seed_a_row(project):
    asked = {"datasets": ["a", "b/c.h5ad"], "methods": ["mean", "pca"], "seeds": [0, 1], "epochs": 5}
    (project / "quick.yml").write_text(entry(parameters=asked))
    run = sweeps.edition("quick", ".").runs["run"]
    assert len(run.rows) == 8
    own = {"epochs": 5, "width": 8}
    assert run.rows["denoising__b_c.h5ad__pca__1.json"] == rows.Row("denoising", "b/c.h5ad", "pca", 1, own)
    assert run.given == asked | {"rows": "results/quick/run/rows"}
    # its rows have keys of their own
    assert run.key() == runner.key("denoising.ipynb", run.values() | {"rows": "results/quick/run/rows"})
    (project / "quick.yml").write_text(entry(sweep=False))
    run = sweeps.edition("quick", ".").runs["run"]
    assert (run.rows, run.given) == ({}, {})


@pytest.mark.usefixtures("toy")
def test_a_parameter_that_the_cell_does_not_show_decides_rows_and_run(project):
    (project / "quick.yml").write_text(entry(parameters={"width": 5}))
    run = sweeps.edition("quick", ".").runs["run"]
    assert [row.settings for row in run.rows.values()] == [{"epochs": 3, "width": 5}]
    assert run.values()["width"] == 5
    (project / "quick.yml").write_text(entry())
    plain = sweeps.edition("quick", ".").runs["run"]
    assert "width" not in plain.values()
    assert plain.key() != run.key()
    # and so in a table
    batch = sweep("width\n5\n6\n", notebook="denoising.ipynb")
    assert [run.values()["width"] for run in batch.runs.values()] == [5, 6]
    assert faults("widht\n5\n", notebook="denoising.ipynb") == [
        "my.csv, line 2: expected a parameter of this notebook, got widht: did you mean width?"
    ]
    assert faults("width\n0\n", notebook="denoising.ipynb") == [
        "my.csv, line 2: expected width to be int, in [1, inf), got '0': set a legal value"
    ]


def test_a_chapter_of_several_experiments_gives_the_rows_of_those_that_have_any(project, toy, monkeypatch):
    def none(values):
        raise NotApplicable("no truth")

    other = Experiment("denoising.b", toy.methods, toy.metrics, toy.prepare, toy.score, asked=none)
    monkeypatch.setattr(experiments, "get", {"denoising.a": toy, "denoising.b": other}.__getitem__)
    monkeypatch.setattr(experiments, "chapter", lambda name: Chapter(name, ("denoising.a", "denoising.b"), (Toy,)))
    (project / "quick.yml").write_text(entry(parameters={"seeds": [0, 1]}))
    found = sweeps.edition("quick", ".").runs["run"].rows
    assert [(row.experiment, row.seed) for row in found.values()] == [("denoising.a", 0), ("denoising.a", 1)]


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ({"notebook": "tiny.ipynb"}, r"expected the notebook of a chapter \(db_aae, .* got tiny.ipynb: leave"),
        (
            {"parameters": {"datasets": ["a/b", "a_b"]}},
            "expected data sets, methods and seeds of denoising.ipynb to di",
        ),
        ({"parameters": {"datasets": []}}, "expected at least one of datasets, got none: name one"),
    ],
)
def test_an_edition_whose_rows_cannot_be_told_is_refused(project, more, fault):
    (project / "quick.yml").write_text(entry(**more))
    with pytest.raises(ParameterError, match=fault):
        sweeps.edition("quick", ".")


@pytest.mark.usefixtures("toy")
def test_the_command_computes_a_row_and_says_how_it_ended(project, capsys):
    out = project / "rows" / "a.json"
    command = ["row", "denoising", "--dataset", "a", "--seed", "2", "--out", str(out)]
    assert cli.main([*command, "--method", "mean"]) == 0
    assert capsys.readouterr().out == "denoising a mean 2: ok (0 s)\n"
    found = json.loads(out.read_text())
    assert (found["status"], found["scores"], found["settings"]) == (
        "ok", {"error": 6.0}, {"epochs": 3, "width": 8},
    )  # fmt: skip
    (project / "s.yml").write_text("epochs: 4\n")
    assert cli.main([*command, "--method", "mean", "-f", "s.yml"]) == 0
    assert json.loads(out.read_text())["scores"] == {"error": 8.0}
    (project / "s.yml").write_text("epoch: 4\n")
    assert cli.main([*command, "--method", "mean", "-f", "s.yml"]) == 2
    assert capsys.readouterr().err == "expected a parameter of this notebook, got epoch: did you mean epochs?\n"
    assert cli.main([*command, "--method", "median"]) == 2
    assert capsys.readouterr().err.startswith("expected a method of denoising (mean), got 'median'")
    assert not out.exists()


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("place", ["counts.h5ad", "link.json"])
def test_a_row_is_never_written_over_its_data(project, capsys, place):
    (project / "counts.h5ad").write_text("counts")
    (project / "link.json").symlink_to("counts.h5ad")
    row = ["row", "denoising", "--dataset", "counts.h5ad", "--method", "mean", "--out", place]
    assert cli.main(row) == 2
    assert capsys.readouterr().err.startswith(f"expected to write to another file than what is read, got {place},")
    assert (project / "counts.h5ad").read_text() == "counts"


@pytest.mark.usefixtures("project")
def test_long_paths_that_end_differently_are_two_runs_with_names_that_files_can_have():
    paths = [f"/data/{'ä' * 200}/{i}.csv" for i in (1, 2)]
    batch = sweep("name_of\n" + "\n".join(paths), notebook="tiny.ipynb")
    assert len(batch.runs) == 2
    assert max(len(name.encode()) for name in batch.runs) <= 100
    found = {measured.row_file("denoising", path, "mean", 0) for path in paths}
    assert len(found) == 2
    assert max(len(name.encode()) for name in found) < 200


def test_the_key_of_a_row_follows_all_files_that_decide_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = set()
    for text in "12":
        for file in ("a.csv", "markers.csv"):
            (tmp_path / file).write_text(text)
            keys.add(experiments.key("denoising", "~/a.csv", "mean", 0, {"tables": ["~/markers.csv"]}))
    assert len(keys) == 4


HOLD = """
import sys
from scgen_book.batch import sweeps
sweeps.reserve(sweeps.Batch("results/my", {}))
print("held", flush=True)
input()"""


@pytest.mark.usefixtures("project")
def test_a_batch_is_computed_by_one_process_at_a_time():
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"another run that writes to results/my .process {process.pid} on "):
            sweeps.reserve(sweeps.Batch("results/my", {}))
    finally:
        process.communicate("\n")
    assert not Path("results/my/.lock").exists()


@pytest.mark.usefixtures("toy")
def test_an_attempt_beyond_the_tries_writes_the_gap_of_a_row_that_its_table_takes(tmp_path):
    row = rows.Row("denoising", "a", "mean", 0, {"epochs": 3})
    found = rows.compute(row, tmp_path / row.file, attempt=3, tries=2)
    assert found["reason"] == "Its job was ended 2 times before its end: out of memory, out of time or cancelled."
    asked = {"datasets": ["a"], "seeds": [0], "settings": {"epochs": 3}, "folder": tmp_path}
    (line,) = measured.table("denoising", **asked).to_dict("records")
    assert (line["role"], line["reason"]) == (BASELINE, found["reason"])


@pytest.mark.usefixtures("project")
def test_a_report_gives_each_run_its_state_and_ends_in_those_that_failed(monkeypatch):
    batch = sweep("level\n1\n2\n3\n4\n", notebook="tiny.ipynb")

    def execute(source, partial, values, tell):
        tell(3, 4)
        partial.write_text(source.read_text())
        return "ValueError: no | cells" if values["level"] == 2 else None

    monkeypatch.setattr(runner, "_execute", execute)
    for run in list(batch.runs.values())[:3]:
        arguments = {"parameters": run.given, "run_dir": run.folder}
        try:
            runner.run(run.notebook, run.page, **arguments)
        except runner.RunError:
            assert run.name == "level-2"
    # killed: an entry of its start is no end
    path = Path(batch.runs["level-4"].folder, "run.json")
    path.parent.mkdir()
    started = json.loads(Path(batch.runs["level-1"].folder, "run.json").read_text())
    path.write_text(json.dumps(started | {"key": batch.runs["level-4"].key(), "status": runner.STARTED}))
    # out of date: the sweep has changed since
    path = Path(batch.runs["level-3"].folder, "run.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"key": "0"}))
    record = {"claim": None, "metric": "ari, best", "value": 0.5, "seed": 0, "dataset": "a", "variant": None}
    content = {"records": [record | {"method": "m", "note": None}]}
    Path(batch.runs["level-1"].folder, "records.json").write_text(json.dumps(content))
    assert sweeps.gather(batch) == (
        "1 of 4 runs have finished. The others:\n\n"
        "- level-2: ValueError: no | cells, in code cell 3 of 4; see results/my/level-2/failed.ipynb.\n"
        "- level-3: has not run to an end: not started, out of memory, out of time or cancelled.\n"
        "- level-4: has not run to an end: not started, out of memory, out of time or cancelled."
    )
    report = Path("results/my/report.md").read_text()
    assert report.startswith(
        "# Sweep my\n\n| run | status | duration | level |\n| --- | --- | --- | --- |\n| `level-1` | ok |"
    )
    assert report.endswith("cancelled.\n")
    assert Path("results/my/records.csv").read_text() == (
        "run,notebook,parameter.level,claim,metric,value,seed,dataset,variant,method,note\n"
        'level-1,tiny.ipynb,1,,"ari, best",0.5,0,a,,m,\n'
    )
