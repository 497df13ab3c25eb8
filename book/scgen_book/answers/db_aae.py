"""How the chapter on DB-AAE answers its question."""

from scgen_book.answers import BETTER, EQUAL, NO, PARTLY, WORSE, YES, Answer, Seen, by_word, judged, nothing, number
from scgen_book.answers import places as on
from scgen_book.names import people

MODEL, SIMULATED = "DB-AAE, faithful", ("splat_g2", "splat_g6", "splat_g8")
DROPPED, ALL = "mse_dropped", "mse"
SEARCH, PERMUTED = "released search", "released search, genes permuted"
SEARCHED = "splat_g6"


def answer() -> Answer:
    """Return it: from what the search can tell, and from errors at dropped entries beside DCA's."""
    search, rows = Seen("db_aae.search"), Seen("db_aae.denoising")
    found = rows.contests(SIMULATED, MODEL, "DCA", DROPPED)
    tells = _tells(search)
    if tells is None or not found:
        return nothing("the search and of DB-AAE beside DCA")
    ahead = judged(found)
    beside = {
        YES: f"comes nearer to the truth than DCA {on(found, BETTER)}",
        PARTLY: f"comes nearer to the truth than DCA {on(found, BETTER)}, not {on(found, WORSE, EQUAL)}",
        NO: f"comes nearer to the truth than DCA on none of {len(found)} simulated data sets",
    }[ahead]
    if not tells:
        return Answer(
            NO,
            "No, for whoever chooses a denoiser by it: the released search scores every batch size alike, and the "
            f"model that it trains {beside}.",
            _takeaways(search, rows),
        )
    word = YES if ahead == YES else PARTLY
    return Answer(
        word, f"{word.capitalize()}: the released search tells batch sizes apart, and its model {beside}.",
        _takeaways(search, rows),
    )  # fmt: skip


def _tells(search: Seen) -> bool | None:
    """Say whether the released search scores any two batch sizes otherwise; None where it was not run."""
    least, most = (search.mean(SEARCHED, SEARCH, f"d_accuracy_{end}") for end in ("least", "most"))
    return None if least != least or most != most else least != most


def _takeaways(search: Seen, rows: Seen) -> tuple[str | None, ...]:
    return _search(search), _dropped(rows), _dca(rows), _all(rows), _means(rows)


def _search(search: Seen) -> str | None:
    of_noise, own = search.mean(SEARCHED, PERMUTED, "best"), search.mean(SEARCHED, SEARCH, "best")
    if of_noise != of_noise:
        return None
    if of_noise == own:
        return f"On shuffled genes, in which there is nothing to find, the search picks the same size: {own:.0f}."
    return f"On genes shuffled cell by cell the search picks another size, {of_noise:.0f} in place of {own:.0f}."


def _dropped(rows: Seen) -> str | None:
    found = rows.contests(SIMULATED, MODEL, "observed", DROPPED)
    before, after = (rows.mean(SIMULATED[0], method, DROPPED) for method in ("observed", MODEL))
    numbers = f"the squared error of ln(1 + x) on {people(SIMULATED[0])} goes from {number(before)} to {number(after)}"
    return by_word(
        found,
        yes=f"It does fill in what dropout took, {on(found, BETTER)}: {numbers}.",
        partly=f"It fills in what dropout took {on(found, BETTER)}, not {on(found, WORSE, EQUAL)}: {numbers}.",
        no=f"It does not fill in what dropout took: {numbers}.",
    )


def _dca(rows: Seen) -> str | None:
    found = rows.contests(SIMULATED, "DCA", MODEL, DROPPED)
    dataset = next((name for name, outcome in found.items() if outcome == BETTER), None)
    if dataset is None:
        return None
    ours, its = (rows.mean(dataset, method, DROPPED) for method in (MODEL, "DCA"))
    return f"DCA comes nearer {on(found, BETTER)}: {number(its)} against {number(ours)} on {people(dataset)}."


def _all(rows: Seen) -> str | None:
    found = rows.contests(SIMULATED, MODEL, "observed", ALL)
    return by_word(
        found,
        yes=f"Over all entries, spared ones among them, it comes nearer than the counts {on(found, BETTER)}.",
        partly=f"Over all entries it is better than leaving the counts alone {on(found, BETTER)} only.",
        no="Over all entries it is no better than leaving the counts alone: it loses on spared entries what it gains.",
    )


def _means(rows: Seen) -> str | None:
    found = rows.contests(SIMULATED, MODEL, "gene mean", DROPPED)
    return by_word(
        found,
        yes=f"It beats the mean of each gene, which learns nothing of cells, {on(found, BETTER)}.",
        partly=f"It beats the mean of each gene {on(found, BETTER)}, not {on(found, WORSE, EQUAL)}.",
        no="Filling dropped entries with the mean of the gene, which learns nothing of cells, does at least as well.",
    )
