import importlib.util
import json
import shutil
import types
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import yaml

from scgen_book import parameters, provenance
from scgen_book.batch import editions
from scgen_book.pages import downloads

LEVEL = "level: float | None = None  # in [0, 10]: how much\nparts: dict[str, int] | None = None  # any: how many"


def extension():
    spec = importlib.util.spec_from_file_location("chapters_of_the_book", provenance.ROOT / "book/_ext/chapters.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def written(tmp_path, write_notebook, monkeypatch):
    """A project with one finished run, and what its chapter offers."""
    monkeypatch.chdir(tmp_path)
    config = {"repository": {"url": "https://github.com/some/where", "branch": "v9"}}
    Path("_config.yml").write_text(yaml.safe_dump(config))
    write_notebook(tmp_path / "notebooks" / "tiny.ipynb", "print(level)", parameters=LEVEL)
    values = {"level": 1e-9, "parts": {"CD4+ T": 3}, "seed": 4, "fast": False, "edition": "quick", "out": "results/a"}
    entry = {"run": "tiny", "page": "small", "notebook": "notebooks/tiny.ipynb", "edition": "quick"}
    run = tmp_path / "results" / "quick" / "tiny"
    run.mkdir(parents=True)
    common = {"seed": 0, "dataset": "dca_g2_fig2", "variant": None, "method": None, "note": None}
    records = [{"claim": "dca.fig2.g2.true", "metric": "silhouette", "value": 0.6} | common]
    records += [{"claim": None, "metric": "loss, last", "value": None} | common]
    (run / "records.json").write_text(json.dumps({"records": records, "parameters": values}))
    (run / "small.h5ad").write_bytes(b"1" * 1_200_000)
    (run / "history.csv").write_text("a,b\n1,2\n")
    (run / "model.keras").write_bytes(b"1")
    with (run / "large.h5ad").open("wb") as file:
        file.truncate(downloads.LARGEST + 1)
    (tmp_path / "generated" / "downloads" / "old").mkdir(parents=True)
    downloads.write([entry | {"parameters": values}], "generated")
    return tmp_path / "generated"


def test_a_chapter_offers_notebook_parameters_values_claims_and_results(written):
    files = {file.name for file in (written / "downloads" / "small").iterdir()}
    own = {"small.h5ad", "history.csv"}
    assert files == {"small.ipynb", "parameters.yml", "records.json", "values.csv", "claims.csv", *own}
    text = (written / "downloads" / "small.md").read_text()
    for file in files:
        assert f"{{download}}`{file} </generated/downloads/small/{file}>`" in text
    assert "small.h5ad>`: 1.2 MB" in text
    assert not (written / "downloads" / "old").exists()


def test_a_large_result_stays_with_its_run_and_the_page_says_so(written):
    text = (written / "downloads" / "small.md").read_text()
    assert "`large.h5ad` (25.0 MB) is not offered: no file above 25 MB is." in text


def test_the_tables_hold_the_values_and_the_verdicts_of_the_run(written):
    values = pd.read_csv(written / "downloads" / "small" / "values.csv")
    assert values["metric"].tolist() == ["silhouette", "loss, last"]
    table = pd.read_csv(written / "downloads" / "small" / "claims.csv").set_index("claim")
    assert table.loc["dca.fig2.g2.true", ["mean", "verdict"]].tolist() == [0.6, "partly"]
    assert table.index.str.startswith("dca.").all()


def test_the_file_of_parameters_repeats_the_run(written, tmp_path):
    import papermill

    folder = written / "downloads" / "small"
    given = editions.read_parameters(folder / "parameters.yml")
    expected = {"level": 1e-9, "parts": {"CD4+ T": 3}, "seed": 4, "fast": False}
    assert given == expected
    spec = parameters.from_notebook(folder / "small.ipynb")
    assert parameters.check(given, spec) == expected | {"edition": "own", "out": None}
    # as papermill -f reads it
    from papermill.iorw import read_yaml_file

    filled = papermill.execute_notebook(
        str(folder / "small.ipynb"), str(tmp_path / "filled.ipynb"), prepare_only=True, progress_bar=False,
        parameters=read_yaml_file(str(folder / "parameters.yml")),
    )  # fmt: skip
    scope = {}
    exec(filled.cells[2].source, scope)
    assert {name: scope[name] for name in expected} == expected


def test_the_notebook_for_colab_installs_the_library_first_and_asks_for_a_gpu(written):
    from IPython.core.inputtransformer2 import TransformerManager

    notebook = nbformat.read(written / "site" / "colab" / "small.ipynb", as_version=4)
    nbformat.validate(notebook)
    source = nbformat.read("notebooks/tiny.ipynb", as_version=4)
    assert [cell.source for cell in notebook.cells[1:]] == [cell.source for cell in source.cells]
    assert '"scgen_lib[book,gpu] @ git+https://github.com/some/where@v9"' in notebook.cells[0].source
    assert notebook.metadata.accelerator == "GPU"
    # where the library is, the cell does not reach its magic line, for which there is no IPython here
    exec(TransformerManager().transform_cell(notebook.cells[0].source), {})


def test_the_notebooks_of_an_edition_are_prepared_with_its_parameters(written, tmp_path):
    edition = {"tiny": {"notebook": "notebooks/tiny.ipynb", "page": "small", "parameters": {"level": 2.0}}}
    path = tmp_path / "workflow" / "editions" / "quick.yml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(edition))
    downloads.prepare("quick", "quick")
    cells = nbformat.read("quick/small.ipynb", as_version=4).cells
    assert "injected-parameters" in cells[2].metadata.tags
    assert "level = 2.0" in cells[2].source
    assert 'edition = "quick"' in cells[2].source


def test_a_page_lists_its_files_below_its_first_cell(tmp_path):
    chapters = extension()
    folder = tmp_path / "book" / "generated" / "downloads"
    folder.mkdir(parents=True)
    (folder / "dca.md").write_text("files")
    for name in ("CITATION.cff", "book/references.bib"):
        shutil.copy(provenance.ROOT / name, tmp_path / name)
    app = types.SimpleNamespace(srcdir=str(tmp_path))
    cells = [{"cell_type": "markdown", "metadata": {}, "source": text} for text in ("# Title", "text")]
    for page, expected in (("dca", ["# Title", "files"]), ("absent", ["# Title"])):
        source = [json.dumps({"cells": cells})]
        chapters.dress(app, f"book/executed/{page}", source)
        texts = [cell["source"] for cell in json.loads(source[0])["cells"]]
        assert texts[: len(expected)] == expected
        assert ("files" in texts) == (page == "dca")
    source = ["as it was"]
    chapters.dress(app, "book/dca", source)
    assert source == ["as it was"]


def test_the_launch_buttons_open_notebooks_that_are_there():
    app = types.SimpleNamespace(config=types.SimpleNamespace(html_theme_options={"repository_branch": "v9"}))
    binder, colab = "https://mybinder.org/v2/gh/a/b/v9?urlpath=lab/tree/", "https://colab/github/a/b/blob/"
    buttons = [{"url": f"{binder}book/executed/dca.ipynb"}, {"url": f"{colab}v9/book/executed/dca.ipynb"}]
    other = {"label": "download", "url": "book/executed/dca.ipynb"}
    groups = [other, {"label": "launch-buttons", "buttons": buttons}]
    extension().point_to_sources(app, "book/executed/dca", "page.html", {"header_buttons": groups}, None)
    assert [button["url"] for button in buttons] == [
        f"{binder}quick/dca.ipynb", f"{colab}gh-pages/v9/colab/dca.ipynb"
    ]  # fmt: skip
    assert other["url"] == "book/executed/dca.ipynb"
