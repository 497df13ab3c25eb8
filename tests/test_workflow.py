import json
import os
import signal
import subprocess
import sys
import time

import pytest
import yaml

from scgen_lib import provenance

SNAKEFILE = provenance.ROOT / "workflow" / "Snakefile"
# Each run leaves a mark, so that what ran can be counted.
MARK = "with open('ran.txt', 'a') as file:\n    file.write(f'{level}\\n')"
# The cores that a run may use.
CORES = "from scgen_lib import provenance\n\nopen(f'cores{level}.txt', 'w').write(str(provenance.cores()))"
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
    (project / "editions" / "quick.yml").write_text(yaml.safe_dump(runs))


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


def test_a_killed_workflow_started_again_runs_only_what_is_missing(project):
    (project / "wait").touch()
    # One core: the second run starts when the workflow knows that the first has ended.
    process = start(project, "1", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while len(marks(project)) < 2:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    first, second = marks(project)
    name = {"1": "one", "2": "two"}
    assert [path for path in pages(project) if not path.startswith(".")] == [f"{name[first]}.ipynb"]
    ran(project)
    (project / "wait").unlink()
    assert snakemake(project)[0] == 0
    assert ran(project) == [second]
    assert pages(project) == ["one.ipynb", "two.ipynb"]
    # Two cores and two runs: a core each.
    assert (project / f"cores{second}.txt").read_text() == "1"
    for run in ("one", "two"):
        assert json.loads((project / f"results/quick/{run}/run.json").read_text())["status"] == "ok"


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


def test_a_run_that_fails_is_said_in_one_line_and_stops_no_other(project, write_notebook):
    write_notebook(project / "notebooks" / "two.ipynb", "raise ValueError('no cells left')", parameters=LEVEL)
    status, output = snakemake(project)
    assert status == 1
    assert "two.ipynb stopped with ValueError: no cells left; see results/quick/two/failed.ipynb.\n" in output
    assert pages(project) == ["one.ipynb"]
    entry = json.loads((project / "results/quick/two/run.json").read_text())
    assert (entry["status"], entry["error"]) == ("failed", "ValueError: no cells left")


@pytest.mark.parametrize("edition", ["quick", "paper"])
def test_the_editions_of_the_book_name_notebooks_and_legal_parameters(edition):
    from scgen_lib import parameters, runner

    for entry in runner.read_edition(provenance.ROOT / "workflow" / "editions" / f"{edition}.yml").values():
        spec = parameters.from_notebook(provenance.ROOT / entry["notebook"])
        parameters.check({"edition": edition} | entry["parameters"], spec)
