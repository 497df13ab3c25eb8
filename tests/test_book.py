"""The HTML of the book, opened in a browser.

A small project with the book's own prose, configuration and generated pages is built here; the book that `make book`
has built is opened as well, if there is one.
"""

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import nbformat
import pytest
import yaml

from scgen_lib import pages, provenance, runner

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
RECORDS = """\
run = results.Run("dca", parameters={"edition": edition}, seed=seed, out=out)
for seed in range(5):
    run.add("dca.fig2.g2.true", "silhouette", 0.6 + seed / 100, seed=seed, dataset="dca_g2_fig2")
run.save()
run.show("eraslan2019")"""
FIGURE = """\
import matplotlib.pyplot as plt

plt.figure(figsize=(12, 3))
plt.plot([1, 3, 2]);"""
CAPTION = "Two lines of dropout."
LONG = "print('a long line ' * 60)"


@pytest.fixture(scope="module")
def project(tmp_path_factory, write_notebook):
    """A project with one short chapter, run for the quick edition and up to date."""
    root = tmp_path_factory.mktemp("project")
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(provenance.ROOT / name, root)
    ignored = shutil.ignore_patterns("executed", "generated", "__pycache__")
    shutil.copytree(provenance.ROOT / "book", root / "book", ignore=ignored)
    text = r"The rate is $\pi_{ij} = 1 / (1 + e^{-x})$ of dropout."
    figure = nbformat.v4.new_code_cell(
        FIGURE, metadata={"tags": ["landing"], "mystnb": {"figure": {"caption": CAPTION}}}
    )
    write_notebook(root / "notebooks" / "dca.ipynb", RECORDS, figure, LONG, text=text)
    edition = {"dca": {"notebook": "notebooks/dca.ipynb", "page": "dca", "parameters": {}}}
    (root / "workflow" / "editions").mkdir(parents=True)
    (root / "workflow" / "editions" / "quick.yml").write_text(yaml.safe_dump(edition))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        execute()
    # The other chapters that the contents list and the landing page links to, with nothing in them.
    for part in yaml.safe_load((root / "_toc.yml").read_text())["parts"]:
        for file in (root / f"{chapter['file']}.ipynb" for chapter in part["chapters"]):
            if file.parent.name == "executed" and not file.exists():
                title = nbformat.v4.new_markdown_cell(f"# {file.stem}")
                nbformat.write(nbformat.v4.new_notebook(cells=[title]), file)
    return root


def execute():
    runner.run("notebooks/dca.ipynb", "book/executed/dca.ipynb", run_dir="results/quick/dca", edition="quick")


@pytest.fixture
def inside(project, monkeypatch):
    monkeypatch.chdir(project)
    return project


def refusal():
    with pytest.raises(runner.RunError) as error:
        pages.write("quick")
    return str(error.value)


def test_the_gate_names_a_run_that_is_missing(inside, tmp_path, monkeypatch):
    shutil.copytree(inside / "workflow", tmp_path / "workflow")
    monkeypatch.chdir(tmp_path)
    assert refusal() == "Run dca of edition quick has not been run; do so with `make run EDITION=quick`."
    assert not (tmp_path / "book").exists()


def test_the_gate_names_a_run_that_failed(inside, monkeypatch):
    entry = json.loads((inside / "results/quick/dca/run.json").read_text())
    monkeypatch.setattr(pages, "_read", lambda path: entry | {"status": "failed", "error": "ValueError: no cells"})
    assert refusal().startswith("Run dca of edition quick failed with ValueError: no cells; see results/quick/dca/")


def test_the_gate_names_a_run_that_is_out_of_date(inside, monkeypatch):
    monkeypatch.setattr(runner, "library_hash", lambda: "changed")
    assert refusal().startswith("Run dca of edition quick is out of date: ")


def test_the_gate_names_a_run_with_illegal_parameters(inside, monkeypatch):
    edition = {"dca": {"notebook": "notebooks/dca.ipynb", "page": "dca", "parameters": {"sede": 1}}}
    monkeypatch.setattr(runner, "read_edition", lambda path: edition)
    assert refusal() == "Run dca of edition quick cannot be run: Unknown parameter sede: did you mean seed?"


def test_the_gate_names_a_run_whose_page_is_lost_or_of_another_run(inside):
    page = inside / "book/executed/dca.ipynb"
    source = page.read_text()
    try:
        page.unlink()
        assert refusal().startswith("Run dca of edition quick has lost its page or its records; ")
        page.write_text(source.replace(json.loads(source)["metadata"]["scgen"]["key"], "0"))
        assert refusal().startswith("Run dca of edition quick is not the one that its page book/executed/dca.ipynb")
    finally:
        page.write_text(source)


