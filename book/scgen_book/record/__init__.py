"""The record: what the full edition measured, a line a row, in small tables that are kept with the code.

``book/record/<experiment>.csv`` has a line a row and a column a metric, ``settings.json`` the settings by the names
that the lines have for them, ``batches.csv`` where the numbers come from, and ``claims.csv`` which of them the papers
speak of. Of the arrays of figures it has those that `drawn` keeps.
"""

import csv
import functools
import hashlib
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from scgen_book import experiments, provenance
from scgen_book.experiments.protocol import Experiment
from scgen_book.record import drawn
from scgen_lib import files
from scgen_lib.errors import InputError

#: Where the record lies in a checkout; what is installed without one has none.
FOLDER = provenance.ROOT / "book" / "record"
#: Significant digits: enough to tell whether a number is the same, few enough to be read.
DIGITS = 6
_FIRST = ("dataset", "method", "seed", "settings")
#: The last is the beginning of a hash of the others, which a line that is edited by hand no longer has.
_LAST = ("reason", "core_s", "batch", "sha256")
_CLAIM = ("experiment", "dataset", "method", "variant", "settings", "metric", "claim")
#: What is known of a batch of rows that were computed one after the other; ``core_s`` is seconds of processor cores.
BATCH = ("batch", "commit", "lock", "python", "cpu", "cores", "gpus", "started", "rows", "core_s")

#: Which row: experiment, data set, method, seed and the name of its settings.
Key = tuple[str, str, str, int, str]


def named(settings: Mapping[str, Any]) -> str:
    """Return the name of settings: the same ones have the same name."""
    deciding = {name: value for name, value in settings.items() if name not in experiments.PLACES}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:8]


def key_of(row: Mapping[str, Any]) -> Key:
    """Return which row this is, of those that `experiments.row` returns."""
    return row["experiment"], row["dataset"], row["method"], int(row["seed"]), named(row["settings"])


def rounded(value: float | None) -> float | None:
    """Return a value as the record keeps it: in `DIGITS`, and a whole number, which is a count, as it is."""
    return None if value is None else float(_digits(value))


