"""How the chapter on codes answers its question."""

from scgen_book.answers import BETTER, EQUAL, NO, PARTLY, WORSE, YES, Answer, Seen, nothing, number, places, where
from scgen_book.answers.comparisons import NAMES
from scgen_book.names import listed, people

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
    looked_at = places(dict.fromkeys((data for found in against.values() for data in found), EQUAL), EQUAL)
    sentence = {
        YES: f"Yes: {looked_at} codes of {names} find the types better than principal components do.",
        PARTLY: f"Partly: codes of {names} beat principal components on some data, and no model does {looked_at}.",
        NO: f"No: {looked_at} the code of no model ({names}) finds the types better than principal components do.",
    }[word]
    # those of which the same is to be said are named together
    alike: dict[tuple, list[str]] = {}
    for model, found in against.items():
        alike.setdefault(tuple(found.items()), []).append(model)
    standings = [_standing(models, dict(found)) for found, models in alike.items()]
    others = rows.contests(rows.datasets(), "scvi", "pca", NMI)
    return Answer(word, sentence, (_best(rows), *standings, _standing(["scvi"], others), _depth(rows)))


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


def _standing(models: list[str], found: dict[str, str]) -> str | None:
    if not found:
        return None
    name = listed([NAMES[model] for model in models])
    name += "," if "," in NAMES[models[-1]] else ""  # which ends what is added to it
    parts = [
        f"{words} {places(found, outcome)}"
        for outcome, words in ((BETTER, "better"), (WORSE, "worse"), (EQUAL, "no different"))
        if outcome in found.values()
    ]
    return f"Against principal components {name} {'are' if models[1:] else 'is'} {', '.join(parts)}."


def _depth(rows: Seen) -> str | None:
    """Say where principal components of cells that are not scaled to one depth lose the types."""
    lost = where(rows.contests(rows.datasets(), "pca_depth", "pca", NMI), WORSE)
    if not lost:
        return None
    kept, scaled = (number(rows.mean(lost[0], method, NMI)) for method in ("pca_depth", "pca"))
    return (
        f"On {people(lost[0])} the depth of the cells decides: principal components of cells that are not scaled, as "
        f"DR-A and the CVAE take them, have an NMI of {kept}, of scaled ones {scaled}."
    )
