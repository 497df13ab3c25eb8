"""Which noise model do the data want: four likelihoods on cells that the training did not see.

The last fifth of a two-group simulation is judged; its groups are without order in the file. The simulated counts have
a dispersion that depends on the mean, so that a constant one for a gene is wrong by construction.
"""

from collections.abc import Mapping
from typing import Any

import anndata

from scgen_book.experiments.dca import cases, networks
from scgen_book.experiments.protocol import Experiment, Method, Metric, Task
from scgen_lib.data import checks

LIKELIHOODS = ("nb", "nb-conddisp", "zinb", "zinb-conddisp")


def _trained(ae_type: str) -> Method:
    def run(cells: anndata.AnnData, seed: int, settings: Mapping) -> dict[str, Any]:
        cut = cells.n_obs * 4 // 5
        train = checks.drop_empty(cells[:cut].copy())
        model = networks.fit(train, "repaired", seed, settings, ae_type=ae_type)
        return {"nll": model.nll(cells[cut:, train.var_names].copy()), "net": model.net}

    return Method(run, variant="repaired")


def score(case: anndata.AnnData, answer: dict[str, Any], seed: int, settings: Mapping) -> dict[str, float]:
    """Return the mean negative log-likelihood of a held-out entry, and the number of trained weights."""
    return {"nll": answer["nll"], "parameters": sum(w.shape.num_elements() for w in answer["net"].trainable_weights)}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the likelihoods on the first simulation of part A at every seed."""
    cases.refuse_unless("A", values)
    first = values["fig2_datasets"][:1]
    return [(name, likelihood, s) for name in first for s in values["seeds"] for likelihood in values["likelihoods"]]


EXPERIMENT = Experiment(
    name="dca.likelihoods",
    methods={name: _trained(name) for name in LIKELIHOODS},
    metrics={
        "nll": Metric("negative log-likelihood of a held-out entry, nats", "lower"),
        "parameters": Metric("trained weights", "lower", judged=False),
    },
    prepare=cases.simulated,
    score=score,
    settings=(*networks.SETTINGS, "max_cells"),
    asked=asked,
)
