"""A trained model of the chapter on the CVAE, and the cells that it simulates, each kind drawn once."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata
import keras
import numpy as np
from anndata import AnnData

from scgen_book import experiments
from scgen_book.experiments.cvae.cases import APART, Case
from scgen_lib import files
from scgen_lib.models.cvae import CVAE
from scgen_lib.settings import chosen

#: How cells are drawn otherwise than the model's settings say.
KINDS: dict[str, dict[str, Any]] = {
    "": {},
    "prior z": {"z_loc": 0, "z_scale": 1, "z_source": "normal"},
    "posterior z": {"z_source": "posterior"},
    "rounded": {"emission": "round"},
    "drawn": {"emission": "sample"},
    "N(0, 1)": {"z_loc": 0, "z_scale": 1},
    "N(1, 2²)": {"z_loc": 1, "z_scale": 2},
    "N(1, 4²)": {"z_loc": 1, "z_scale": 4},
    "factor 260": {"count_scale": 260.0},
}


class Snapshots(keras.callbacks.Callback):
    """Simulates cells at some epochs of a training, and keeps them where a killed row finds them again.

    Parameters
    ----------
    of
        The model in training.
    epochs
        At which.
    cells
        Cells of each type.
    """

    def __init__(self, of: CVAE, epochs: Sequence[int], cells: int):
        super().__init__()
        self.of, self.epochs, self.cells, self.found = of, epochs, cells, {}

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        """Simulate cells if this is one of the epochs."""
        if epoch + 1 in self.epochs:
            self.found[epoch + 1] = self.of.simulate(self.cells, z_source="normal")
            if path := experiments.checkpoint(f"epoch-{epoch + 1}"):
                files.write_h5ad(self.found[epoch + 1], path)

    def all(self) -> dict[int, AnnData]:
        """Return the cells by epoch, those of before a kill, too."""
        for epoch in self.epochs:
            path = experiments.checkpoint(f"epoch-{epoch}")
            if epoch not in self.found and path and Path(path).exists():
                self.found[epoch] = anndata.read_h5ad(path)
        return dict(sorted(self.found.items()))


@dataclass
class Trained:
    """A trained model.

    Attributes
    ----------
    method
        A variant, or `cases.APART`.
    model
        The model.
    snapshots
        Cells simulated during the training, by epoch.
    """

    method: str
    model: CVAE
    snapshots: Mapping[int, AnnData] = field(default_factory=dict)
    _made: dict[str, AnnData] = field(default_factory=dict)

    @property
    def is_variant(self) -> bool:
        """Whether this is one of the two variants."""
        return self.method != APART

    @property
    def kinds(self) -> list[str]:
        """Kinds of simulated cells that are scored."""
        prior = ["prior z"] if self.method == "faithful" else []
        return ["", *prior, *(["posterior z"] if self.is_variant else [])]

    def simulated(self, case: Case, kind: str = "") -> AnnData:
        """Return as many cells of each type as there are test cells, of one of `KINDS`."""
        if kind not in self._made:
            self._made[kind] = self.model.simulate(case.target, seed=case.seed, **KINDS[kind])
        return self._made[kind]

    def again(self, case: Case) -> AnnData:
        """Simulate the same cells with a saved copy of the model."""
        with tempfile.TemporaryDirectory() as folder:
            self.model.save(f"{folder}/copy.keras")
            return CVAE.load(f"{folder}/copy.keras").simulate(case.target, seed=case.seed)


def build(method: str, seed: int, settings: Mapping, **changes: Any) -> CVAE:
    """Return the untrained model of a method; the one without the likelihood of counts draws from a Poisson."""
    changes |= {"decoder_likelihood": "mse"} if method == APART else {}
    return CVAE.variant("repaired" if method == APART else method, seed=seed, **chosen(CVAE, settings) | changes)


def watch(model: CVAE, settings: Mapping) -> Snapshots:
    """Return the callback that simulates cells during the training of a model."""
    return Snapshots(model, settings["snapshot_epochs"], settings["embedding_dots"])


def train(case: Case, method: str, seed: int, settings: Mapping) -> Trained:
    """Train a model on the training cells of a case, or load the saved one that the settings name."""
    if settings["model_path"]:
        return Trained(method, CVAE.load(settings["model_path"]))
    model = build(method, seed, settings)
    snapshots = watch(model, settings)
    fit(model, case, settings, [snapshots] if method != APART else [])
    return Trained(method, model, snapshots.all())


def fit(model: CVAE, case: Case, settings: Mapping, callbacks: Sequence[keras.callbacks.Callback] = ()) -> None:
    """Train a model on the training cells of a case; a killed row goes on from where it was."""
    model.fit(
        case.cells, train=case.in_train, callbacks=list(callbacks), checkpoint=experiments.checkpoint(),
        **chosen(CVAE.fit, settings),
    )  # fmt: skip


def latent_sizes(codes: np.ndarray) -> int:
    """Return the number of dimensions of z whose posterior mean varies between cells (variance above 0.01)."""
    return int((codes.var(axis=0) > 0.01).sum())
