"""How the chapter on DCA answers its question."""

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
    by_word,
    judged,
    nothing,
    number,
)
from scgen_book.answers import places as on
from scgen_book.names import people

GROUPS = "silhouette"
SIMULATED = {"dca.figure2": ("dca_g2_fig2", "dca_g6_fig2"), "dca.tutorial": ("dca_g2_tutorial", "dca_g6_methods")}
REAL = "pbmc68k_reduced"


def answer() -> Answer:
    """Return it: from the silhouettes of the true groups before and after DCA, where dropout is simulated."""
    seen = {name: Seen(name) for name in SIMULATED}
    found = {}
    for name, datasets in SIMULATED.items():
        found |= seen[name].contests(datasets, "zinb", "observed", GROUPS)
    word = judged(found)
    if word == UNKNOWN:
        return nothing("DCA on simulated dropout")
    sentence = {
        YES: f"Yes, where zeros are dropouts: {on(found, BETTER)} of simulated cells hidden groups stand apart again.",
        PARTLY: f"Partly: hidden groups stand apart again {on(found, BETTER)}, not {on(found, WORSE, EQUAL)}.",
        NO: f"No: {on(found, WORSE, EQUAL)} of simulated cells the hidden groups stand no further apart than before.",
    }[word]
    return Answer(
        word, sentence, (_groups(seen), _likelihood(seen["dca.figure2"]), _inflation(seen), _genes(), _real())
    )


def _groups(seen: dict[str, Seen]) -> str | None:
    of = [(seen[name], dataset) for name, datasets in SIMULATED.items() for dataset in datasets]
    gains = {
        dataset: (rows.mean(dataset, "observed", GROUPS), rows.mean(dataset, "zinb", GROUPS))
        for rows, dataset in of
        if rows.contest(dataset, "zinb", "observed", GROUPS)
    }
    dataset = max(gains, key=lambda name: gains[name][1] - gains[name][0])
    before, after = gains[dataset]
    way = "rises" if after > before else "falls"
    return (
        f"The largest change is on {people(dataset)}: the silhouette of the true groups {way} from {number(before)} "
        f"to {number(after)} (1 is perfect)."
    )


def _likelihood(figure2: Seen) -> str | None:
    found = figure2.contests(SIMULATED["dca.figure2"], "zinb", "mse, one path", GROUPS)
    return by_word(
        found,
        yes="The count likelihood does it, not the autoencoder: trained on squared errors, the same net leaves the "
        f"groups less apart {on(found, BETTER)}.",
        partly=f"The count likelihood beats squared errors {on(found, BETTER)}, but not {on(found, WORSE, EQUAL)}.",
        no="The same net trained on squared errors does as well: it is not the count likelihood that finds groups.",
    )


def _inflation(seen: dict[str, Seen]) -> str | None:
    found = seen["dca.tutorial"].contests(SIMULATED["dca.tutorial"], "zinb", "nb", GROUPS)
    return by_word(
        found,
        yes=f"Zero inflation helps where there is dropout: without it groups are less apart {on(found, BETTER)}.",
        partly=f"Zero inflation helps {on(found, BETTER)}, but not {on(found, WORSE, EQUAL)}.",
        no="Zero inflation makes no difference to the groups: a negative binomial alone keeps them as far apart.",
    )


def _genes() -> str | None:
    rows, r = Seen("dca.figure9"), "r, all cells"
    before, after = rows.mean("paul_full", "observed", r), rows.mean("paul_full", "nb", r)
    if len(rows.values("paul_full", "nb", r)) < 3 or before != before:
        return None
    way = "more opposed" if after < before else "less opposed"
    return (
        f"In mouse blood progenitors the regulators Gata1 and Pu.1 come out {way}: their correlation goes from "
        f"{number(before)} to {number(after)}; the sign was there before, and no truth says how much of it is real."
    )


def _real() -> str | None:
    rows, dca = Seen("dca.heldout"), "DCA, faithful"
    mean = rows.contest(REAL, dca, "gene_mean", "MCV Poisson")
    kept = rows.contest(REAL, dca, "none", "MCV MSE")
    if not mean or not kept:
        return None
    how = {BETTER: "better than", WORSE: "worse than", EQUAL: "as well as"}
    return (
        f"On {people(REAL)} nobody knows the truth; DCA predicts molecules held out {how[mean]} gene means by the "
        f"Poisson loss, and {how[kept]} the counts left as they are by squared error."
    )
