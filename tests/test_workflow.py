import json
import os
import re
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import yaml

from scgen_book import experiments, provenance

SNAKEFILE = provenance.ROOT / "workflow" / "Snakefile"
# Each run leaves a mark, so that what ran can be counted.
MARK = "with open('ran.txt', 'a') as file:\n    file.write(f'{level}\\n')"
# The cores that a run may use.
CORES = "from scgen_lib import environment\n\nopen(f'cores{level}.txt', 'w').write(str(environment.cores()))"
# The second run waits for as long as the file `wait` is there.
WAIT = "import os, time\nwhile os.path.exists('wait') and len(open('ran.txt').readlines()) == 2:\n    time.sleep(0.05)"
LEVEL = "level: int = 1  # in [0, 9]: level"


@pytest.fixture
def project(tmp_path, write_notebook):
    for name in ("one", "two"):
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", MARK, WAIT, CORES, parameters=LEVEL)
    write_edition(tmp_path, one=1, two=2)
    return tmp_path


def write_edition(project, **levels):
    (project / "editions").mkdir(exist_ok=True)
    runs = {n: {"notebook": f"notebooks/{n}.ipynb", "page": n, "parameters": {"level": v}} for n, v in levels.items()}
    (project / "editions" / "quick.yml").write_text(yaml.safe_dump(runs, sort_keys=False))


def start(project, cores, **options):
    command = [sys.executable, "-m", "snakemake", "--snakefile", SNAKEFILE, "--cores", cores]
    command += ["--config", "edition=quick", "editions_dir=editions"]
    # A session of its own, so that the workflow can be killed with all that it started.
    return subprocess.Popen(command, cwd=project, start_new_session=True, text=True, **options)


