"""What the original code really does, as the rows of this run have measured it."""

from collections.abc import Mapping
from typing import Any

from scgen_book.chapters.dca import students as part_b
from scgen_book.chapters.dca.figure2 import QUANTITIES
from scgen_book.experiments import defects
from scgen_book.experiments.dca.defects import DEFECTS
from scgen_book.experiments.dca.students import BOTH_WAYS
from scgen_book.experiments.defects import Pair
from scgen_book.experiments.rows import Rows
from scgen_book.results import Run

#: A finding → the two methods of Figure 2, and what is compared.
_OF_FIGURE = {
    "C17": ("zinb", "zinb, logarithm", ("silhouette",)),
    "C18": ("mse", "mse, one path", ("silhouette",)),
    "C19": ("zinb, logarithm", "zinb, described", ("dropped", "silhouette")),
    "S1": ("zinb, Keras 3", "zinb", ("dropped", "silhouette", "epochs")),
}
_SAID = {"silhouette": "figure"}
_OF_STUDENTS = {
    "C6": "AUC for the dropouts among the zeros, model IV",
    "C8": "mean count that a called dropout is filled with, model IV",
    "C10": "median error of ln(1 + x) at dropouts, model IV",
}
_OF_REPAIRED = {
    "C7": Pair(
        part_b.FREE,
        part_b.TAMED,
        "AUC of π",
        "AUC of π for the dropouts among the zeros, repaired network",
        figure="fig-dca-b3",
    ),
    "C20": Pair(
        part_b.FREE,
        "no BN, ridge 0",
        "median_abs_log_dropout",
        "median error of ln(1 + x) at dropouts, repaired network of part B",
    ),
}


def record(run: Run, rows: Mapping[str, Rows], optimizer: str = "RMSprop") -> dict[str, str]:
    """Record every deviation that was measured as a finding of the run.

    Parameters
    ----------
    run
        The run.
    rows
        By experiment: defects, figure2, students, repaired.
    optimizer
        Of the networks; today's RMSprop is compared with none but its own older rule.

    Returns
    -------
    dict
        Words on deviations that are no quantity both ways.
    """
    defects.find(run, rows["defects"], DEFECTS)
    defects.find_pairs(run, rows["repaired"], _OF_REPAIRED)
    students, figure2 = rows["students"], rows["figure2"]
    for name, (released, otherwise) in BOTH_WAYS.items():
        sides = students.values("IV", released), students.values("IV", otherwise)
        both = sides[0].index.intersection(sides[1].index)
        figure = "fig-dca-b3" if name == "C6" else None
        run.finding(name, _OF_STUDENTS[name], released=sides[0][both], otherwise=sides[1][both], figure=figure)
    for dataset in dict.fromkeys(figure2.wide["dataset"]) if figure2 else ():
        last, best = (figure2.values("zinb", f"{which} loss", dataset) for which in ("last", "best"))
        words = f"validation loss of the weights that are kept, nats, {dataset}"
        run.finding(f"C16, {dataset}", words, released=last, otherwise=best)
        defects.find_pairs(run, figure2, of_figure(dataset, optimizer), dataset)
    return _notes(students)


def of_figure(dataset: str, optimizer: str) -> dict[str, Pair]:
    """Return the findings that are a difference between two methods of Figure 2 on a data set."""
    found = {}
    for key, (released, otherwise, metrics) in _OF_FIGURE.items():
        if key == "S1" and optimizer != "RMSprop":
            continue
        for metric in metrics:
            name = f"{key}, {dataset}" + f", {_SAID.get(metric, metric)}" * (len(metrics) > 1)
            words = f"{QUANTITIES[metric]} of {dataset}"
            found[name] = Pair(released, otherwise, metric, words, part=metric == "epochs")
    return found


def _notes(students: Rows) -> dict[str, str]:
    """Return what the students say of C4, C5 and C13."""
    if not students:
        return {}
    wide: dict[str, Any] = students.wide
    cells, genes = wide["cells"].iloc[0], wide["genes"].iloc[0]
    notes = {
        "C4": (
            f"an N × N matrix holds {cells / genes:.1f} times as many numbers as the counts at {cells:.0f} cells, "
            f"{100_000 / genes:.0f} times at 100,000"
        )
    }
    depths = students.values("IV", "r of depth")
    if len(depths):
        notes["C5"] = (
            f"r of a cell's depth with its summed mean {depths.iloc[-1]:.2f} in model IV; "
            "no network here differs from it in s alone"
        )
    largest = {kind: students.kept(kind) for kind in dict.fromkeys(wide["method"])}
    notes["C13"] = "; ".join(
        f"{kind}: M up to {kept['largest_mean'].max():.1e}, Θ up to {kept['largest_dispersion'].max():.1e}"
        for kind, kept in largest.items()
    )
    return notes
