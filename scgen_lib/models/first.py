"""What the models have whose settings are not yet one dataclass."""

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import anndata
import keras
import numpy as np

from scgen_lib import training
from scgen_lib.errors import CheckpointError, DataError, ParameterError
from scgen_lib.files import replacing


class NotedNet(training.WindowModel):
    """A network whose file holds the arguments of its constructor, kept in ``_config``, and its `note`."""

    _config: dict[str, Any]
    note: dict[str, Any]

    def get_config(self) -> dict:
        """For Keras' files."""
        return {**self._config, "note": dict(self.note)}


class FittedModel:
    """A Keras network together with the settings, gene names and history of its training.

    Attributes
    ----------
    config
        The arguments of the constructor.
    net
        The network, after `fit` or `load`; its constructor takes `note`, a dict that is kept with the weights.
    history
        Name → one value per epoch.
    """

    net_type: ClassVar[type[keras.Model]]

    def __init__(self, config: dict[str, Any]):
        config = {name: value for name, value in config.items() if name not in ("self", "__class__")}
        # as they come back from a file
        self.config = {name: list(value) if isinstance(value, tuple) else value for name, value in config.items()}
        self.net: Any = None
        self.history: dict[str, list[float]] = {}

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted model to one file, ``.keras``; a file that is there stays whole until the new one is."""
        if os.fspath(path)[-6:] != ".keras":
            raise ParameterError(f"expected a file name that ends in .keras, got {path}: add the ending")
        net = self.fitted()
        net.note = {**net.note, "config": self.config, "history": self.history}
        with replacing(path) as temporary:
            net.save(temporary)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a model written by `save`.

        Raises
        ------
        CheckpointError
            No such file, a damaged one, or a model of another class.
        """
        try:
            net = keras.saving.load_model(path)
        except Exception as error:
            raise CheckpointError(
                f"expected a model saved by {cls.__name__}.save in {path}, got "
                f"{str(error).splitlines()[0]}: save it again"
            ) from error
        if not isinstance(net, cls.net_type):
            raise CheckpointError(
                f"expected a model saved by {cls.__name__}.save in {path}, got a {type(net).__name__}: "
                "name another file"
            )
        model = cls(**net.note["config"])
        # Keras tracks the dict of a net, and what it tracks cannot be sent from process to process.
        model.net, model.history = net, {name: list(values) for name, values in net.note["history"].items()}
        return model

    def record(self, settings: dict[str, Any]) -> dict[str, Any]:
        """What ``uns`` keeps of a training: the settings that are not None, and "history" as arrays."""
        chosen = {name: value for name, value in settings.items() if value is not None}
        return {**chosen, "history": {name: np.asarray(values) for name, values in self.history.items()}}

    def fitted(self) -> Any:
        """Return the network, or raise `ParameterError` where there is none yet."""
        if self.net is None:
            name = type(self).__name__
            raise ParameterError(f"expected a fitted model, got a new one: call fit or {name}.load first")
        return self.net

    def check_genes(self, adata: anndata.AnnData) -> None:
        """Refuse cells that have other genes than those of the training, or another order of them.

        Raises
        ------
        DataError
            Naming how many are known.
        """
        names: Sequence[str] = self.fitted().note["var_names"]
        if list(adata.var_names) != list(names):
            known = len(set(names) & set(adata.var_names))
            raise DataError(
                f"expected the {len(names)} genes of the training in their order, got {adata.n_vars} genes of which "
                f"{known} are known: subset and reorder with adata[:, model.net.note['var_names']]"
            )
