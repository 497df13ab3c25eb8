"""The scorecard of an edition: every claim of the papers beside the values of the runs, as a table and as Markdown."""

import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scgen_book import claims, markdown, names
from scgen_book.chance import FEWEST
from scgen_book.claim_tables import compare, three, valued, words
from scgen_book.record import Record
from scgen_lib import files

if TYPE_CHECKING:
    import pandas as pd

#: So many claims of a paper are drawn at most.
HEADLINES = 7


def collect(edition: str, runs: Sequence[Mapping], kept: Record) -> "pd.DataFrame":
    """Return all claims beside the values of an edition's runs and of the record.

    Parameters
    ----------
    edition
        Name of the edition.
    runs
        Content of the ``records.json`` of each run, in the order in which the papers shall stand.
    kept
        The record.

    Returns
    -------
    The columns of :func:`scgen_book.claim_tables.three` after paper and chapter, and before figure (the label of the
    figure that shows the claim, or None) and edition. A paper's claims stand in the order of their file.
    """
    import pandas as pd

    of = [item for item in claims.claims() if item.kind != claims.PART]
    tables = [compare(of, run["records"], run.get("parameters")) for run in runs]
    table = three(of, pd.concat([*tables, compare(of, [])]), compare(of, kept.claimed()))
    known = {item.id: item for item in of}
    papers = {paper.key: paper.chapter for paper in claims.papers()}
    table.insert(0, "paper", [known[name].paper for name in table["claim"]])
    table.insert(1, "chapter", table["paper"].map(papers))
    return table.assign(figure=[known[name].figure for name in table["claim"]], edition=edition)


def headline(table: "pd.DataFrame") -> "pd.DataFrame":
    """Keep one row a claim: that of its own data where there are several, and of the variant of the released code."""
    named = table["variant"].notna() & ~table["variant"].isin(["faithful"])
    stand_in = table["reason"].str.startswith("stand-in data")
    ranked = table.assign(rank=4 * stand_in.astype(int) + 2 * table["kindred"].astype(int) + named.astype(int))
    return ranked.sort_values("rank", kind="stable").drop_duplicates("claim").sort_index().drop(columns="rank")


def counts(table: "pd.DataFrame", kind: str = claims.RESULT) -> dict[str, int]:
    """Return the number of claims of each verdict; on kindred data alone a claim is not tested."""
    own = headline(table[table["kind"] == kind])
    found = own["verdict"].where(~own["kindred"], claims.NOT_TESTED).value_counts()
    return {word: int(found.get(word, 0)) for word in claims.SHAPES}


def on_kindred_data(table: "pd.DataFrame") -> dict[str, int]:
    """Return the number of claims of each verdict on kindred data; those that are not tested are left out."""
    found = headline(table[table["kindred"] & (table["kind"] == claims.RESULT)])["verdict"].value_counts()
    return {word: int(found.get(word, 0)) for word in claims.SHAPES if word != claims.NOT_TESTED}


def marks(table: "pd.DataFrame") -> str:
    """Return the counts of a paper in a line; without a claim those of its sanity checks."""
    found, kindred, sane = counts(table), on_kindred_data(table), counts(table, claims.SANITY)
    told = [f"{n}&nbsp;{badge(word)}" for word, n in found.items() if n]
    apart = [f"{n}&nbsp;{badge(word)}" for word, n in kindred.items() if n]
    told += ["· on kindred data:", *apart] if apart else []
    return " ".join(told) or f"no claim; {sane[claims.REPRODUCED]} of {sum(sane.values())} sanity checks hold"


def totals(table: "pd.DataFrame") -> str:
    """Return the counts over all papers, large, and the reasons why claims are not tested."""
    tiles = "".join(f"<li><strong>{n}</strong> {badge(word)}</li>" for word, n in counts(table).items())
    own = headline(table[table["kind"] == claims.RESULT])
    idle = own[own["verdict"].eq(claims.NOT_TESTED)]
    why = ", ".join(f"{kind} {n}" for kind, n in idle["reason"].map(claims.kind).value_counts().items())
    kindred, sane = on_kindred_data(table), counts(table, claims.SANITY)
    text = f'<ul class="tiles">{tiles}</ul>\n\n'
    text += f"Not tested, by reason: {why}.\n\n" if why else ""
    if any(kindred.values()):
        told = ", ".join(f"{n} {word}" for word, n in kindred.items() if n)
        text += f"Of these, on kindred data (the same cells, other genes): {told}.\n\n"
    return text + f"Sanity checks, counted apart: {sane[claims.REPRODUCED]} of {sum(sane.values())} hold.\n"


def headlines(table: "pd.DataFrame") -> dict[str, "pd.DataFrame"]:
    """Return the claims that can be drawn on one axis a paper: scores of at most 1 with a spread in the record.

    Returns
    -------
    dict
        By title of the paper, up to `HEADLINES` lines: words, published, mean, sd and seeds.
    """
    own = headline(table[table["kind"] == claims.RESULT])
    own = own[own["published"].abs().le(1) & own["record_seeds"].ge(FEWEST)]
    found = {}
    for paper in _papers(table):
        part = own[own["paper"] == paper.key].head(HEADLINES)
        if len(part):
            lines = part.rename(columns={"metric": "words"})[["words", "published"]]
            found[paper.title.partition(":")[0]] = lines.assign(
                mean=part["record_mean"], sd=part["record_sd"], seeds=part["record_seeds"]
            )
    return found


