"""What the papers say, and what their code does otherwise: one file a paper.

How a verdict is made of a claim and of values is said in `scgen_book.verdicts`.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

from scgen_book.strict_yaml import read_yaml
from scgen_lib.errors import InputError, ParameterError

REPRODUCED = "reproduced"
PARTLY = "partly"
NOT_REPRODUCED = "not reproduced"
NOT_TESTED = "not tested"
SHAPES = {REPRODUCED: "●", PARTLY: "◐", NOT_REPRODUCED: "○", NOT_TESTED: "–"}
# What a reason not to test begins with, and what it means.
UNTESTED = {
    "not run": "no run of this edition has measured it",
    "stand-in data": "measured on other data than the claim's",
    "scale": "measured with fewer epochs, cells or steps than the claim needs",
    "data not public": "its data cannot be had",
    "not comparable": "another measure, machine or preparation",
    "setting": "the source states it as a setting, which is no result",
    "another method": "of a method that is not run here",
    "no number": "the source has words or pictures, but no number",
}
#: What a claim is about. Results alone are counted as claims; sanity checks are counted apart.
RESULT, SANITY, PART = "result", "sanity", "part"
CLAIM_KINDS = {
    RESULT: "what a method does",
    SANITY: "that code, simulator and data are built as described",
    "setting": "a setting that the source states",
    "other method": "a number of a method that is not run here",
    "words": "words or pictures without a number",
    PART: "no claim: a quantity between which relations hold",
}
# Whose a deviation is, in words; and of which kind it can be.
OWNERS = {
    "paper": "the paper's code",
    "figure": "the figure's notebook",
    "reproduction": "the student reproduction",
    "stack": "today's libraries",
}
KINDS = {
    "contradicts": "contradicts",
    "undescribed": "not described",
    "numerical": "numerical",
    "choice": "a choice",
}


@dataclass(frozen=True)
class Deviation:
    """What a piece of code does, and the other way; words without a full stop.

    Attributes
    ----------
    owner
        Whose it is: the paper's released code, the notebook of a figure, the student reproduction, or the libraries
        that the same code meets today.
    kind
        ``contradicts``: the description says the other way; ``undescribed``: it says nothing; ``numerical``: the
        formula is the described one and its numbers fail; ``choice``: the description has it, and it can be chosen.
    does, instead
        What it does, and the other way.

    Raises
    ------
    ParameterError
        An owner or a kind that there is not.
    """

    owner: str
    kind: str
    does: str
    instead: str

    def __post_init__(self) -> None:
        for word, legal in (("owner", OWNERS), ("kind", KINDS)):
            if (value := getattr(self, word)) not in legal:
                raise ParameterError(f"expected {word} to be one of {', '.join(legal)}, got {value!r}: choose one")


@dataclass(frozen=True)
class Paper:
    """A paper of the book.

    Attributes
    ----------
    key, chapter
        Its key in the bibliography; the name of its file of claims, its notebook and its page.
    title, question
        The method in a few words, and what its chapter asks, in one sentence.
    unread
        What of the article is not among the claims since nobody has read it there, one sentence, or None.
    """

    key: str
    chapter: str
    title: str
    question: str
    unread: str | None = None


@dataclass(frozen=True)
class Claim:
    """One statement of a paper: a number, or a relation between numbers.

    Attributes
    ----------
    id, paper, where
        Name of the claim, key of the paper in the bibliography, figure or table and source.
    dataset, metric, unit
        The data it is about, what was measured and in which unit.
    value, tolerance, precision
        The published number, the largest deviation of the mean that would not matter to a reader, and what the number
        is rounded or read off to (half a unit of its last digit).
    kind
        One of `CLAIM_KINDS`.
    kindred
        Data sets of the same cells with another choice of genes: values on them are judged too, and counted apart.
    reason
        Why it cannot be judged, or None.
    relation
        Parts ``{of, minus, above | below | at_least | at_most | within}`` over ids of other claims.
    seeds
        Number of seeds that a full verdict needs.
    needs
        Smallest values of parameters at which the claim can be judged.
    figure
        Label of the figure of the paper's chapter that shows what the claim is about, or None.
    """

    id: str
    paper: str
    where: str
    dataset: str
    metric: str
    unit: str = ""
    value: float | None = None
    tolerance: float | None = None
    precision: float = 0.0
    kind: str = RESULT
    kindred: tuple[str, ...] = ()
    reason: str | None = None
    relation: tuple[Mapping, ...] = ()
    seeds: int = 1
    needs: Mapping[str, float] = field(default_factory=dict)
    figure: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in CLAIM_KINDS:
            known = ", ".join(CLAIM_KINDS)
            raise ParameterError(f"expected the kind of {self.id} to be one of {known}, got {self.kind!r}: choose one")


@functools.cache
def _files() -> dict[str, dict]:
    """Return the content of each file of claims by chapter, in the order of their names."""
    files = [file for file in (resources.files("scgen_book") / "papers").iterdir() if file.name.endswith(".yml")]
    return {
        path.name.removesuffix(".yml"): read_yaml(path.read_text(encoding="utf-8"))
        for path in sorted(files, key=lambda file: file.name)
    }


def _longest(figures: Mapping[str, str], claim_id: str) -> str | None:
    """Return the figure of the longest beginning of a claim's id that has one."""
    begins = [begin for begin in figures if f"{claim_id}.".startswith(f"{begin}.")]
    return figures[max(begins, key=len)] if begins else None


