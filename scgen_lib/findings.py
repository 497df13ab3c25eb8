"""What the released code of the papers does beside what they describe, ranked by the measured effect.

A chapter records its findings with :meth:`scgen_lib.results.Run.finding`: one quantity of the run, measured as the
released code computes it and as the description asks for. Effects of different quantities are made comparable by
:func:`effect` alone.
"""

import io
import re
import statistics
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from scgen_lib import markdown, provenance
from scgen_lib.results import rounded

# The heading, in all chapters, under which the experiments stand.
SECTION = "what-the-original-code-really-does"
GROUPS = {
    False: ("changes-the-result", "What changes the result"),
    True: ("changes-a-part", "What changes a part"),
}


def effect(released: Sequence[float], described: Sequence[float]) -> float:
    """Return the difference of two means as a share of the larger one.

    0 is no difference; at 1 one of the two is nothing beside the other; above 1, up to 2, they have opposite signs.

    Parameters
    ----------
    released, described
        One value a seed, as the code computes it and as its description asks for.
    """
    a, b = statistics.fmean(released), statistics.fmean(described)
    return abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0


def within_spread(released: Sequence[float], described: Sequence[float]) -> bool | None:
    """Say whether the difference is no larger than the larger standard deviation over seeds; None with one seed."""
    if min(len(released), len(described)) < 2:
        return None
    gap = abs(statistics.fmean(released) - statistics.fmean(described))
    return gap <= max(statistics.stdev(released), statistics.stdev(described))


def rank(runs: Mapping[str, Mapping]) -> list[dict]:
    """Return the findings of all runs, the largest effect first; those that change a result before the others.

    Parameters
    ----------
    runs
        Content of the ``records.json`` of each run by the name of its page.
    """
    found = [
        entry | {"page": page, "effect": effect(entry["released"], entry["described"])}
        for page, run in runs.items()
        for entry in run.get("findings", ())
    ]
    return sorted(found, key=lambda entry: (entry["part"], -entry["effect"]))


def overview(found: Sequence[Mapping]) -> str:
    """Return the table of all findings, each with a link to its place below."""
    parts = []
    for part, (label, title) in GROUPS.items():
        rows = [
            [
                f"{{ref}}`{_in_role(entry['does'])} <{_label(entry)}>`",
                f"{{doc}}`{_in_role(_short(entry))} <executed/{entry['page']}>`",
                markdown.escape(entry["quantity"]),
                f"{entry['effect']:.0%}",
            ]
            for entry in found
            if entry["part"] == part
        ]
        if rows:
            heads = ["what the released code does", "finding", "measured in", "effect"]
            parts.append(f"{{ref}}`{title} <{label}>`:\n\n{markdown.table(heads, rows)}")
    return "\n".join(parts) or "No chapter of this edition has recorded a finding.\n"


def listing(found: Sequence[Mapping], figures: Mapping[str, Collection[str]]) -> str:
    """Return a section for each finding: both sides in words and numbers, the figure, and where the experiment is.

    Parameters
    ----------
    found
        Result of :func:`rank`.
    figures
        For each page the labels of the figures that it shows.
    """
    parts = []
    for part, (label, title) in GROUPS.items():
        group = [entry for entry in found if entry["part"] == part]
        if group:
            parts.append(f"({label})=\n## {title}\n")
        parts += [_section(entry, figures.get(entry["page"], ())) for entry in group]
    return "\n".join(parts)


def _section(entry: Mapping, figures: Collection[str]) -> str:
    released, described = (_values(entry[side]) for side in ("released", "described"))
    inside = within_spread(entry["released"], entry["described"])
    chance = {None: "one seed", True: "no more than the spread over seeds", False: "more than the spread over seeds"}
    links = [f'<a href="executed/{entry["page"]}.html#{SECTION}">the experiment of {_short(entry)}</a>']
    if entry["figure"] in figures:
        links.append(f"{{numref}}`Fig. %s <{entry['figure']}>` in the chapter")
    return (
        f"({_label(entry)})=\n### {_short(entry)}: {markdown.escape(entry['does'])}\n\n"
        f"As described: {markdown.escape(entry['instead'])}. {markdown.escape(_capital(entry['quantity']))}: "
        f"**{released}** as released, **{described}** as described, an effect of {entry['effect']:.0%} "
        f"({chance[inside]}). See {' and '.join(links)}.\n\n"
        f"```{{figure}} generated/{_label(entry)}.svg\n:name: fig-{_label(entry)}\n"
        f":alt: {entry['quantity']}, {released} as released and {described} as described\n\n"
        f"{markdown.escape(_capital(entry['quantity']))}: {released} as released, {described} as described.\n```\n"
    )


def draw(found: Sequence[Mapping], folder: Path) -> None:
    """Write the figure of each finding into a folder."""
    import matplotlib.pyplot as plt

    from scgen_lib import plots

    with plt.rc_context({"svg.hashsalt": "finding", "svg.fonttype": "path"}):
        plots.style()
        for entry in found:
            ax = plots.released_and_described(entry["released"], entry["described"], entry["quantity"])
            image = io.BytesIO()
            ax.figure.savefig(image, format="svg", metadata={"Date": None})
            plt.close(ax.figure)
            provenance.write_atomically(folder / f"{_label(entry)}.svg", image.getvalue())


def _label(entry: Mapping) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"finding {entry['page']} {entry['name']}".lower())


def _short(entry: Mapping) -> str:
    from scgen_lib import claims

    titles = {paper.chapter: paper.title.split(":")[0] for paper in claims.papers()}
    return f"{titles.get(entry['page'], entry['page'])} {entry['name']}"


def _in_role(text: str) -> str:
    """Let a text be that of a role in a table, where nothing else is markup."""
    return text.replace("`", "'").replace("|", r"\|")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _values(values: Sequence[float]) -> str:
    text = rounded(statistics.fmean(values), 3)
    return text + (f" ± {rounded(statistics.stdev(values), 2)} (n = {len(values)})" if len(values) > 1 else "")
