"""Does the order of the genes in the image matter: the first variant, trained with other orders than all the others."""

from collections.abc import Mapping
from typing import Any

from scgen_book.experiments.cvae import cases, trained
from scgen_book.experiments.cvae.cases import Case
from scgen_book.experiments.protocol import Experiment, Method, Metric, NotApplicable, Task
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.cvae.cells import split
from scgen_lib.settings import arguments

ORDERS = ("file", "mean", "correlation")
LOSS = "loss, test cells"


def named(variant: str, order: str) -> str:
    """Return the name of the method of a variant with an order of the genes."""
    return f"{variant}, {order}"


def prepare(dataset: str, seed: int, settings: Mapping) -> Case:
    """Return the cells of the data set; nothing is scored but the loss."""
    return Case(cases.load(dataset, settings), [], seed, settings)


def _ordered(variant: str, order: str) -> Method:
    def run(case: Case, seed: int, settings: Mapping) -> CVAE:
        model = trained.build(variant, seed, settings, gene_order=order)
        trained.fit(model, case, settings)
        return model

    return Method(run, variant=variant)


def score(case: Case, answer: CVAE, seed: int, settings: Mapping) -> dict[str, float]:
    """Return the loss of a test cell."""
    return {LOSS: answer.evaluate(case.test_cells)["loss"]}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the orders that the other trainings have not, on the main data with the first seed."""
    if values["model_path"]:
        raise NotApplicable("nothing is trained where a saved model is given")
    orders = [order for order in values["gene_orders"] if order != values["gene_order"]]
    if not orders:
        raise NotApplicable("no other order of the genes was asked for (parameter gene_orders)")
    run = cases.trainings(values)
    return [(run.main, named(run.variants[0], order), run.seeds[0]) for order in orders]


EXPERIMENT = Experiment(
    name="cvae.gene_order",
    methods={named(v, order): _ordered(v, order) for v in ("faithful", "repaired") for order in ORDERS},
    metrics={LOSS: Metric("loss of a test cell", "lower", judged=False)},
    prepare=prepare,
    score=score,
    # the order of the other trainings is no setting of these
    settings=(
        *(a.flat for a in arguments(CVAE).values() if a.flat not in (None, "gene_order")), CVAE.fit, split,
        "dataset", "label_key", "transpose", "model_path", "fast",
    ),
    asked=asked,
)  # fmt: skip
