"""Part B under repaired settings: DCA's own network beside baselines that need no model.

It is trained with batch normalisation and without, and with the ridge penalty of π at 0 and at one fixed value, 0.05;
neither is chosen by looking at the truth. Metrics without a further word are of the validation cells.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from anndata import AnnData

from scgen_book.experiments.dca import calls, cases, entries, networks
from scgen_book.experiments.protocol import BASELINE, METHOD, NEGATIVE, POSITIVE, Experiment, Method, Metric, Task
from scgen_lib.metrics import denoising

COLUMNS = calls.COLUMNS | {
    "median_abs_log_dropout": Metric("median error of ln(1 + x) at dropouts", "lower"),
    "AUC of π": Metric("AUC of π for the dropouts among the zeros", "higher"),
}
PARTS = ("test", "validation")
CONTROLS = {"nothing": NEGATIVE, "all zeros, gene mean": BASELINE, "perfect": POSITIVE}
#: Scores of dropout that the curves show.
RIDGES = (0.0, 0.05)
SCORES = {"π": "dropout", "w": "posterior", "μ": "mean"}
Answer = dict[str, dict[str, Any]]


def named(column: str, part: str) -> str:
    """Return the metric of a column on a part of the cells."""
    return column if part == "validation" else f"{column}, {part}"


def network(batchnorm: bool, ridge: float) -> str:
    """Return the name of a network."""
    return f"{'BN' if batchnorm else 'no BN'}, ridge {ridge:g}"


def _trained(batchnorm: bool, ridge: float) -> Method:
    def run(split: dict[str, AnnData], seed: int, settings: Mapping) -> Answer:
        changes = {"ae_type": "zinb-conddisp", "batchnorm": batchnorm, "ridge": ridge}
        model = networks.fit(split["test"], "repaired", seed, settings, **changes)
        return {part: {"values": model.parameters(cells)} for part, cells in split.items()}

    return Method(run, METHOD, variant="repaired")


def _control(name: str, role: str) -> Method:
    def run(split: dict[str, AnnData], seed: int, settings: Mapping) -> Answer:
        tables = {part: denoising.baselines(*cases.both(cells)) for part, cells in split.items()}
        return {
            part: {"scores": table.rename(columns=lambda of: of.replace("rate_", "rate ")).loc[name].to_dict()}
            for part, table in tables.items()
        }

    return Method(run, role)


def score(split: dict[str, AnnData], answer: Answer, seed: int, settings: Mapping) -> dict[str, float]:
    """Return `COLUMNS` on both parts of the cells, and what the curves of the validation cells come to."""
    found: dict[str, float] = {}
    rule, rounding = settings["dropout_rule"] or "posterior", settings["rounding"] or "none"
    for part, own in answer.items():
        scores = own.get("scores")
        if "values" in own:
            scores = calls.judge(own["values"], split[part], rule, rounding, settings["threshold"])
            scores["AUC of π"] = denoising.detection_curve(own["values"]["dropout"], *cases.both(split[part]))["auc"]
        found |= {named(column, part): scores[column] for column in COLUMNS if column in scores}
    if "values" in answer["validation"]:
        answer["curves"] = _curves(split["validation"], answer["validation"]["values"])
        found["prevalence"] = answer["curves"]["π"]["prevalence"]
        for label, curve in answer["curves"].items():
            found |= {f"AUC, {label}": curve["auc"], f"average precision, {label}": curve["average_precision"]}
    return found


def _curves(cells: AnnData, values: Mapping[str, np.ndarray]) -> dict[str, dict]:
    both = cases.both(cells)
    return {label: denoising.detection_curve(values[key], *both) for label, key in SCORES.items()}


def keep(split: dict[str, AnnData], answer: Answer, seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return the curves, the calibration and the filled counts of the validation cells."""
    if "values" not in answer["validation"]:
        return {}
    (observed, truth), values = cases.both(split["validation"]), answer["validation"]["values"]
    dropped, zero = denoising.dropout_mask(observed, truth), observed == 0
    found = {f"curve {label}": entries.curve(curve) for label, curve in answer["curves"].items()}
    found |= {f"zeros {label}": entries.histogram(values[SCORES[label]][zero], dropped[zero]) for label in ("π", "w")}
    return found | {
        f"entries {name}": array
        for name, array in entries.condensed(truth[dropped], values["mean"][dropped], dropped[dropped]).items()
    }


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the networks and the controls at every seed."""
    cases.refuse_unless("B", values)
    networks_ = [network(bn, ridge) for bn in ((False, True) if values["without_bn"] else (True,)) for ridge in RIDGES]
    return [(values["simulation"], name, seed) for seed in values["seeds"] for name in (*networks_, *CONTROLS)]


EXPERIMENT = Experiment(
    name="dca.students_repaired",
    methods={
        **{network(bn, ridge): _trained(bn, ridge) for bn in (False, True) for ridge in RIDGES},
        **{name: _control(name, role) for name, role in CONTROLS.items()},
    },
    metrics={
        **{named(column, part): metric for part in PARTS for column, metric in COLUMNS.items()},
        "prevalence": Metric("share of dropouts among the zeros", "higher", judged=False),
        **{
            f"{what}, {label}": Metric(f"{what} of {label}", "higher")
            for label in SCORES
            for what in ("AUC", "average precision")
        },
    },
    prepare=cases.split,
    score=score,
    keep=keep,
    settings=(
        *networks.SETTINGS, "test_fraction", "shuffle_split", "dropout_rule", "threshold", "rounding", "max_cells",
        "max_genes",
    ),
    asked=asked,
)  # fmt: skip
