"""Run a notebook with papermill: parameters checked first, output whole or not at all, and a ledger entry."""

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from scgen_book import claims, provenance, record, sources
from scgen_book import parameters as grammar
from scgen_book.batch import executed
from scgen_lib import files
from scgen_lib.errors import InputError, ParameterError, told
from scgen_lib.files import LOCK, expanded, held, named, refuse_overwriting, remove_partial

if TYPE_CHECKING:
    import jupyter_client
    import nbclient

# Python looks for garbage after every 700 new objects, and TensorFlow alone makes a million that stay: to look seldom
# saves a twentieth of a run's time and costs a twentieth of its memory.
_KERNEL = ["--IPKernelApp.log_level=ERROR", "--IPKernelApp.exec_lines=import gc; gc.set_threshold(50_000)"]
# Seconds until a kernel must answer: a minute is not enough where the packages lie on a busy network.
_START_LIMIT = 300
# bytes of the path of a Unix socket: 103 on a Mac, 107 on Linux
_LONGEST_SOCKET = 100

# lines of the kernel's own stream that a terminal shows when it has died
_LAST_WORDS = 20
# status of a run that has not come to an end of its own
STARTED = "started"
NO_END = "has not run to an end: not started, out of memory, out of time or cancelled."


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
        Values of the notebook's parameters; the others keep those of an executed notebook, else their defaults.
    run_dir
        Folder of ``run.json`` (status, error, duration and that of the run before, the code cell in work and how many
        there are, parameters, provenance, key), of the ``records.json`` that the notebook writes, and of
        ``failed.ipynb`` if it stops; without it the failed copy lies beside the output.
    edition
        Name of the edition, shown in the banner.

    Returns
    -------
    The content of ``run.json``.

    Raises
    ------
    ParameterError
        If a parameter is unknown or not legal, or the run would write over what it reads; no kernel has started then.
    InputError
        If another run writes to the same place.
    RunError
        If the notebook stops before its end; an output of an earlier run is removed.
    """
    notebook, output = expanded(notebook), expanded(output)
    run_dir = None if run_dir is None else expanded(run_dir)
    source = executed.source(notebook)
    spec = grammar.known(source, [*(parameters or {}), *grammar.injected(source)])
    # the place of an earlier run's results is not that of this one's
    place = {"edition": edition, "out": None if run_dir is None else str(run_dir)}
    given = grammar.injected(source) | {name: value for name, value in place.items() if name in spec}
    given |= dict(parameters or {})
    values = grammar.check(given, spec)
    if out := values.get("out"):
        out = values["out"] = str(expanded(out))
    if run_dir and "out" in spec and out != str(run_dir):
        raise ParameterError(f"expected results in the run's folder {run_dir}, got out = {out}: leave out away")
    failed = run_dir / "failed.ipynb" if run_dir else output.with_suffix(".failed.ipynb")
    if output.suffix != ".ipynb" or output == failed:
        raise ParameterError(f"expected an output that is a notebook of its own, .ipynb, got {output}: name another")
    targets = [output, failed, *((run_dir / name for name in ("records.json", "run.json")) if run_dir else ())]
    refuse_overwriting(targets, {str(notebook): notebook} | provenance.named(values))
    entry = {
        "run": Path(os.path.abspath(run_dir)).name if run_dir else notebook.stem, "notebook": str(notebook),
        "edition": edition, "parameters": values, "seed": values.get("seed"), "key": key(notebook, values),
        "started": provenance.now().isoformat(timespec="seconds"), "duration_s": 0.0, "status": STARTED, "error": None,
        "provenance": None, "cell": 0, "cells": 0, "earlier_s": earlier(run_dir) if run_dir else None,
    }  # fmt: skip
    clock = time.monotonic()
    with contextlib.ExitStack() as stack:
        if folder := run_dir or out:
            Path(folder).mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(Path(folder) / LOCK, str(folder)))
        try:
            output.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(output.with_name(f".{named(output.name)}.lock"), str(output)))
            error = _carry_out(notebook, output, failed, run_dir, entry, {name: values[name] for name in given})
        except OSError as reason:
            error = told(reason)
            entry |= {"status": "failed", "error": error, "provenance": provenance.collect()}
        entry["duration_s"] = round(time.monotonic() - clock, 1)
        if run_dir:
            if error:
                (run_dir / "records.json").unlink(missing_ok=True)
            _write_entry(run_dir, entry)
    if error:
        raise RunError(f"{notebook.name} stopped with {failure(entry, failed.parent, failed.name)}")
    return entry


def earlier(folder: str | os.PathLike) -> float | None:
    """Return how many seconds the last run took that ended well in a folder, or None where that is not known."""
    try:
        entry = json.loads((Path(folder) / "run.json").read_text(encoding="utf-8"))
        return entry["duration_s"] if entry["status"] == "ok" else entry["earlier_s"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def failure(entry: Mapping[str, object], folder: Path, name: str = "failed.ipynb") -> str:
    """Return why a run failed and in which code cell, and where to look: its notebook up to that point, and its log.

    Where there is no such notebook, it is the run's entry in the ledger.
    """
    places = [next((path for path in (folder / name, folder / "run.json") if path.exists()), None), folder / "run.log"]
    seen = " and ".join(str(path) for path in places if path and path.exists())
    where = f", in code cell {entry['cell']} of {entry['cells']}" if entry.get("cell") else ""
    return f"{entry['error'].removesuffix('.')}{where}{seen and f'; see {seen}'}."


def _carry_out(
    notebook: Path, output: Path, failed: Path, run_dir: Path | None, entry: dict[str, object], given: Mapping
) -> str | None:
    """Execute and write the page or the failed copy, complete the entry, and return the error in one line, or None."""
    clock = time.monotonic()
    records = run_dir / "records.json" if run_dir else None
    partial = output.with_name(f".{named(output.stem)[:80]}.partial.ipynb")
    for stale in filter(None, (output, failed, records, partial)):
        stale.unlink(missing_ok=True)
    if run_dir:
        remove_partial(run_dir)
        _write_entry(run_dir, entry)
        # A notebook may record nothing. The empty file stands here from the start, so that one which is missing at the
        # end has been lost, and is never taken for empty.
        files.write_atomically(records, json.dumps({"run": entry["run"], "records": []}) + "\n")
    try:
        error = _execute(notebook, partial, given, lambda cell, cells: _tell(run_dir, entry, cell, cells))
        found = _read_records(records)
        if found is None and not error:
            entry |= {"cell": 0}  # it is none that is to blame
            error = f"a loss: {records} was there and is gone or damaged, another program works in that folder"
        entry |= {"duration_s": round(time.monotonic() - clock, 1), "status": "failed" if error else "ok"}
        entry |= {"error": error, "provenance": _provenance(found)}
        if partial.exists():
            executed.finish(partial, entry)
            # the failed copy may lie on another file system
            files.write_atomically(failed if error else output, partial.read_bytes())
    finally:
        partial.unlink(missing_ok=True)
    return error


def _write_entry(run_dir: Path, entry: Mapping[str, object]) -> None:
    files.write_atomically(run_dir / "run.json", json.dumps(entry, indent=1, ensure_ascii=False) + "\n")


def _tell(run_dir: Path | None, entry: dict[str, object], cell: int, cells: int) -> None:
    """Note in the ledger which code cell is in work, from 1, for whoever watches."""
    entry |= {"cell": cell, "cells": cells}
    if run_dir:
        _write_entry(run_dir, entry)


def _execute(
    notebook: Path, partial: Path, values: Mapping[str, object], tell: Callable[[int, int], None]
) -> str | None:
    """Execute into ``partial`` and return the error in one line, or None; `tell` hears of each code cell before it."""
    import nbformat
    import papermill
    from nbclient import NotebookClient

    # papermill does not understand a type such as `str | None` and warns of its parameter as unknown.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    # Jupyter logs with a stack what is said below in a line
    log = logging.Logger("kernel", level=logging.CRITICAL)
    content = papermill.execute_notebook(
        *(executed.source(notebook), None, values), kernel_name="python3", language="python", prepare_only=True,
        progress_bar=False,
    )  # fmt: skip
    for part in (content, *content.cells):
        part.metadata.pop("papermill", None)  # it notes the paths of this machine
    # Sockets in a folder of one's own cannot collide as ports do. But some file systems have none, or the path of the
    # folder is too long; and a kernel that did not answer gets a second chance.
    short = len(os.path.join(tempfile.gettempdir(), "scgen-12345678/s-1").encode()) < _LONGEST_SOCKET
    for transport in ("ipc" if short else "tcp", "tcp"):
        with tempfile.TemporaryDirectory(prefix="scgen-") as folder, contextlib.ExitStack() as stack:
            client = NotebookClient(
                content, km=_manager(transport, folder, log), log=log, startup_timeout=_START_LIMIT,
                extra_arguments=_KERNEL, raise_on_iopub_timeout=True, record_timing=False,
            )  # fmt: skip
            # A foreign backend draws no figure into the page; a person's own startup files are not part of a run.
            environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"} | {"IPYTHONDIR": folder}
            # What TensorFlow's C++ side says while it starts is for a log, which a terminal is not.
            stream = stack.enter_context(open(f"{folder}/kernel.log", "w+b")) if sys.stderr.isatty() else None
            hidden = {"stderr": stream} if stream else {}
            try:
                stack.enter_context(client.setup_kernel(cleanup_kc=True, env=environment, **hidden))
            except Exception as error:
                reason = f"no kernel: {sys.executable} -m ipykernel_launcher did not start, {_words(error)}"
                continue
            reason = _run_cells(client, tell)
            if stream and reason and reason.startswith("DeadKernelError"):
                stream.seek(0)
                sys.stderr.write("".join(stream.read().decode(errors="replace").splitlines(True)[-_LAST_WORDS:]))
            break
    nbformat.write(content, partial)
    return reason


def _manager(transport: str, folder: str, log: logging.Logger) -> "jupyter_client.AsyncKernelManager":
    """Return what starts a kernel of this very interpreter, whatever the kernels that Jupyter finds are."""
    import jupyter_client
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3", language="python")

    address = {"transport": "ipc", "ip": f"{folder}/s"} if transport == "ipc" else {}
    return jupyter_client.AsyncKernelManager(
        kernel_spec_manager=ThisPython(), connection_file=f"{folder}/kernel.json", log=log, **address
    )


def _run_cells(client: "nbclient.NotebookClient", tell: Callable[[int, int], None]) -> str | None:
    """Execute the cells and return the error in one line, or None."""
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    client.reset_execution_trackers()
    code = [index for index, cell in enumerate(client.nb.cells) if cell.cell_type == "code"]
    try:
        for index, cell in enumerate(client.nb.cells):
            if cell.cell_type == "code":
                tell(code.index(index) + 1, len(code))
            client.execute_cell(cell, index)
        client.set_widgets_metadata()
        told_ = client.wait_for_reply(client.kc.kernel_info())
        client.nb.metadata["language_info"] = told_["content"]["language_info"]
    except CellExecutionError as error:
        # as papermill: a notebook may end itself well
        ended = error.ename == "SystemExit" and error.evalue in ("", "0")
        return None if ended else f"{error.ename}: {' '.join(error.evalue.split())}"
    except DeadKernelError:
        return "DeadKernelError: the kernel died, most often for lack of memory"
    except Exception as error:
        return _words(error)
    return None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _read_records(records: Path | None) -> dict | None:
    """Return the records of a run, an empty mapping where there is no folder for them, or None if they are damaged."""
    try:
        found = json.loads(records.read_text(encoding="utf-8")) if records else {}
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _provenance(records: Mapping | None) -> dict[str, object]:
    """Return what the notebook's own process recorded, which knows the GPU it used, or else what this one knows."""
    recorded = (records or {}).get("provenance")
    names = ("commit", "lock_sha256", "versions", "hardware")
    return {name: recorded[name] for name in names} if recorded else provenance.collect()


def key(notebook: str | os.PathLike, values: Mapping[str, object]) -> str:
    """Return a hash of all that decides what a run computes.

    These are the notebook's cells, its parameters, the sources that its code imports, the claims of the papers that it
    names, what the record has of its experiments, the lock file (outside a checkout the versions of the packages), and
    the contents of any file or folder that a parameter names; not where its results and rows lie.
    """
    source = executed.source(notebook)
    chapter = grammar.chapter_of(source)
    brought = "injected-parameters"  # an executed notebook's parameters are among the values
    cells = [(cell.cell_type, cell.source) for cell in source.cells if brought not in cell.metadata.get("tags", ())]
    code = [text for kind, text in cells if kind == "code"]
    made_by = sources.of_notebook(code, folders=[Path(notebook).parent, Path()], chapter=chapter)
    judged = [dataclasses.asdict(claim) for claim in claims.stated("\n".join(code))]
    values = {name: value for name, value in values.items() if name not in ("out", "rows")}
    kept = record.digest(chapter) if chapter and values.get("edition") != "own" else None
    content = [cells, values, provenance.contents(values), made_by, judged, kept, provenance.packages()]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
