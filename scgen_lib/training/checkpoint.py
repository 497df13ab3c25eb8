"""The whole state of a training in one file, written so that a kill at any moment leaves a usable one behind."""

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from scgen_lib.errors import CheckpointError, told
from scgen_lib.files import replacing

# What Keras' own callbacks remember between epochs; Keras itself does not save it.
_CALLBACK_STATE = {
    keras.callbacks.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
}


class Checkpoint(keras.callbacks.Callback):
    """Saves weights, optimisers, random state, callbacks and history, and continues from them.

    Parameters
    ----------
    path
        File to write, or None to keep the history only.
    every
        Epochs between two saves; the last epoch is saved in any case.
    epochs
        Epochs of the whole training.
    settings
        Text that a run must share with the one it continues.

    Attributes
    ----------
    epoch
        Epochs that are done.
    finished
        Whether nothing is left to train.
    history
        Name → one value per epoch, from the first one on.
    """

    def __init__(self, path: str | os.PathLike | None, *, every: int, epochs: int, settings: str):
        super().__init__()
        self.path = None if path is None else Path(path)
        self.every, self.epochs, self.settings = every, epochs, settings
        self.epoch, self.finished = 0, False
        self.history: dict[str, list[float]] = {}
        self._states: list[dict] | None = None

    def attach(self, model: keras.Model, others: Sequence[keras.callbacks.Callback]) -> None:
        """Name the model and the other callbacks of the training, and load the file if it exists.

        Raises
        ------
        CheckpointError
            The file is truncated, or of another model, other data or other settings; it is left as it was.
        """
        self._others = [(cb, names) for cb in others for kind, names in _CALLBACK_STATE.items() if type(cb) is kind]
        if self.path is not None and self.path.exists():
            self._load(model)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Give the other callbacks their memory back, which they have just cleared."""
        if self._states is not None:
            for (callback, _), state in zip(self._others, self._states, strict=True):
                vars(callback).update(state)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Append to the history, and save when it is time."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        self.epoch = epoch + 1
        self.finished = self.epoch >= self.epochs or self.model.stop_training
        if self.path is not None and (self.finished or self.epoch % self.every == 0):
            self._save()

    def _save(self) -> None:
        arrays = {f"variable/{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(_variables(self.model))}
        callbacks = []
        for i, (callback, names) in enumerate(self._others):
            state = {name: getattr(callback, name, None) for name in names}
            best = state.pop("best_weights", None)
            state = {k: v if v is None or isinstance(v, int) else float(v) for k, v in state.items()}
            if best is not None:
                arrays |= {f"best/{i}/{j}": np.asarray(w) for j, w in enumerate(best)}
                state["best_weights"] = len(best)
            callbacks.append(state)
        state = {
            "epoch": self.epoch,
            "stopped": bool(self.model.stop_training),
            "settings": self._identity(self.model),
            "callbacks": callbacks,
            "history": self.history,
        }
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, state=np.array(json.dumps(state)), **arrays)

    def _load(self, model: keras.Model) -> None:
        variables = _variables(model)
        try:
            with np.load(self.path, allow_pickle=False) as saved:
                state = json.loads(str(saved["state"]))
                if state["settings"] != self._identity(model):
                    raise CheckpointError(
                        f"expected a checkpoint of this model, data and settings, got another one in {self.path}: "
                        "name another file, or delete this one to start anew"
                    )
                # All is read, and so checked, before anything of the model changes.
                values = [saved[f"variable/{i}"] for i in range(len(variables))]
                for i, callback in enumerate(state["callbacks"]):
                    if callback.get("best_weights"):
                        callback["best_weights"] = [saved[f"best/{i}/{j}"] for j in range(callback["best_weights"])]
        except (PermissionError, BlockingIOError) as error:
            raise CheckpointError(told(error, self.path)) from error
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f"expected a whole checkpoint in {self.path}, got a damaged file ({error}): delete it to start anew"
            ) from error
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self._states = state["callbacks"]
        self.epoch, self.history = state["epoch"], state["history"]
        self.finished = state["stopped"] or self.epoch >= self.epochs

    def _identity(self, model: keras.Model) -> str:
        shapes = [tuple(v.shape) for v in _variables(model)]
        rules = [f"{type(optimizer).__module__}.{type(optimizer).__name__}" for optimizer in optimizers_of(model)]
        config = json.dumps(model.get_config(), default=str)
        text = f"{type(model).__name__} {config} {rules} {shapes} {self.settings}"
        return hashlib.sha256(text.encode()).hexdigest()


def optimizers_of(model: keras.Model) -> list[keras.optimizers.Optimizer]:
    """Optimisers that are attributes of a model, by the names of the attributes."""
    return [value for _, value in sorted(vars(model).items()) if isinstance(value, keras.optimizers.Optimizer)]


def _variables(model: keras.Model) -> list[keras.Variable]:
    """Weights, moving statistics and random states of a model, and the slots of its optimisers, in a fixed order."""
    sums = {id(v) for metric in model.metrics for v in metric.variables}
    own = [v for v in model.variables if id(v) not in sums]
    return own + [v for optimizer in optimizers_of(model) for v in optimizer.variables]
