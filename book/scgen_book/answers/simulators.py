"""What the chapters on simulators ask alike: whether a classifier tells made cells from held-out ones."""

from collections.abc import Mapping

from scgen_book.answers import BETTER, EQUAL, NO, PARTLY, WORSE, YES, Answer, Seen, nothing, number
from scgen_book.names import people

AUC = "rf_auc"
#: AUC of a forest below which cells pass for real: half of the way from chance to always.
PASSES = 0.75


def passing(experiment: str, models: Mapping[str, str], baseline: str, name: str) -> Answer:
    """Return the answer of rows of cells that were made and judged.

    Parameters
    ----------
    experiment
        With the metric `AUC`, and a positive control "real".
    models
        Words for its methods; those that are models stand first.
    baseline
        The method among them that learns nothing but moments.
    name
        The model in a sentence.
    """
    rows = Seen(experiment)
    found: dict[tuple[str, str], float] = {
        (data, method): rows.mean(data, method, AUC)
        for data in rows.datasets()
        for method in models
        if method != baseline and len(rows.values(data, method, AUC)) >= 3
    }
    if not found:
        return nothing(f"cells of {name}")
    passed = [auc < PASSES for auc in found.values()]
    word = YES if all(passed) else PARTLY if any(passed) else NO
    best, worst = min(found, key=found.get), max(found, key=found.get)
    sentence = {
        YES: f"Yes: a forest hardly tells cells of {name} from held-out ones.",
        PARTLY: f"Partly: a forest hardly tells cells of {models[best[1]]} on {people(best[0])} from held-out ones, "
        f"and knows those of {models[worst[1]]} on {people(worst[0])}.",
        NO: f"No, for whoever would put them in place of measured ones: a forest knows cells of {name} from real ones.",
    }[word]
    return Answer(word, sentence, (_best(rows, best, found[best], models), *_beside(rows, models, baseline)))


def _best(rows: Seen, best: tuple[str, str], auc: float, models: Mapping[str, str]) -> str:
    real = rows.mean(best[0], "real", AUC)
    return (
        f"Nearest comes {models[best[1]]} on {people(best[0])}: the forest's AUC is {number(auc)}, where real cells "
        f"have {number(real)} (0.5: it guesses; 1: it always knows)."
    )


def _beside(rows: Seen, models: Mapping[str, str], baseline: str) -> list[str]:
    said = []
    for method, words in models.items():
        found = rows.contests(rows.datasets(), method, baseline, AUC) if method != baseline else {}
        for outcome, how in ((BETTER, "harder to tell"), (WORSE, "easier to tell"), (EQUAL, "as easy to tell")):
            if data := [people(name) for name, other in found.items() if other == outcome]:
                ends = "as" if outcome == EQUAL else "than"
                said.append(f"Cells of {words} are {how} {ends} those of {models[baseline]} ({'; '.join(data)}).")
    return said
