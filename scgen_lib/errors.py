"""Errors a user can cause: one sentence that says what was expected, what came and what to do."""

import errno
import os

# what helps against an error of the operating system
_HELP = {
    errno.ENOSPC: "make room there, or write to another folder",
    errno.EDQUOT: "make room in your quota, or write to another folder",
    errno.EROFS: "write to another folder, this one cannot be written to",
    errno.EACCES: "see to it that you may read or write there, or name another place",
    errno.EPERM: "see to it that you may read or write there, or name another place",
    errno.ENOENT: "correct the path",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "name a file, not a folder",
    errno.ENOTDIR: "name a folder, not a file",
    errno.EEXIST: "name a folder, not a file",
    errno.EAGAIN: "another program has locked it, wait for that one or close it",
}


class InputError(ValueError):
    """Input that is refused at the door.

    In a notebook it shows as its one sentence, without the stack of the library: the cause is the input, not the code.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython asks the exception itself for its traceback when it has this method.
        return [f"{type(self).__name__}: {self}"]


class DataError(InputError):
    """Counts, labels or a data file that cannot be used."""


class ParameterError(InputError):
    """An unknown parameter, or a value outside its legal range."""


class CheckpointError(InputError):
    """A saved model or checkpoint that is missing, truncated or of another model."""


class TrainingError(InputError):
    """A training that met a value that is not finite: nothing is made of its weights."""


def told(error: OSError, path: object = None) -> str:
    """Return an error of the operating system as one sentence; `path` says where, if the error itself does not."""
    path = path if error.filename is None else error.filename
    what = os.strerror(error.errno) if error.errno else " ".join(str(error).split()) or type(error).__name__
    help_ = _HELP.get(error.errno, "see to that and start again")
    return f"expected to read or write {'a file' if path is None else path}, got {what!r} from the system: {help_}"
