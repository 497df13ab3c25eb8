"""What the benchmarks ask of the process they run in; nothing is imported here that takes memory."""

import time
from pathlib import Path


def bytes_read() -> int:
    """Bytes that this process has asked the system for, from the disk or its cache."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("rchar")))


def resident(field: str) -> float:
    """Resident memory of this process in MiB, now (VmRSS) or at most so far (VmHWM); NaN where no system tells."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def peak() -> float:
    """Largest resident memory of this process so far, in GiB."""
    return resident("VmHWM") / 1024


class Pace:
    """How long an epoch of a training takes, which is to end after three epochs or some seconds.

    Parameters
    ----------
    limit
        Seconds, from the first updates on: these are compiled, and wait for the first cells.
    """

    def __init__(self, limit: float):
        self.limit, self.clock, self.ends = limit, [], []

    def start(self) -> None:
        """Note the beginning."""
        self.begin, self.before = time.perf_counter(), bytes_read()

    def update(self, done: int) -> bool:
        """Note how many updates are done in all; say whether the time is over."""
        self.clock.append((time.perf_counter(), done))
        self.read = bytes_read() - self.before
        return self.clock[-1][0] - self.clock[0][0] > self.limit and len(self.clock) > 1

    def epoch(self) -> bool:
        """Note the end of an epoch; say whether it was the last."""
        self.ends.append(time.perf_counter())
        return len(self.ends) == 3

    def told(self, updates: int) -> dict[str, float | bool]:
        """Return seconds and bytes read of an epoch of so many updates, and whether whole ones were measured."""
        (first, before), (last, done) = self.clock[0], self.clock[-1]
        if whole := len(self.ends) > 1:
            seconds = (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)
        else:
            seconds = (last - first) / (done - before) * updates
        return {
            "updates": updates,
            "done": done,
            "seconds": seconds,
            "whole": whole,
            "read": self.read / done * updates,
        }
