"""The trainings of the chapter: which variants at which length of a code, and what is looked at of each.

A training may end at values that are not finite; that is a result, and told as one.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from scgen_book import experiments
from scgen_book.experiments.dr_a.cases import Case
from scgen_book.experiments.protocol import Method
from scgen_lib.errors import TrainingError
from scgen_lib.models.dr_a import DRA
from scgen_lib.settings import arguments, chosen

WIDTHS = tuple(f"{net}_h_l{layer}" for net in "gd" for layer in (1, 2, 3, 4))
#: What decides a training; the length of the code is in the name of the method.
SETTINGS = (
    *(a.flat for a in arguments(DRA).values() if a.flat not in (None, "z_dim")),
    *(a.flat for a in arguments(DRA.fit).values() if a.flat is not None),
    *("n_l", *WIDTHS),
)
#: Lengths that were published.
LENGTHS = (2, 10, 20)
# A few steps take less time one by one than the compilation of them.
FEW_EPOCHS = 3


def named(method: str, k: int) -> str:
    """Return the name of a method at a length of the code."""
    return f"{method}, K = {k}"


def split(name: str) -> tuple[str, int]:
    """Return method and length of a name of `named`."""
    method, _, k = name.rpartition(", K = ")
    return method, int(k)


class ByLength(Mapping[str, Method]):
    """Methods at every length of the code, under their names of `named`.

    Parameters
    ----------
    make
        Function of a method's own name and a length.
    names
        The methods. Those of the published lengths are listed, the others are there all the same.
    """

    def __init__(self, make: Callable[[str, int], Method], names: Mapping[str, Any]):
        self._make, self._names = make, names

    def __getitem__(self, name: str) -> Method:
        try:
            method, k = split(name)
        except ValueError:
            raise KeyError(name) from None
        if method not in self._names or k < 1 or name != named(method, k):
            raise KeyError(name)
        return self._make(method, k)

    def __iter__(self) -> Iterator[str]:
        return (named(method, k) for k in LENGTHS for method in self._names)

    def __len__(self) -> int:
        return len(LENGTHS) * len(self._names)


def changed(variant: str, **changes: object) -> dict[str, object]:
    """Return the arguments of `DRA.variant` for a variant with other settings, released ones included."""
    return {"name": variant, **changes} | ({"except_for": [*changes]} if variant == "faithful" else {})


def lengths(values: Mapping[str, Any]) -> list[int]:
    """Return the lengths of the codes that the parameters ask for."""
    return values["z_dims"] or [values["z_dim"]]


def shown(values: Mapping[str, Any]) -> int:
    """Return the length of the codes in single figures and further trainings."""
    return values["z_dim"] if values["z_dim"] in lengths(values) else lengths(values)[0]


def variants(k: int, values: Mapping[str, Any]) -> dict[str, dict[str, object]]:
    """Return what is trained at a length: each variant, the same without its adversaries, and the port's settings."""
    found = {variant: {"name": variant} for variant in values["variants"]}
    without = values["without_adversary"]
    if values["adversarial"] != "none" and (without is None or k in without):
        found |= {f"{v}, no adversary": VARIANTS[f"{v}, no adversary"] for v in values["variants"]}
    return found | ({PORT: VARIANTS[PORT]} if values["port"] else {})


PORT = "port's settings"
#: Arguments of `DRA.variant` by method; the port's step size depends on the length, see `build`.
VARIANTS = {
    "faithful": {"name": "faithful"},
    "repaired": {"name": "repaired"},
    "faithful, no adversary": changed("faithful", adversarial="none"),
    "repaired, no adversary": changed("repaired", adversarial="none"),
    PORT: {"name": "faithful", "batchnorm": True},
}


