"""A sweep on a real SLURM: one node, this machine, for the time of the test (tools/install-slurm installs it)."""

import csv
import getpass
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scgen_book import provenance

PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "sinfo")
MISSING = [name for name in NEEDED if not shutil.which(name, path=PATH)]
PLUGIN = "snakemake_executor_plugin_slurm"
MISSING += [PLUGIN] if importlib.util.find_spec(PLUGIN) is None else []
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"no SLURM here ({', '.join(MISSING)}): run tools/install-slurm"),
]

# Two files that are always there stand for two GPUs: SLURM counts them and hands them out.
GRES = "NodeName={host} Name=gpu File=/dev/zero\nNodeName={host} Name=gpu File=/dev/full\n"
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MpiDefault=none
KillWait=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 Gres=gpu:2
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE
"""
# The job step of the plugin drops all variables of SLURM, and with them the place of this configuration.
SRUN = '#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {srun} "$@"\n'


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Start a cluster of this machine; yield the environment in which its commands find it."""
    folder = tmp_path_factory.mktemp("slurm")
    host = socket.gethostname().partition(".")[0]
    names = {"folder": folder, "host": host, "ports": free_ports(2), "user": getpass.getuser()}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**names))
    (folder / "gres.conf").write_text(GRES.format(**names))
    (folder / "srun").write_text(SRUN.format(srun=shutil.which("srun", path=PATH), **names))
    (folder / "srun").chmod(0o755)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    environment = os.environ | {"PATH": f"{folder}{os.pathsep}{PATH}", "SLURM_CONF": str(folder / "slurm.conf")}
    files = {"socket": "munge.socket", "key-file": "munge.key", "pid-file": "munged.pid", "log-file": "munged.log"}
    files["seed-file"] = "munged.seed"
    commands = [
        # the folders of tests are for their owner only, of which munge warns
        ["munged", "--foreground", "--force", *(f"--{name}={folder / file}" for name, file in files.items())],
        ["slurmctld", "-D", "-L", folder / "slurmctld.log"],
        ["slurmd", "-D", "-L", folder / "slurmd.log"],
    ]
    daemons = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("w") as out:
                daemons.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))
            wait_for(lambda: (folder / "munge.socket").exists(), folder, daemons)
        wait_for(lambda: command_output(environment, "sinfo", "-h", "-o", "%T").strip() == "idle", folder, daemons)
        yield environment
        command_output(environment, "scancel", "--user", names["user"])
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
        for daemon in reversed(daemons):
            try:
                daemon.wait(timeout=20)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def wait_for(condition, folder, daemons, seconds=60):
    """Wait until a condition holds; show the logs of the daemons if it does not in time, or if one has ended."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end or any(daemon.poll() is not None for daemon in daemons):
            logs = [f"{path.name}:\n{path.read_text()[-2000:]}" for path in folder.glob("*.out")]
            raise AssertionError("\n".join(logs))
        time.sleep(0.1)


def command_output(environment, *command):
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


# Each run leaves a mark: level, cores and GPU. One fails until it is repaired, one waits to be cancelled.
MARK = """\
import os, time
from scgen_lib import environment

with open("ran.txt", "a") as file:
    file.write(f"{level} {environment.cores()} {os.environ.get('CUDA_VISIBLE_DEVICES')}\\n")
if level == 5 and not os.path.exists("repaired"):
    raise ValueError("no cells left")
