"""The GPUs of this machine, handed out one a run."""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator

from scgen_lib.files import lock


def usable() -> list[str]:
    """Return the GPUs that this process may use, by the identifiers that ``CUDA_VISIBLE_DEVICES`` takes."""
    command = ["nvidia-smi", "--query-gpu=index,uuid", "--format=csv,noheader"]
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []
    found = [line.replace(" ", "").split(",") for line in lines]
    asked = os.environ.get("CUDA_VISIBLE_DEVICES")
    if asked is None:
        return [uuid for _, uuid in found]
    return [uuid for name in asked.split(",") for index, uuid in found if name and name in (index, uuid)]


@contextlib.contextmanager
def one() -> Iterator[str | None]:
    """Hold one GPU, the only one that is visible to what starts in the block; wait until one is free.

    Yields its identifier, or None on a machine without GPUs. A GPU is free when no other process of this user holds it
    in this way; it becomes free with the end of the process, however that ends.
    """
    with contextlib.ExitStack() as stack:
        held = None
        devices = usable()
        while devices and held is None:
            held = next((device for device in devices if _lock(device, stack)), None)
            if held is None:
                time.sleep(0.5)
        if held is not None:
            before = os.environ.get("CUDA_VISIBLE_DEVICES")
            stack.callback(_restore, before)
            os.environ["CUDA_VISIBLE_DEVICES"] = held
        yield held


def _lock(device: str, stack: contextlib.ExitStack) -> bool:
    """Try to lock the file of a GPU until the stack is left."""
    file = lock(os.path.join(tempfile.gettempdir(), f"scgen-{os.getuid()}-{device}.lock"))
    if file is not None:
        stack.enter_context(file)
    return file is not None


def _restore(before: str | None) -> None:
    if before is None:
        del os.environ["CUDA_VISIBLE_DEVICES"]
    else:
        os.environ["CUDA_VISIBLE_DEVICES"] = before
