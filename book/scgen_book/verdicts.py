"""The verdict on a claim: what was measured, held against what was published.

A verdict is computed by :func:`verdict` and nowhere else; a value on other data than the claim's, or at a smaller
scale, never counts as a reproduction.

A published number is held against ours in two ways. It is **plausible** if it lies in the 95 % prediction interval of
one more run, ``|v - m| <= r + t(0.975, n - 1) * s * sqrt(1 + 1 / n)`` of mean m, standard deviation s and number n of
our seeds, where r is what the printed number is rounded or read off to: most published numbers come from one run. It is
**near** if ``|v - m|`` is within the claim's tolerance, a difference that would matter to a reader.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from scgen_book.chance import FEWEST
from scgen_book.claims import NOT_REPRODUCED, NOT_TESTED, PART, PARTLY, REPRODUCED, SHAPES, Claim

#: Level of the prediction interval in which a plausible number lies, set before the record was computed.
LEVEL = 0.95


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
        words.append(f"{mean:+z.2f} ({least:+z.2f} to {most:+z.2f}) {'' if holds else 'not '}{_words(kind, bound)}")
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
