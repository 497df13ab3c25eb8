"""What other packages need: places for what they compile, and cores."""

import atexit
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path


def provide_caches() -> None:
    """Give numba, matplotlib and Keras a temporary folder where they have no other one.

    In a container, or where somebody else has installed the packages, neither these nor the home folder can be written
    to: numba stops then, matplotlib warns in each page, and Keras shares a folder with all users.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    if home.is_absolute() and _writable(home):
        return
    missing = [name for name in ("MPLCONFIGDIR", "KERAS_HOME") if name not in os.environ]
    numba = importlib.util.find_spec("numba")
    # beside each module is where numba looks first
    if numba and numba.origin and not _writable(Path(numba.origin).parent):
        missing += [] if _writable(Path(os.environ.get("NUMBA_CACHE_DIR", "/dev/null"))) else ["NUMBA_CACHE_DIR"]
    if missing:
        # for its owner only: what lies there is executed
        folder = tempfile.mkdtemp(prefix="scgen-cache-")
        atexit.register(_remove, folder, os.getpid())
        os.environ |= dict.fromkeys(missing, folder)


def _writable(folder: Path) -> bool:
    """Say whether a folder can be written to, or be made."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return there.is_dir() and os.access(there, os.W_OK)


def _remove(folder: str, process: int) -> None:
    """Remove a folder at the end of the process that made it, and not of those that it has forked."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def cores() -> int:
    """Return how many processor cores this process may use; ``OMP_NUM_THREADS`` asks for fewer."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(asked)) if asked.isdigit() and int(asked) else allowed
