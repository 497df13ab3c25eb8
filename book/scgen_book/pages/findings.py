"""What stands between a paper's description and the numbers of its code: whose it is, of which kind, and its effect.

A chapter records its findings with :meth:`scgen_book.results.Run.finding`: one quantity of the run, measured as the
code in question computes it and in the other way. Effects of different quantities are made comparable by :func:`effect`
alone.
"""

import re
import statistics
from collections.abc import Collection, Mapping, Sequence

from scgen_book import markdown, names
from scgen_book.chance import FEWEST, beyond_chance
from scgen_book.results import OWNERS, rounded

# The heading, in all chapters, under which the experiments stand.
SECTION = "what-the-original-code-really-does"
# Owner and kind of the findings of a section → its label, its title, and what its findings have in common.
GROUPS = {
    ("paper", "contradicts"): (
        "The paper's code contradicts its description",
        "The description says one thing and the code does another.",
    ),
    ("paper", "undescribed"): (
        "The paper's code decides what nothing describes",
        "The description is silent, so neither side is as described: the other way is one that we chose.",
    ),
    ("paper", "numerical"): (
        "The paper's code fails in its numbers",
        "The formula is the described one, and rounding, overflow or a missing guard changes what it gives.",
    ),
    ("figure", None): (
        "The notebook of a figure",
        "The model is the described one, and the notebook that draws the figure treats its input or output otherwise.",
    ),
    ("reproduction", None): (
        "The student reproduction of DCA",
        "Not DCA's code: what another implementation, published by students, makes of it.",
    ),
    ("stack", None): (
        "Today's Keras and TensorFlow",
        "Neither paper nor code: what the same code computes on the libraries of today.",
    ),
}
# An effect that is printed as 0 %.
NOTHING = 0.005


def effect(released: Sequence[float], otherwise: Sequence[float]) -> float:
    """Return the difference of two means as a share of the larger one.

    0 is no difference; at 1 one of the two is nothing beside the other; above 1, up to 2, they have opposite signs.

    Parameters
    ----------
    released, otherwise
        One value a seed, as the code computes it and in the other way.
    """
    a, b = statistics.fmean(released), statistics.fmean(otherwise)
    return abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0


def rank(runs: Mapping[str, Mapping]) -> list[dict]:
    """Return the findings of all runs by section; the largest effect first, those on a result before those on a part.

    Data sets have names for people in what was measured.

    Parameters
    ----------
    runs
        Content of the ``records.json`` of each run by the name of its page.
    """
    found = [
        entry
        | {"page": page, "effect": effect(entry["released"], entry["otherwise"])}
        | {"quantity": names.told(entry["quantity"])}
        for page, run in runs.items()
        for entry in run.get("findings", ())
    ]
    order = list(GROUPS)
    return sorted(found, key=lambda entry: (order.index(_group(entry)), entry["part"], -entry["effect"]))


def _group(entry: Mapping) -> tuple[str, str | None]:
    key = (entry["owner"], entry["kind"])
    return key if key in GROUPS else (entry["owner"], None)


def overview(found: Sequence[Mapping]) -> str:
    """Return how many findings each section has, with a link to it."""
    rows = []
    for key, (title, _) in GROUPS.items():
        group = [entry for entry in found if _group(entry) == key]
        if group:
            largest = max(group, key=lambda entry: (entry["effect"], not entry["part"]))
            rows.append([
                f"{{ref}}`{title} <{_anchor(key)}>`",
                str(len(group)),
                str(sum(entry["effect"] >= NOTHING for entry in group)),
                f"{_short(largest)}, {largest['effect']:.0%}",
            ])  # fmt: skip
    if not rows:
        return "No chapter of this edition has recorded a finding.\n"
    return markdown.table(["whose, and of which kind", "findings", "with an effect", "largest effect"], rows)


def listing(found: Sequence[Mapping], figures: Mapping[str, Collection[str]]) -> str:
    """Return a section for each kind, and in it both sides of each finding in words and numbers.

    Parameters
    ----------
    found
        Result of :func:`rank`.
    figures
        For each page the labels of the figures that it shows.
    """
    parts = []
    for key, (title, common) in GROUPS.items():
        group = [entry for entry in found if _group(entry) == key]
        if not group:
            continue
        parts.append(f"({_anchor(key)})=\n## {title}\n\n{common}\n")
        parts += [_section(entry, figures.get(entry["page"], ())) for entry in group if entry["effect"] >= NOTHING]
        if idle := [entry for entry in group if entry["effect"] < NOTHING]:
            lines = "\n".join(
                f"- {_short(entry)}: {markdown.escape(entry['does'])} ({markdown.escape(entry['quantity'])}: "
                f"{_values(entry['released'])} and {_values(entry['otherwise'])})"
                for entry in idle
            )
            parts.append(f"```{{dropdown}} Without an effect on what was measured ({len(idle)})\n{lines}\n```\n")
    return "\n".join(parts)


def _section(entry: Mapping, figures: Collection[str]) -> str:
    released, otherwise = (_values(entry[side]) for side in ("released", "otherwise"))
    described = entry["kind"] == "contradicts"
    chance = {
        None: "too few seeds to tell it from chance",
        True: "beyond chance over these seeds",
        False: "within what seeds alone do",
    }[beyond_chance(entry["released"], entry["otherwise"])]
    links = [f'<a href="executed/{entry["page"]}.html#{SECTION}">the experiment</a>']
    if entry["figure"] in figures:
        links.append(f"{{numref}}`Fig. %s <{entry['figure']}>`")
    about = "a part of the model or its training" if entry["part"] else "a result"
    return (
        f"({_label(entry)})=\n### {_short(entry)}: {markdown.escape(entry['does'])}\n\n"
        f"{'As described' if described else 'The other way'}: {markdown.escape(entry['instead'])}. "
        f"{markdown.escape(_capital(entry['quantity']))} ({about}): **{released}** in {OWNERS[entry['owner']]}, "
        f"**{otherwise}** {'as described' if described else 'in the other way'}; an effect of {entry['effect']:.0%}, "
        f"{chance}. See {' and '.join(links)}.\n"
    )


def _anchor(key: tuple[str, str | None]) -> str:
    return "findings-" + "-".join(filter(None, key))


def _label(entry: Mapping) -> str:
    return re.sub(r"[^a-z0-9]+", "-", f"finding {entry['page']} {entry['name']}".lower())


def _short(entry: Mapping) -> str:
    from scgen_book import claims

    titles = {paper.chapter: paper.title.split(":")[0] for paper in claims.papers()}
    return f"{titles.get(entry['page'], entry['page'])} {names.told(entry['name'])}"


def _in_role(text: str) -> str:
    """Let a text be that of a role in a table, where nothing else is markup."""
    return text.replace("`", "'").replace("|", r"\|")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _values(values: Sequence[float]) -> str:
    text = rounded(statistics.fmean(values), 3)
    if len(values) < FEWEST:
        return text + (f" (n = {len(values)})" if len(values) > 1 else "")
    return text + f" ± {rounded(statistics.stdev(values), 2)} (n = {len(values)})"
