"""The models of the chapter on scGAN: their kinds, their settings, and what a trained one leaves to be scored."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata
import keras

from scgen_book.experiments.scgan.cells import Case, rare
from scgen_lib.errors import ParameterError
from scgen_lib.models.scgan import ScGAN
from scgen_lib.settings import arguments, chosen

#: What short trainings need in the repaired variant, and nothing describes.
OURS = {"critic_input_scale": 0.01, "bn_momentum": 0.99}
KINDS = ("repaired", "faithful", "unscaled", "scGAN")


@dataclass
class Trained:
    """A trained model of a kind.

    Attributes
    ----------
    kind
        One of `KINDS`.
    model
        The model.
    seconds
        Duration of the training.
    stages
        Outer steps → cells that were generated in the course of the training.
    """

    kind: str
    model: ScGAN
    seconds: float
    stages: dict[int, anndata.AnnData] = field(default_factory=dict)


def ours(settings: Mapping[str, Any]) -> dict[str, float]:
    """Return what is added to the repaired variant: the scale of the critic's input, and the momentum."""
    return {name: value if settings[name] is None else settings[name] for name, value in OURS.items()}


def kinds(values: Mapping[str, Any]) -> list[str]:
    """Return the kinds of models that the parameters ask for, the first one first.

    **unscaled** is the repaired variant without what we added, where we added anything.

    Raises
    ------
    ParameterError
        If a variant cannot have what is asked for.
    """
    variants = list(values["variants"])
    for variant in variants:
        ScGAN.variant(variant, **chosen(ScGAN, values))
    added = any(value != arguments(ScGAN)[name].default for name, value in ours(values).items())
    unscaled = ["unscaled"] if "repaired" in variants and added and not values["fast"] else []
    return variants + unscaled + (["scGAN"] if values["unconditional"] and values["conditional"] else [])


def new(kind: str, seed: int, settings: Mapping[str, Any]) -> ScGAN:
    """Return a model of a kind to train: scGAN, which knows no classes, is of the first variant asked for."""
    variants = settings["variants"]
    variant = {"unscaled": "repaired"}.get(kind, variants[0] if kind == "scGAN" else kind)
    changes: dict[str, Any] = ours(settings) if variant == "repaired" and kind != "unscaled" else {}
    if kind == "scGAN":
        changes |= {"conditional": False} | ({"gen_norm": "batchnorm"} if variant == "faithful" else {})
    net = {name: value for name, value in chosen(ScGAN, settings).items() if name not in OURS}
    return ScGAN.variant(variant, seed=seed, **net | changes)


def fit_settings(case: Case, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `ScGAN.fit`: a batch has at most the training cells."""
    found = chosen(ScGAN.fit, settings)
    return found | {"batch_size": min(settings["batch_size"], int((case.part == "train").sum()))}


def like(model: ScGAN, case: Case, part: str = "test") -> dict[str, int] | int:
    """Return as many cells of each class as a part has: what is compared with them."""
    wanted = case.wanted(part)
    return wanted if model.labels else sum(wanted.values())


class Stages(keras.callbacks.Callback):
    """Generates cells in the course of a training.

    Parameters
    ----------
    model
        The model in training.
    case, settings
        Its cells and parameters.
    """

    def __init__(self, model: ScGAN, case: Case, settings: Mapping[str, Any]):
        super().__init__()
        self.of, self.every, self.seed = model, settings["plot_every"], settings["seed"]
        self.block, self.found = min(settings["summary_every"], settings["steps"]), {}
        few = {name: min(n, 60) for name, n in case.wanted("test").items()}
        self.few = few if model.conditional else 300

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        """Generate cells after every so many steps."""
        if self.every and (step := (epoch + 1) * self.block) % self.every == 0:
            self.found[step] = self.of.simulate(self.few, seed=self.seed)


class ProgressFile(keras.callbacks.Callback):
    """Writes a line with losses and remaining time every so many steps."""

    def __init__(self, path: Path, settings: Mapping[str, Any]):
        super().__init__()
        self.path, self.every, self.steps = path, settings["log_every"], settings["steps"]
        self.block, self.start, self.done = min(settings["summary_every"], self.steps), time.perf_counter(), 0

    def on_epoch_end(self, epoch: int, logs: Mapping | None = None) -> None:
        """Append the line."""
        self.done, step = self.done + self.block, (epoch + 1) * self.block
        if self.every and step % self.every == 0 and logs:
            left = (time.perf_counter() - self.start) / self.done * (self.steps - step)
            values = ", ".join(f"{k} {logs[k]:.4g}" for k in ("critic", "generator", "penalty", "learning_rate"))
            with self.path.open("a") as file:
                print(f"step {step}: {values}; {left:.0f} s left", file=file)


def folders(kind: str, seed: int, settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[keras.callbacks.Callback]]:
    """Return where a training is followed: checkpoint and TensorBoard for `ScGAN.fit`, and the file of progress.

    They lie in the folders ``out`` and ``resume_from``, and there are none without these. What an earlier training has
    left there is removed, unless it is continued.

    Raises
    ------
    ParameterError
        If ``resume_from`` holds no checkpoints.
    """
    out, earlier, name = settings["out"], settings["resume_from"], f"{kind}-{seed}"
    if earlier is not None and not (Path(earlier) / "checkpoints").is_dir():
        raise ParameterError(
            f"expected resume_from to be the folder out of an earlier run, got {earlier}: it has no checkpoints"
        )
    if out is None and earlier is None:
        return {}, []
    state = Path(earlier or out) / "checkpoints" / f"{name}.npz"
    if out is None:
        return {"checkpoint": state}, []
    state.parent.mkdir(parents=True, exist_ok=True)
    Path(out).mkdir(parents=True, exist_ok=True)
    progress = Path(out) / f"progress-{name}.txt"
    if earlier is None:
        for old in (state, progress):
            old.unlink(missing_ok=True)
    watch = [ProgressFile(progress, settings)] if settings["log_every"] else []
    return {"checkpoint": state, "log_dir": Path(out) / "logs" / name}, watch


def trained(
    kind: str,
    seed: int,
    case: Case,
    settings: Mapping[str, Any],
    *,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    **options: Any,
) -> Trained:
    """Train a model; the first kind generates cells on its way.

    Parameters
    ----------
    kind, seed, case, settings
        Which model, on which cells.
    callbacks, **options
        For `ScGAN.fit`, as of `folders`.
    """
    model = new(kind, seed, settings)
    stages = Stages(model, case, settings)
    watch = [*callbacks, *([stages] if kind == settings["variants"][0] else [])]
    clock = time.perf_counter()
    model.fit(case.cells, callbacks=watch, **fit_settings(case, settings), **options)
    return Trained(kind, model, time.perf_counter() - clock, stages.found)


def quietly(simulate: Callable[..., anndata.AnnData], *args: Any, **options: Any) -> anndata.AnnData:
    """Generate cells without a warning of empty ones, which the chapter counts in its table of deviations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return simulate(*args, **options)


def check(values: Mapping[str, Any]) -> None:
    """Refuse before any data are loaded what no model can have, and numbers of cells by class for scGAN.

    Raises
    ------
    ParameterError
        The first of them.
    """
    kinds(values)
    if not values["conditional"] and isinstance(values.get("n_generate"), dict):
        raise ParameterError(
            "expected n_generate to be a number for scGAN, which knows no classes, got a dict: give one"
        )


def check_cells(case: Case, values: Mapping[str, Any]) -> None:
    """Refuse a class for the augmentation that these cells do not have.

    Raises
    ------
    ParameterError
        The class's name and those that there are.
    """
    rare(case, values)
