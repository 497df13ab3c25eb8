"""What the AnnData-facing classes of all papers share: they are fitted, saved and loaded in one way."""

import collections
import numbers
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import anndata
import keras
import numpy as np

from scgen_lib import training
from scgen_lib.data import writing
from scgen_lib.errors import CheckpointError, DataError, ParameterError
from scgen_lib.files import naming, replacing
from scgen_lib.settings import Option, Settings, checked

# Arguments that every `fit` has.
Epochs = Annotated[int, Option("in [1, inf)", "passes over the training cells")]
Callbacks = Annotated[Sequence[keras.callbacks.Callback], Option("any", "further Keras callbacks", flat=None)]
CheckpointFile = Annotated[
    str | os.PathLike | None,
    Option(
        "any",
        "file for the state of the training; an interrupted one continues from it with the same numbers",
        flat=None,
    ),
]
Progress = Annotated[bool, Option("any", "show a progress bar", flat=None)]


class Network(training.WindowModel):
    """A network that is made from the settings of its model, and saved with them.

    Parameters
    ----------
    settings
        Of the model.
    note
        Whatever else is to be kept with the weights, as JSON.
    **shape
        Other arguments of the constructor, as JSON: what the data decide.
    """

    settings_type: ClassVar[type[Settings]]

    def __init__(self, settings: Settings, note: dict | None, **shape: object):
        super().__init__()
        self.settings, self._shape, self.note = settings, shape, dict(note or {})

    def get_config(self) -> dict:
        """For Keras' files."""
        return {"settings": self.settings.values(), **self._shape, "note": dict(self.note)}

    @classmethod
    def from_config(cls, config: dict) -> Self:
        """Inverse of `get_config`."""
        return cls(**{**config, "settings": cls.settings_type(**config["settings"])})


class AnnDataModel:
    """A network together with the settings, gene names and history of its training.

    It comes after a dataclass of `Settings` among the bases of a model, whose constructor it has.

    Attributes
    ----------
    net
        The `Network`, after `fit` or `load`.
    history
        Name → one value per epoch.
    """

    net_type: ClassVar[type[Network]]
    key: ClassVar[str]
    net: Any = None
    history: dict[str, list[float]] = {}  # noqa: RUF012

    @property
    def settings(self) -> Settings:
        """The arguments of the constructor by themselves, as the net takes them."""
        return self.net_type.settings_type(**self.values())

    def _fit_net(self, arrays: training.Arrays, **options: Any) -> Self:
        """Train the compiled net with the model's seed, keep the history, and return the model; see `training.fit`."""
        self.history = training.fit(self.net, arrays, seed=self.seed, **options)
        return self

    def save(self, path: str | os.PathLike) -> None:
        """Write the fitted model to one file, ``.keras``; a file that is there stays whole until the new one is."""
        if os.fspath(path)[-6:] != ".keras":
            raise ParameterError(f"expected a file name that ends in .keras, got {path}: add the ending")
        net = self.fitted()
        net.note = {**net.note, "history": self.history}
        with replacing(path) as temporary, naming(path):
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
        model = cls(**net.settings.values())
        # Keras tracks the dict of a net, and what it tracks cannot be sent from process to process.
        model.net, model.history = net, {name: list(values) for name, values in net.note["history"].items()}
        return model

    def annotate(self, adata: anndata.AnnData) -> anndata.AnnData:
        """Write into `adata` what the model makes of its cells, and return it.

        ``layers[key]`` is denoised expression and ``obsm["X_" + key]`` the latent code, where the model has them, and
        ``uns[key]`` the settings that are not None and the history; the key is the paper's name, as in ``dca``.
        """
        return self._write(adata, adata)

    def _write(self, adata: anndata.AnnData, out: anndata.AnnData) -> anndata.AnnData:
        """Write into `out`, which may have fewer genes, what `annotate` says of `adata`."""
        if hasattr(self, "denoise"):
            out.layers[self.key] = self.denoise(adata)
        if hasattr(self, "embed"):
            out.obsm[f"X_{self.key}"] = self.embed(adata)
        out.uns[self.key] = self.about()
        return out

    def about(self) -> dict[str, Any]:
        """Return the settings that are not None, and the history, as ``uns`` keeps them."""
        chosen = {name: value for name, value in self.values().items() if value is not None}
        return chosen | {"history": {name: np.asarray(values) for name, values in self.history.items()}}

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


