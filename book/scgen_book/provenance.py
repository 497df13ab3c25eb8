"""Where a number comes from: code, packages, machine and time."""

import functools
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from scgen_lib import environment
from scgen_lib.errors import InputError
from scgen_lib.files import expanded

PACKAGES = ("tensorflow", "keras", "numpy", "scanpy", "anndata", "scgen_lib")
ROOT = Path(__file__).resolve().parents[2]


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


def named(value: object) -> dict[str, Path]:
    """Return the files and folders that parameters name, in lists and mappings too, by the text that names them.

    Of a registered data set these are the files for which no hash is published, since what is in them is not known.
    """
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return {text: path for part in value for text, path in named(part).items()}
    if not isinstance(value, str) or not value:
        return {}
    from scgen_lib.data import registry

    if found := registry.unverified(value):
        return {f"{value}/{path.name}": path for path in found}
    try:
        path = expanded(value)
        return {value: path} if path.exists() else {}
    except (InputError, OSError, ValueError):
        return {}  # a text that is no path: too long, say


def contents(value: object) -> dict[str, str]:
    """Return the SHA-256 of all files and folders that parameters name."""
    return {text: sha256(path) for text, path in named(value).items()}


def commit() -> str | None:
    """Return the commit of the checkout the library runs from, ``+`` appended if files have changed since, or None.

    Rows that the record has gained are no change: `scgen record`, begun again, runs the code that it ran before.
    """
    if not (ROOT / ".git").exists():
        return None
    try:
        changed = _git("status", "--porcelain", "-uno", "--", ".", ":!book/record")
        return _git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    """Ask git about this checkout, whoever owns it and whatever repository the variables of a hook name."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()


def lock_hash() -> str | None:
    """Return the SHA-256 of the lock file of the checkout, or None outside one."""
    lock = ROOT / "requirements.lock"
    return sha256(lock) if lock.exists() else None


def packages() -> str | dict[str, str]:
    """Return what stands for the packages in a key: the lock file's hash, or outside a checkout their versions."""
    return lock_hash() or versions()


def hardware() -> dict[str, object]:
    """Return the processor's name, the number of cores this process may use, and the names of the GPUs."""
    return {"cpu": processor(), "cores": environment.cores(), "gpus": _gpus()}


@functools.cache
def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


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
