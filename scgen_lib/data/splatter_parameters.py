"""Legal values of the Splat simulation, and the named settings that the papers use."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scgen_lib.errors import ParameterError

Values = float | Sequence[float]

DROPOUT_TYPES = ("none", "experiment", "batch", "group", "cell")

# name: (how many values, lowest, highest); a lowest value of TINY stands for "above 0"
TINY = np.finfo(float).tiny
LIMITS: dict[str, tuple[str, float, float]] = {
    "batch_cells": ("any", 1, np.inf),
    "mean_shape": ("one", TINY, np.inf),
    "mean_rate": ("one", TINY, np.inf),
    "lib_loc": ("one", -np.inf, np.inf),
    "lib_scale": ("one", 0, np.inf),
    "out_prob": ("one", 0, 1),
    "out_loc": ("one", -np.inf, np.inf),
    "out_scale": ("one", 0, np.inf),
    "group_prob": ("any", 0, 1),
    "de_prob": ("group", 0, 1),
    "de_down_prob": ("group", 0, 1),
    "de_loc": ("group", -np.inf, np.inf),
    "de_scale": ("group", 0, np.inf),
    "bcv_common": ("one", 0, np.inf),
    "bcv_df": ("one", TINY, np.inf),
    "batch_loc": ("batch", -np.inf, np.inf),
    "batch_scale": ("batch", 0, np.inf),
    "path_n_steps": ("group", 1, np.inf),
    "path_skew": ("group", 0, 1),
    "path_nonlinear_prob": ("group", 0, 1),
    "path_sigma_fac": ("group", 0, np.inf),
}
WHOLE = ("batch_cells", "path_n_steps")


def check(parameters: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Refuse illegal parameters, and bring the others to float64 arrays: one value, or one a group or a batch."""
    whole("n_genes", parameters["n_genes"], 1)
    if parameters["dropout_type"] not in DROPOUT_TYPES:
        raise ParameterError(
            f"expected dropout_type among {', '.join(DROPOUT_TYPES)}, got {parameters['dropout_type']!r}: choose one"
        )
    lengths = {"one": 1, "any": None}
    lengths |= {"group": np.size(parameters["group_prob"]), "batch": np.size(parameters["batch_cells"])}
    legal = {
        name: values_of(name, parameters[name], lengths[kind], *limits) for name, (kind, *limits) in LIMITS.items()
    }
    if not np.isclose(legal["group_prob"].sum(), 1):
        raise ParameterError(f"expected group_prob to sum to 1, got {legal['group_prob'].sum():g}: rescale it")
    return legal


def whole(name: str, value: Any, low: int) -> int:
    """Return a whole number of at least `low`, or refuse it by its name."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise ParameterError(f"expected {name} as a whole number of at least {low}, got {value!r}: give one")
    return int(value)


def values_of(name: str, value: Any, length: int | None, low: float = -np.inf, high: float = np.inf) -> np.ndarray:
    """Return a number, repeated, or a list of numbers as (length,) float64, of any length for None, or refuse it."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ParameterError(f"expected {name} as a number or a list of them, got {value!r}: give numbers") from None
    if length is None and (array.ndim != 1 or array.size == 0):
        raise ParameterError(f"expected {name} as a list of one value or more, got {value!r}: give a list")
    if length is not None and array.shape not in ((), (1,), (length,)):
        wanted = "one value" if length == 1 else f"one value or {length}"
        raise ParameterError(f"expected {wanted} of {name}, got {array.size}: give as many")
    finite = np.isfinite(array) | ((array == np.inf) & (name == "bcv_df"))
    if not (finite & (array >= low) & (array <= high)).all():
        lowest = "above 0" if low == TINY else f"at least {low:g}"
        limits = f"finite and {lowest}" if np.isinf(high) else f"in [{low:g}, {high:g}]"
        raise ParameterError(f"expected {name} {limits}, got {value!r}: give one in that range")
    if name in WHOLE and (array % 1).any():
        raise ParameterError(f"expected whole numbers of {name}, got {value!r}: round them")
    return array if length is None else np.broadcast_to(array, length)


def _setting(title: str, source: str, groups: int, mid: float, **parameters: Any) -> dict[str, Any]:
    """Describe a preset of 200 genes × 2000 cells in equal groups; a midpoint of 0 is no dropout."""
    common = {"n_genes": 200, "batch_cells": (2000,), "group_prob": (1 / groups,) * groups}
    dropout = {"dropout_type": "experiment", "dropout_mid": float(mid), "dropout_shape": -1.0} if mid else {}
    return {"title": title, "source": source, "parameters": common | dropout | parameters}


PRESETS: dict[str, dict[str, Any]] = {}
for _k in (2, 6, 8):
    _source = "DB-AAE, generate_sim_data.R"
    PRESETS[f"splat_g{_k}_nodrop"] = _setting(f"Splat, {_k} groups, no dropout", _source, _k, 0)
    PRESETS[f"splat_g{_k}"] = _setting(f"Splat, {_k} groups, midpoint 1", _source, _k, 1)
PRESETS |= {
    "dca_g2_fig2": _setting("Splat, 2 groups, midpoint 5", "DCA, Figure2.ipynb and Methods", 2, 5),
    "dca_g6_fig2": _setting("Splat, 6 groups, midpoint 3", "DCA, Figure2.ipynb", 6, 3),
    "dca_g6_methods": _setting("Splat, 6 groups, midpoint 1", "DCA, Methods text", 6, 1),
    "dca_g2_tutorial": _setting("Splat, 2 groups, midpoint 3", "DCA, tutorial.ipynb", 2, 3),
    "dca_student": _setting(
        "Splat, 3 groups, 1000 genes, midpoint 1", "stand-in for the student reproduction's data", 3, 1, n_genes=1000
    ),
    "umi11": _setting(
        "Splat, 11 groups, UMI-like depth, no dropout",
        "stand-in for the 68k PBMC data",
        11,
        0,
        n_genes=1000,
        batch_cells=(3000,),
        lib_loc=float(np.log(1300)),
        lib_scale=0.35,
        de_prob=0.2,
    ),
}
# The grid of DCA's simulate.R; its swapped form has 2000 genes and 200 cells.
for _mid in (0, 1, 3, 5):
    for _k in (1, 2, 3, 6):
        for _swap in (False, True):
            _shape = {"n_genes": 2000, "batch_cells": (200,)} if _swap else {}
            _title = f"Splat, {_k} group{'s' if _k > 1 else ''}, {f'midpoint {_mid}' if _mid else 'no dropout'}"
            PRESETS[f"dca_script_d{_mid}_k{_k}{'_swap' if _swap else ''}"] = _setting(
                _title + (", 2000 genes × 200 cells" if _swap else ""), "DCA, simulate.R", _k, _mid, **_shape
            )
