"""How the chapter on DR-A answers its question."""

from scgen_book.answers import (
    BETTER,
    EQUAL,
    NO,
    PARTLY,
    UNKNOWN,
    WORSE,
    YES,
    Answer,
    Seen,
    judged,
    nothing,
    number,
    places,
    where,
)

NMI, CELLS = "NMI, geometric, group9", ("zeisel_720", "zeisel_4000")
LENGTHS = (2, 10, 20)


def answer() -> Answer:
    """Return it: from clusters of codes of the paper's cells beside those of principal components, by length."""
    rows = Seen("dr_a.scores")
    data = next((name for name in CELLS if _against(rows, name, "PCA")), CELLS[0])
    found = _against(rows, data, "PCA")
    word = judged(found)
    if word == UNKNOWN:
        return nothing("DR-A on the paper's cells")
    apart = _against(rows, data, "faithful, no adversary")
    at = "" if len(apart) == len(LENGTHS) else f" with {_numbers(apart, BETTER, WORSE, EQUAL)}"
    adds = {
        UNKNOWN: "what the adversaries add is not measured yet",
        YES: f"the adversaries add to it{at}",
        PARTLY: f"the adversaries add to it with {_numbers(apart, BETTER)} alone",
        NO: f"the adversaries add nothing to it{at}",
    }[judged(apart)]
    sentence = {
        YES: "Yes, on the paper's cells: types are found again better than from principal components with codes "
        f"of {_numbers(found, BETTER)}; {adds}.",
        PARTLY: f"Partly: types are found again better than from principal components with {_numbers(found, BETTER)}, "
        f"not with {_numbers(found, WORSE, EQUAL)}; {adds}.",
        NO: f"No: principal components find the types as well with codes of {_numbers(found, WORSE, EQUAL)}; {adds}.",
    }[word]
    takeaways = (
        _scores(rows, data),
        _elsewhere(Seen("dr_a.datasets")),
        _game(rows, data),
        _ends(rows, data),
        *(_other(rows, data, name) for name in ("UMAP", "scVI", "t-SNE")),
    )
    return Answer(word, sentence, takeaways)


def _against(rows: Seen, data: str, other: str) -> dict[int, str]:
    found = {k: rows.contest(data, f"faithful, K = {k}", f"{other}, K = {k}", NMI) for k in LENGTHS}
    return {k: outcome for k, outcome in found.items() if outcome}


def _numbers(found: dict[int, str], *wanted: str) -> str:
    lengths = [str(k) for k, outcome in found.items() if outcome in wanted]
    if not lengths:
        return "no length"
    *first, last = lengths
    return f"{', '.join(first)} and {last} numbers" if first else f"{last} numbers"


def _scores(rows: Seen, data: str) -> str:
    ours, its = (rows.mean(data, f"{method}, K = 10", NMI) for method in ("faithful", "PCA"))
    return (
        f"With ten numbers a cell, clusters agree with the types by an NMI of {number(ours)}; those of ten principal "
        f"components by {number(its)} (1 is perfect)."
    )


def _elsewhere(rows: Seen) -> str | None:
    """Say whether that holds on cells of other studies, too."""
    found = rows.contests(rows.datasets(), "faithful, K = 10", "PCA, K = 10", "NMI, geometric")
    words = {BETTER: "better than", WORSE: "less well than", EQUAL: "as well as"}
    said = [(word, places(found, outcome)) for outcome, word in words.items() if where(found, outcome)]
    parts = [f"{word} {'these' if i else 'principal components'} {place}" for i, (word, place) in enumerate(said)]
    return f"On cells of other studies it finds types, with ten numbers, {', '.join(parts)}." if parts else None


def _game(rows: Seen, data: str) -> str | None:
    """Say what the adversaries do where they play the game that the paper describes."""
    of = "repaired, K = 10", "repaired, no adversary, K = 10"
    if (outcome := rows.contest(data, *of, NMI)) is None:
        return None
    words = {BETTER: "add to the agreement", WORSE: "take from the agreement", EQUAL: "change nothing"}[outcome]
    ours, without = (number(rows.mean(data, method, NMI)) for method in of)
    return (
        f"In the repaired model, where the adversaries play the game that the paper describes, they {words}: {ours} "
        f"with them, {without} without."
    )


def _other(rows: Seen, data: str, other: str) -> str | None:
    found = _against(rows, data, other)
    parts = [
        f"{words} with {_numbers(found, outcome)}"
        for outcome, words in ((BETTER, "better"), (WORSE, "worse"), (EQUAL, "no different"))
        if outcome in found.values()
    ]
    return f"Against {other} on the same cells DR-A is {', '.join(parts)}." if parts else None


def _ends(rows: Seen, data: str) -> str | None:
    own = [row for row in rows.rows if row["dataset"] == data and row["method"] == "faithful, K = 2"]
    lost = sum(row["scores"].get(NMI) is None for row in own)
    if not lost:
        return None
    return f"{lost} of {len(own)} trainings with two numbers ended at values that are not finite."