class DenoisingModel(AnnDataModel):
    """A model that denoises."""

    @property
    def positions(self) -> np.ndarray:
        """Places of the genes that `denoise` returns among those of the training, (len(genes),) int."""
        return np.arange(len(self.fitted().note["var_names"]))

    @property
    def genes(self) -> list[str]:
        """Names of the genes that `denoise` returns, in the order of the file."""
        names = self.fitted().note["var_names"]
        return [names[i] for i in self.positions]

    def denoised(self, adata: anndata.AnnData) -> Iterator[np.ndarray]:
        """Walk through what `denoise` returns: blocks of cells in their order, (B, len(genes)) each, float32."""
        raise NotImplementedError

    @checked
    def denoise_to(
        self,
        adata: anndata.AnnData,
        path: str | os.PathLike,
        *,
        genes: Sequence[str] | None = None,
        dtype: Annotated[
            Literal["float32", "float16"], Option(meaning="of the denoised values in the file")
        ] = "float32",
        layer: str | None = None,
        annotate: bool = False,
    ) -> None:
        """Write the cells with what `denoise` returns to a file, block by block: for more than fits into memory.

        Parameters
        ----------
        adata
            As in `denoise`. What it holds goes into the file too; counts on disk are copied block by block.
        path
            File to write, ``.h5ad``; it appears whole or not at all.
        genes
            Names of the genes to write, in the order wanted; None: all of `self.genes`. The file has these alone.
        layer
            Layer with the denoised values; None: the name of the paper, as in `annotate`.
        annotate
            Write what else `annotate` makes of the cells too: codes, settings and history.

        Raises
        ------
        DataError
            As `denoise`, or a value that the dtype cannot hold.
        ParameterError
            An unknown gene, one that is named twice, another ending than .h5ad, or the file that is read.
        """
        self.check_genes(adata)
        columns = np.arange(len(self.positions))
        if genes is not None:
            known = {name: i for i, name in enumerate(self.genes)}
            for name, times in collections.Counter(genes).items():
                if name not in known or times > 1:
                    what = f"{name!r} twice" if name in known else f"the unknown {name!r}"
                    raise ParameterError(f"expected genes of the model, each once, got {what}: leave it out")
            if not len(genes):
                raise ParameterError("expected at least one gene to write, got none: name some, or leave genes out")
            columns = np.asarray([known[name] for name in genes])
        blocks = (block[:, columns] for block in self.denoised(adata))
        positions, beside = self.positions[columns], None
        if annotate:
            beside = self._beside(adata, None if genes is None else columns)
        writing.write_with_layer(adata, path, layer or self.key, blocks, genes=positions, dtype=dtype, beside=beside)

    def _beside(self, adata: anndata.AnnData, columns: np.ndarray | None) -> writing.Beside:
        """Return what `annotate` writes but for denoised values, with some of the genes of `genes`, or with all."""
        codes = {f"X_{self.key}": self.embed(adata)} if hasattr(self, "embed") else {}
        return writing.Beside(obsm=codes, uns={self.key: self.about()})


def wanted_cells(cells: Mapping[object, int], names: Sequence[str], what: str) -> dict[str, int]:
    """Check how many cells of which types are asked for.

    Parameters
    ----------
    cells
        Number of cells by type; a type that is called 0 may be asked for as a number.
    names
        The types of the training.
    what
        What the message calls them.

    Returns
    -------
    dict
        Number of cells by name, in the order asked for.

    Raises
    ------
    ParameterError
        An unknown type, one that is asked for twice, a number that is none, or no cell at all.
    """
    wanted: dict[str, int] = {}
    for key, n in cells.items():
        if (name := str(key)) not in names:
            raise ParameterError(
                f"expected {what} among {', '.join(names)}, got {name!r}: choose from these, or train with it"
            )
        if name in wanted:
            raise ParameterError(f"expected a number of cells for every name, got two for {name!r}: give one")
        if not isinstance(n, numbers.Integral) or isinstance(n, bool) or n < 0:
            raise ParameterError(
                f"expected a whole number of cells of at least 0, got {n!r} for {name!r}: give how many to simulate"
            )
        wanted[name] = int(n)
    if not sum(wanted.values()):
        one = {"types": "type", "classes": "class"}[what]
        raise ParameterError(f"expected at least one cell to simulate, got none of any {one}: raise a number")
    return wanted
