"""What a reader takes along from a chapter, and the notebooks that Binder and Colab open.

All paths are relative to the present folder, the top of the project; `_config.yml` names the repository and its branch.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from scgen_book import claims
from scgen_book.batch import editions
from scgen_book.claim_tables import compare
from scgen_lib import files

# A larger result stays with its run: sites of static pages, and phones, are not for it.
LARGEST = 25_000_000
COLAB = """\
# The packages are not on Colab; where they are installed already, this does nothing.
import importlib.util

if importlib.util.find_spec("scgen_lib") is None:
    %pip install --quiet "scgen_lib[book,gpu] @ git+{url}@{branch}"
"""


def write(entries: Iterable[Mapping], folder: str | os.PathLike) -> None:
    """Write the files that the chapters of an edition offer, the text that lists them, and the notebooks for Colab.

    Parameters
    ----------
    entries
        Ledger entries of the runs, each with its ``page``.
    folder
        Gets ``downloads/<page>/`` with the files, ``downloads/<page>.md`` with the list of them, and
        ``site/colab/<page>.ipynb``; what an earlier call wrote there is removed.
    """
    folder = Path(folder)
    repository = yaml.safe_load(Path("_config.yml").read_text(encoding="utf-8"))["repository"]
    for name in ("downloads", "site"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for entry in entries:
        text = _chapter(entry, folder / "downloads" / entry["page"])
        files.write_atomically(folder / "downloads" / f"{entry['page']}.md", text)
        target = folder / "site" / "colab" / f"{entry['page']}.ipynb"
        files.write_atomically(target, json.dumps(for_colab(entry["notebook"], **repository), indent=1) + "\n")


def _chapter(entry: Mapping, target: Path) -> str:
    """Write the files of one chapter and return the list of them in Markdown."""
    import pandas as pd

    run, name = Path("results", entry["edition"], entry["run"]), f"{entry['page']}.ipynb"
    content = json.loads((run / "records.json").read_text(encoding="utf-8"))
    # edition and out belong to the place of a run, not to what it computes
    values = {key: value for key, value in entry["parameters"].items() if key not in ("edition", "out")}
    target.mkdir(parents=True)
    shutil.copyfile(entry["notebook"], target / name)
    parameters = yaml.safe_dump(values, allow_unicode=True, sort_keys=False)
    files.write_atomically(target / "parameters.yml", parameters)
    shutil.copyfile(run / "records.json", target / "records.json")
    pd.DataFrame(content["records"]).to_csv(target / "values.csv", index=False)
    made = {"records.json": "every value with seed, data and provenance", "values.csv": "the same values as a table"}
    if papers := {claims.claim(r["claim"]).paper for r in content["records"] if r["claim"]}:
        judged = [claim for claim in claims.claims() if claim.paper in papers]
        table = compare(judged, content["records"], content.get("parameters"))
        table.to_csv(target / "claims.csv", index=False)
        made["claims.csv"] = "the claims with their verdicts"
    small, large = [], []
    for file in sorted(file for suffix in ("h5ad", "csv") for file in run.glob(f"*.{suffix}")):
        if file.stat().st_size <= LARGEST:
            shutil.copyfile(file, target / file.name)
            small.append(file)
        else:
            large.append(file)
    made |= {file.name: _size(file) for file in small}

    def link(file: str) -> str:
        return f"{{download}}`{file} </{(target / file).as_posix()}>`"

    lines = [
        "```{admonition} Take it along",
        ":class: tip dropdown",
        f"- {link(name)} and {link('parameters.yml')}: the notebook and the parameters of this run. "
        f"`scgen run {name} mine.ipynb -f parameters.yml` repeats it. The rocket above opens the notebook on Binder "
        "with the parameters of the quick edition, or on Colab with a GPU.",
        *[f"- {link(file)}: {words}" for file, words in made.items()],
        *[
            f"- `{file.name}` ({_size(file)}) is not offered: no file above {LARGEST // 10**6} MB is. "
            "The parameters make it again."
            for file in large
        ],
        "```",
    ]
    return "\n".join(lines) + "\n"


def _size(file: Path) -> str:
    return f"{file.stat().st_size / 1e6:.1f} MB"


def for_colab(notebook: str | os.PathLike, *, url: str, branch: str) -> dict:
    """Return a notebook for Colab: a GPU, and first a cell that installs the library from the repository."""
    import nbformat

    content = nbformat.read(notebook, as_version=4)
    content.cells.insert(0, nbformat.v4.new_code_cell(COLAB.format(url=url, branch=branch), id="install"))
    content.metadata |= {"accelerator": "GPU", "colab": {"gpuType": "T4", "provenance": []}}
    return content


def prepare(edition: str, folder: str | os.PathLike) -> None:
    """Write the notebooks of an edition, its parameters filled in and nothing executed, for use in Jupyter."""
    import papermill

    for run in editions.read_edition(Path("workflow/editions") / f"{edition}.yml").values():
        target = Path(folder, f"{run['page']}.ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        values = run["parameters"] | {"edition": edition}
        papermill.execute_notebook(
            run["notebook"], str(target), parameters=values, prepare_only=True, progress_bar=False
        )
