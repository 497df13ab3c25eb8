"""Files that appear whole or not at all, places that one process at a time writes to, and names of files."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from scgen_lib.errors import InputError, ParameterError

if TYPE_CHECKING:
    import anndata

# Bytes of a name that is made of a text; file systems take 255, and endings and the temporary name need some of them.
LONGEST = 180
# the lock file of a folder
LOCK = ".lock"


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`, and put it in its place when the block ends well; else remove it.

    A symbolic link stays, and what it names is replaced. The file gets the mode that the umask asks for.
    """
    path = Path(os.path.realpath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{named(path.stem)[:80]}-{secrets.token_hex(4)}.partial{path.suffix}")
    temporary.touch(exist_ok=False)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike, content: str | bytes) -> None:
    """Write a file, text as UTF-8, under a temporary name and rename it, so that no half-written file is ever seen."""
    with replacing(path) as temporary:
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_h5ad(adata: "anndata.AnnData", path: str | os.PathLike) -> None:
    """Write an ``.h5ad`` whole or not at all; it may replace one that another program has open."""
    with replacing(path) as temporary, naming(path):
        refuse_full(temporary, adata.__sizeof__())
        adata.write_h5ad(temporary)


def refuse_full(path: Path, size: float) -> None:
    """Raise what the system would where there is no room for a file of so many bytes.

    HDF5 may take the whole process with it when it finds that out itself.
    """
    if size > shutil.disk_usage(path.parent).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Turn what HDF5 raises in the block, of any kind and of no file, into the system's own error that names the file.

    It fails once more, as a RuntimeError, when it closes a file that it could not write to the end.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        if (number := _errno(error)) is None:
            raise
        raise OSError(number, os.strerror(number), os.fspath(path)) from error


def _errno(error: BaseException | None) -> int | None:
    """Return the number of the system's error behind one of HDF5."""
    while error is not None:
        if isinstance(error, OSError) and error.errno:
            return error.errno
        if told := re.search(r"errno = (\d+)", str(error)):
            return int(told[1])
        error = error.__context__
    return None


def remove_partial(folder: str | os.PathLike) -> None:
    """Remove what a process that was killed has left half written in a folder and below, while `held` holds it.

    A folder below that is held by itself is another run's.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not os.path.exists(os.path.join(parent, name, LOCK))]
        for name in names:
            if re.match(r"\..*\.partial", name):
                Path(parent, name).unlink(missing_ok=True)


def refuse_overwriting(targets: Iterable[str | os.PathLike], read: Mapping[str, Path]) -> None:
    """Refuse to write to a file that is also read, through links too.

    Raises
    ------
    ParameterError
        Naming both.
    """
    for target in targets:
        for name, source in read.items():
            if os.path.exists(target) and os.path.exists(source) and os.path.samefile(target, source):
                what = "both" if str(target) == name else name
                raise ParameterError(
                    f"expected to write to another file than what is read, got {target}, which is {what}: name another "
                    "place, or copy what is read"
                )


def expanded(path: str | os.PathLike) -> Path:
    """Return a path with the home folder in place of a ``~``.

    Raises
    ------
    InputError
        If nothing says where that is: no HOME, and no entry of the user in the system's list.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"expected a home folder for {path}, got none: write the whole path") from error


def named(text: str, longest: int = LONGEST) -> str:
    """Return a name for a file, of so many bytes at most, that is made of a text; a hash may stand for its end."""
    name = re.sub(r"[^\w.+-]+", "_", text)
    if len(name.encode()) <= longest:
        return name
    head = name.encode()[: longest - 13].decode(errors="ignore")
    return f"{head}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def lock(path: str | os.PathLike) -> IO[str] | None:
    """Lock a file, which is made for it, or return None where another process holds it.

    It is free again when the file that is returned is closed, and with the end of the process, however that ends. On a
    file system without locks it is always free.
    """
    while True:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (the caller closes it)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:
            return file
        # who held it may have removed the file since it was opened
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        file.close()


@contextlib.contextmanager
def held(path: str | os.PathLike, what: str) -> Iterator[None]:
    """Hold a lock file during the block, and remove it then.

    Parameters
    ----------
    path
        The lock file.
    what
        What it stands for, in the words of the message.

    Raises
    ------
    InputError
        If another process holds it.
    """
    file = lock(path)
    if file is None:
        with contextlib.suppress(OSError):
            holder = Path(path).read_text(encoding="utf-8").strip()
            what = f"{what} ({holder})" if holder else what
        raise InputError(f"expected to write alone, got another run that writes to {what}: wait for its end")
    try:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
    finally:
        Path(path).unlink(missing_ok=True)
        file.close()
