"""The HTML of the book, opened in a browser.

A small project with the book's own prose, configuration and generated pages is built here; the book that `make book`
has built is opened as well, if there is one.
"""

import functools
import http.server
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import bs4
import nbformat
import numpy as np
import pandas as pd
import PIL.Image
import pytest
import yaml

from scgen_book import answers, claim_tables, claims, pages, provenance, record, sources
from scgen_book.answers import cards
from scgen_book.batch import editions, runner
from scgen_book.pages import scorecard

LINKS = provenance.ROOT / "tools" / "check_pages.py"

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
SCREEN = 800
# How many screens of a desk a page may have; what a chapter or the scorecard has beyond stands folded.
SCREENS = {"book/executed/": 15, "book/scorecard": 12}
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
TALL = FIGURE.replace("(12, 3)", "(4, 6)")
CAPTION = "Two lines of dropout."
LONG = "print('a long line ' * 60)"
MANY = "for i in range(40):\n    print('line', i)"
SHOWN = """\
from IPython.display import Markdown

Markdown("\\n".join(f"- **Takeaway {i}**: pbmc68k_reduced, 765 genes." for i in range(7)))"""
AXE = provenance.ROOT / ".venv" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
# What TensorFlow and what it is made of say for themselves.
LOG_LINE = re.compile(r"oneDNN|absl::Initialize|\b\w+\.cc:\d+\]|cuInit|cudart|computation_placer|TF-TRT|TqdmWarning")


@pytest.fixture(scope="module")
def project(tmp_path_factory, write_notebook):
    """A project with one short chapter, run for the quick edition and up to date."""
    root = tmp_path_factory.mktemp("project")
    for name in ("_config.yml", "_toc.yml", "CITATION.cff"):
        shutil.copy(provenance.ROOT / name, root)
    ignored = shutil.ignore_patterns("executed", "generated", "__pycache__")
    shutil.copytree(provenance.ROOT / "book", root / "book", ignore=ignored)
    shutil.copytree(provenance.ROOT / "benchmarks" / "originals", root / "benchmarks" / "originals")
    text = r"The rate is $\pi_{ij} = 1 / (1 + e^{-x})$ of dropout."
    figure = nbformat.v4.new_code_cell(
        FIGURE, metadata={"tags": ["landing"], "mystnb": {"figure": {"caption": CAPTION, "name": "fig-dca-a1-bars"}}}
    )
    further = nbformat.v4.new_code_cell(
        TALL, metadata={"mystnb": {"figure": {"caption": "A tall one. Nothing else.", "name": "fig-dca-tall"}}}
    )
    tags = {"tags": ["takeaways"]}
    sections = [nbformat.v4.new_markdown_cell(f"## {name}") for name in ("To know", "Results")]
    shown = [
        nbformat.v4.new_markdown_cell("## What this run shows", metadata=tags),
        nbformat.v4.new_code_cell(SHOWN, metadata=tags),
    ]
    write_notebook(root / "notebooks" / "dca.ipynb", RECORDS, figure, LONG, MANY, *sections, further, *shown, text=text)
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
def inside(project, monkeypatch, tmp_path):
    """Stand in the small project, with an empty record."""
    kept = record.Record(tmp_path)
    monkeypatch.setattr(record, "current", lambda: kept)
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
    assert refusal().startswith("Run dca of edition quick failed with ValueError: no cells, in code cell 9 of 9; see ")


def test_the_gate_names_a_run_that_is_out_of_date(inside, monkeypatch):
    monkeypatch.setattr(sources, "digest", lambda *_, **__: "changed")
    assert refusal().startswith("Run dca of edition quick is out of date: ")


def test_the_gate_names_a_run_with_illegal_parameters(inside, monkeypatch):
    edition = {"dca": {"notebook": "notebooks/dca.ipynb", "page": "dca", "parameters": {"sede": 1}}}
    monkeypatch.setattr(editions, "read_edition", lambda path: edition)
    problem = "expected a parameter of this notebook, got sede: did you mean seed?"
    assert refusal() == f"Run dca of edition quick cannot be run: {problem}"


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
    assert set(rows) == {item.id for item in claims.claims() if item.kind != claims.PART}
    assert rows["dca.fig2.g2.true"]["verdict"] == "reproduced"
    assert rows["dca.fig2.g2.true"]["mean"] == pytest.approx(0.62)
    assert rows["dca.fig2.g6.true"]["reason"] == "not run"
    of = {kind: [item for item in claims.claims() if item.kind == kind] for kind in (claims.RESULT, claims.SANITY)}
    own, checks = ([item for item in items if item.id.startswith("dca.")] for items in of.values())
    # that the true counts are as published is a check, and no claim
    summary = (inside / "book/generated/summary.md").read_text()
    line = next(line for line in summary.splitlines() if "<scorecard-dca>" in line)
    assert line.endswith(f"| {len(own)} | 0 | 0 | 0 | {len(own)} | – | 1 of {len(checks)} |")
    totals = (inside / "book/generated/totals.md").read_text()
    assert f"<strong>{len(of[claims.RESULT])}</strong> {scorecard.badge('not tested')}" in totals
    assert f"Sanity checks, counted apart: 1 of {len(of[claims.SANITY])} hold." in totals