class Record:
    """The rows that are kept.

    Parameters
    ----------
    folder
        Its tables; one that does not exist is an empty record.

    Attributes
    ----------
    rows
        By key, each as `experiments.row` returns it, but for its arrays and its ``key``: with ``core_s`` and ``batch``.
        A value that was not finite is None.
    settings
        By their names.
    batches
        By their names, with the columns of `BATCH`.
    claims
        The claim that a value belongs to and its variant: by experiment, data set, method, settings and metric.

    Raises
    ------
    InputError
        If a table does not fit the others, or a row is not as it was written down.
    """

    def __init__(self, folder: str | Path = FOLDER):
        self.folder = Path(folder)
        self.rows: dict[Key, dict] = {}
        self._arrays: dict[Key, dict] = {}
        path = self.folder / "settings.json"
        self.settings: dict[str, dict] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.batches = {line["batch"]: line for line in _read(self.folder / "batches.csv")}
        self.claims = {
            (line["experiment"], line["dataset"], line["method"], line["settings"], line["metric"]): (
                line["claim"],
                line["variant"] or None,
            )
            for line in _read(self.folder / "claims.csv")
        }
        for table in sorted(self.folder.glob("*.csv")):
            if table.stem not in ("batches", "claims"):
                for line in _read(table):
                    self._take(table, line)

    def _take(self, table: Path, line: Mapping[str, str]) -> None:
        if (name := line["settings"]) not in self.settings:
            raise InputError(f"expected the settings {name} of {table} in settings.json, got none: restore that file")
        scores = {name: _number(text) for name, text in line.items() if name not in (*_FIRST, *_LAST) and text != ""}
        row = {
            "experiment": table.stem, "dataset": line["dataset"], "method": line["method"], "seed": int(line["seed"]),
            "settings": self.settings[line["settings"]], "status": "gap" if line["reason"] else "ok",
            "reason": line["reason"] or None, "scores": scores, "core_s": float(line["core_s"]), "batch": line["batch"],
        }  # fmt: skip
        key = (table.stem, row["dataset"], row["method"], row["seed"], line["settings"])
        if line.get("sha256") != _seal(key, row):
            raise InputError(
                f"expected the row {' '.join(map(str, key[1:]))} of {table} as it was written down, got another: "
                "restore the table, or take the line out and compute it again (`scgen record`)"
            )
        self.rows[key] = row

    def of(self, experiment: Experiment, settings: Mapping[str, Any] | None = None) -> list[dict]:
        """Return the rows of an experiment as `experiments.row` returns them, of given settings only or of all.

        A data set's rows stand together, by seed and in the order of the methods.
        """
        name = None if settings is None else named(settings)
        found = [row for key, row in self.rows.items() if key[0] == experiment.name and name in (None, key[4])]
        found = [row for row in found if row["method"] in experiment.methods]
        # of a length that is not published a method is not listed
        methods = list(dict.fromkeys([*experiment.methods, *(row["method"] for row in found)]))
        datasets = list(dict.fromkeys(row["dataset"] for row in found))
        found.sort(key=lambda row: (datasets.index(row["dataset"]), row["seed"], methods.index(row["method"])))
        return [self._whole(experiment, row) for row in found]

    def _whole(self, experiment: Experiment, row: Mapping) -> dict:
        method, key = experiment.methods[row["method"]], key_of(row)
        whole = dict(row) | {
            "role": method.role, "variant": method.variant, "duration_s": row["core_s"], "claims": {},
            "arrays": drawn.read(self.folder, key) if drawn.names(experiment, key) else {},
        }  # fmt: skip
        return whole | {"claims": dict(experiment.claims(whole)) if row["status"] == "ok" else {}}

    def has(self, experiment: Experiment, key: Key) -> bool:
        """Say whether a row is there, with the arrays that the record keeps of it."""
        row = self.rows.get(key)
        wanted = row and row["status"] == "ok" and drawn.names(experiment, key)
        return row is not None and (not wanted or drawn.table(self.folder, key).exists())

    def add(self, row: Mapping[str, Any], core_s: float, batch: Mapping[str, Any]) -> None:
        """Take a row that was computed, in place of one of the same key.

        Parameters
        ----------
        row
            What `experiments.row` returned, with no other arrays than those that are to be kept.
        core_s
            Seconds of processor cores that it took.
        batch
            Which batch it belongs to: the columns of `BATCH`.
        """
        key = key_of(row)
        if (before := self.rows.get(key)) and before["batch"] != batch["batch"]:
            self._leaves(before)
        self.settings[key[4]] = dict(row["settings"])
        self.batches[batch["batch"]] = dict(batch)
        kept = {name: row[name] for name in ("experiment", "dataset", "method", "seed", "settings", "status", "reason")}
        scores = {name: rounded(value) for name, value in row["scores"].items()}
        self.rows[key] = kept | {"scores": scores, "core_s": round(core_s, 1), "batch": batch["batch"]}
        if arrays := row.get("arrays"):
            self._arrays[key] = arrays
        for metric, claim in row["claims"].items():
            self.claims[key[0], key[1], key[2], key[4], metric] = (claim, row["variant"])

    def _leaves(self, row: Mapping[str, Any]) -> None:
        """Take a row out of the count of its batch, which goes with its last one."""
        of = self.batches[row["batch"]]
        of |= {"rows": int(of["rows"]) - 1, "core_s": f"{float(of['core_s']) - row['core_s']:.1f}"}
        if not of["rows"]:
            del self.batches[row["batch"]]

    def write(self, experiment: str) -> None:
        """Write the table of an experiment, sorted, and the three that all share; each whole or not at all."""
        rows = {key: row for key, row in self.rows.items() if key[0] == experiment}
        for key in rows.keys() & self._arrays.keys():
            drawn.write(self.folder, key, self._arrays.pop(key))
        metrics = list(dict.fromkeys(name for row in rows.values() for name in row["scores"]))
        lines = [
            [
                *key[1:],
                *(_text(row["scores"], name) for name in metrics),
                row["reason"],
                f"{row['core_s']:g}",
                row["batch"],
                _seal(key, row),
            ]
            for key, row in sorted(rows.items())
        ]
        _write(self.folder / f"{experiment}.csv", (*_FIRST, *metrics, *_LAST), lines)
        used = {key[4] for key in self.rows}
        shown = {name: self.settings[name] for name in sorted(used)}
        files.write_atomically(self.folder / "settings.json", json.dumps(shown, indent=1, sort_keys=True) + "\n")
        _write(
            self.folder / "batches.csv", BATCH, ([of[name] for name in BATCH] for _, of in sorted(self.batches.items()))
        )
        told = sorted((*key[:3], variant or "", *key[3:], claim) for key, (claim, variant) in self.claims.items())
        _write(self.folder / "claims.csv", _CLAIM, told)

    def claimed(self) -> list[dict]:
        """Return every value that a claim speaks of, as `results.Run.add` keeps it, with its ``settings``."""
        found = []
        for (experiment, dataset, method, seed, settings), row in self.rows.items():
            for metric, value in row["scores"].items():
                claim, variant = self.claims.get((experiment, dataset, method, settings, metric), (None, None))
                if claim is not None:
                    found.append({
                        "claim": claim, "metric": metric, "value": value, "seed": seed, "dataset": dataset,
                        "variant": variant, "method": None, "note": None, "settings": row["settings"],
                    })  # fmt: skip
        return found

    def core_hours(self) -> float:
        """Return the hours of processor cores that all rows took."""
        return sum(row["core_s"] for row in self.rows.values()) / 3600


@functools.cache
def current() -> Record:
    """Return the record of this checkout, as it is when this process first asks."""
    return Record()


def digest(chapter: str) -> str:
    """Return a hash of what the record has of a chapter's experiments."""
    tables = sorted([*FOLDER.glob(f"{chapter}.csv"), *FOLDER.glob(f"**/{chapter}.*.csv")])
    return hashlib.sha256(b"".join(table.read_bytes() for table in tables)).hexdigest()


def _seal(key: Key, row: Mapping[str, Any]) -> str:
    scores = {name: _text(row["scores"], name) for name in sorted(row["scores"])}
    told = [*key, scores, row["reason"], f"{row['core_s']:g}", row["batch"]]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _write(path: Path, head: Iterable[str], lines: Iterable[Iterable]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([list(head), *map(list, lines)])
    files.write_atomically(path, text.getvalue())


def _number(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


def _text(scores: Mapping[str, float | None], name: str) -> str:
    """Return a value as text: nothing where the row has none, ``nan`` where it was not finite."""
    if name not in scores:
        return ""
    value = scores[name]
    return "nan" if value is None else _digits(value)


def _digits(value: float) -> str:
    whole = float(value).is_integer() and abs(value) < 2**53
    return f"{value:.0f}" if whole else f"{value:.{DIGITS}g}"
