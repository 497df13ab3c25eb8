"""Cells on demand: what a trained model makes, and what it refuses."""

from collections.abc import Mapping
from typing import Any

import anndata
import numpy as np
import pandas as pd

from scgen_lib.errors import ParameterError
from scgen_lib.models.scgan import ScGAN


def told(made: anndata.AnnData, seconds: float) -> str:
    """Say how many cells were generated, in which time, and their totals."""
    sums = np.asarray(made.X.sum(axis=1)).ravel()
    return (
        f"{made.n_obs:,} cells × {made.n_vars:,} genes in {seconds:.2f} s; totals {sums.min():,.1f} to "
        f"{sums.max():,.1f}; model {made.uns['scgan']['model'][:12]}."
    )


def requests(model: ScGAN) -> dict[str, Any]:
    """Return what one may ask a model for, and what not, by words."""
    asked: dict[str, Any] = {"a number": 3}
    if model.labels:
        several = dict(zip(model.labels, range(len(model.labels)), strict=True))
        asked["a list, by order of the classes"] = list(several.values()) if sum(several.values()) else [1]
        first, last = model.labels[0], model.labels[-1]
        asked["a dict with a zero"] = {first: 0, last: 7} if len(model.labels) > 1 else {first: 7}
        asked["an unknown class"] = {"no such class": 5}
    return asked | {"a negative number": -1, "nothing": 0}


def answers(model: ScGAN, seed: int) -> Any:
    """Return what the model answers to every one of `requests`."""
    rows = [(words, _answer(model, asked, seed)) for words, asked in requests(model).items()]
    shown = pd.DataFrame(rows, columns=["asked for", "answer"]).style.hide(axis="index")
    return shown.set_properties(**{"text-align": "left"})


def _answer(model: ScGAN, asked: Any, seed: int) -> str:
    try:
        made = model.simulate(asked, seed=seed)
    except ParameterError as error:
        return f"refused: {error}"
    of: Mapping[str, int] = {}
    if model.labels:
        of = made.obs["cell_type"].astype(str).value_counts(sort=False).to_dict()
    return f"{made.n_obs} cells" + (": " + ", ".join(f"{n} {name}" for name, n in of.items()) if of else "")