def snakemake(project):
    process = start(project, "2", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output, _ = process.communicate()
    return process.returncode, output


def marks(project):
    path = project / "ran.txt"
    return path.read_text().split() if path.exists() else []


def ran(project):
    """Return the sorted marks left since the last call."""
    found = sorted(marks(project))
    (project / "ran.txt").unlink(missing_ok=True)
    return found


def pages(project):
    return sorted(path.name for path in (project / "book" / "executed").iterdir())


@pytest.mark.slow
def test_a_killed_workflow_started_again_runs_only_what_is_missing(project):
    (project / "wait").touch()
    write_edition(project, two=2, one=1)
    # One core: the second run starts when the workflow knows that the first has ended.
    process = start(project, "1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while len(marks(project)) < 2:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    # in the order of the edition
    assert marks(project) == ["2", "1"]
    assert [path for path in pages(project) if not path.startswith(".")] == ["two.ipynb"]
    ran(project)
    (project / "wait").unlink()
    assert snakemake(project)[0] == 0
    assert ran(project) == ["1"]
    assert pages(project) == ["one.ipynb", "two.ipynb"]
    # Two cores and two runs: a core each.
    assert (project / "cores1.txt").read_text() == "1"
    for run in ("one", "two"):
        assert json.loads((project / f"results/quick/{run}/run.json").read_text())["status"] == "ok"


@pytest.mark.slow
def test_a_run_is_repeated_when_its_parameters_or_notebook_change_and_not_when_times_do(project, write_notebook):
    assert snakemake(project)[0] == 0
    assert ran(project) == ["1", "2"]
    (project / "notebooks" / "one.ipynb").touch()
    assert snakemake(project)[0] == 0
    assert ran(project) == []
    write_edition(project, one=1, two=3)
    assert snakemake(project)[0] == 0
    assert ran(project) == ["3"]
    write_notebook(project / "notebooks" / "one.ipynb", MARK, "print('new')", parameters=LEVEL)
    assert snakemake(project)[0] == 0
    assert ran(project) == ["1"]


@pytest.mark.slow
def test_a_run_is_repeated_when_what_it_imports_does_another_thing_and_not_when_it_says_so(project, write_notebook):
    helper = project / "helper.py"
    helper.write_text("X = 1\n")
    write_notebook(project / "notebooks" / "one.ipynb", "import helper", MARK, parameters=LEVEL)
    assert snakemake(project)[0] == 0
    assert ran(project) == ["1", "2"]
    helper.write_text('"""Something to read."""\n\nX = 1  # a number\n')
    assert snakemake(project)[0] == 0
    assert ran(project) == []
    helper.write_text("X = 2\n")
    assert snakemake(project)[0] == 0
    assert ran(project) == ["1"]


def test_a_run_that_fails_is_said_in_one_line_and_stops_no_other(project, write_notebook):
    write_notebook(project / "notebooks" / "two.ipynb", "raise ValueError('no cells left')", parameters=LEVEL)
    status, output = snakemake(project)
    assert status == 1
    line = "- two: ValueError: no cells left, in code cell 4 of 4; see results/quick/two/failed.ipynb and "
    assert f"{line}results/quick/two/run.log.\n" in output
    assert output.count("no cells left") == 1
    assert len(output.splitlines()) == 8, output
    assert pages(project) == ["one.ipynb"]
    entry = json.loads((project / "results/quick/two/run.json").read_text())
    assert (entry["status"], entry["error"]) == ("failed", "ValueError: no cells left")


@pytest.mark.slow
def test_a_batch_says_a_line_a_run_and_the_noise_of_libraries_goes_to_the_log(project, write_notebook):
    loud = "import subprocess; _ = subprocess.run('echo oneDNN is on >&2', shell=True)"
    write_notebook(project / "notebooks" / "one.ipynb", loud, parameters=LEVEL)
    status, output = snakemake(project)
    assert status == 0
    said = [line for line in output.splitlines() if not line.startswith("Using workflow specific profile")]
    assert sorted(line.partition("  ")[0] for line in said) == ["one", "one", "two", "two"]
    assert sum("  starts" in line for line in said) == sum("  done in " in line for line in said) == 2
    assert "oneDNN is on" in (project / "results/quick/one/run.log").read_text()
    # how long the same run took is said beforehand
    write_edition(project, one=3, two=2)
    assert re.search(r"^one  starts, about 5 s left$", snakemake(project)[1], re.MULTILINE)
    assert "Nothing to be done" in snakemake(project)[1]


@pytest.mark.parametrize("edition", ["quick", "paper"])
def test_the_editions_of_the_book_name_notebooks_and_legal_parameters(edition):
    from scgen_book import parameters
    from scgen_book.batch import editions
    from scgen_book.cells import read_notebook

    for entry in editions.read_edition(provenance.ROOT / "workflow" / "editions" / f"{edition}.yml").values():
        spec = parameters.known(read_notebook(provenance.ROOT / entry["notebook"]), entry["parameters"])
        parameters.check({"edition": edition} | entry["parameters"], spec)


@pytest.mark.slow
def test_a_second_workflow_on_the_same_results_is_refused_in_one_line(project):
    (project / "wait").touch()
    first = start(project, "1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while len(marks(project)) < 2:
            assert first.poll() is None
            time.sleep(0.05)
        status, output = snakemake(project)
        assert status == 1
        assert f"another run that writes to results/quick (process {first.pid} on " in output
        assert "Traceback" not in output
        assert len(marks(project)) == 2
        (project / "wait").unlink()
        assert first.wait(timeout=60) == 0
    finally:
        first.kill()
    assert ran(project) == ["1", "2"]
    assert not list((project / "results").rglob(".lock"))


@pytest.mark.slow
def test_a_checkout_may_have_any_path(tmp_path, write_notebook):
    root = tmp_path / 'it\'s a "checkout" {of} mine'
    write_notebook(root / "notebooks" / "one.ipynb", MARK, parameters=LEVEL)
    write_edition(root, one=1)
    (root / ".venv").symlink_to(sys.prefix)
    (root / "workflow").symlink_to(SNAKEFILE.parent)
    command = [root / ".venv" / "bin" / "python", "-m", "snakemake", "--snakefile", root / "workflow" / "Snakefile"]
    command += ["--cores", "1", "--config", "edition=quick", "editions_dir=editions"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ran(root) == ["1"]


# An experiment whose methods are a line each; it leaves a mark for each row that is computed.
TOY = """
import os, signal, sys
from pathlib import Path
from scgen_book import experiments, notebooks
from scgen_book.experiments.protocol import Chapter, Experiment, Method, Metric
from scgen_lib.settings import Settings, declared, option

@declared
class Toy(Settings):
    level: float = option(1e-05, "in [0, inf)", "level")
    more: float = option(0.0, "in [0, inf)", "more")

def mark(case, seed, settings):
    with open("ran.txt", "a") as file:
        file.write(f"{case}{seed}\\n")
    return settings["level"] * case + seed + settings["more"]

def fail(case, seed, settings):
    raise OSError("no answer")

def die(case, seed, settings):
    mark(case, seed, settings)
    os.kill(os.getpid(), signal.SIGKILL)

def take_along(case, seed, settings):
    mark(case, seed, settings)
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)

EXPERIMENT = Experiment(
    "dca.toy", {"good": Method(mark), "bad": Method(fail), "dies": Method(die), "falls": Method(take_along)},
    {"error": Metric("error", "lower")}, lambda dataset, seed, settings: {"a": 1, "b": 2}[dataset],
    lambda case, output, seed, settings: {"error": output}, (Toy,),
)
CHAPTER = Chapter("dca", ("dca.toy",), (Toy,))
for name in ("toy", "chapter"):
    sys.modules[f"scgen_book.experiments.dca.{name}"] = sys.modules[__name__]
notebooks.path = lambda chapter: Path("notebooks", f"{chapter}.ipynb")
"""
ASKED = """\
datasets: list[str] = ["a"]  # any: data
methods: list[str] = ["good"]  # subset of good, bad, dies, falls: methods
seeds: list[int] = [0]  # in [0, inf): seeds
rows: str | None = None  # any: folder of rows
level: float = 1e-05  # in [0, inf): level"""
GATHER = """\
from pathlib import Path
from scgen_book import experiments
import scgen_book.experiments.rows

found = experiments.rows.run("dca.toy", dict(datasets=datasets, methods=methods, seeds=seeds, rows=rows, level=level))
found.table.to_csv(Path(out) / "table.csv", index=False)"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory, write_notebook):
    """A project with a chapter of which each row is a job."""
    project = tmp_path_factory.mktemp("measured")
    (project / "sitecustomize.py").write_text("import toy\n")
    (project / "toy.py").write_text(TOY)
    write_notebook(project / "notebooks" / "dca.ipynb", GATHER, parameters=ASKED, chapter="dca")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(project), os.environ.get("PYTHONPATH")])))
        measure(project, methods=["good", "bad", "dies", "falls"])
        assert snakemake(project)[0] == 0
        yield project


def measure(project, **asked):
    (project / "editions").mkdir(exist_ok=True)
    entry = {"notebook": "notebooks/dca.ipynb", "page": "dca", "parameters": asked, "sweep": True}
    (project / "editions" / "quick.yml").write_text(yaml.safe_dump({"dca": entry}))


def rows(project):
    table = pd.read_csv(project / "results/quick/dca/table.csv").set_index(["dataset", "method", "seed"])
    return table.sort_index()


@pytest.mark.slow
def test_each_row_of_an_experiment_is_a_job_and_a_death_is_a_gap_with_its_reason(measured):
    table = rows(measured)
    assert table["value"].dropna().to_dict() == {("a", "good", 0): 1e-5}
    reason = table["reason"].xs("a")
    assert reason["bad", 0] == "OSError: no answer"
    assert reason["dies", 0] == ("Its process was ended by SIGKILL, most often for lack of memory, at try 2 of 2.")
    assert reason["falls", 0] == "Its job was ended 2 times before its end: out of memory, out of time or cancelled."
    # once for the row that answers, twice for those that die, and no more for the notebook, which only gathers
    assert ran(measured) == ["10"] * 5
    folder = measured / "results/quick/dca/rows"
    files = {f"dca.toy__a__{m}__0.json" for m in ("good", "bad", "dies", "falls")}
    assert {path.name for path in folder.iterdir()} == files


@pytest.mark.slow
def test_the_same_rows_asked_for_twice_run_nothing_and_more_seeds_run_only_themselves(measured):
    assert snakemake(measured)[0] == 0
    assert ran(measured) == []
    measure(measured, methods=["good"], datasets=["a", "b"], seeds=[0, 1])
    assert snakemake(measured)[0] == 0
    assert ran(measured) == ["11", "20", "21"]
    assert len(rows(measured)) == 4
    # a row that is thrown away is computed again, and the page with it
    (measured / "results/quick/dca/rows/dca.toy__a__good__1.json").unlink()
    page = measured / "book/executed/dca.ipynb"
    old = page.stat().st_mtime_ns
    assert snakemake(measured)[0] == 0
    assert ran(measured) == ["11"]
    assert page.stat().st_mtime_ns > old


@pytest.mark.parametrize("chapter", experiments.CHAPTERS)
def test_the_rows_of_a_chapter_can_be_jobs(chapter, tmp_path):
    from scgen_book.batch import sweeps

    entry = {"notebook": str(provenance.ROOT / "notebooks" / f"{chapter}.ipynb"), "page": "p", "sweep": True}
    (tmp_path / "quick.yml").write_text(yaml.safe_dump({"run": entry | {"parameters": {}}}))
    run = sweeps.edition("quick", str(tmp_path)).runs["run"]
    assert run.rows
    assert {row.experiment for row in run.rows.values()} <= set(experiments.chapter(chapter).experiments)
    assert run.given["rows"] == "results/quick/run/rows"


def test_the_profiles_share_what_the_default_one_says_of_stops_and_repeats():
    profiles = SNAKEFILE.parent / "profiles"
    found = {path.name: yaml.safe_load((path / "config.yaml").read_text()) for path in profiles.iterdir()}
    assert set(found) == {"default", "local", "slurm", "kubernetes"}
    for name in set(found["default"]) - {"quiet"}:
        assert [profile[name] for profile in found.values()] == [found["default"][name]] * len(found), name