def test_a_claim_links_to_its_figure_or_else_to_its_chapter(inside):
    pages.write("quick")
    rows = {m[1]: line for line in (inside / "book/generated/scorecard.md").read_text().splitlines()
            if (m := re.search(r'id="([^"]+)"', line))}  # fmt: skip
    assert "<br>{numref}`Fig. %s <fig-dca-a1-bars>` <details" in rows["dca.fig2.g2.true"]
    # this chapter does not draw the loss
    assert "<br>{doc}`chapter </book/executed/dca>` <details" in rows["dca.fig2.g2.epochs"]


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


@pytest.fixture(scope="module", params=[pytest.param("small", marks=pytest.mark.slow), "whole"])
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
    found = [content["root"], *(file for part in content["parts"] for file in files(part["chapters"]))]
    assert all((html / f"{name}.html").exists() for name in found)
    return [f"{site}{name}.html" for name in found]


def files(listed):
    """The pages of a part of the contents, with those below them."""
    for entry in listed:
        yield entry["file"]
        yield from files(entry.get("sections", ()))


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
            "tables": page.evaluate(
                "[...document.querySelectorAll('.bd-article .cell_output table')].filter("
                "table => !table.closest('details') && table.scrollWidth > table.parentElement.clientWidth + 8"
                ").map(table => table.innerText.slice(0, 80))"
            ),
        }
        facts["screens"] = page.evaluate("document.documentElement.scrollHeight") / SCREEN
        page.set_viewport_size(PHONE)
        facts["width"] = page.evaluate("document.documentElement.scrollWidth")
        facts["squeezed"] = page.evaluate(
            "[...document.querySelectorAll('.bd-article .cell_output img')].filter("
            "img => Math.abs(img.width / img.height / (img.naturalWidth / img.naturalHeight) - 1) > 0.05"
            ").map(img => img.alt)"
        )
        page.close()
    return found


def test_pages_show_without_a_console_error_or_a_network(seen):
    assert {address: page["faults"] for address, page in seen.items() if page["faults"]} == {}


def test_every_image_loads(seen):
    assert {address: page["broken"] for address, page in seen.items() if page["broken"]} == {}


def test_the_figures_of_a_chapter_are_described(html):
    soup = bs4.BeautifulSoup((html / "book" / "executed" / "dca.html").read_text(), "html.parser")
    figures = soup.select(".cell_output figure")
    assert figures
    for figure in figures:
        assert len(figure.img["alt"].split()) >= 3
        assert not figure.img["alt"].endswith(".png")


def test_the_chapter_has_figures(seen):
    assert seen["book/executed/dca.html"]["figures"] >= 1


def test_no_page_is_wider_than_a_phone(seen):
    assert {a: page["width"] for a, page in seen.items() if page["width"] > PHONE["width"]} == {}


def test_a_chapter_is_read_at_one_sitting(seen):
    long = {
        address: page["screens"]
        for address, page in seen.items()
        for of, most in SCREENS.items()
        if address.startswith(of) and page["screens"] > most
    }
    assert long == {}


def test_a_figure_is_dark_in_the_dark(browser, site):
    page, _ = visit(browser, f"{site}book/executed/dca.html", DESK)
    figure = page.locator(".bd-article .cell_output img").locator("visible=true").first
    paper = {}
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        page.locator(f'html[data-theme="{theme}"]').wait_for(state="attached")
        shot = PIL.Image.open(io.BytesIO(figure.screenshot())).convert("L")
        paper[theme] = np.median(np.asarray(shot))
    page.close()
    assert paper["light"] > 240
    assert paper["dark"] < 40


def test_a_figure_that_a_link_leads_to_is_seen_also_where_it_is_folded(browser, site, html):
    found = bs4.BeautifulSoup((html / "book" / "executed" / "dca.html").read_text(), "html.parser")
    label = found.select("details.hide figure[id]")[-1]["id"]
    page, faults = visit(browser, f"{site}book/executed/dca.html#{label}", DESK)
    page.locator(f"#{label} img").wait_for(state="visible")
    assert faults == []
    page.close()


