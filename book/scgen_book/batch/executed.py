"""Executed notebooks: the banner of their origin under the title, and what they were before."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scgen_book.cells import read_notebook
from scgen_book.noise import NOISE

if TYPE_CHECKING:
    import nbformat

_BANNER = re.compile(r"\n\n\{bdg-primary\}`.*` \{bdg-primary-line\}`.*`\n\nRun on .*, from commit .*\.\n")


def source(notebook: str | os.PathLike) -> "nbformat.NotebookNode":
    """Read a notebook; of an executed one what it was before: without banner, marks of an error, and outputs."""
    found = read_notebook(notebook)
    found.cells = [cell for cell in found.cells if "papermill-error-cell-tag" not in cell.metadata.get("tags", ())]
    for cell in found.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cell.source = _BANNER.sub("", cell.source)
    return found


def finish(path: Path, entry: Mapping[str, object]) -> None:
    """Set the banner under the title of an executed notebook and drop the noise of the libraries."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["scgen"] = {name: entry[name] for name in ("run", "edition", "key")}
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (title := re.search(r"^# .*$", cell.source, re.MULTILINE)):
            cell.source = cell.source[: title.end()] + "\n\n" + banner(entry) + cell.source[title.end() :]
            break
    for cell in notebook.cells:
        for out in cell.get("outputs", []):
            if out.output_type == "stream" and out.name == "stderr":
                out.text = NOISE.sub("", out.text)
        if "outputs" in cell:
            cell.outputs = [out for out in cell.outputs if out.output_type != "stream" or out.text.strip()]
    nbformat.write(notebook, path)


def banner(entry: Mapping[str, object]) -> str:
    """Return what stands at the top of a page: edition and duration as badges, then date, hardware, commit and seed."""
    facts = entry["provenance"]
    seed = "" if entry["seed"] is None else f", seed {entry['seed']}"
    return (
        f"{{bdg-primary}}`{entry['edition']} edition` {{bdg-primary-line}}`{duration(entry['duration_s'])}`\n\n"
        f"Run on {entry['started'][:16].replace('T', ' ')} UTC on {machine(facts['hardware'])}, "
        f"from commit {facts['commit'] or 'unknown'}{seed}.\n"
    )


def machine(hardware: Mapping[str, object]) -> str:
    """Return the hardware in words."""
    gpus = ", ".join(hardware["gpus"]) or "no GPU"
    cores = hardware["cores"]
    return f"{hardware['cpu']} ({cores} core{'s' * (cores != 1)}, {gpus})"


def duration(seconds: float) -> str:
    """Return a duration in words."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
