#!/usr/bin/env python3
"""Build the pages with Jupyter Book, every warning an error; what it says goes to _build/build.log.

Usage: build_book.py, in the top folder of the project. Of a build that fails it shows the warnings and errors, and its
status is that of Jupyter Book.
"""

import re
import subprocess
import sys
from pathlib import Path

LOG = Path("_build/build.log")
TOLD = re.compile(r"WARNING|ERROR|CRITICAL|[Ee]rror:|[Ee]xception")
SHOWN = 40


def main() -> int:
    """Build, and return the status."""
    print("Building the pages", flush=True)
    LOG.parent.mkdir(exist_ok=True)
    # by its file, since its first line names the place that the environment had when it was made
    command = [sys.executable, str(Path(sys.executable).with_name("jupyter-book"))]
    with LOG.open("w", encoding="utf-8") as log:
        done = subprocess.run(
            [*command, "build", ".", "--all", "-W", "-n", "--keep-going"], stdout=log, stderr=subprocess.STDOUT
        )
    if done.returncode:
        lines = re.sub(r"\x1b\[[\d;]*m", "", LOG.read_text(encoding="utf-8", errors="replace")).splitlines()
        found = list(dict.fromkeys(line for line in lines if TOLD.search(line))) or lines[-SHOWN:]
        print("\n".join(found[:SHOWN]), file=sys.stderr)
        more = f"{len(found) - SHOWN} more, and all else" if len(found) > SHOWN else "All"
        print(f"The pages were not built. {more} that was said: {LOG}", file=sys.stderr)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