def test_a_figure_keeps_its_shape_on_a_phone(seen):
    assert {address: page["squeezed"] for address, page in seen.items() if page["squeezed"]} == {}


def test_no_table_of_results_scrolls_on_a_desk(seen):
    assert {address: page["tables"] for address, page in seen.items() if page["tables"]} == {}


def test_a_published_page_leads_to_itself_in_another_version(browser, html, tmp_path):
    (tmp_path / "main").symlink_to(html)
    (tmp_path / "v0.1.0" / "book").mkdir(parents=True)
    for name in ("index.html", "book/how_to_read.html"):
        (tmp_path / "v0.1.0" / name).write_text(f"<title>{name} of old</title>")
    (tmp_path / "versions.json").write_text('["v0.1.0", "main"]')
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        for page, there in {"book/how_to_read.html": "book/how_to_read.html", "book/scorecard.html": ""}.items():
            with browser.new_page(viewport={"width": 1280, "height": 800}) as tab:
                tab.goto(f"http://127.0.0.1:{server.server_port}/main/{page}")
                choice = tab.get_by_role("combobox", name="Version")
                choice.wait_for()  # the page is loaded before it has read what versions there are
                assert choice.locator("option").all_inner_texts() == ["main", "v0.1.0"]
                choice.select_option("v0.1.0")
                tab.wait_for_url(f"**/v0.1.0/{there}")
                assert tab.title() == f"{there or 'index.html'} of old"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_search_finds_dropout(browser, site):
    page, faults = visit(browser, f"{site}search.html?q=dropout", DESK)
    page.locator("#search-results li a").nth(1).wait_for()  # they are listed one after another
    assert page.locator("#search-results li").count() >= 2
    assert faults == []
    page.close()


@pytest.fixture(scope="module")
def axe():
    if not AXE.exists():
        if os.environ.get("CI") == "true":
            pytest.fail("there is no axe-core, and CI must not skip its tests; run tools/install-axe")
        pytest.skip("there is no axe-core; `make browser` installs it")
    return AXE.read_text(encoding="utf-8")


def test_no_page_is_seriously_hard_to_use_with_any_width_theme_or_aid(browser, site, html, axe):
    faults, every = {}, {}
    colours = {"runOnly": ["color-contrast"]}  # all that the theme changes
    listed = [*addresses(site, html), f"{site}search.html"]
    if not html.is_relative_to(provenance.ROOT):
        # its other chapters are empty, and the pages of the library, the longest by far, are those of the whole book
        listed = [address for address in listed if not re.search(r"/api|/executed/(?!dca)", address)]
    for address in listed:
        page, _ = visit(browser, address, DESK)
        page.add_style_tag(content="* { transition: none !important; }")  # colours are judged at the end of a change
        page.evaluate(axe)
        for size in (DESK, PHONE):
            page.set_viewport_size(size)
            for theme, rules in (("light", every), ("dark", colours)):
                page.emulate_media(color_scheme=theme)
                page.locator(f'html[data-theme="{theme}"]').wait_for(state="attached")
                found = page.evaluate("rules => axe.run({resultTypes: ['violations'], ...rules})", rules)["violations"]
                for fault in found:
                    if fault["impact"] in ("serious", "critical"):
                        key = f"{address.removeprefix(site)}, {size['width']} pixels, {theme}: {fault['id']}"
                        faults[key] = fault["nodes"][0]["html"][:200]
        page.close()
    assert faults == {}


def test_no_page_shows_a_log_line_of_tensorflow(html):
    pages = list(html.glob("book/**/*.html"))
    assert pages
    for path in pages:
        text = bs4.BeautifulSoup(path.read_text(), "html.parser").get_text()
        assert not (found := LOG_LINE.search(text)), f"{path.name}: {text[found.start() - 80 : found.end() + 80]}"


def test_no_page_shows_markup_in_its_words_or_a_table_without_a_row(html):
    found = []
    for path in html.glob("book/**/*.html"):
        article = bs4.BeautifulSoup(path.read_text(), "html.parser").find("article")
        if article is None:
            continue
        found += [
            f"{path.name}: {table.get_text(' ', strip=True)[:80]}"
            for table in article.select(".cell_output table")
            if not table.select("tbody tr")
        ]
        for code in article.find_all(["code", "pre", "script", "style"]):
            code.decompose()
        for part in article.find_all(["p", "li", "td", "th", "summary", "figcaption"]):
            if markup := re.search(r"`|\*\*", part.get_text()):
                found.append(f"{path.name}: {part.get_text()[max(0, markup.start() - 40) : markup.end() + 40]}")
    assert found == []


