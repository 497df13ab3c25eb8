"""Rows of the record, and whether they or a run's own are shown."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from scgen_book import experiments, record
from scgen_book.chance import FEWEST
from scgen_book.experiments.protocol import METHOD
from scgen_book.experiments.rows import Rows
from scgen_lib.data import registry

#: Said of a data set of the record that is not fetched for it.
ELSEWHERE = "of the record; its files are not on this machine"


def of(name: str) -> Rows:
    """Return the rows of an experiment that the record has, at the settings of the full edition."""
    experiment = experiments.get(name)
    return Rows(experiment, [], "the record has no row of it yet", record.current().of(experiment))


def of_the_book(values: Mapping[str, Any]) -> bool:
    """Say whether a run is one of the book: what a user runs on own data, or a test, has no place beside the record."""
    return values.get("edition", "own") != "own" and not values.get("fast")


def shown(found: Rows, values: Mapping[str, Any], datasets: Iterable[str] = ()) -> Rows:
    """Return what a spread over seeds is shown of.

    That are the rows of the record on the same data, at the settings of the full edition, where an edition of the book
    has three seeds or more of each of its methods there; else the rows of the run.

    Parameters
    ----------
    found
        The rows of the run.
    values
        The parameters of the chapter.
    datasets
        Further data sets, which a page shows where the record has them.
    """
    scored = [row for row in found.own if row["status"] == "ok"]  # of a package that is missing here nothing is asked
    if not (scored and of_the_book(values)):
        return found
    kept = of(found.experiment.name).rows
    seeds = Counter((row["dataset"], row["method"]) for row in kept)
    methods = {row["method"] for row in scored}
    if any(seeds[row["dataset"], row["method"]] < FEWEST for row in scored):
        return found
    names = {row["dataset"] for row in found.own}
    names |= {name for name in datasets if all(seeds[name, method] >= FEWEST for method in methods)}
    return Rows(found.experiment, [], None, [row for row in kept if row["dataset"] in names])


def further(name: str, values: Mapping[str, Any]) -> list[str]:
    """Return the data sets that an edition of the book shows of the record beside those of a comparison's run.

    They are those with three seeds or more of each of the asked methods that were run on them.

    Parameters
    ----------
    name
        The experiment.
    values
        The parameters of the chapter, with "datasets" and "methods".
    """
    seeds: dict[str, Counter] = {}
    for row in of(name).rows if of_the_book(values) else ():
        if row["method"] in values["methods"] and row["dataset"] not in values["datasets"]:
            seeds.setdefault(row["dataset"], Counter())[row["method"]] += 1
    return [dataset for dataset, of_methods in seeds.items() if min(of_methods.values()) >= FEWEST]


def described(name: str, values: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Mapping[str, Any] | None]:
    """Return the data sets of a comparison's page, each with the settings by which it is described.

    Those of the record alone (`further`) have its settings, or None where their files are not on this machine: nothing
    is fetched for them.

    Parameters
    ----------
    name, values
        As in `further`.
    own
        Settings of the run's data sets.
    """
    more = further(name, values)
    settings = of(name).rows[0]["settings"] if more else None
    its = {dataset: settings if registry.present(dataset) else None for dataset in more}
    return dict.fromkeys(values["datasets"], own) | its


def page(shown: Rows, found: Rows, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a chapter with the settings and seeds of the rows that are shown.

    Parameters
    ----------
    shown, found
        What is shown, and the rows of the run.
    values
        The parameters of the chapter.
    """
    if shown is found:
        return dict(values)
    seeds = sorted({row["seed"] for row in shown.rows if row["role"] == METHOD})
    return {**values, **shown.rows[0]["settings"], "seeds": seeds}
