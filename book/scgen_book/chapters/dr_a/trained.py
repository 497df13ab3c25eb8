"""The trainings of a run, read from its rows by method, length of the code and seed."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import Markdown

from scgen_book import chance, results
from scgen_book.experiments import arrays, recorded
from scgen_book.experiments.dr_a import codes, scores, training
from scgen_book.experiments.dr_a.cases import LABELS, Case
from scgen_book.experiments.protocol import Metric, NotApplicable
from scgen_book.experiments.rows import Rows

#: Columns of `Trained.table`.
COLUMNS = ("K", "method", "labels", "seed", *codes.SCORES)


def said(view: Callable) -> Callable:
    """Let a view say in one line why there is nothing to see, where it raises `NotApplicable`."""

    @functools.wraps(view)
    def wrapper(*args: Any, **options: Any) -> Any:
        try:
            return view(*args, **options)
        except NotApplicable as reason:
            return Markdown(f"*Not shown in this run: {reason}.*")

    return wrapper


def ended(row: Mapping[str, Any]) -> str | None:
    """Return why the training of a row ended, or None."""
    found = row["arrays"].get("ended")
    return None if found is None else str(arrays.unpacked({"ended": found})["ended"][0])


def spread(values: pd.Series) -> str:
    """Say the mean over the seeds of the model, their sd where there are three, and how many trainings have ended."""
    sd = chance.spread(values)
    words = f"{values.mean():.3f}" + (f" ± {sd:.3f}" if sd == sd else "") if values.notna().any() else "–"
    return words + (f" ({values.isna().sum()} of {len(values)} ended)" if values.isna().any() else "")


class Trained:
    """The trainings of rows of the scores, and of the parts.

    Parameters
    ----------
    case
        What they are trained on.
    values
        All parameters of the chapter, as `experiments.complete` returns them.
    rows
        Rows of ``dr_a.scores``, and others of the same metrics.

    Attributes
    ----------
    variants, seeds, lengths, shown
        What is trained, and the length of the codes in single figures.
    metrics
        What sentences judge by: the NMI that the parameter asks for, and the ARI, by their names in `codes.SCORES`.
    apart
        The trainings that the parts are compared among: these, or those of the record (see `with_parts`).
    """

    def __init__(self, case: Case, values: Mapping[str, Any], *rows: Rows):
        self.case, self.values = case, values
        self.rows = [row for of in rows for row in of.rows if row["status"] == "ok"]
        self.variants, self.seeds = values["variants"], values["seeds"]
        self.lengths, self.shown = training.lengths(values), training.shown(values)
        self.metrics = {values["nmi_average"]: Metric("NMI", "higher"), "ARI": Metric("ARI", "higher")}
        self.apart = self

    def with_parts(self, parts: Rows) -> "Trained":
        """Return these trainings with those of the parts; where this run has none, the record's stand `apart`."""
        own = Rows(scores.EXPERIMENT, self.rows)
        if parts.own or not parts:
            return Trained(self.case, self.values, own, parts)
        found, of = Trained(self.case, self.values, own), of_the_paper(self)
        rows = [row for row in parts.rows if row["dataset"] == of.case.about["name"]]
        found.apart = Trained(of.case, of.values, Rows(scores.EXPERIMENT, of.rows), Rows(parts.experiment, rows))
        return found

    def methods(self, k: int) -> list[str]:
        """Return what is trained at a length."""
        return [*training.variants(k, self.values)]

    def of(self, method: str, k: int | None = None) -> dict[int, Mapping[str, Any]]:
        """Return the rows of a method that came to their end by seed, by default at the length shown."""
        name = training.named(method, k or self.shown)
        return {row["seed"]: row for row in self.rows if row["method"] == name and ended(row) is None}

    def kept(self, method: str, k: int | None = None) -> dict[str, np.ndarray]:
        """Return the arrays of the first training of a method that came to its end; none where there is none."""
        row = next(iter(self.of(method, k).values()), None)
        return {} if row is None else arrays.unpacked(row["arrays"])

    def history(self, method: str, k: int | None = None) -> dict[str, list[float]]:
        """Return the history of that training."""
        return codes.history(self.kept(method, k))

    def drawn(self) -> list[str]:
        """Return the methods of the length shown of which a training came to its end.

        Raises
        ------
        NotApplicable
            If there is none.
        """
        found = [method for method in self.methods(self.shown) if self.of(method)]
        if not found:
            raise NotApplicable("no training of this length came to its end")
        return found

    def score(self, method: str, k: int | None = None, kind: str | None = None, name: str | None = None) -> pd.Series:
        """Return a score of a method by seed, of the labels that are judged; what ended is left out.

        Parameters
        ----------
        method, k
            Which trainings.
        kind
            Of "sample" or "mean" codes; None: what the model takes.
        name
            A key of `codes.SCORES`; None: the NMI that the parameter asks for.
        """
        if self.case.judged is None:
            return pd.Series(dtype=float)
        return self.measure(method, codes.metric(name or self.values["nmi_average"], self.case.judged, kind), k)

    def measure(self, method: str, metric: str, k: int | None = None) -> pd.Series:
        """Return any metric of a method by seed."""
        found = {seed: row["scores"].get(metric) for seed, row in self.of(method, k).items()}
        return pd.Series({seed: value for seed, value in found.items() if value is not None}, dtype=float)

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """`COLUMNS`, a line a training and set of labels, trained methods first; NaN where it ended."""
        names, lines = [*dict.fromkeys(row["method"] for row in self.rows)], []
        split = {name: training.split(name) for name in names}
        order = [name for name in names if split[name][0] in training.VARIANTS]
        order += [name for name in names if split[name][0] in scores.OTHERS]
        own = [row for row in self.rows if row["method"] in order]
        for row in sorted(own, key=lambda row: order.index(row["method"])):
            method, k = split[row["method"]]
            for key in self.case.labels:
                found = {name: row["scores"].get(codes.metric(name, key)) for name in codes.SCORES}
                lines.append({"K": k, "method": method, "labels": key, "seed": row["seed"]} | found)
        return pd.DataFrame(lines, columns=COLUMNS).astype(dict.fromkeys(codes.SCORES, float))

    def judged(self, k: int, method: str | None = None) -> pd.DataFrame:
        """Return the lines of the table of a length (and a method) by the labels that are judged."""
        own = self.table[(self.table["K"] == k) & (self.table["labels"] == self.case.judged)]
        return own if method is None else own[own["method"] == method]

    def need_labels(self) -> None:
        """Refuse to go on without labels.

        Raises
        ------
        NotApplicable
            With the reason.
        """
        if self.case.judged is None:
            raise NotApplicable(f'needs obs["cell_type"] of the test cells: {self.case.unscored}')


