"""What each model comes to from one seed; `python tests/models/make_pins.py` remakes `pins.json`.

A few updates of a tiny net through the public class, then its weights and what its verb returns. `test_pins.py` calls
this in a process of its own with ``-``, so that neither cores, nor a GPU, nor other tests have a part in the numbers.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

# Before TensorFlow is loaded. Sums over threads depend on their number.
os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "-1"}

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp

from scgen_lib.models.cvae import CVAE
from scgen_lib.models.db_aae import DBAAE
from scgen_lib.models.dca import DCA
from scgen_lib.models.dca.students import Student
from scgen_lib.models.dr_a import DRA
from scgen_lib.models.scgan import ScGAN

PINS = Path(__file__).with_name("pins.json")
Pinned = tuple[object, np.ndarray]


# How each model is made, trained and used: whoever changes a constructor changes these, and no value of the pins ------


def dca(cells: anndata.AnnData, variant: str, ae_type: str, batchnorm: bool = False) -> Pinned:
    model = DCA.variant(variant, ae_type=ae_type, hidden=(8, 4, 8), batchnorm=batchnorm, hidden_dropout=0.1, l2=1e-3)
    model.fit(cells, epochs=2, batch_size=16, validation_split=0.25)
    return model, model.denoise(cells)


def student(cells: anndata.AnnData, kind: str) -> Pinned:
    model = Student(kind=kind, size_factor="total_median")
    model.fit(cells, epochs=2, batch_size=16)
    return model, model.parameters(cells)["mean"]


def db_aae(cells: anndata.AnnData, variant: str) -> Pinned:
    model = DBAAE.variant(variant, hidden=(16, 12), latent_dim=6, disc_hidden=8)
    model.fit(cells, epochs=2, batch_size=16)
    return model, model.denoise(cells)


def dr_a(cells: anndata.AnnData, variant: str) -> Pinned:
    model = DRA.variant(variant, latent_dim=10, hidden=[12], disc_hidden=[8])
    model.fit(cells, epochs=2, batch_size=16)
    return model, model.embed(cells)


def cvae(cells: anndata.AnnData, variant: str, seed: int = 0) -> Pinned:
    model = CVAE.variant(variant, filters=4, hidden=4, seed=seed)
    model.fit(cells, epochs=2, batch_size=16)
    return model, _matrix(model.simulate({"A": 3, "B": 2}))


def scgan(cells: anndata.AnnData, variant: str, conditional: bool) -> Pinned:
    layers = {"gen_layers": [6, 5], "critic_layers": [7, 5], "latent_dim": 3, "library_size": 200.0}
    model = ScGAN.variant(variant, conditional=conditional, **layers)
    model.fit(cells, steps=4, batch_size=8, steps_per_epoch=2)
    return model, _matrix(model.simulate({"A": 3, "B": 2} if conditional else 5))


VARIANTS = ("faithful", "repaired")
CASES: dict[str, tuple[Callable[..., Pinned], tuple]] = {
    **{f"dca {kind} {v}": (dca, (v, kind)) for kind in ("zinb-conddisp", "nb") for v in VARIANTS},
    **{f"dca batchnorm {v}": (dca, (v, "zinb-conddisp", True)) for v in VARIANTS},
    **{f"student {kind}": (student, (kind,)) for kind in ("I", "IV")},
    **{f"db-aae {v}": (db_aae, (v,)) for v in VARIANTS},
    **{f"dr-a {v}": (dr_a, (v,)) for v in VARIANTS},
    **{f"cvae {v}": (cvae, (v,)) for v in VARIANTS},
    "cvae seed 1": (cvae, ("repaired", 1)),
    **{f"scgan {v}": (scgan, (v, False)) for v in VARIANTS},
    **{f"cscgan {v}": (scgan, (v, True)) for v in VARIANTS},
}


# How a training is told -----------------------------------------------------------------------------------------------


def counts() -> anndata.AnnData:
    """Counts of NumPy alone, so that a change of the simulator is no change of the pins."""
    rng, n, genes = np.random.default_rng(0), 64, 24
    kinds = np.repeat(["A", "B"], n // 2)
    means = rng.gamma(1.0, 4.0, (2, genes))[(kinds == "B").astype(int)] * rng.gamma(8.0, 0.125, (n, 1))
    x = sp.csr_matrix(rng.poisson(means).astype("float32"))
    obs = pd.DataFrame({"cell_type": pd.Categorical(kinds)}, index=[f"cell{i}" for i in range(n)])
    var = pd.DataFrame(index=[f"gene{i}" for i in range(genes)])
    return anndata.AnnData(x, obs=obs, var=var, layers={"counts": x.copy()})


def _matrix(cells: anndata.AnnData) -> np.ndarray:
    return cells.X.toarray() if sp.issparse(cells.X) else np.asarray(cells.X)


def machine() -> dict[str, str]:
    """What bits depend on: the processor with all that it can do, and the versions."""
    facts = {"model name": "", "flags": ""}
    if (info := Path("/proc/cpuinfo")).exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in facts:
                facts[name.strip()] = value.strip()
    flags = hashlib.sha256(facts["flags"].encode()).hexdigest()[:8]
    return {
        "processor": f"{facts['model name']}, flags {flags}",
        **{package: metadata.version(package) for package in ("tensorflow", "keras")},
    }


def told(array: np.ndarray) -> dict[str, object]:
    """Shape, mean and five entries."""
    flat = np.ravel(array).astype("float64")
    places = np.linspace(0, flat.size - 1, min(5, flat.size)).astype(int)
    return {
        "shape": list(array.shape),
        "mean": float(f"{flat.mean():.9g}"),
        "entries": [float(f"{v:.9g}") for v in flat[places]],
    }


def pin(case: str) -> dict[str, object]:
    """Train a case; the order of its weights is left out of what is told."""
    function, arguments = CASES[case]
    try:
        model, output = function(counts(), *arguments)
    except Exception as error:  # the other cases are told all the same
        return {"error": f"{type(error).__name__}: {error}"}
    weights = [np.asarray(w) for w in model.net.weights]
    contents = sorted(np.ascontiguousarray(a, "float32").tobytes() for a in (*weights, output))
    return {
        "sha256": hashlib.sha256(b"".join(contents)).hexdigest(),
        "output": told(output),
        "weights": sorted((told(w) for w in weights), key=lambda line: (line["shape"], line["mean"])),
    }


def text(made: dict) -> str:
    """JSON with a line for every array, so that a difference can be read."""
    cases = []
    for case, values in made["cases"].items():
        if "error" in values:
            cases.append(f"{json.dumps(case)}: {json.dumps(values)}")
            continue
        lines = ",\n   ".join(json.dumps(line) for line in values["weights"])
        head = f'"sha256": "{values["sha256"]}",\n  "output": {json.dumps(values["output"])}'
        cases.append(f'{json.dumps(case)}: {{{head},\n  "weights": [\n   {lines}]}}')
    joined = ",\n ".join(cases)
    return f'{{"machine": {json.dumps(made["machine"])},\n"cases": {{\n {joined}}}}}\n'


if __name__ == "__main__":
    pins = text({"machine": machine(), "cases": {case: pin(case) for case in CASES}})
    if sys.argv[1:] == ["-"]:
        print(pins)
    else:
        PINS.write_text(pins, encoding="utf-8")