def build(method: str, k: int, seed: int, settings: Mapping, changes: Mapping[str, Any] | None = None) -> DRA:
    """Return a new model: a variant with the chapter's settings for codes of a length.

    Parameters
    ----------
    method, k, seed
        Of `VARIANTS`, the length of the code, and the seed of everything.
    settings
        By flat name, see `SETTINGS`; what is None is as published at that length.
    changes
        Arguments of `DRA.variant` in place of those of the method.

    Raises
    ------
    ParameterError
        If a value is not legal.
    """
    asked = dict(changes or VARIANTS[method])
    layers = settings["n_l"] or (4 if k == 2 else 1)
    widths = [settings[name] or (32 if layers == 4 else 512) for name in WIDTHS[4:]]
    of_length = {
        "latent_dim": k,
        "hidden": [settings[name] for name in WIDTHS[:layers]],
        "disc_hidden": widths[:layers],
        "learning_rate": settings["learning_rate"] or (8e-4 if k == 2 else 7e-4),
        "guards": settings["guards"] or asked["name"] == "repaired",
    }
    if method == PORT:
        of_length["learning_rate"] = 1e-4 if k == 2 else 7e-4
    # what the released code has otherwise is of the repaired variant alone
    own = {
        name: value
        for name, value in chosen(DRA, settings).items()
        if asked["name"] == "repaired" or not arguments(DRA)[name].deviates
    }
    return DRA.variant(asked.pop("name"), seed=seed, **own | of_length | asked)


def check(settings: Mapping) -> None:
    """Refuse settings that a variant of the run has otherwise.

    Raises
    ------
    ParameterError
        By name.
    """
    for variant in settings["variants"]:
        DRA.variant(variant, **chosen(DRA, settings))


def train(
    case: Case,
    method: str,
    k: int,
    seed: int,
    settings: Mapping,
    *,
    changes: Mapping[str, Any] | None = None,
    epochs: int | None = None,
    save: bool = False,
) -> dict[str, Any]:
    """Train a model and return what is looked at of it, or why its training ended.

    Parameters
    ----------
    case, method, k, seed, settings, changes
        On what, and which model: as in `build`.
    epochs
        In place of the chapter's.
    save
        Whether to leave the model in the folder ``models`` beside the row, where that has a file.

    Returns
    -------
    dict
        See `answer`; of a training that ended "ended", the reason in one sentence.
    """
    model, epochs = build(method, k, seed, settings, changes), epochs or settings["epoch"]
    tf.config.run_functions_eagerly(epochs <= FEW_EPOCHS)
    try:
        model.fit(
            case.cells,
            epochs=epochs,
            batch_size=settings["batch_size"],
            train_rows=case.train,
            checkpoint=experiments.checkpoint(f"{method} {seed}"),
        )
    except TrainingError as error:
        return {"ended": str(error)}
    if save and (folder := experiments.beside()):
        (folder / "models").mkdir(parents=True, exist_ok=True)
        model.save(folder / "models" / file_name(method, k, seed))
    return answer(case, model)


def answer(case: Case, model: DRA) -> dict[str, Any]:
    """Return what is looked at of a trained model.

    Returns
    -------
    dict
        "codes" of all N cells, a "sample" and the "mean", (N, K), "latent" (which of these the model takes),
        "history", "moved" and "logits" as of `DRA`, "l_sd" (spread of the mean depth over cells), "sizes" (weights by
        part), and "statistics" (largest mean that batch normalisation has learned).
    """
    library = model.posterior(case.cells)
    hidden = [layer for net in (model.net.encoder, model.net.decoder) for layer in net.layers]
    running = [layer for layer in hidden if hasattr(layer, "moving_mean")]
    return {
        "codes": {kind: model.embed(case.cells, latent=kind) for kind in ("sample", "mean")},
        "latent": model.latent,
        "history": model.history,
        "moved": model.moved(),
        "logits": model.logits(case.cells),
        "l_sd": float(library["l_mean"].std()),
        "sizes": model.net.sizes(),
        "statistics": max((float(np.abs(layer.moving_mean.numpy()).max()) for layer in running), default=0.0),
    }


def file_name(method: str, k: int, seed: int) -> str:
    """Return the name of the file of a saved model."""
    short = method.replace(", no adversary", "_none").replace("'s settings", "")
    return f"dr_a_{short}_z{k}_seed{seed}.keras"


def load(folder: str | Path, method: str, k: int, seed: int) -> DRA:
    """Return a model that was saved under `file_name`.

    Raises
    ------
    CheckpointError
        If it is not there, or damaged.
    """
    return DRA.load(Path(folder) / file_name(method, k, seed))