def papers() -> tuple[Paper, ...]:
    """Return the papers that have claims, in the order of their files."""
    return tuple(
        Paper(content["paper"], chapter, content["title"], content.get("question", ""), content.get("unread"))
        for chapter, content in _files().items()
    )


@functools.cache
def claims(paper: str | None = None) -> tuple[Claim, ...]:
    """Return the claims of a paper (its bibliography key), or of all papers, in the order of their files.

    Raises
    ------
    InputError
        If no claims of that paper are known.
    """
    found = []
    for content in _files().values():
        if paper in (None, content["paper"]):
            shared = {"paper": content["paper"], "seeds": content["seeds"], "precision": content.get("precision", 0.0)}
            for entry in content["claims"]:
                relation = tuple(entry.get("relation", ()))
                figure = _longest(content.get("figures", {}), entry["id"])
                kindred = tuple(content.get("kindred", {}).get(entry["dataset"], ()))
                derived = {"figure": figure, "kindred": kindred}
                found.append(Claim(**shared | derived | entry | {"relation": relation}))
    papers = [content["paper"] for content in _files().values()]
    if not found:
        raise InputError(f"expected the key of a paper with claims ({', '.join(papers)}), got {paper!r}: use one")
    return tuple(found)


@functools.cache
def deviations(chapter: str) -> dict[str, Deviation]:
    """Return the deviations of a chapter's code, in the order of its file; none where there is no such file."""
    content = _files().get(chapter, {})
    return {name: Deviation(**words) for name, words in content.get("deviations", {}).items()}


def claim(claim_id: str) -> Claim:
    """Return the claim of that id.

    Raises
    ------
    InputError
        If there is none.
    """
    for known in claims():
        if known.id == claim_id:
            return known
    raise InputError(f"expected the id of a claim in scgen_book/papers, got {claim_id!r}: add the claim or correct it")


def stated(text: str) -> list[Claim]:
    """Return the claims of those papers whose keys stand in a text."""
    return [claim for paper in papers() if paper.key in text for claim in claims(paper.key)]


def kind(reason: str) -> str:
    """Return what a reason not to test begins with (a key of ``UNTESTED``).

    Raises
    ------
    InputError
        If it begins with none of them.
    """
    for known in UNTESTED:
        if reason.startswith(known):
            return known
    raise InputError(f"expected a reason that begins with one of {', '.join(UNTESTED)}, got {reason!r}: name the kind")
