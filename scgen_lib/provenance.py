"""Where a number comes from: code, packages, machine and time."""

import hashlib
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from scgen_lib.files import replacing

PACKAGES = ("tensorflow", "keras", "numpy", "scanpy", "anndata", "scgen_lib")
ROOT = Path(__file__).resolve().parent.parent


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def sha256(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file, or of the names and contents of all files in a folder."""
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        lines = [f"{file.relative_to(path).as_posix()} {sha256(file)}\n" for file in files]
        return hashlib.sha256("".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def commit() -> str | None:
    """Return the commit of the checkout the library runs from, ``+`` appended if files have changed since, or None."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        if not (ROOT / ".git").exists():
            return None
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def lock_hash() -> str | None:
    """Return the SHA-256 of the lock file of the checkout, or None outside one."""
    lock = ROOT / "requirements.lock"
    return sha256(lock) if lock.exists() else None


def hardware() -> dict[str, object]:
    """Return the processor's name, the number of cores this process may use, and the names of the GPUs."""
    return {"cpu": _cpu(), "cores": cores(), "gpus": _gpus()}


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def cores() -> int:
    """Return how many processor cores this process may use; ``OMP_NUM_THREADS`` asks for fewer."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return min(allowed, int(asked)) if asked.isdigit() and int(asked) else allowed


def _gpus() -> list[str]:
    # Asked only where TensorFlow is loaded already: what counts is what the run could use, not what is built in.
    tf = sys.modules.get("tensorflow")
    if tf is None:
        return []
    devices = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(device).get("device_name", device.name) for device in devices]


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that make the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def collect() -> dict[str, object]:
    """Return commit, lock hash, versions and hardware as plain data."""
    return {"commit": commit(), "lock_sha256": lock_hash(), "versions": versions(), "hardware": hardware()}


def write_atomically(path: str | os.PathLike, content: str | bytes) -> None:
    """Write a file, text as UTF-8, under a temporary name and rename it, so that no half-written file is ever seen."""
    with replacing(path) as partial:
        partial.write_bytes(content if isinstance(content, bytes) else content.encode())
