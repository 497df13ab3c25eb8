"""What the papers say, what their code does otherwise, and the verdict on a run's values: one file a paper.

A verdict is computed by :func:`verdict` and nowhere else; a value on other data than the claim's, or at a smaller
scale, never counts as a reproduction.

A published number is held against ours in two ways. It is **plausible** if it lies in the 95 % prediction interval of
one more run, ``|v - m| <= r + t(0.975, n - 1) * s * sqrt(1 + 1 / n)`` of mean m, standard deviation s and number n of
our seeds, where r is what the printed number is rounded or read off to: most published numbers come from one run. It is
**near** if ``|v - m|`` is within the claim's tolerance, a difference that would matter to a reader.
"""

import functools
import math
import statistics
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
#: Level of the prediction interval in which a plausible number lies, set before the record was computed.
LEVEL = 0.95
#: Fewer seeds have no spread to speak of.
FEWEST = 3

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


@dataclass(frozen=True)
class Verdict:
    """The outcome of one claim in one word, and the numbers or the reason behind it.

    Attributes
    ----------
    seeds
        Number of seeds that it rests on.
    kindred
        Whether the values are those of kindred data.
    """

    word: str
    reason: str
    seeds: int = 0
    kindred: bool = False

    def __str__(self) -> str:
        return f"{SHAPES[self.word]} {self.word}"


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


def verdict(
    claim: Claim,
    values: Mapping[str, Mapping[int, float | None]],
    dataset: str | None,
    parameters: Mapping[str, object] | None = None,
) -> Verdict:
    """Judge a claim by the values of one run, or of the record.

    A number is reproduced if it is plausible and near (see above), partly if one of both. With fewer than three seeds
    there is no spread, and a number that is near is so partly; where the claim asks for one seed alone, there is
    nothing that could spread, and near is enough. A relation is reproduced if all of its parts hold, partly if some
    do. With fewer seeds than the claim asks for, the best possible verdict is partly. What is not comparable is not
    tested. Values of kindred data are judged by the same rule, and the verdict says so.

    Parameters
    ----------
    claim
        The claim.
    values
        For each claim id the value of each seed; None stands for a value that was not finite.
    dataset
        Name of the data the values come from, or None if nothing was run.
    parameters
        Parameters of the run.
    """
    parameters = parameters or {}
    if claim.reason:
        return Verdict(NOT_TESTED, claim.reason)
    if claim.kind == PART:
        return Verdict(NOT_TESTED, "no number: a quantity between which relations hold")
    ids = dict.fromkeys(x for part in claim.relation for x in (part["of"], part.get("minus")) if x) or {claim.id: None}
    if dataset is None or not all(values.get(i) for i in ids):
        return Verdict(NOT_TESTED, "not run")
    kindred = dataset in claim.kindred
    if dataset != claim.dataset and not kindred:
        return Verdict(NOT_TESTED, f"stand-in data: {dataset} in place of {claim.dataset}")
    if parameters.get("fast"):
        return Verdict(NOT_TESTED, "scale: run at test size")
    for name, least in claim.needs.items():
        if parameters.get(name, 0) < least:
            return Verdict(NOT_TESTED, f"scale: {name} {parameters.get(name)} of {least}")
    seeds = sorted(set.intersection(*(set(values[i]) for i in ids)))
    if not seeds:
        return Verdict(NOT_TESTED, "not run: the values it compares share no seed")
    if lost := sum(any(values[i][seed] is None for i in ids) for seed in seeds):
        reason = f"{lost} of {len(seeds)} seeds ended at a value that is not finite"
        return Verdict(NOT_REPRODUCED, f"on kindred data: {reason}" if kindred else reason, len(seeds), kindred)
    word, reason = _judge_relation(claim, values, seeds) if claim.relation else _judge_value(claim, values, seeds)
    if len(seeds) < claim.seeds:
        word = PARTLY if word == REPRODUCED else word
        reason += f"; {len(seeds)} of the {claim.seeds} seeds asked for"
    return Verdict(word, f"on kindred data: {reason}" if kindred else reason, len(seeds), kindred)


def _judge_value(claim: Claim, values: Mapping, seeds: list[int]) -> tuple[str, str]:
    own = [values[claim.id][seed] for seed in seeds]
    off = abs(statistics.fmean(own) - claim.value)
    # Decimal fractions such as 0.1 have no exact binary form: a deviation of just the tolerance is within it.
    near = off <= claim.tolerance * (1 + 1e-9)
    told = f"off by {off:.3g}, tolerance {claim.tolerance:g}"
    if claim.seeds == 1:
        return (REPRODUCED if near else NOT_REPRODUCED), told
    if len(own) < FEWEST:
        return (PARTLY if near else NOT_REPRODUCED), f"{told}; no spread"
    half = claim.precision + _interval(own)
    plausible = off <= half * (1 + 1e-9)
    told += f", {LEVEL:.0%} interval ± {half:.2g}"
    if near and plausible:
        return REPRODUCED, told
    if near:
        return PARTLY, f"near, but outside of the spread over seeds: {told}"
    if plausible:
        return PARTLY, f"within the spread over seeds, which is wider than what matters: {told}"
    return NOT_REPRODUCED, told


def _interval(values: list[float]) -> float:
    """Return half the width of the interval in which one more run lies."""
    from scipy import stats

    n = len(values)
    return float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * statistics.stdev(values) * math.sqrt(1 + 1 / n)


def _judge_relation(claim: Claim, values: Mapping, seeds: list[int]) -> tuple[str, str]:
    held, words = 0, []
    for part in claim.relation:
        of, minus = values[part["of"]], values[part["minus"]] if "minus" in part else dict.fromkeys(seeds, 0)
        differences = [of[seed] - minus[seed] for seed in seeds]
        mean = statistics.fmean(differences)
        (kind, bound), *_ = ((kind, part[kind]) for kind in _HOLDS if kind in part)
        holds = _HOLDS[kind](differences, mean, bound)
        held += holds
        least, most = min(differences), max(differences)
        words.append(f"{mean:+.2f} ({least:+.2f} to {most:+.2f}) {'' if holds else 'not '}{_words(kind, bound)}")
    word = REPRODUCED if held == len(words) else PARTLY if held else NOT_REPRODUCED
    return word, "; ".join(words)


_HOLDS = {
    "above": lambda differences, mean, bound: min(differences) > bound,
    "below": lambda differences, mean, bound: max(differences) < bound,
    "at_least": lambda differences, mean, bound: mean >= bound,
    "at_most": lambda differences, mean, bound: mean <= bound,
    "within": lambda differences, mean, bound: abs(mean) <= bound,
}


def _words(kind: str, bound: float) -> str:
    return f"{kind.replace('_', ' ')} {bound:g}"
