"""The registry of public data sets, and how their files come: own folder, cache, download."""

import hashlib
import os
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from scgen_lib.errors import DataError
from scgen_lib.files import expanded


@dataclass(frozen=True)
class File:
    """One public file: where it comes from and how it is recognised.

    Attributes
    ----------
    key
        Folder and name, ``"zeisel-2015/zeisel.rda"``: the same under ``SCGEN_DATA_DIR``, in the cache and here.
    licence
        Licence stated by the repository that publishes the file.
    url
        Raw address, pinned to a commit where it lies in a repository.
    accept
        Media type to ask the address for; empty where it has one alone.
    bytes
        Size in bytes; None where it is not published.
    sha256, md5, git
        Its hash in hexadecimal digits, one of the three (``git``: the id that git gives to its content, the SHA-1 of
        the word blob, the size and the content); none where none is published.
    note
        What stands in for the hash of a file that has none.
    """

    key: str
    licence: str
    url: str
    accept: str = ""
    bytes: int | None = None
    sha256: str = ""
    md5: str = ""
    git: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        return self.key.rpartition("/")[2]

    @property
    def hash(self) -> str | None:
        """The hash with the name of its algorithm in front, as in ``"sha256:…"``; None without one."""
        for algorithm in ("sha256", "md5", "git"):
            if digits := getattr(self, algorithm):
                return f"{algorithm}:{digits}"
        return None

    @property
    def size(self) -> str:
        """The size in words."""
        return "an unknown number of bytes" if self.bytes is None else f"{self.bytes} bytes"


@dataclass(frozen=True)
class Dataset:
    """One data set of the registry; its numbers are those of the object that ``load`` returns.

    Attributes
    ----------
    files
        Keys of its files, in the order in which the recipe takes them.
    recipe
        Function of ``scgen_lib.data.recipes`` that reads the files; empty for a table of labels or names.
    values
        ``"counts"``, ``"log"`` (the source has only log values), ``"labels"`` or ``"names"`` (no expression).
    shipped
        Whether the recipe needs no file at all.
    """

    name: str
    title: str
    files: tuple[str, ...]
    cells: int
    genes: int
    labels: int
    values: str
    accession: str
    citation: str
    recipe: str = ""
    note: str = ""
    simulated: bool = False
    shipped: bool = False

    @property
    def sources(self) -> list[File]:
        """The entries of its files."""
        return [FILES[key] for key in self.files]

    @property
    def licence(self) -> str:
        """The licences of its files, each once."""
        return "; ".join(dict.fromkeys(file.licence for file in self.sources))


_TABLE = tomllib.loads(resources.files(__package__).joinpath("registry.toml").read_text(encoding="utf-8"))
FILES = {key: File(key, **entry) for key, entry in _TABLE["files"].items()}
DATASETS = {
    name: Dataset(name, **{**entry, "files": tuple(entry["files"])}) for name, entry in _TABLE["datasets"].items()
}


def local_file(file: File) -> Path | None:
    """Return the file under ``SCGEN_DATA_DIR``, its hash verified if it has one, or None where it is not there.

    A folder that does not exist, and a file that is not the registered one, are refused.
    """
    folder = os.environ.get("SCGEN_DATA_DIR")
    if not folder:
        return None
    folder = expanded(folder)
    if not folder.is_dir():
        raise DataError(f"expected a folder in SCGEN_DATA_DIR, got {str(folder)!r}: correct or unset the variable")
    path = Path(folder, file.key)
    if not path.is_file():
        return None
    if _is_registered(path, file):
        return path
    algorithm, _, expected = file.hash.partition(":")
    raise DataError(
        f"expected {algorithm} {expected} ({file.size}) of {path}, got {_hash(path, algorithm)} "
        f"({path.stat().st_size} bytes): replace it by {file.url}, or remove it to have it downloaded"
    )