def of_the_paper(trained: Trained) -> Trained:
    """Return the trainings of the record on the paper's cells where an edition of the book has these, else the run's.

    In both the settings are those of the rows, and published numbers belong beside the first alone.
    """
    measured = scores.EXPERIMENT
    kept = recorded.of(measured.name).rows if recorded.of_the_book(trained.values) else []
    main = next(of for of in results.claims("lin2020") if of.id == "dra.table2.k10.zeisel.dra")
    for name in (main.dataset, *main.kindred):
        rows = [row for row in kept if row["dataset"] == name]
        seeds = {row["seed"] for row in rows if row["method"] == training.named("faithful", 10)}
        if len(seeds) >= chance.FEWEST:
            case = dataclasses.replace(
                trained.case, about={"name": name}, labels=dict.fromkeys(LABELS), judged=next(iter(LABELS))
            )
            lengths = sorted({training.split(row["method"])[1] for row in rows})
            found = Rows(measured, [], None, rows)
            every = {"z_dims": lengths, "port": True, "without_adversary": None, "variants": ["faithful", "repaired"]}
            return Trained(case, recorded.page(found, trained, trained.values) | every, found)
    return trained


def record(run: Any, rows: Rows) -> None:
    """Record every value of rows, of the chapter's own data under their name; of a training that ended its reason."""
    own = run.parameters.get("dataset")
    rows.record(run, lambda row, _: {"dataset": None if row["dataset"] == own else row["dataset"], "note": ended(row)})


def long_form(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return method, seed, metric and value as `paired` takes them."""
    return pd.DataFrame(lines, columns=["method", "seed", "metric", "value"])
