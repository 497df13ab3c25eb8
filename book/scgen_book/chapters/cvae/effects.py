"""What the released code does otherwise, as measured on the main data and the first seed: words, and both numbers."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from scgen_book.chapters.cvae import scores
from scgen_book.chapters.cvae.tables import labels
from scgen_book.experiments.cvae import cases, defects, gene_order, variations
from scgen_book.experiments.defects import find
from scgen_book.experiments.rows import Rows
from scgen_book.results import Run
from scgen_lib.data import checks
from scgen_lib.models.cvae.cells import image_side

_DEPTH = "fig-cvae-library"


class Measured(NamedTuple):
    """Rows of ``cvae.realism``, ``cvae.gene_order`` and ``cvae.defects``, and all parameters of the chapter."""

    realism: Rows
    orders: Rows
    defects: Rows
    values: Mapping[str, Any]

    def of(self, method: str) -> dict[str, float]:
        """Return the scores of a method on the main data with the first seed; none where it has none."""
        run = cases.trainings(self.values)
        for row in self.realism.rows:
            if (row["dataset"], row["method"], row["seed"]) == (run.main, method, run.seeds[0]):
                return {name: np.nan if value is None else value for name, value in row["scores"].items()}
        return {}

    @property
    def losses(self) -> dict[str, float]:
        """Loss of test cells by order of the genes, that of the other trainings first."""
        run, order = cases.trainings(self.values), self.values["gene_order"]
        found = {order: scores.value(self.realism, run.main, run.variants[0], run.seeds[0], gene_order.LOSS)}
        rows = [row for row in self.orders.rows if row["scores"]]
        found |= {row["method"].removeprefix(f"{run.variants[0]}, "): row["scores"][gene_order.LOSS] for row in rows}
        return {name: loss for name, loss in found.items() if np.isfinite(loss)}


def effects(measured: Measured) -> dict[str, str]:
    """Return the words of each deviation that was measured; none where nothing was trained."""
    values, run = measured.values, cases.trainings(measured.values)
    if not run.main or values["model_path"]:
        return {}
    cells = cases.load(run.main, values)
    found = _of_data(measured, cells) | _of_saving(measured)
    if measured.of("faithful"):
        found |= _of_faithful(measured, cells)
    if len(measured.losses) > 1:
        said = ", ".join(f"{order} {loss:.5g}" for order, loss in measured.losses.items())
        found["V13"] = f"loss of test cells ({run.variants[0]}) by order of the genes: {said}"
    return found


def _of_data(measured: Measured, cells: Any) -> dict[str, str]:
    values, sides = measured.values, ("released", "otherwise")
    largest, of_train = (measured.defects.values("V7", side).iloc[0] for side in sides)
    moved = measured.defects.values("V8", "released").iloc[0]
    rarest, n = labels(cells).iloc[-1], cells.obs["cell_type"].nunique()
    return {
        "V7": f"M is {largest:.0f} with the test cells and {of_train:.0f} without; the rarest type, {rarest.name}, has "
        f"{rarest['train']} training cells",
        "V8": f"{moved:.0f} of {n} types have another place in the printed list than their code says",
        "V9": f"{n} types here: a sampler for 11 would {'serve' if n == 11 else 'fail'}",
        "V10": defects.fractional(values["filters"], values["kernel_size"]),
    }  # fmt: skip


def _of_saving(measured: Measured) -> dict[str, str]:
    best = measured.of(cases.trainings(measured.values).variants[0])
    if "changed after saving" not in best:
        return {}
    return {"V11": f"{best['changed after saving']:.0f} counts differ between a model and its saved copy, same seed"}


def _of_faithful(measured: Measured, cells: Any) -> dict[str, str]:
    own, run, values = measured.of("faithful"), cases.trainings(measured.values), measured.values
    side, pixels = image_side(cells.n_vars, values["image_size"]) ** 2, measured.realism.kept
    counts = checks.get_counts(cells)[~cells.obs["train"].to_numpy()]
    held = _typical(variations.typical(counts))
    kept = pixels("faithful", run.main, run.seeds[0])
    padding = ", ".join(
        f"{x:.2g} after {epoch} epoch{'' if epoch == 1 else 's'}"
        for epoch, x in zip(kept["epochs"], kept["padding"], strict=True)
    )
    single, batched = (own[name] for name in variations.TIMES)
    maximum = _maximum(cells)
    return {
        "V1": f"KL of test cells {own['kl, test cells']:.1e} nats, {own['active dimensions of z']:.0f} of "
        f"{values['latent_dim']} dimensions active; squared error of a cell {own['reconstruction, test cells']:.2f}",
        "V2": f"spread within types, 1 is right: {_spread(own)} as means, {_spread(own, 'drawn')} with Poisson noise",
        "V3": f"median library size and zeros: {_typical(own)} rounded down, {_typical(own, 'rounded')} rounded, "
        f"{_typical(own, 'drawn')} drawn; held-out cells {held}",
        "V4": f"median library size and zeros: {'; '.join(_of_z(measured, v) for v in run.variants)}",
        "V5": f"M is {maximum:,.0f} here: with 260 the simulated counts sum to "
        f"{own['sum, factor 260'] / max(own['sum'], 1):.2f} times as much",
        "V6": f"{(side - cells.n_vars) / side:.1%} of the exported columns have no gene; largest value in them "
        f"{padding}",
        "V12": f"{single:.0f} ms a cell one by one, {batched:.2f} ms in one go with the writing of counts "
        f"({single / batched:,.0f} times)",
    }  # fmt: skip


def _maximum(cells: Any) -> float:
    """Return M of the faithful variant, the largest count of all cells."""
    return float(checks.get_counts(cells).max())


def _of_z(measured: Measured, variant: str) -> str:
    """Say what the distribution of z does to the cells of a variant."""
    own, words = measured.of(variant), {"posterior z": "the posterior"}
    each = [f"{_typical(own, kind)} from {words.get(kind, kind)}" for kind in variations.OF_Z] if own else []
    return f"{variant}: {', '.join(each) or 'not measured'}"


def _typical(own: Mapping[str, float], kind: str = "") -> str:
    library, zeros = (own[variations.named(name, kind)] for name in ("library", "zeros"))
    return f"{library:,.0f} and {zeros:.1%}"


def _spread(own: Mapping[str, float], kind: str = "") -> str:
    ratio, distinct = (own[variations.named(name, kind)] for name in ("spread", "distinct cells"))
    return f"{ratio:.2f} ({distinct:.0%} distinct)"


def findings(run: Run, measured: Measured) -> None:
    """Record both sides of each deviation as findings of a run, where the faithful variant was trained."""
    values, asked = measured.values, cases.trainings(measured.values)
    own = measured.of("faithful")
    if not own or "spread" not in own:
        return
    held = variations.typical(checks.get_counts(cases.load(asked.main, values))[_test(asked.main, values)])
    depth = f"median library size, counts; held-out cells have {held['library']:,.0f}"
    single, batched = (own[name] for name in variations.TIMES)
    _add(run, "V2", "spread within cell types, 1 is right", own["spread"], own["spread, drawn"])
    _add(run, "V3", depth, own["library"], own["library, rounded"], figure=_DEPTH)
    _add(run, "V4", depth, own["library"], own["library, N(0, 1)"], figure=_DEPTH)
    _add(run, "V5", "sum of all simulated counts", own["sum, factor 260"], own["sum"])
    find(run, measured.defects, defects.DEFECTS)
    _add(run, "V12", "time to simulate a cell, ms", single, batched, part=True)
    if repaired := measured.of("repaired"):
        quantity = "KL divergence of z for a test cell, nats"
        kl = (x["kl, test cells"] for x in (own, repaired))
        _add(run, "V1", quantity, *kl, part=True, figure="fig-cvae-loss")
    if len(measured.losses) > 1:
        first, *_, last = measured.losses.values()
        order = list(measured.losses)[-1]
        _add(run, "V13", f"loss of test cells; the other way: genes in the order “{order}”", first, last)


def _test(dataset: str, values: Mapping[str, Any]) -> np.ndarray:
    return ~cases.load(dataset, values).obs["train"].to_numpy()


def _add(run: Run, name: str, quantity: str, released: float, otherwise: float, **options: Any) -> None:
    run.finding(name, quantity, released=released, otherwise=otherwise, **options)
