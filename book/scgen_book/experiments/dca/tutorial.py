"""The authors' tutorial: the groups of two more simulations, denoised with the defaults of the program.

The default distribution was ``zinb-conddisp`` until March 2021 and is ``nb-conddisp`` since; with which of them the
bars were drawn is not known. The claims take the first, which was the default of the paper's days.
"""

from collections.abc import Mapping
from typing import Any

from scgen_book.experiments.dca import cases, figure2
from scgen_book.experiments.protocol import METHOD, NEGATIVE, POSITIVE, Experiment, Method, NotApplicable, Task

DATASETS = ("dca_g2_tutorial", "dca_g6_methods")
#: What the claims call the methods.
CLAIMED = {"true": "true", "observed": "observed", "zinb": "denoised"}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return every method on both simulations at the seeds of the tutorial."""
    cases.refuse_unless("A", values)
    if not values["tutorial_seeds"]:
        raise NotApplicable("no seed of the tutorial was asked for in this run (parameter tutorial_seeds)")
    return [(name, method, s) for name in DATASETS for s in values["tutorial_seeds"] for method in EXPERIMENT.methods]


def claims(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims on the silhouettes."""
    claimed = CLAIMED.get(row["method"])
    return {"silhouette": f"dca.tutorial.g{row['scores']['groups']:.0f}.{claimed}"} if claimed else {}


EXPERIMENT = Experiment(
    name="dca.tutorial",
    methods={
        "true": Method(lambda case, seed, settings: figure2.Denoised(case.truth), POSITIVE),
        "observed": Method(lambda case, seed, settings: figure2.Denoised(case.observed), NEGATIVE),
        "zinb": Method(figure2.network("faithful"), METHOD, variant="faithful"),
        "nb": Method(figure2.network("faithful", ae_type="nb-conddisp"), METHOD),
    },
    metrics=figure2.EXPERIMENT.metrics,
    prepare=figure2.prepare,
    score=figure2.score,
    settings=figure2.EXPERIMENT.settings,
    asked=asked,
    claims=claims,
)