def test_a_chapter_begins_with_its_edition_its_answer_and_its_takeaways(built):
    soup = bs4.BeautifulSoup((built / "book" / "executed" / "dca.html").read_text(), "html.parser")
    edition, seconds = (badge.text for badge in soup.select("span.sd-badge"))
    assert edition == "quick edition"
    assert re.fullmatch(r"\d+ s", seconds)
    answer, box = soup.select_one(".admonition.answer"), soup.select_one(".admonition.tip")
    assert answer.find_all_previous("h1")
    assert not [head for head in box.find_all_previous("h2") if head.find_parent("article")]
    assert answer in box.find_all_previous("div")
    expected = answers.answer("dca")
    assert answer.strong.text == expected.sentence
    assert [item.text for item in answer.select("li")] == list(expected.takeaways)
    assert [item.strong.text for item in box.select("li")] == [f"Takeaway {i}" for i in range(7)]
    assert "700 human blood cells, 765 genes." in box.text
    assert "dropdown" in box["class"]  # below an answer that says something
    # they stand there alone
    assert soup.get_text().count("Takeaway 3") == 1
    assert "What this run shows" not in soup.get_text()


def test_a_chapter_says_whether_to_use_its_method_and_where_it_ran(built):
    soup = bs4.BeautifulSoup((built / "book" / "executed" / "dca.html").read_text(), "html.parser")
    advice, environment = soup.select_one(".admonition.advice"), soup.select(".admonition.dropdown")[-2]
    assert soup.select_one(".admonition.answer") in advice.find_all_previous("div")
    assert "scVI" in advice.text
    assert advice.select("a.reference")
    facts = {row.td.text: row.find_all("td")[1].text for row in environment.select("tbody tr")}
    assert facts["python"] == platform.python_version()
    assert {"tensorflow", "keras", "numpy", "scanpy", "processor", "cores", "GPU"} <= set(facts)


def test_a_chapter_ends_with_an_exercise_whose_solution_is_folded(built):
    soup = bs4.BeautifulSoup((built / "book" / "executed" / "dca.html").read_text(), "html.parser")
    exercise = soup.select(".admonition.exercise")[-1]
    assert exercise.find_previous("h2").text.startswith("Exercises")
    assert "from scgen_lib" in exercise.select_one("details pre").text


def test_a_chapter_says_how_to_cite_it_and_folds_what_is_long(built):
    soup = bs4.BeautifulSoup((built / "book" / "executed" / "dca.html").read_text(), "html.parser")
    bibtex = soup.select_one(".highlight-bibtex").text
    assert bibtex.startswith("@article{eraslan2019,")
    assert "@software{scgen_lib," in bibtex
    assert bibtex.count("{") == bibtex.count("}")
    (many,) = (pre for pre in soup.select(".cell_output pre") if "line 39" in pre.text)
    assert many.find_parent("details")
    (long,) = (pre for pre in soup.select(".cell_output pre") if "a long line" in pre.text)
    assert not long.find_parent("details")


def test_the_landing_page_counts_the_verdicts(browser, site):
    page, _ = visit(browser, site, DESK)
    page.wait_for_url("**/book/index.html")
    tiles = page.locator(".tiles li").all_inner_texts()
    assert [tile.split(maxsplit=1)[1] for tile in tiles] == [f"{shape} {word}" for word, shape in claims.SHAPES.items()]
    assert sum(int(tile.split()[0]) for tile in tiles) == sum(item.kind == claims.RESULT for item in claims.claims())
    page.close()


def test_the_landing_page_has_a_figure_of_the_record_on_a_card(built):
    soup = bs4.BeautifulSoup((built / "book" / "index.html").read_text(), "html.parser")
    (image,) = soup.select(".sd-card img")
    found = cards.card("dca")
    assert all(f"{name} {mean:.2f}" in image["alt"] for name, (mean, *_) in found.scores.items())
    assert (built / "_images" / "dca.png").exists()


