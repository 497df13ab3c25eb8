"""How the chapter on codes answers its question."""

from scgen_book.answers import BETTER, EQUAL, NO, PARTLY, WORSE, YES, Answer, Seen, nothing, number, places
from scgen_book.answers.comparisons import NAMES
from scgen_book.names import people

MODELS = ("dr_a_faithful", "dca", "db_aae", "cvae_blind")
NMI = "nmi"


def answer() -> Answer:
    """Return it: from clusters of codes and the types that no method was told."""
    rows = Seen("representation")
    against = {model: rows.contests(rows.datasets(), model, "pca", NMI) for model in MODELS}
    against = {model: found for model, found in against.items() if found}
    if not against:
        return nothing("codes of the same cells")
    always = [model for model, found in against.items() if set(found.values()) == {BETTER}]
    once = [model for model, found in against.items() if BETTER in found.values()]
    word = YES if always else PARTLY if once else NO
    names = "; ".join(NAMES[model] for model in (always or once or against))
    # what is said holds for the data that were looked at, and for the models that were
    where = places(dict.fromkeys((data for found in against.values() for data in found), EQUAL), EQUAL)
    sentence = {
        YES: f"Yes: {where} codes of {names} find the types better than principal components do.",
        PARTLY: f"Partly: codes of {names} beat principal components on some data, and no model does {where}.",
        NO: f"No: {where} the code of no model ({names}) finds the types better than principal components do.",
    }[word]
    return Answer(word, sentence, (_best(rows), *(_standing(model, found) for model, found in against.items())))


def _best(rows: Seen) -> str | None:
    data = next(iter(rows.datasets()), None)
    scored = {
        model: rows.mean(data, model, NMI) for model in (*MODELS, "pca") if len(rows.values(data, model, NMI)) >= 3
    }
    if "pca" not in scored:
        return None
    best = max(scored, key=scored.get)
    if best == "pca":
        return f"On {people(data)} the highest are principal components themselves (NMI {number(scored[best])})."
    return (
        f"On {people(data)} the highest code is that of {NAMES[best]}: NMI {number(scored[best])}, where "
        f"principal components have {number(scored['pca'])}."
    )


def _standing(model: str, found: dict[str, str]) -> str:
    name = NAMES[model]
    name += "," if "," in name else ""  # which ends what is added to it
    parts = [
        f"{words} {places(found, outcome)}"
        for outcome, words in ((BETTER, "better"), (WORSE, "worse"), (EQUAL, "no different"))
        if outcome in found.values()
    ]
    return f"Against principal components {name} is {', '.join(parts)}."
