"""The scorecard of an edition: every claim of the papers beside the values of the runs, as a table and as Markdown."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from scgen_book import claims, markdown, results

if TYPE_CHECKING:
    import pandas as pd


def collect(edition: str, runs: Sequence[Mapping]) -> "pd.DataFrame":
    """Return all claims beside the values of an edition's runs.

    Parameters
    ----------
    edition
        Name of the edition.
    runs
        Content of the ``records.json`` of each run, in the order in which the papers shall stand.

    Returns
    -------
    The columns of :func:`scgen_book.results.compare` after paper and chapter, and before figure (the label of the
    figure that shows the claim, or None) and edition. A paper's claims stand in the order of their file.
    """
    import pandas as pd

    tables = [results.compare(claims.claims(), run["records"], run.get("parameters")) for run in runs]
    table = pd.concat(tables or [results.compare(claims.claims(), [])])
    # A claim that one run does not touch may be judged by another one.
    idle = table["seeds"].eq(0) & table["verdict"].eq(claims.NOT_TESTED)
    busy = set(table.loc[~idle, "claim"])
    table = table[~(idle & table["claim"].isin(busy))].drop_duplicates(["claim", "variant", "dataset", "mean"])
    known = {item.id: item for item in claims.claims()}
    place = {name: i for i, name in enumerate(known)}
    table = table.sort_values("claim", key=lambda column: column.map(place), kind="stable", ignore_index=True)
    papers = {paper.key: paper.chapter for paper in claims.papers()}
    table.insert(0, "paper", [known[name].paper for name in table["claim"]])
    table.insert(1, "chapter", table["paper"].map(papers))
    return table.assign(figure=[known[name].figure for name in table["claim"]], edition=edition)


def headline(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep one row a claim: the variant of the released code where there are several."""
    ranked = table.assign(rank=(~table["variant"].isin(["faithful"]) & table["variant"].notna()).astype(int))
    return ranked.sort_values("rank", kind="stable").drop_duplicates("claim").sort_index().drop(columns="rank")


def counts(table: "pd.DataFrame") -> dict[str, int]:
    """Return the number of claims of each verdict."""
    found = headline(table)["verdict"].value_counts()
    return {word: int(found.get(word, 0)) for word in claims.SHAPES}


def totals(table: "pd.DataFrame") -> str:
    """Return the counts over all papers, large, and the reasons why claims are not tested."""
    tiles = "".join(f"<li><strong>{n}</strong> {badge(word)}</li>" for word, n in counts(table).items())
    idle = headline(table).query("verdict == @claims.NOT_TESTED", local_dict={"claims": claims})
    kinds = idle["reason"].map(claims.kind).value_counts()
    why = ", ".join(f"{kind} {n}" for kind, n in kinds.items())
    return f'<ul class="tiles">{tiles}</ul>\n\n' + (f"Not tested, by reason: {why}.\n" if why else "")


def summary(table: "pd.DataFrame") -> str:
    """Return the number of claims of each verdict by paper."""
    rows = []
    for paper in _papers(table):
        part = table[table["paper"] == paper.key]
        found = counts(part)
        link = f"{{ref}}`{markdown.escape(paper.title)} <scorecard-{paper.chapter}>` {{cite}}`{paper.key}`"
        rows.append([link, str(sum(found.values())), *map(str, found.values())])
    return markdown.table(["paper", "claims", *map(badge, claims.SHAPES)], rows)


def listing(table: "pd.DataFrame", figures: Mapping[str, Collection[str]]) -> str:
    """Return every claim, in a section for each paper.

    Parameters
    ----------
    table
        Result of :func:`collect`.
    figures
        For each chapter that has a page the labels of the figures that it shows.
    """
    parts = []
    for paper in _papers(table):
        part = table[table["paper"] == paper.key]
        chapter = f"{{doc}}`/book/executed/{paper.chapter}`" if paper.chapter in figures else ""
        head = f"(scorecard-{paper.chapter})=\n## {paper.title}\n\n{{cite:t}}`{paper.key}`. {chapter}\n"
        parts.append(f"{head}\n{_rows(part, figures.get(paper.chapter))}")
    return "\n".join(parts)


def _papers(table: "pd.DataFrame") -> list[claims.Paper]:
    known = {paper.key: paper for paper in claims.papers()}
    return [known[key] for key in dict.fromkeys(table["paper"])]


def _rows(table: "pd.DataFrame", figures: Collection[str] | None) -> str:
    rows, seen = [], set()
    for row, text in zip(table.itertuples(), results.words(table).itertuples(index=False), strict=True):
        claim, published, run, _, why, data, where = map(markdown.escape, text)
        link = ""
        if figures is not None:
            link = f"{{doc}}`chapter </book/executed/{row.chapter}>`"
            if row.figure in figures:
                link = f"{{numref}}`Fig. %s <{row.figure}>`"
        marks = f'data-paper="{row.paper}" data-verdict="{row.verdict}"'
        if row.claim not in seen:
            marks = f'id="{row.claim}" {marks}'
        seen.add(row.claim)
        source = f'<br><small class="source">{where}; data: {data}</small>'
        rows.append([claim + source, published, run, badge(row.verdict, marks), why, link])
    return markdown.table(["claim", "published", "this run", "verdict", "why", "figure"], rows)


def badge(word: str, marks: str = "") -> str:
    """Return a verdict in HTML: its shape and its word, which the book's style sheet colours."""
    return f'<span class="verdict {word.replace(" ", "-")}" {marks}>{claims.SHAPES[word]} {word}</span>'
