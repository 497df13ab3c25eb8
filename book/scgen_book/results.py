"""What a run measured, beside what the papers say: records, their provenance, and the table of both."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scgen_book import provenance, record
from scgen_book.claim_tables import compare, rounded, style, three, valued
from scgen_book.claims import (
    KINDS,
    OWNERS,
    PART,
    claim,
    claims,
    deviations,
)
from scgen_book.markdown import plain
from scgen_lib import files
from scgen_lib.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler


@dataclass(frozen=True)
class Display:
    """What a notebook shows as HTML."""

    html: str

    def _repr_html_(self) -> str:
        return self.html


class Run:
    """The values that a notebook measures, recorded beside the claims.

    Parameters
    ----------
    name
        Name of the run or of its paper's chapter.
    parameters
        The notebook's parameters.
    seed
        Seed of the run.
    dataset
        What is known of the data, as in ``adata.uns["dataset"]``; ``name`` is the data of a record by default.
    out
        Folder of ``records.json``; None writes nothing.
    """

    def __init__(
        self,
        name: str,
        *,
        parameters: Mapping[str, object] | None = None,
        seed: int = 0,
        dataset: Mapping[str, object] | None = None,
        out: str | None = None,
    ):
        self.name, self.seed, self.out = name, seed, out
        # not a copy: in a live session an edited parameters cell keeps them in step (see parameters.check_namespace)
        self.parameters = {} if parameters is None else parameters
        self.dataset = dict(dataset or {})
        self.records: list[dict] = []
        self.findings: list[dict] = []
        self.started = provenance.now()

    def add(
        self,
        claim_id: str | None,
        metric: str,
        value: float,
        *,
        seed: int | None = None,
        dataset: str | None = None,
        variant: str | None = None,
        method: str | None = None,
        note: str | None = None,
    ) -> None:
        """Record one value; a value that is not finite is kept as None with a note.

        Raises
        ------
        InputError
            If there is no claim of that id.
        """
        if claim_id is not None:
            claim(claim_id)
        number = float(value)
        if not math.isfinite(number):
            number, note = None, "; ".join(filter(None, (note, f"value was {value}")))
        self.records.append({
            "claim": claim_id, "metric": metric, "value": number, "seed": int(self.seed if seed is None else seed),
            "dataset": dataset or self.dataset.get("name"), "variant": variant, "method": method, "note": note,
        })  # fmt: skip

    def finding(
        self,
        name: str,
        quantity: str,
        *,
        released: float | Sequence[float],
        otherwise: float | Sequence[float],
        part: bool = False,
        figure: str | None = None,
    ) -> None:
        """Record one quantity of a deviation, measured both ways; its words stand in the file of the paper.

        What is not finite on one side has not been measured: it is left out.

        Parameters
        ----------
        name
            Name of the deviation in that file; what follows a comma tells several quantities of one apart.
        quantity
            What was measured, with its unit.
        released, otherwise
            Its value or values (one a seed) in the code in question and in the other way.
        part
            Whether it is a property of a part (weights, settings, time), and not a score of the chapter's result.
        figure
            Label of the figure of the chapter that shows it.

        Raises
        ------
        ParameterError
            A deviation that the file has not.
        """
        known = deviations(self.name)
        if (words := known.get(name) or known.get(name.split(",")[0])) is None:
            raise ParameterError(
                f"expected a deviation in scgen_book/papers/{self.name}.yml, got {name!r}: add it there, or choose "
                f"from {', '.join(known)}"
            )
        sides = [[float(x) for x in (side if isinstance(side, Iterable) else [side])] for side in (released, otherwise)]
        if all(side and all(map(math.isfinite, side)) for side in sides):
            self.findings.append({
                "name": name, **asdict(words), "quantity": quantity, "released": sides[0], "otherwise": sides[1],
                "part": bool(part), "figure": figure,
            })  # fmt: skip

    def deviations(
        self,
        effects: Mapping[str, str] | None = None,
        *,
        notes: Mapping[str, str] | None = None,
        missing: str = "not measured in this run",
    ) -> "Styler":
        """Return the table of what the paper's code does otherwise, with the findings of this run.

        Parameters
        ----------
        effects
            By deviation, words that stand in place of its findings.
        notes
            Words that follow its findings.
        missing
            What stands where nothing was measured.
        """
        import pandas as pd

        effects, notes, known = effects or {}, notes or {}, deviations(self.name)
        found: dict[str, list[str]] = {name: [] for name in known}
        for entry in self.findings:
            released, otherwise = (rounded(statistics.fmean(entry[side]), 3) for side in ("released", "otherwise"))
            seeds = len(entry["released"])
            told = f"{entry['quantity']}: {released}, other way {otherwise}" + f" ({seeds} seeds)" * (seeds > 1)
            found[entry["name"] if entry["name"] in known else entry["name"].split(",")[0]].append(told)
        rows = [
            (
                name,
                OWNERS[d.owner],
                KINDS[d.kind],
                d.does,
                d.instead,
                # a cell is text: what is bold in a takeaway is not here
                plain(effects.get(name) or "; ".join([*found[name], *filter(None, [notes.get(name)])]) or missing),
            )
            for name, d in known.items()
        ]
        columns = ["", "whose", "kind", "what it does", "the other way", "measured effect"]
        table = pd.DataFrame(rows, columns=columns).style.hide(axis="index").set_table_attributes('class="deviations"')
        return table.set_properties(**{"text-align": "left", "vertical-align": "top"})

    def table(self, paper: str) -> "pd.DataFrame":
        """Return the paper beside this run, and beside the record in an edition of the book (`claim_tables.three`)."""
        of = [item for item in claims(paper) if item.kind != PART]
        of_the_book = self.parameters.get("edition", "own") != "own"
        recorded = record.current().claimed() if of_the_book else []
        return three(of, compare(of, self.records, self.parameters), compare(of, recorded))

    def show(self, paper: str) -> "Display":
        """Return :meth:`table` for display: what there is a value or a verdict for, then the rest, folded."""
        table = self.table(paper)
        idle = ~valued(table)
        shown = style(table[~idle]).to_html() if (~idle).any() else "<p>No claim of the paper was measured.</p>"
        if idle.any():
            summary = f"<summary>{idle.sum()} statements of which there is no value, with the reason</summary>"
            shown += f"<details>{summary}{style(table[idle]).to_html()}</details>"
        return Display(shown)

    def save(self) -> Path | None:
        """Write ``<out>/records.json`` with its provenance, and return the path; with ``out=None`` do nothing."""
        if self.out is None:
            return None
        path = Path(self.out) / "records.json"
        content = {
            "run": self.name, "seed": self.seed, "parameters": self.parameters, "dataset": self.dataset,
            "provenance": provenance.collect() | {
                "edition": self.parameters.get("edition"),
                "started": self.started.isoformat(timespec="seconds"),
                "duration_s": round((provenance.now() - self.started).total_seconds(), 1),
            },
            "records": self.records, "findings": self.findings,
        }  # fmt: skip
        files.write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False, default=_plain) + "\n")
        return path


def _plain(value: object) -> object:
    """Turn NumPy's numbers and arrays into what JSON knows."""
    return value.tolist() if hasattr(value, "tolist") else str(value)
