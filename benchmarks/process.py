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
    """How long an epoch of a training takes, which is to end after some seconds.

    Parameters
    ----------
    limit
        Seconds, from the first updates on: these are compiled, and wait for the first cells.
    """

    def __init__(self, limit: float):
        self.limit, self.clock, self.validations, self.paused = limit, [], [], 0.0

    def start(self) -> None:
        """Note the beginning."""
        self.begin, self.before = time.perf_counter(), bytes_read()

    def update(self, done: int) -> bool:
        """Note how many updates are done in all; say whether the time is over."""
        self.clock.append((time.perf_counter() - self.paused, done))
        self.read = bytes_read() - self.before
        return self.clock[-1][0] - self.clock[0][0] > self.limit and len(self.clock) > 1

    def validate(self) -> None:
        """Note the beginning of a validation, which stops the clock of the updates."""
        self.validation = [time.perf_counter()]

    def validated(self) -> None:
        """Note that some more cells, or all, are validated."""
        self.validation.append(time.perf_counter())

    def end_validation(self) -> None:
        """Start the clock of the updates again."""
        self.validations.append(self.validation)
        self.paused += time.perf_counter() - self.validation[0]

    def told(self, updates: int) -> dict[str, float]:
        """Return seconds and bytes read of an epoch of so many updates, and the seconds of a validation."""
        (first, before), (last, done) = self.clock[0], self.clock[-1]
        times = [times[-1] - times[0] for times in self.validations[1:]]
        if not times and self.validations:
            # the only one was compiled in its first step, so that the others stand for that, where there are any
            begin, compiled, *others = self.validations[0]
            times = [(others[-1] - compiled) * (len(others) + 1) / len(others) if others else compiled - begin]
        return {
            "updates": updates,
            "done": done,
            "training": (last - first) / (done - before) * updates,
            "validation": sum(times) / max(len(times), 1),
            "read": self.read / done * updates,
        }