def drawn(found: Mapping[str, "pd.DataFrame"], path: Path) -> str:
    """Draw headlines into a PNG, and return it with its caption in Markdown; empty where there are none."""
    if not found:
        return ""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    from scgen_book import plots

    plots.style()
    fig = plots.forest(found)
    image = io.BytesIO()
    fig.savefig(image, format="png")
    plt.close(fig)
    files.write_atomically(path, image.getvalue())
    claimed, seeds = sum(map(len, found.values())), int(min(lines["seeds"].min() for lines in found.values()))
    return (
        f"```{{figure}} /{path.as_posix()}\n:name: fig-headlines\n:width: 500px\n"
        ":alt: Published values beside ours.\n\n"
        f"The first {claimed} claims that are a score and have a spread: the mean over {seeds} seeds or more of "
        "the record with one sd to either side, beside the published value. The tables below say which are on kindred "
        "data.\n```\n"
    )


def summary(table: "pd.DataFrame") -> str:
    """Return the number of claims of each verdict by paper, on kindred data and of sanity checks apart."""
    rows, lines = [], []
    for paper in _papers(table):
        part = table[table["paper"] == paper.key]
        found, kindred, sane = counts(part), on_kindred_data(part), counts(part, claims.SANITY)
        link = f"{{ref}}`{markdown.escape(paper.title)} <scorecard-{paper.chapter}>` {{cite}}`{paper.key}`"
        apart = " ".join(f"{n}&nbsp;{claims.SHAPES[word]}" for word, n in kindred.items() if n) or "–"
        checks = f"{sane[claims.REPRODUCED]} of {sum(sane.values())}" if any(sane.values()) else "–"
        rows.append([link, str(sum(found.values())), *map(str, found.values()), apart, checks])
        lines += [f"- {markdown.escape(paper.title)}: {paper.unread}"] if paper.unread else []
    heads = ["paper", "claims", *map(badge, claims.SHAPES), "on kindred data", "sanity checks that hold"]
    return markdown.table(heads, rows) + ("\n" + "\n".join(lines) + "\n" if lines else "")


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
    """Return the rows of a paper: the claims that count, then, folded, checks, other variants and what has no value."""
    counted = table["kind"].isin([claims.RESULT, claims.SANITY])
    shown = counted & valued(table)
    chief, sane = table.index.isin(headline(table[shown]).index), table["kind"].eq(claims.SANITY)
    first = chief & ~sane
    seen: set[str] = set()
    text = _table(table[first], figures, seen) if first.any() else ""
    for rows, told, form in (
        (shown & ~chief, "more rows of these claims and checks: other variants, and other data", _table),
        (chief & sane, "sanity checks, which are counted apart", _table),
        (counted & ~shown, "claims and checks that are not tested, with the reason", _by_reason),
        (~counted, "statements that are no claims: settings, other methods, words", _by_reason),
    ):
        if rows.any():
            text += f"\n:::{{dropdown}} {rows.sum()} {told}\n{form(table[rows], figures, seen)}:::\n"
    return text


def _by_reason(table: "pd.DataFrame", figures: Collection[str] | None, seen: set[str]) -> str:
    """Return a table for each reason, which stands above it once."""
    parts = []
    for why, part in table.groupby("reason", sort=False):
        parts.append(f"\n{markdown.escape(names.told(why))}\n\n{_table(part, figures, seen, reasons=False)}")
    return "".join(parts)


def _table(table: "pd.DataFrame", figures: Collection[str] | None, seen: set[str], *, reasons: bool = True) -> str:
    heads, rows = ["claim", "published", "record", "this build", "verdict", "why"], []
    for row, text in zip(table.itertuples(), words(table).itertuples(index=False), strict=True):
        claim, published, recorded, build, _, why, data, where = map(markdown.escape, text)
        link = ""
        if figures is not None:
            link = f"{{doc}}`chapter </book/executed/{row.chapter}>`"
            if row.figure in figures:
                link = f"{{numref}}`Fig. %s <{row.figure}>`"
        marks = f'data-paper="{row.paper}" data-verdict="{row.verdict}"'
        if row.claim not in seen:
            marks = f'id="{row.claim}" {marks}'
        seen.add(row.claim)
        sane = " (sanity)" if row.kind == claims.SANITY else ""
        source = f'<details class="source"><summary>source</summary>{where}; data: {data}</details>'
        source = f"<br>{link} {source}" if link else f"<br>{source}"
        rows.append([claim + sane + source, published, recorded, build, badge(row.verdict, marks), why])
    last = len(heads) - (not reasons)
    return markdown.table(heads[:last], [cells[:last] for cells in rows])


def badge(word: str, marks: str = "") -> str:
    """Return a verdict in HTML: its shape and its word, which the book's style sheet colours."""
    return f'<span class="verdict {word.replace(" ", "-")}" {marks}>{claims.SHAPES[word]} {word}</span>'
