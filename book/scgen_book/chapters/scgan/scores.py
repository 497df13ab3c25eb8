"""The rows on realism as the chapter reads them: a value a seed, method and metric, and who was asked for."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from IPython.display import Markdown

from scgen_book.experiments import evidence, recorded
from scgen_book.experiments.rows import Rows
from scgen_book.experiments.scgan import models
from scgen_book.experiments.scgan.judge import PARAMETRIC
from scgen_book.experiments.scgan.realism import AS_COUNTS

CONTROLS = ("real", "bootstrap", "permuted", "poisson", PARAMETRIC)
TOO_FEW = Markdown("*Too few generated cells have any expression: nothing to compare.*")


class Scores:
    """Scores of models and controls.

    Parameters
    ----------
    rows
        Of the experiment on realism.
    values
        All parameters of the chapter.

    Attributes
    ----------
    kinds
        The models whose first seed has values, the first one first.
    best, first_seed
        The first model and seed, which single figures show.
    as_counts
        The cells of the first model as counts, as a method.
    table
        Columns seed, method, metric and value.
    usable
        Whether the cells of all models could be compared.
    """

    def __init__(self, rows: Rows, values: Mapping[str, Any]):
        self.rows, self.values = rows, values
        scored = [row for row in rows.rows if row["status"] == "ok"]
        self.best, self.first_seed = values["variants"][0], int(values["seeds"][0])
        trained = {row["method"] for row in scored if row["seed"] == self.first_seed}
        self.kinds = [kind for kind in models.kinds(values) if kind in trained]
        self.as_counts = f"{self.best}{AS_COUNTS}"
        self.columns = [*CONTROLS, *self.kinds, self.as_counts]
        lines = [_line(row, metric, value) for row in scored for metric, value in row["scores"].items()]
        self.table = pd.DataFrame(lines, columns=["seed", "method", "metric", "value"]).astype({"value": float})
        compared = [row for row in scored if row["method"] in self.kinds]
        self.usable = bool(compared) and all("rf_auc" in row["scores"] for row in compared)

    @functools.cached_property
    def results(self) -> set[str]:
        """The metrics that can tell anything here: those in which training cells are clearly the better ones."""
        return set(evidence.results_only(self.table)["metric"])

    def by_method(self, statistic: str = "mean") -> pd.DataFrame:
        """Return mean or sd over the seeds, a row a metric, a column a method; no sd below three seeds."""
        found = self.table.pivot_table(index="metric", columns="method", values="value", aggfunc=statistic)
        seen = self.table.pivot_table(index="metric", columns="method", values="value", aggfunc="count")
        return found.where(seen >= 3) if statistic == "std" else found

    def of(self, kind: str, metric: str, seed: int | None = None) -> float:
        """Return one value of a model, at the first seed by default; NaN where there is none."""
        values = self.rows.values(kind, metric) if kind in self.kinds else pd.Series(dtype=float)
        return float(values.get(self.first_seed if seed is None else seed, float("nan")))

    def kept(self, method: str) -> dict[str, Any]:
        """Return what a method has kept at the first seed."""
        if method != self.as_counts:
            return self.rows.kept(method, seed=self.first_seed)
        found = self.rows.kept(self.best, seed=self.first_seed)
        return {name.removesuffix(AS_COUNTS): array for name, array in found.items() if name.endswith(AS_COUNTS)}

    def history(self, kind: str, seed: int | None = None) -> pd.DataFrame:
        """Return the course of a training, a row a block of outer steps."""
        found = self.rows.kept(kind, seed=self.first_seed if seed is None else seed)
        return pd.DataFrame({
            name.removeprefix("history "): array for name, array in found.items() if name.startswith("history ")
        })  # fmt: skip


def shown(found: Rows, values: Mapping[str, Any]) -> tuple[Rows, dict[str, Any]]:
    """Return the rows of which a spread is shown, and the parameters with which they are read.

    Those are of the record where it has them (see `experiments.recorded`), scGAN among them if it was trained.
    """
    rows = recorded.shown(found, values)
    plain = values["unconditional"] or any(row["method"] == "scGAN" for row in rows.rows)
    return rows, recorded.page(rows, found, values) | {"unconditional": plain}


def _line(row: Mapping[str, Any], metric: str, value: float | None) -> tuple:
    as_counts = AS_COUNTS if metric.endswith(AS_COUNTS) else ""
    return row["seed"], row["method"] + as_counts, metric.removesuffix(AS_COUNTS), value


def compared(view: Callable) -> Callable:
    """Let a view of `Scores` say in one line that too few cells could be compared."""

    @functools.wraps(view)
    def wrapper(rows: Rows, values: Mapping[str, Any], *args: Any) -> Any:
        scores = Scores(rows, values)
        return view(scores, *args) if scores.usable else TOO_FEW

    return wrapper