def unverified(name: str) -> list[Path]:
    """Return the files of a data set, as far as they are on this machine, for which no hash is published."""
    files = [file for file in DATASETS[name].sources if not file.hash] if name in DATASETS else []
    folders = [expanded(os.environ.get("SCGEN_DATA_DIR") or cache_folder()), cache_folder()] if files else []
    found = (next((path for folder in folders if (path := folder / file.key).is_file()), None) for file in files)
    return [path for path in found if path]


def cache_folder() -> Path:
    """Return the folder of downloaded files: ``SCGEN_CACHE_DIR``, else the user's cache folder."""
    import pooch

    return expanded(os.environ.get("SCGEN_CACHE_DIR") or pooch.os_cache("scgen_lib"))


def stored_file(file: File, folder: str | Path) -> Path | None:
    """Return the file in ``folder`` if the registered one is there, else None."""
    path = Path(folder, file.key)
    return path if path.is_file() and _is_registered(path, file) else None


def _is_registered(path: Path, file: File) -> bool:
    # a file without a hash passes: its recipe looks at the content
    algorithm, _, digits = (file.hash or "").partition(":")
    return not digits or _hash(path, algorithm) == digits


def _hash(path: Path, algorithm: str) -> str:
    """Return the hash of a file; pooch does not know git's, which Python's own functions make of its parts."""
    if algorithm == "git":
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        with path.open("rb") as content:
            while part := content.read(1 << 20):
                digest.update(part)
        return digest.hexdigest()
    import pooch

    return pooch.file_hash(str(path), algorithm)


def fetch(file: File) -> Path:
    """Return a local path of a registered file: ``SCGEN_DATA_DIR`` first, then the cache, then its source."""
    return _at_hand(file) or download(file, cache_folder())


def _at_hand(file: File) -> Path | None:
    return local_file(file) or stored_file(file, cache_folder())


def present(name: str) -> bool:
    """Say whether a data set can be had without a download; what is not registered needs none."""
    entry = DATASETS.get(name)
    if entry is None or entry.shipped:
        return True
    return all(map(_at_hand, entry.sources))


def download(file: File, folder: str | Path) -> Path:
    """Download a registered file to its place in ``folder``, under a temporary name until it is whole.

    The hash is verified if the file has one.
    """
    import pooch
    import requests

    # pooch tells every download on stderr; the progress bar and the errors below say enough
    pooch.get_logger().setLevel("WARNING")
    store = pooch.create(
        path=folder,
        base_url="",
        registry={file.key: None if file.git else file.hash},
        urls={file.key: file.url},
        retry_if_failed=2,
    )
    ask = pooch.HTTPDownloader(progressbar=True, headers={"Accept": file.accept} if file.accept else {})
    way_out = f"try again, or put the file at {file.key} in a folder that the variable SCGEN_DATA_DIR names"
    try:
        path = Path(store.fetch(file.key, downloader=ask, processor=lambda name, *_: _verified(Path(name), file)))
        path.chmod(0o666 & ~_umask())  # pooch downloads into a temporary file, which is for its owner only
        return path
    except requests.RequestException as error:
        raise DataError(
            f"expected {file.name} from {file.url}, got no download ({type(error).__name__}): {way_out}"
        ) from error
    except ValueError as error:
        raise DataError(
            f"expected the registered {file.name} of {file.size} from {file.url}, got another file "
            f"({str(error).split(' Deleted')[0].rstrip('.')}): {way_out}"
        ) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise DataError(
            f"expected to write {file.name} under {folder}, got {reason!r}: make room there, or choose another folder "
            "with the variable SCGEN_CACHE_DIR or the destination of the fetch"
        ) from error


def _verified(path: Path, file: File) -> str:
    """Return a downloaded file that is the registered one, and remove another, as pooch does with a hash it knows."""
    if not _is_registered(path, file):
        path.unlink()
        raise ValueError(f"its hash is not {file.hash}")
    return str(path)


def _umask() -> int:
    """Return the process's umask, which can only be read by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
