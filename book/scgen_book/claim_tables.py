"""Claims beside what was measured: the values of a run, those of the record, and one verdict, as tables."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from scgen_book import names
from scgen_book.claims import NOT_REPRODUCED, NOT_TESTED, PARTLY, REPRODUCED, SHAPES, Claim
from scgen_book.verdicts import verdict

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler

# Blue to orange: told apart with any colour vision, and the shape says the same.
COLOURS = {REPRODUCED: "#0a5a9c", PARTLY: "#7a5c00", NOT_REPRODUCED: "#a63603", NOT_TESTED: "#595959"}


def compare(
    of: Iterable[Claim], records: Iterable[Mapping], parameters: Mapping[str, object] | None = None
) -> "pd.DataFrame":
    """Join claims and records: a row for each claim, data set and variant, and one for a claim without a record.

    Parameters
    ----------
    of
        The claims.
    records
        Values as `Run.add` keeps them; the ``settings`` of one that has some count in place of the parameters.
    parameters
        Parameters of the run.

    Returns
    -------
    DataFrame with the columns claim, kind, where, metric, published, unit, variant, mean, sd (over seeds, ddof 1),
    seeds (their number), dataset, verdict, reason, judged (number of seeds of the verdict) and kindred (whether the
    data are); mean and sd are NaN where there is no number.
    """
    import pandas as pd

    groups: dict[tuple, dict[str, dict[int, float | None]]] = {}
    settings: dict[tuple, Mapping] = {}
    for entry in records:
        key = entry["dataset"], entry["variant"]
        groups.setdefault(key, {}).setdefault(entry["claim"], {})[entry["seed"]] = entry["value"]
        if "settings" in entry:
            settings[*key, entry["claim"]] = entry["settings"]
    rows = []
    for item in of:
        ids = [x for part in item.relation for x in (part["of"], part.get("minus")) if x] or [item.id]
        found = [(key, group) for key, group in groups.items() if any(group.get(i) for i in ids)]
        # Values without a variant (the observed data, say) serve the relations of every variant on the same data.
        variants = [hit for hit in found if hit[0][1] is not None]
        for (dataset, variant), group in (variants if item.relation and variants else found) or [((None, None), {})]:
            values = groups.get((dataset, None), {}) | group
            numbers = [v for v in values.get(item.id, {}).values() if v is not None]
            own = next((settings[k] for i in ids if (k := (dataset, variant, i)) in settings), parameters)
            judged = verdict(item, values, dataset, own)
            rows.append({
                "claim": item.id, "kind": item.kind, "where": item.where, "metric": item.metric,
                "published": item.value, "unit": item.unit, "variant": variant,
                "mean": statistics.fmean(numbers) if numbers else math.nan,
                "sd": statistics.stdev(numbers) if len(numbers) > 1 else math.nan,
                "seeds": len(numbers), "dataset": dataset or item.dataset,
                "verdict": judged.word, "reason": judged.reason, "judged": judged.seeds,
                "kindred": (dataset or item.dataset) in item.kindred,
            })  # fmt: skip
    return pd.DataFrame(rows).astype({"published": float})


def three(of: Sequence[Claim], build: "pd.DataFrame", recorded: "pd.DataFrame") -> "pd.DataFrame":
    """Join the values of a build and of the record: published, record, this build, and one verdict.

    The verdict is that of the record where this has as many seeds as the claim asks for, or at least as many as the
    build, else that of the build.

    Parameters
    ----------
    of
        The claims.
    build, recorded
        Results of :func:`compare`.

    Returns
    -------
    The columns of :func:`compare` (mean, sd and seeds are the build's) with record_mean, record_sd, record_seeds and
    source ("record" or "build", whose the verdict is).
    """
    import pandas as pd

    by = ["claim", "variant", "dataset"]
    asked, place = {item.id: item.seeds for item in of}, {item.id: i for i, item in enumerate(of)}
    sides = [side[valued(side).to_numpy()] for side in (build, recorded)]
    rows = {}
    for source, side in zip(("build", "record"), sides, strict=True):
        for row in side.to_dict("records"):
            key = tuple(None if row[name] != row[name] else row[name] for name in by)
            # of several runs the first one that can be judged
            known = rows.setdefault(key, {})
            if source not in known or known[source]["verdict"] == NOT_TESTED:
                known[source] = row
    joined = []
    for key, known in rows.items():
        own, kept = known.get("build"), known.get("record")
        first = kept is not None and kept["verdict"] != NOT_TESTED
        first = first and (
            own is None or own["verdict"] == NOT_TESTED or kept["judged"] >= min(asked[key[0]], own["judged"])
        )
        chosen = dict(kept if first or own is None else own) | {"source": "record" if first else "build"}
        numbers = own or {"mean": math.nan, "sd": math.nan, "seeds": 0}
        chosen |= {name: numbers[name] for name in ("mean", "sd", "seeds")}
        numbers = kept or {"mean": math.nan, "sd": math.nan, "seeds": 0}
        joined.append(chosen | {f"record_{name}": numbers[name] for name in ("mean", "sd", "seeds")})
    have = {row["claim"] for row in joined}
    nothing = {"source": "build", "record_mean": math.nan, "record_sd": math.nan, "record_seeds": 0}
    idle = build[~valued(build).to_numpy() & ~build["claim"].isin(have)].drop_duplicates("claim")
    joined += [row | nothing for row in idle.to_dict("records")]
    table = pd.DataFrame(joined, columns=[*build.columns, *(name for name in nothing)]).astype({"published": float})
    return table.sort_values("claim", key=lambda column: column.map(place), kind="stable", ignore_index=True)


def valued(table: "pd.DataFrame") -> "pd.Series":
    """Say for each row of :func:`compare` or :func:`three` whether it has a value or a verdict."""
    seeds = table["seeds"] + table.get("record_seeds", 0)
    return seeds.gt(0) | table["verdict"].ne(NOT_TESTED)


def words(table: "pd.DataFrame") -> "pd.DataFrame":
    """Return the table of :func:`three` as text for readers: numbers rounded, with unit, spread and seeds."""
    import pandas as pd

    rows = []
    for row in table.itertuples():
        unit = "" if row.unit in ("1", "silhouette") else f" {row.unit}"
        rows.append({
            "claim": row.metric + (f" ({row.variant})" if isinstance(row.variant, str) else ""),
            "published": "–" if math.isnan(row.published) else f"{rounded(row.published, 6)}{unit}",
            "record": _measured(row.record_mean, row.record_sd, row.record_seeds),
            "this build": _measured(row.mean, row.sd, row.seeds),
            "verdict": f"{SHAPES[row.verdict]} {row.verdict}", "why": names.told(row.reason),
            "data": row.dataset, "where": row.where,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _measured(mean: float, sd: float, seeds: int) -> str:
    if not seeds:
        return "–"
    return rounded(mean, 3) + (f" ± {rounded(sd, 2)}" if seeds > 1 else "") + f" (n = {seeds})"


def rounded(value: float, digits: int) -> str:
    """Round to significant digits, but show thousands in full: a count is right or wrong in its last place."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def style(table: "pd.DataFrame") -> "Styler":
    """Return the table of :func:`three` for display, with the verdict by word, shape and colour."""
    shown = words(table).drop(columns="where")
    return (
        shown.style.hide(axis="index")
        .map(lambda word: f"color: {_colour(word[2:])}; font-weight: 600", subset=["verdict"])
        .set_properties(subset=["published", "record", "this build", "verdict"], **{"white-space": "nowrap"})
        .set_properties(**{"text-align": "left", "vertical-align": "top"})
    )


def _colour(word: str) -> str:
    """Return the colour of a verdict in CSS: the book's, which knows of light and dark, or else that for white."""
    return f"var(--verdict-{word.replace(' ', '-')}, {COLOURS[word]})"
