"""What libraries say while they start, and nobody needs to read."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

#: What TensorFlow's C++ side says while it starts, no variable silences all of it; and tqdm on missing widgets.
NOISE = re.compile(
    r"^(WARNING: All log messages before absl::InitializeLog\(\) .*"
    r"|[IWE]\d{4} [\d:.]+ +\d+ \S+:\d+\] .*"
    r"|\d{4}-\d\d-\d\d [\d:.]+: [IWE] (tensorflow|external)/.*"
    r"|To enable the following instructions: .*"
    r"|computation_placer already registered.*"
    r"|.*: TqdmWarning: IProgress not found\. .*\n +from \.autonotebook import .*)\n?",
    re.MULTILINE,
)


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """Leave `NOISE` out of what this process writes to standard error, C++ included; the rest follows at the end."""
    try:
        sys.stderr.flush()
        before = os.dup(2)
    except (OSError, ValueError, AttributeError):
        yield  # there is no standard error
        return
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(before, 2)
            os.close(before)
            file.seek(0)
            os.write(2, NOISE.sub("", file.read().decode(errors="replace")).encode())
