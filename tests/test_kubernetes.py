"""A sweep through Snakemake's Kubernetes executor, up to the API of a cluster.

No cluster: a server here takes the jobs, runs the command of each container in an empty folder, as a pod would, and
says how it ended. What a pod needs beyond that (image, volume, GPU) is read off the manifest.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scgen_book import provenance

PLUGINS = ("snakemake_executor_plugin_kubernetes", "snakemake_storage_plugin_fs")
MISSING = [name for name in PLUGINS if importlib.util.find_spec(name) is None]
MISSING += [name for name in ("rsync", "git") if shutil.which(name) is None]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} missing")]

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: test
clusters: [{{name: test, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: test, context: {{cluster: test, user: test}}}}]
users: [{{name: test, user: {{}}}}]
"""


class Api(BaseHTTPRequestHandler):
    """What Snakemake asks of a cluster; `server.jobs` has the manifest and the process of each job by its name."""

    def log_message(self, *_):
        pass

    def answer(self, body):
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def sent(self):
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def do_POST(self):
        body = self.sent()
        if self.path.endswith("/jobs"):
            (container,) = body["spec"]["template"]["spec"]["containers"]
            folder = tempfile.mkdtemp(dir=self.server.folder)
            process = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=folder, env=self.server.environment, stdout=self.server.log, stderr=self.server.log,
            )  # fmt: skip
            self.server.jobs[body["metadata"]["name"]] = (body, process)
        self.answer(body)

    def do_GET(self):
        if job := re.search(r"/jobs/([\w-]+)/status", self.path):
            ended = self.server.jobs[job[1]][1].poll()
            status = {"active": 1} if ended is None else {"failed": 1} if ended else {"succeeded": 1}
            self.answer({"metadata": {"name": job[1]}, "status": status})
        else:
            self.answer({"items": []})

    def do_DELETE(self):
        self.sent()
        self.answer({"status": "Success"})


@pytest.fixture
def cluster(tmp_path):
    """Serve the API; what pods run is this Python, with the storage plugin installed already."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.jobs, server.folder = {}, tmp_path / "pods"
    server.folder.mkdir()
    server.log = (tmp_path / "pods.log").open("w")
    (tmp_path / "bin").mkdir()
    # no links: Python finds its environment by the folder that it is called in
    for name, script in {"python": f'exec {sys.executable} "$@"', "pip": "exit 0"}.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "kubeconfig").write_text(KUBECONFIG.format(port=server.server_port))
    server.environment = os.environ | {"PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    for _, process in server.jobs.values():
        process.kill()
        process.wait()
    server.log.close()


@pytest.fixture
def project(tmp_path, write_notebook):
    """A checkout, on what stands for the volume."""
    root = tmp_path / "project"
    body = ("if level == 2:\n    raise ValueError('no cells left')", "open(f'{out}/extra.txt', 'w').close()")
    write_notebook(root / "notebooks" / "one.ipynb", *body, parameters="level: int = 1  # in [0, 9]: level")
    shutil.copytree(provenance.ROOT / "workflow", root / "workflow")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", root]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], check=True)
    (root / "sweep.csv").write_text("name,level\ngood,1\nbad,2\n")
    return root


def test_jobs_of_kubernetes_have_a_gpu_each_and_leave_all_results_on_the_volume(cluster, project, tmp_path):
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--snakefile",
        "workflow/Snakefile",
        "--workflow-profile",
        "kubernetes",
    ]
    command += ["--kubernetes-persistent-volumes", f"scgen:{project}", "--default-storage-prefix", project]
    command += ["--retries", "0", "--seconds-between-status-checks", "1"]
    command += ["--config", f"sweep={project}/sweep.csv", "notebook=notebooks/one.ipynb", "threads=2"]
    environment = os.environ | {"KUBECONFIG": str(tmp_path / "kubeconfig")}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    found = {str(path.relative_to(project / "results/sweep")) for path in (project / "results/sweep").rglob("*.*")}
    assert found == {
        "records.csv", "report.md", "good/one.ipynb", "good/records.json", "good/run.json", "good/run.log",
        "good/extra.txt", "bad/failed.ipynb", "bad/run.json", "bad/run.log",
    }, done.stderr + (tmp_path / "pods.log").read_text()  # fmt: skip
    assert (project / "results/sweep/report.md").read_text().endswith(
        "1 of 2 runs have finished. The others:\n\n"
        "- bad: ValueError: no cells left, in code cell 4 of 5; see results/sweep/bad/failed.ipynb and "
        "results/sweep/bad/run.log.\n"
    )  # fmt: skip
    assert len(cluster.jobs) == 2
    for manifest, _ in cluster.jobs.values():
        pod = manifest["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["image"] == "scgen-gpu"
        limits = container["resources"]["limits"]
        assert (limits["nvidia.com/gpu"], limits["cpu"], limits["memory"]) == ("1", "2000m", "16000M")
        assert {"mountPath": str(project), "name": "scgen"} in container["volumeMounts"]
        assert {"name": "scgen", "persistentVolumeClaim": {"claimName": "scgen"}} in pod["volumes"]
