"""How the chapter on denoising answers its question."""

from scgen_book.answers import BETTER, EQUAL, NO, PARTLY, UNKNOWN, WORSE, YES, Answer, Seen, judged, nothing
from scgen_book.answers.comparisons import NAMES, share, standings
from scgen_book.names import people

#: What is near the truth, by metric: the means of simulated cells, mixtures that were made, molecules held out.
TRUTHS = {
    "mse_cell": "the means of simulated cells",
    "mixture_mse": "mixtures that were made",
    "mcv_poisson": "molecules held out",
}
DCA, DB_AAE = "dca_zinb", "db_aae_faithful"


def answer() -> Answer:
    """Return it: from every truth on every data set that has it."""
    rows = Seen("denoising")
    both, means = (standings(rows, DCA, other, TRUTHS) for other in (DB_AAE, "gene_mean"))
    word = judged(means)
    if word == UNKNOWN or not both:
        return nothing("both denoisers on the same cells")
    ahead, behind = share(both, BETTER), share(both, WORSE)
    first = f"DCA comes nearer to the truth than DB-AAE in {ahead} comparisons, DB-AAE in {behind}"
    ends = {
        YES: "DCA always beats the mean of each gene, which learns nothing of cells",
        PARTLY: f"DCA beats the mean of each gene, which learns nothing of cells, in {share(means, BETTER)}",
        NO: "DCA never beats the mean of each gene, which learns nothing of cells",
    }[word]
    takeaways = [_against(rows, method, other) for method in (DCA, DB_AAE) for other in ("knn", "pca")]
    return Answer(word, f"{word.capitalize()}: {first}; {ends}.", (*takeaways, _peers(rows)))


def _against(rows: Seen, method: str, other: str) -> str | None:
    found = standings(rows, method, other, TRUTHS)
    if not found:
        return None
    return f"{NAMES[method]} beats {NAMES[other]} in {share(found, BETTER)} comparisons with a truth."


def _peers(rows: Seen) -> str | None:
    said = []
    for peer in ("scvi", "magic"):
        if found := standings(rows, peer, DCA, TRUTHS):
            places = sorted({people(data) for (data, _), outcome in found.items() if outcome in (BETTER, EQUAL)})
            where = f", on {'; '.join(places)}" if 0 < len(places) < 3 else ""
            said.append(f"{NAMES[peer]} is at least as near as DCA in {share(found, BETTER, EQUAL)} comparisons{where}")
    return f"{said[0]}." if said else None