def test_a_chapter_offers_its_files_and_launches_its_notebook(built):
    page = (built / "book" / "executed" / "dca.html").read_text()
    for file in ("dca.ipynb", "parameters.yml", "records.json", "values.csv", "claims.csv"):
        (target,) = set(re.findall(rf'href="([^"]*/_downloads/\w+/{re.escape(file)})"', page))
        assert (built / "book" / "executed" / target).is_file()
    assert '/main?urlpath=lab/tree/quick/dca.ipynb"' in page
    assert '/blob/gh-pages/main/colab/dca.ipynb"' in page
    assert (built / "colab" / "dca.ipynb").exists()


def test_the_downloaded_scorecard_equals_the_page(html):
    soup = bs4.BeautifulSoup((html / "book" / "scorecard.html").read_text(), "html.parser")
    links = {Path(link["href"]).name: html / "book" / link["href"] for link in soup.select("a.download[href]")}
    # the page has an empty unit where the table has no value
    table = pd.read_csv(links["claims.csv"], dtype={"unit": str}).fillna({"unit": ""})
    for row, other in zip(table.to_dict("records"), json.loads(links["claims.json"].read_text()), strict=True):
        row = {name: None if pd.isna(value) else value for name, value in row.items()}
        numbers = {name: value for name, value in other.items() if isinstance(value, float)}
        assert row == other | {name: pytest.approx(value, rel=1e-9) for name, value in numbers.items()}
    shown = []
    for badge in soup.select(".verdict[data-paper]"):
        claim, *cells = badge.find_parent("tr").find_all("td")
        source = claim.details.extract()
        source.summary.extract()
        if claim.a:  # of the figure or the chapter
            claim.a.extract()
        claim = text_of(claim).removesuffix(" (sanity)")
        if badge.find_parent("table").find_all("th")[-1].get_text() != "why":
            # the reason of all rows stands above them
            cells.append(badge.find_parent("table").find_previous("p"))
        shown.append([badge["data-paper"], claim, *map(text_of, (*cells, source))])
    words = claim_tables.words(table)
    expected = [
        [paper, *map(plain, (row[name] for name in ("claim", "published", "record", "this build", "verdict", "why"))),
         plain(f"{row['where']}; data: {row['data']}")]
        for paper, row in zip(table["paper"], words.to_dict("records"), strict=True)
    ]  # fmt: skip
    # what is no claim stands folded after the others
    assert sorted(shown) == sorted(expected)


def text_of(cell):
    return plain(cell.get_text())


def plain(text):
    """Return a text on one line, with the straight quotes and full dots that the page makes typographical."""
    for curly, straight in {"’": "'", "‘": "'", "“": '"', "”": '"', "…": "..."}.items():
        text = text.replace(curly, straight)
    return " ".join(text.split())


def test_the_scorecard_is_filtered_by_paper_and_verdict(browser, site):
    page, faults = visit(browser, f"{site}book/scorecard.html", DESK)
    rows = page.locator("tr:has(.verdict[data-paper])")
    in_all, status = rows.count(), page.locator("#filters output")
    assert status.inner_text() == f"{in_all} of {in_all} rows"
    page.get_by_label("Paper").select_option("eraslan2019")
    page.get_by_label("Verdict").select_option("reproduced")
    fits = page.locator('.verdict[data-paper="eraslan2019"][data-verdict="reproduced"]').count()
    assert 1 <= fits < in_all
    assert rows.locator("visible=true").count() == fits
    assert status.inner_text() == f"{fits} of {in_all} rows"
    assert page.locator("section#scgan-and-cscgan").is_hidden()
    page.reload()
    assert rows.locator("visible=true").count() == fits
    page.get_by_role("button", name="Show all").click()
    status.get_by_text(f"{in_all} of {in_all} rows").wait_for()
    # what is not tested stands folded, as before
    assert page.locator("tr:not([hidden]) .verdict[data-paper]").count() == in_all
    assert page.locator("details[open] .verdict[data-paper]").count() == 0
    assert faults == []
    page.close()


def test_the_scorecard_shows_every_claim_without_scripts(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}book/scorecard.html")
    assert page.locator("#filters").is_hidden()
    stated = sum(item.kind != claims.PART for item in claims.claims())
    assert page.locator(".verdict[data-paper]").count() >= stated
    assert (
        page.locator("tr:has(.verdict[data-paper])").locator("visible=false").count()
        == page.locator("details tr:has(.verdict[data-paper])").count()
    )
    context.close()


def test_every_link_within_the_book_leads_somewhere(html):
    done = subprocess.run([sys.executable, LINKS, html], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html">b</a> <a href="#here" id="here">a</a> <a href="a.html#gone">a</a>'
    )
    done = subprocess.run([sys.executable, LINKS, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "a.html: a.html#gone names a place that a.html does not have",
        "a.html: b.html is not there",
    ]