while level == 6 and not os.path.exists("cancelled"):
    time.sleep(0.1)"""
SAVE = """\
run = results.Run("one", parameters={"edition": edition}, seed=seed, out=out)
run.add(None, "answer", level * 2)
run.save()"""


@pytest.fixture
def project(tmp_path, write_notebook):
    write_notebook(tmp_path / "one.ipynb", MARK, SAVE, parameters="level: int = 1  # in [0, 9]: level")
    lines = ["name,level", *(f"level{level},{level}" for level in range(1, 7))]
    (tmp_path / "sweep.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def snakemake(project, environment, *options, config=("sweep=sweep.csv", "notebook=one.ipynb")):
    command = [sys.executable, "-m", "snakemake", "--snakefile", provenance.ROOT / "workflow" / "Snakefile", *options]
    command += ["--config", *config, "threads=2"]
    return subprocess.Popen(
        command, cwd=project, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def ran(project):
    """Return level, cores and GPU of all runs so far."""
    path = project / "ran.txt"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


PROFILE = ["--workflow-profile", "slurm", "--retries", "1", "--latency-wait", "5", "--slurm-no-account"]
PROFILE += ["--slurm-init-seconds-before-status-checks", "2", "--default-resources", "gpu=1", "mem_mb=500"]


def test_a_sweep_on_slurm_finishes_the_good_runs_repeats_a_cancelled_one_and_reports_a_failed_one(slurm, project):
    process = snakemake(project, slurm, *PROFILE)
    try:
        while "6" not in [level for level, _, _ in ran(project)]:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.2)
        jobs = command_output(slurm, "squeue", "-h", "--states=running", "-o", "%i %k")
        (job,) = [line.split()[0] for line in jobs.splitlines() if "run_level6" in line]
        command_output(slurm, "scancel", job)
        (project / "cancelled").touch()
        output, _ = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 1
    assert f"{job}" in output
    # a GPU and two cores each; the failed and the cancelled run have been tried again, and no other
    assert sorted(level for level, _, _ in ran(project)) == ["1", "2", "3", "4", "5", "5", "6", "6"]
    assert {(cores, gpu) for _, cores, gpu in ran(project)} == {("2", "0"), ("2", "1")}
    states = command_output(slurm, "squeue", "-h", "--states=all", "-o", "%T").split()
    assert sorted(states) == ["CANCELLED"] + ["COMPLETED"] * 5 + ["FAILED"] * 2
    report = (project / "results/sweep/report.md").read_text()
    assert report.endswith(
        "5 of 6 runs have finished. The others:\n\n"
        "- level5: ValueError: no cells left, in code cell 4 of 5; see results/sweep/level5/failed.ipynb and "
        "results/sweep/level5/run.log.\n"
    )
    with (project / "results/sweep/records.csv").open() as file:
        assert {row["run"]: row["value"] for row in csv.DictReader(file)} == {
            f"level{level}": f"{level * 2.0}" for level in (1, 2, 3, 4, 6)
        }
    assert json.loads((project / "results/sweep/level6/run.json").read_text())["status"] == "ok"

    # started again, only the failed run is repeated; without the cluster, which has left nothing that ties it to it
    (project / "repaired").touch()
    (project / "ran.txt").unlink()
    process = snakemake(project, slurm, "--cores", "2")
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert [level for level, _, _ in ran(project)] == ["5"]
    assert "6 of 6 runs have finished." in (project / "results/sweep/report.md").read_text()


ROWS = {
    "dca": {"fast": True, "seeds": [0], "parts": ["A"], "variants": ["faithful"]},
    "dr_a": {"fast": True, "seeds": [0], "z_dims": [2], "experiments": False},
}


def test_rows_of_two_papers_are_jobs_and_a_killed_one_is_tried_again(slurm, tmp_path):
    edition = {
        name: {"notebook": f"notebooks/{name}.ipynb", "page": name, "parameters": given, "sweep": True}
        for name, given in ROWS.items()
    }
    (tmp_path / "sweeps").mkdir()
    (tmp_path / "sweeps" / "quick.yml").write_text(json.dumps(edition))
    shutil.copytree(provenance.ROOT / "notebooks", tmp_path / "notebooks")
    config = ("edition=quick", "editions_dir=sweeps")
    process = snakemake(tmp_path, slurm, *PROFILE, config=config)
    folder, killed = tmp_path / "results" / "quick", None
    try:
        while killed is None:
            assert process.poll() is None, process.stdout.read()
            killed = next((row for row in running_rows(tmp_path) if "likelihoods" in row[1]), None)
            time.sleep(0.2)
        os.kill(killed[0], signal.SIGKILL)
        output, _ = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == 0, output
    rows = [json.loads(path.read_text()) for path in folder.glob("*/rows/*.json")]
    assert len(rows) >= 20
    assert {row["experiment"].partition(".")[0] for row in rows} == set(ROWS)
    (again,) = [
        row for row in rows if all(word in killed[1] for word in (row["experiment"], f"method={row['method']}"))
    ]
    assert again["status"] == "ok"
    # what the notebooks needed was there: they have computed no row themselves
    written = {path: path.stat().st_mtime for path in folder.glob("*/rows/*.json")}
    assert all(time < (folder / path.parts[-3] / "records.json").stat().st_mtime for path, time in written.items())
    assert {path.stem for path in (tmp_path / "book" / "executed").glob("*.ipynb")} == set(ROWS)


def running_rows(project):
    """The processes on this project that compute a row in a process of its own: number and command."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_text().replace("\0", " ")
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            above = Path(f"/proc/{parent}/cmdline").read_text().replace("\0", " ")
            here = os.readlink(path / "cwd") == str(project)
        except OSError:
            continue
        if here and "multiprocessing" in command and " row " in above:
            found.append((int(path.name), above))
    return found