def test_the_scorecard_has_every_claim_with_its_verdict(inside):
    pages.write("quick")
    table = json.loads((inside / "book/generated/claims.json").read_text())
    rows = {row["claim"]: row for row in table}
    assert rows["dca.fig2.g2.true"]["verdict"] == "reproduced"
    assert rows["dca.fig2.g2.true"]["mean"] == pytest.approx(0.62)
    assert rows["dca.fig2.g6.true"]["reason"] == "not run"
    summary = (inside / "book/generated/summary.md").read_text()
    own = [claim for claim in rows if claim.startswith("dca.")]
    assert f"| {{cite}}`eraslan2019` | {len(own)} | 1 | 0 | 0 | {len(own) - 1} |" in summary
    assert '<span class="verdict reproduced">● reproduced</span>' in summary
    assert "0.62 ± 0.016 (n = 5)" in summary


def test_the_ledger_says_what_ran_on_what(inside):
    pages.write("quick")
    ledger = (inside / "book/generated/ledger.md").read_text()
    entry = json.loads((inside / "results/quick/dca/run.json").read_text())
    for fact in (entry["key"][:12], entry["provenance"]["lock_sha256"][:12], "`seed=0`", "tensorflow 2."):
        assert fact in ledger


@pytest.fixture(scope="module")
def built(project):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        pages.write("quick")
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    command = [jupyter_book, "build", ".", "--all", "-W", "-n", "--keep-going"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return project / "_build" / "html"


@pytest.fixture(scope="module", params=["small", "whole"])
def html(request):
    if request.param == "small":
        return request.getfixturevalue("built")
    folder = provenance.ROOT / "_build" / "html"
    if not (folder / "index.html").exists():
        pytest.skip("there is no built book; `make book` builds it")
    return folder


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no Chromium, and CI must not skip its tests; run tools/install-chromium")
        pytest.skip("there is no Chromium; `make browser` installs it, or set CHROMIUM to its path")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu", *quiet])
        yield browser
        browser.close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(html):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=html))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def addresses(site, html):
    content = yaml.safe_load((provenance.ROOT / "_toc.yml").read_text())
    chapters = [chapter["file"] for part in content["parts"] for chapter in part["chapters"]]
    found = [content["root"], *chapters]
    assert all((html / f"{name}.html").exists() for name in found)
    return [f"{site}{name}.html" for name in found]


def visit(browser, address, size):
    """Open a page; return it with what its console complained of and what it asked of other machines."""
    page = browser.new_page(viewport=size)
    faults = []
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))

    def route(route):
        if urllib.parse.urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            faults.append(f"asked for {route.request.url}")
            route.abort()

    page.route(lambda url: url.startswith("http"), route)
    page.goto(address, wait_until="load")
    return page, faults


@pytest.fixture(scope="module")
def seen(browser, site, html):
    """What each page shows, at the size of a desk and then of a phone."""
    found = {}
    for address in addresses(site, html):
        page, faults = visit(browser, address, DESK)
        # Images below the fold may load only when they come into view.
        page.evaluate("document.querySelectorAll('img').forEach(img => { img.loading = 'eager'; })")
        page.wait_for_load_state("networkidle")
        found[address.removeprefix(site)] = facts = {
            "broken": page.evaluate("[...document.images].filter(img => img.naturalWidth === 0).map(img => img.src)"),
            "figures": page.locator(".bd-article .cell_output img").count(),
            "faults": faults,
        }
        page.set_viewport_size(PHONE)
        facts["width"] = page.evaluate("document.documentElement.scrollWidth")
        page.close()
    return found


def test_pages_show_without_a_console_error_or_a_network(seen):
    assert {address: page["faults"] for address, page in seen.items() if page["faults"]} == {}


def test_every_image_loads(seen):
    assert {address: page["broken"] for address, page in seen.items() if page["broken"]} == {}


def test_the_chapter_has_figures(seen):
    assert seen["book/executed/dca.html"]["figures"] >= 1


def test_no_page_is_wider_than_a_phone(seen):
    assert {a: page["width"] for a, page in seen.items() if page["width"] > PHONE["width"]} == {}


def test_the_search_finds_dropout(browser, site):
    page, faults = visit(browser, f"{site}search.html?q=dropout", DESK)
    page.locator("#search-results li a").first.wait_for()
    assert page.locator("#search-results li").count() >= 2
    assert faults == []
    page.close()


def test_the_landing_page_shows_the_scorecard(browser, site):
    page, _ = visit(browser, site, DESK)
    page.wait_for_url("**/book/index.html")
    assert page.locator(".verdict.reproduced", has_text="● reproduced").count() >= 1
    page.close()


def test_the_landing_page_takes_the_figure_of_a_chapter(built):
    page = (built / "book" / "index.html").read_text()
    assert CAPTION in page
    assert (built / "_images" / "dca.png").exists()


def test_a_chapter_offers_its_files_and_launches_its_notebook(built):
    page = (built / "book" / "executed" / "dca.html").read_text()
    for file in ("dca.ipynb", "parameters.yml", "records.json", "values.csv", "claims.csv"):
        (target,) = set(re.findall(rf'href="([^"]*/_downloads/\w+/{re.escape(file)})"', page))
        assert (built / "book" / "executed" / target).is_file()
    assert '/main?urlpath=lab/tree/quick/dca.ipynb"' in page
    assert '/blob/gh-pages/main/colab/dca.ipynb"' in page
    assert (built / "colab" / "dca.ipynb").exists()
