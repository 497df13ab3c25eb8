"""scVI, an optional package that chapters compare with, in a process of its own.

PyTorch and TensorFlow bring copies of the same C++ libraries, and a process that has loaded both dies. So the counts go
to a new process in a file, and what scVI makes of them comes back in another.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from scgen_lib.errors import InputError

Matrix = np.ndarray | sp.csr_matrix


def has_scvi() -> bool:
    """Say whether scVI is installed, without loading it."""
    return importlib.util.find_spec("scvi") is not None


def scvi(
    train: Matrix, test: Matrix, *, n_latent: int = 10, epochs: int | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Train scVI (Lopez et al. 2018, https://doi.org/10.1038/s41592-018-0229-2) with its own defaults.

    Parameters
    ----------
    train, test
        Raw counts, cells × genes (N, G) and (M, G), the same genes; CSR stays sparse.
    n_latent
        Length K of a code.
    epochs
        Epochs; None takes scVI's own number, which falls with the number of cells.
    seed
        Seed of scVI and PyTorch.

    Returns
    -------
    codes
        Latent mean of the test cells (M, K), float32.
    shares
        Expected share of each gene in a test cell's molecules (M, G), float32; rows sum to 1.

    Raises
    ------
    InputError
        scVI is not installed, or stopped; the sentence ends in its last line.
    """
    if not has_scvi():
        raise InputError("expected the package scvi-tools, got none: install it with pip")
    with tempfile.TemporaryDirectory() as folder:
        for name, counts in (("train", train), ("test", test)):
            sp.save_npz(Path(folder, name), sp.csr_matrix(counts, dtype="float32"), compressed=False)
        asked = json.dumps({"n_latent": n_latent, "epochs": epochs, "seed": seed})
        command = [sys.executable, "-m", "scgen_book.external", folder, asked]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise InputError(f"expected scVI to train, got a process that stopped: {last}")
        made = np.load(Path(folder, "made.npz"))
        return made["codes"], made["shares"]


def _train_scvi(folder: str, asked: str) -> None:
    """Do what `scvi` asks, in the process that has PyTorch."""
    import anndata
    import scvi as package

    settings = json.loads(asked)
    package.settings.seed = settings["seed"]
    train, test = (anndata.AnnData(sp.load_npz(Path(folder, f"{name}.npz"))) for name in ("train", "test"))
    package.model.SCVI.setup_anndata(train)
    model = package.model.SCVI(train, n_latent=settings["n_latent"])
    model.train(max_epochs=settings["epochs"], enable_progress_bar=False, logger=False)
    shares = model.get_normalized_expression(test, library_size=1, return_numpy=True)
    codes = model.get_latent_representation(test)
    np.savez(Path(folder, "made.npz"), codes=codes.astype("float32"), shares=shares.astype("float32"))


if __name__ == "__main__":
    _train_scvi(*sys.argv[1:])
