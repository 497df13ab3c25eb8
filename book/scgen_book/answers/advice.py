"""Whether to use a method: what the record says of it beside simpler methods and others of its kind, by rule."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scgen_book.answers import BETTER, EQUAL, WORSE, Seen, cvae, denoising, dr_a, scgan, simulators
from scgen_book.answers.comparisons import NAMES, share, standings


@dataclass(frozen=True)
class Contest:
    """What is held against what.

    Attributes
    ----------
    experiment
        The experiment whose rows decide.
    models, simple, others
        Names of methods by what sentences call them: those in question, those that train no network, and others.
    metrics
        By which they are compared.
    """

    experiment: str
    models: Mapping[str, str]
    simple: Mapping[str, str]
    metrics: Sequence[str]
    others: Mapping[str, str] | None = None


def _called(*methods: str) -> dict[str, str]:
    return {name: NAMES[name] for name in methods}


_TRUTHS = tuple(denoising.TRUTHS)
_SIMPLE, _OTHERS = _called("gene_mean", "knn", "pca"), _called("scvi", "magic")
_TENS = {f"{name}, K = 10": words for name, words in {"PCA": "principal components", "UMAP": "UMAP"}.items()}
CONTESTS = {
    "dca": Contest("denoising", _called("dca_zinb"), _SIMPLE, _TRUTHS, _OTHERS),
    "db_aae": Contest("denoising", _called("db_aae_faithful"), _SIMPLE, _TRUTHS, _called("dca_zinb") | _OTHERS),
    "dr_a": Contest(
        "dr_a.scores", {"faithful, K = 10": "DR-A with ten numbers"}, _TENS, (dr_a.NMI,), {"scVI, K = 10": "scVI"}
    ),
    "cvae": Contest(
        "cvae.realism",
        {name: cvae.MODELS[name] for name in ("faithful", "repaired")},
        {"NB per type": cvae.MODELS["NB per type"]},
        (simulators.AUC,),
    ),
    "scgan": Contest(
        "scgan.realism",
        {name: scgan.MODELS[name] for name in ("faithful", "scGAN")},
        {"NB per class": scgan.MODELS["NB per class"]},
        (simulators.AUC,),
    ),
    "denoising": Contest("denoising", _called("dca_zinb", "db_aae_faithful"), _SIMPLE, _TRUTHS, _OTHERS),
    "representation": Contest(
        "representation", _called("dr_a_faithful", "dca", "db_aae", "cvae_blind"), _called("pca"), ("nmi",)
    ),
    "simulation": Contest(
        "simulation", _called("cvae_faithful", "scgan", "cscgan"), _called("nb_per_type"), (simulators.AUC,)
    ),
}
#: What stands there while the record cannot say.
SILENT = ("The record cannot say yet", ": it has too few seeds of simpler methods beside it.")


def lines(chapter: str) -> list[tuple[str, str]]:
    """Return what the record says for or against the use of a chapter's methods: what a point is, and its sentence.

    A method is worth a try where it is better than each of the methods that train no network in more than half of the
    comparisons that can be decided; else those that it is not are to be tried first.

    Parameters
    ----------
    chapter
        One of `CONTESTS`.
    """
    contest = CONTESTS[chapter]
    rows = Seen(contest.experiment)
    said = [line for method in contest.models for line in _of(rows, contest, method)]
    return said or [SILENT]


def _of(rows: Seen, contest: Contest, method: str) -> list[tuple[str, str]]:
    name = contest.models[method]
    found = {words: standings(rows, method, other, contest.metrics) for other, words in contest.simple.items()}
    found = {words: outcomes for words, outcomes in found.items() if outcomes}
    if not found:
        return []
    first = {words: each for words, each in found.items() if 2 * list(each.values()).count(BETTER) <= len(each)}
    shown = first or found
    each = "; than ".join(f"{words} in {share(outcomes, BETTER)}" for words, outcomes in shown.items())
    lead = f"Try {_listed(list(first))} before {name}" if first else f"{_start(name)} is worth a try"
    said = [(lead, f": in the comparisons of the record {name} is better than {each}.")]
    for other, words in (contest.others or {}).items():
        outcomes = standings(rows, method, other, contest.metrics)
        if outcomes:
            came_out = list(outcomes.values())
            told = [f"{word} in {came_out.count(word)}" for word in (BETTER, WORSE, EQUAL) if word in came_out]
            plural = "s" * (len(came_out) > 1)
            said.append((f"Beside {words}", f", of {len(came_out)} comparison{plural} {name} is {', '.join(told)}."))
    return said


def _start(words: str) -> str:
    return words[0].upper() + words[1:]


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
