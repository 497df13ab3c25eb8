import subprocess
import sys

import pytest

from scgen_book import noise

LINES = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    "I0000 00:00:1795912792.811835    4950 port.cc:153] oneDNN custom operations are on.\n"
    "E0000 00:00:1795912796.208170    4950 cuda_platform.cc:52] failed call to cuInit: UNKNOWN ERROR (303)\n"
)


def test_what_libraries_say_while_they_start_is_left_out_and_the_rest_is_not(capfd):
    with noise.left_out():
        subprocess.run([sys.executable, "-c", f"import os; os.write(2, {LINES.encode()!r})"], check=True)
        print("something to know", file=sys.stderr)
    print("after it", file=sys.stderr)
    assert capfd.readouterr().err == "something to know\nafter it\n"


def test_an_error_gives_the_stream_back(capfd):
    with pytest.raises(ValueError, match="why"), noise.left_out():
        raise ValueError("why")
    print("after it", file=sys.stderr)
    assert capfd.readouterr().err == "after it\n"
