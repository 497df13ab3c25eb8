"""Our faithful models beside the originals' own code, run as it is: the rule of agreement and the tables.

The values lie beside ``benchmarks/originals.py``, which computes ours: ``original.csv`` and ``ours.csv``, a line a run
and metric.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from scgen_book import markdown, names
from scgen_book.chance import FEWEST

# Level of the test, set before the first comparison.
ALPHA = 0.01
RULE = (
    f"Two means differ if Welch's test says so at {ALPHA:.0%}. Where one side has a single run, that run differs if it "
    f"lies outside of the other side's prediction interval of {1 - ALPHA:.0%}; where both have one there is nothing to "
    'say. "Would have shown" is half the width of the interval behind the verdict: a true difference of that size is '
    "found in about half of all tries, and a smaller one may be there. The rule was set before the first comparison."
)
KERAS_3 = ", stepped by Keras 3's RMSprop"
BY = ["method", "dataset", "settings", "metric"]
NAMES = {"dca": "DCA", "db_aae": "DB-AAE", "dr_a": "DR-A", "scgan": "scGAN"}


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Values of the originals and ours, a row a run and metric."""
    original, ours = (pd.read_csv(folder / name) for name in ("original.csv", "ours.csv"))
    # one run of the release was stopped early, at an epoch that none of ours has
    return original[~((original["method"] == "dr_a") & (original["epochs"] != 200))], ours


def agreement(original: np.ndarray, ours: np.ndarray) -> tuple[str, float]:
    """Judge two samples by the `RULE`.

    Parameters
    ----------
    original, ours
        One value a run, (n,) each, of the metric's unit.

    Returns
    -------
    tuple
        "agree", "differ" or "one run each", and half the width of the interval behind it (NaN for the last).
    """
    few, many = sorted((original, ours), key=len)
    if len(many) < 2:
        return "one run each", math.nan
    if len(few) == 1:
        spread, freedom = many.std(ddof=1) * math.sqrt(1 + 1 / len(many)), len(many) - 1
    else:
        parts = [x.var(ddof=1) / len(x) for x in (few, many)]
        below = sum(part**2 / (len(x) - 1) for part, x in zip(parts, (few, many), strict=True))
        spread, freedom = math.sqrt(sum(parts)), sum(parts) ** 2 / below if below else len(few) + len(many) - 2
    half = float(stats.t.ppf(1 - ALPHA / 2, freedom) * spread)
    return ("agree" if abs(original.mean() - ours.mean()) <= half else "differ"), half


def compare(original: pd.DataFrame, ours: pd.DataFrame) -> pd.DataFrame:
    """A row a quantity that both have: `BY`, "original" and "ours" in words, "verdict" and "would have shown"."""
    rows = []
    for key, theirs in original.groupby(BY, sort=False):
        mine = ours[(ours[BY] == list(key)).all(axis=1)]["value"].dropna().to_numpy()
        values = theirs["value"].dropna().to_numpy()
        if len(mine) and len(values):
            verdict, half = agreement(values, mine)
            rows.append([*key, _words(values), _words(mine), verdict, f"{half:.2g}" if half == half else "–"])
    return pd.DataFrame(rows, columns=[*BY, "original", "ours", "verdict", "would have shown"])


def counted(compared: pd.DataFrame) -> str:
    """Say how many quantities of `compare` agree, and how many would differ by chance alone."""
    verdicts = compared["verdict"].value_counts()
    return (
        f"{verdicts.get('agree', 0)} of {len(compared)} quantities agree and {verdicts.get('differ', 0)} differ, where "
        f"chance alone would make about {ALPHA * len(compared):.1f} differ. Means ± sd (runs or seeds)."
    )


def beside(original: pd.DataFrame, ours: pd.DataFrame) -> str:
    """Markdown: a line a method, data set and quantity, the original's own code beside our faithful variant."""
    compared = compare(original, ours[~ours["settings"].str.endswith(KERAS_3)])
    rows = [
        [
            NAMES[row.method],
            f"{markdown.escape(row.dataset)}<br><small>{markdown.escape(row.settings)}</small>",
            markdown.escape(row.metric),
            row.original,
            row.ours,
            row.verdict,
            row.half,
        ]
        for row in compared.rename(columns={"would have shown": "half"}).itertuples()
    ]
    heads = ["model", "data and settings", "quantity", "original's own code", "ours, faithful", "", "would have shown"]
    return f"{counted(compared)} {RULE}\n\n{markdown.table(heads, rows)}"


def optimiser_table(original: pd.DataFrame, ours: pd.DataFrame) -> str:
    """Markdown: quantities of the originals, of our faithful variants, and of these stepped by Keras 3's RMSprop."""
    rows = []
    old, new = (
        compare(original, ours[ours["settings"].str.endswith(KERAS_3) == is_new].assign(settings=_plain)).set_index(BY)
        for is_new in (False, True)
    )
    for key in new.index.intersection(old.index, sort=False):
        method, dataset, _, metric = key
        rows.append([
            f"{NAMES[method]}, {markdown.escape(names.people(dataset))}: {markdown.escape(metric)}",
            old.loc[key, "original"],
            *(f"{side.loc[key, 'ours']}, {side.loc[key, 'verdict']}" for side in (old, new)),
        ])  # fmt: skip
    heads = ["quantity", "original's own code", "faithful, Keras 2's rule", "the same, Keras 3's rule"]
    return markdown.table(heads, rows)


def with_epochs(folder: Path, method: str, metric: str, more: pd.DataFrame | None = None) -> pd.DataFrame:
    """How a metric goes with the number of epochs of trainings that ended by themselves: an association.

    Parameters
    ----------
    folder
        Where the values lie; outside of a checkout there are none.
    method, metric
        As in the values.
    more
        Further runs: columns code (whose they are), dataset, value and epochs.

    Returns
    -------
    DataFrame
        Columns code, dataset, runs, epochs ("from to") and r, a row a code and data set of three runs or more that did
        not all end alike.
    """
    runs = [] if more is None else [more]
    if (folder / "ours.csv").exists():
        original, ours = read(folder)
        code = np.where(ours["settings"].str.endswith(KERAS_3), "ours by Keras 3's RMSprop", "ours, the same cells")
        kept = pd.concat([original.assign(code="the original"), ours.assign(code=code)])
        runs.insert(0, kept[(kept["method"] == method) & (kept["metric"] == metric)])
    rows = [
        {
            "code": code, "dataset": dataset, "runs": len(own),
            "epochs": f"{own['epochs'].min():.0f} to {own['epochs'].max():.0f}", "r": own["epochs"].corr(own["value"]),
        }
        for (code, dataset), own in (pd.concat(runs).groupby(["code", "dataset"], sort=False) if runs else ())
        if len(own) >= FEWEST
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["code", "dataset", "runs", "epochs", "r"]).dropna(subset="r")


def _plain(rows: pd.DataFrame) -> pd.Series:
    return rows["settings"].str.removesuffix(KERAS_3)


def _words(values: np.ndarray) -> str:
    """Mean ± sd and number of runs."""
    spread = f" ± {values.std(ddof=1):.2g}" if len(values) > 1 else ""
    return f"{values.mean():.4g}{spread} ({len(values)})"
