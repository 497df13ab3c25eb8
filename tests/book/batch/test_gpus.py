import os
import subprocess
import sys

import pytest

from scgen_book.batch import gpus

HOLD = "from scgen_book.batch import gpus\nwith gpus.one() as gpu:\n    print(gpu, flush=True)\n    input()"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of two GPUs, as far as the command that lists them goes."""
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '0, GPU-a'\necho '1, GPU-b'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("visible", "found"),
    [(None, ["GPU-a", "GPU-b"]), ("1", ["GPU-b"]), ("GPU-b,0", ["GPU-b", "GPU-a"]), ("", []), ("-1", [])],
)
def test_the_usable_gpus_are_those_that_the_environment_leaves(monkeypatch, visible, found):
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpus.usable() == found


@pytest.mark.usefixtures("machine")
def test_inside_one_gpu_is_visible_and_afterwards_what_was_before(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    with gpus.one() as gpu:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == gpu == "GPU-b"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "1,0"


def test_without_gpus_nothing_is_held(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with gpus.one() as gpu:
        assert gpu is None
        assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.usefixtures("machine")
def test_each_process_holds_another_gpu_and_one_too_many_waits_until_a_holder_is_killed():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", HOLD], **pipes) for _ in range(2)]
    try:
        assert sorted(process.stdout.readline() for process in processes) == ["GPU-a\n", "GPU-b\n"]
        third = subprocess.Popen([sys.executable, "-c", HOLD], **pipes)
        processes.append(third)
        os.set_blocking(third.stdout.fileno(), False)
        with pytest.raises(subprocess.TimeoutExpired):
            third.wait(timeout=1)
        assert not third.stdout.readline()
        os.set_blocking(third.stdout.fileno(), True)
        processes[0].kill()
        assert third.stdout.readline() in ("GPU-a\n", "GPU-b\n")
    finally:
        for process in processes:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
