"""Run a notebook with papermill: parameters checked first, output whole or not at all, and a ledger entry."""

import functools
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from scgen_lib import parameters as grammar
from scgen_lib import provenance
from scgen_lib.errors import InputError, ParameterError

# What TensorFlow's C++ side says while it starts, no variable silences all of it; and tqdm on missing widgets.
_NOISE = re.compile(
    r"^(WARNING: All log messages before absl::InitializeLog\(\) .*"
    r"|[IWE]\d{4} [\d:.]+ +\d+ \S+:\d+\] .*"
    r"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] (tensorflow|external)/.*"
    r"|To enable the following instructions: .*"
    r"|computation_placer already registered.*"
    r"|.*: TqdmWarning: IProgress not found\. .*\n +from \.autonotebook import .*)\n?",
    re.MULTILINE,
)


# Python looks for garbage after every 700 new objects, and TensorFlow alone makes a million that stay: to look seldom
# saves a twentieth of a run's time and costs a twentieth of its memory.
_KERNEL = ["--IPKernelApp.log_level=ERROR", "--IPKernelApp.exec_lines=import gc; gc.set_threshold(50_000)"]


class RunError(InputError):
    """A notebook that stopped before its end, or a run that is missing, failed or out of date."""

    exit_status = 1


def run(
    notebook: str | os.PathLike,
    output: str | os.PathLike,
    *,
    parameters: Mapping[str, object] | None = None,
    run_dir: str | os.PathLike | None = None,
    edition: str = "own",
) -> dict[str, object]:
    """Execute a notebook from the present folder and write it, with a banner of its origin, to ``output``.

    Parameters
    ----------
    notebook, output
        The source and the executed copy, which appears only when the whole notebook has run.
    parameters
        Values of the notebook's parameters; the others keep their defaults.
    run_dir
        Folder of ``run.json`` (status, error, duration, parameters, provenance, key), of the ``records.json`` that the
        notebook writes, and of ``failed.ipynb`` if it stops; without it the failed copy lies beside the output.
    edition
        Name of the edition, shown in the banner.

    Returns
    -------
    The content of ``run.json``.

    Raises
    ------
    ParameterError
        If a parameter is unknown or not legal; no kernel has started then.
    RunError
        If the notebook stops before its end; an output of an earlier run is removed.
    """
    notebook, output = Path(notebook), Path(output)
    run_dir = Path(run_dir) if run_dir is not None else None
    given = dict(parameters or {})
    spec = grammar.from_notebook(notebook)
    for name, value in (("edition", edition), ("out", None if run_dir is None else str(run_dir))):
        if name in spec:
            given.setdefault(name, value)
    values = grammar.check(given, spec)
    failed = run_dir / "failed.ipynb" if run_dir else output.with_suffix(".failed.ipynb")
    records = run_dir / "records.json" if run_dir else None
    for stale in filter(None, (output, failed, records)):
        stale.unlink(missing_ok=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    if run_dir:
        run_dir.mkdir(parents=True, exist_ok=True)
    entry = {
        "run": run_dir.name if run_dir else notebook.stem, "notebook": str(notebook), "edition": edition,
        "parameters": values, "seed": values.get("seed"), "key": key(notebook, values),
        "started": provenance.now().isoformat(timespec="seconds"),
    }  # fmt: skip
    partial = output.with_name(f".{output.stem}.partial.ipynb")
    clock = time.monotonic()
    try:
        error = _execute(notebook, partial, {name: values[name] for name in given})
        entry |= {"duration_s": round(time.monotonic() - clock, 1), "status": "failed" if error else "ok"}
        entry |= {"error": error, "provenance": _provenance(records)}
        _finish(partial, entry)
        os.replace(partial, failed if error else output)
    finally:
        partial.unlink(missing_ok=True)
    if run_dir:
        if error:
            records.unlink(missing_ok=True)
        elif not records.exists():
            provenance.write_atomically(records, json.dumps({"run": entry["run"], "records": []}) + "\n")
        provenance.write_atomically(run_dir / "run.json", json.dumps(entry, indent=1, ensure_ascii=False) + "\n")
    if error:
        raise RunError(f"{notebook.name} stopped with {error}; see {failed}.")
    return entry


def _execute(notebook: Path, partial: Path, values: Mapping[str, object]) -> str | None:
    """Execute into ``partial`` and return the error in one line, or None."""
    import papermill
    from nbclient.exceptions import DeadKernelError

    # papermill does not understand a type such as `str | None` and warns of its parameter as unknown.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    try:
        papermill.execute_notebook(
            *(str(notebook), str(partial), values), kernel_name="python3", progress_bar=False, extra_arguments=_KERNEL
        )
    except papermill.PapermillExecutionError as error:
        return f"{error.ename}: {' '.join(error.evalue.split())}"
    except DeadKernelError:
        return "DeadKernelError: the kernel died, most often for lack of memory"
    return None


def _provenance(records: Path | None) -> dict[str, object]:
    """Return what the notebook's own process recorded, which knows the GPU it used, or else what this one knows."""
    if records and records.exists():
        recorded = json.loads(records.read_text(encoding="utf-8")).get("provenance", {})
        if recorded:
            return {name: recorded[name] for name in ("commit", "lock_sha256", "versions", "hardware")}
    return provenance.collect()


def _finish(path: Path, entry: Mapping[str, object]) -> None:
    """Set the banner under the title of an executed notebook and drop the noise of the libraries."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    # papermill notes the paths of this machine.
    notebook.metadata.pop("papermill", None)
    notebook.metadata["scgen"] = {name: entry[name] for name in ("run", "edition", "key")}
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (title := re.search(r"^# .*$", cell.source, re.MULTILINE)):
            cell.source = cell.source[: title.end()] + "\n\n" + banner(entry) + cell.source[title.end() :]
            break
    for cell in notebook.cells:
        for out in cell.get("outputs", []):
            if out.output_type == "stream" and out.name == "stderr":
                out.text = _NOISE.sub("", out.text)
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
    return f"{hardware['cpu']} ({hardware['cores']} cores, {gpus})"


def duration(seconds: float) -> str:
    """Return a duration in words."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def key(notebook: str | os.PathLike, values: Mapping[str, object]) -> str:
    """Return a hash of all that decides what a run computes.

    These are the notebook's cells, its parameters, the library with its claims and data registry, the lock file, and
    the contents of any file or folder that a parameter names; not where its results and the rows of a sweep lie.
    """
    import nbformat

    cells = [(cell.cell_type, cell.source) for cell in nbformat.read(notebook, as_version=4).cells]
    values = {name: value for name, value in values.items() if name not in ("out", "rows")}
    texts = [text for value in values.values() for text in (value if isinstance(value, list) else [value])]
    data = {text: provenance.sha256(text) for text in texts if isinstance(text, str) and text and os.path.exists(text)}
    content = [cells, values, data, library_hash(), provenance.lock_hash()]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


@functools.cache
def library_hash() -> str:
    """Return a hash of the library's sources, claims and data registry, as they are when this process first asks."""
    package = Path(__file__).parent
    files = sorted(path for suffix in ("py", "yml", "toml") for path in package.rglob(f"*.{suffix}"))
    lines = [f"{path.relative_to(package).as_posix()} {provenance.sha256(path)}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_parameters(path: str | os.PathLike) -> dict[str, object]:
    """Read a YAML or JSON file of parameters; ``-`` is the standard input.

    Raises
    ------
    ParameterError
        If it cannot be read or is not a mapping of names to values.
    """
    import sys

    try:
        text = sys.stdin.read() if str(path) == "-" else Path(path).read_text(encoding="utf-8")
        try:
            content = json.loads(text)  # YAML 1.1 would read its 1e-05 as a text
        except ValueError:
            content = yaml.safe_load(text) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ParameterError(f"Expected a YAML file of parameters, but {path} cannot be read: {reason}.") from error
    if not isinstance(content, dict):
        raise ParameterError(f"Expected `name: value` lines in {path}, got {content!r:.60}; write a mapping.")
    return content


def read_edition(path: str | os.PathLike) -> dict[str, dict]:
    """Read the runs of an edition: a mapping of run names to notebook, page, parameters and sweep (false if left out).

    Raises
    ------
    ParameterError
        If the file is missing or a run lacks a field or has one too many.
    """
    runs = read_parameters(path)
    for name, entry in runs.items():
        if not isinstance(entry, dict) or set(entry) - {"sweep"} != {"notebook", "page", "parameters"}:
            raise ParameterError(
                f"Expected run {name} of {path} to have notebook, page and parameters, got {entry!r:.80}; complete it."
            )
        entry["parameters"] = entry["parameters"] or {}
        entry["sweep"] = bool(entry.get("sweep"))
    return runs
