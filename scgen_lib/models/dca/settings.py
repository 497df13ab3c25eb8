"""What can be chosen of DCA, and what its released code has chosen."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

from scgen_lib.errors import ParameterError
from scgen_lib.preprocess import SizeFactor, ZScore
from scgen_lib.settings import Settings, declared, option


@dataclasses.dataclass(frozen=True)
class Heads:
    """Which outputs a type has, and how wide: one per gene and cell, per cell, per gene, or tied to the mean."""

    dispersion: Literal["entry", "cell", "gene"] | None = None
    dropout: Literal["entry", "cell", "tied", "tied-shared"] | None = None
    fork: bool = False

    @property
    def tied(self) -> bool:
        """Whether the dropout head reads the mean, which is then negated."""
        return self.dropout in ("tied", "tied-shared")


AE_TYPES: dict[str, Heads] = {
    "normal": Heads(),
    "poisson": Heads(),
    "nb": Heads("gene"),
    "nb-conddisp": Heads("entry"),
    "nb-shared": Heads("cell"),
    "nb-fork": Heads("entry", fork=True),
    "zinb": Heads("gene", "entry"),
    "zinb-conddisp": Heads("entry", "entry"),
    "zinb-shared": Heads("cell", "cell"),
    "zinb-fork": Heads("entry", "entry", fork=True),
    "zinb-elempi": Heads("entry", "tied"),
    "zinb-elempi-sharedpi": Heads("entry", "tied-shared"),
}
ACTIVATIONS = "one of relu, selu, elu, linear, leaky_relu"
INITIALISERS = "one of glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal"
OPTIMIZERS = "one of RMSprop, RMSprop-keras3, Adam, Adagrad, Adadelta, Adamax, Nadam, SGD"


@declared
class DCASettings(Settings):
    """Arguments of `DCA`."""

    ae_type: str = option("zinb-conddisp", f"one of {', '.join(AE_TYPES)}", "distribution", origin="dca --type")
    hidden: Sequence[int] = option(
        (64, 32, 64),
        "in [1, 4096]",
        "widths of the hidden layers, an odd number of them",
        origin="dca -s",
        flat="hidden_size",
    )
    batchnorm: bool = option(True, meaning="batch normalisation", origin="dca --batchnorm")
    activation: str = option("relu", ACTIVATIONS, "of hidden units", origin="dca --activation")
    init: str = option("glorot_uniform", INITIALISERS, "of kernels", origin="dca --init")
    hidden_dropout: float = option(0.0, "in [0, 1)", "dropout rate of hidden units", origin="dca -d")
    input_dropout: float = option(0.0, "in [0, 1)", "dropout rate of the input", origin="dca --inputdropout")
    l1: float = option(0.0, "in [0, inf)", "L1 penalty of all kernels", origin="dca --l1")
    l2: float = option(0.0, "in [0, inf)", "L2 penalty of all kernels", origin="dca --l2")
    l1_enc: float = option(0.0, "in [0, inf)", "L1 penalty of the encoder, in place of l1", origin="dca --l1enc")
    l2_enc: float = option(0.0, "in [0, inf)", "L2 penalty of the encoder, in place of l2", origin="dca --l2enc")
    ridge: float = option(0.0, "in [0, inf)", "penalty of squared dropout probabilities", origin="dca --ridge")
    size_factor: SizeFactor = option("total_median", meaning="what a cell's counts are divided by")
    zscore: ZScore = option("gene", meaning="what the input is centred and scaled by")
    log1p: bool = option(True, meaning="logarithm of the normalised counts at the input", origin="dca --loginput")
    optimizer: str = option(
        "RMSprop", OPTIMIZERS, "optimiser; RMSprop by the rule of Keras 2", origin="dca --optimizer"
    )
    learning_rate: float = option(1e-3, "in (0, inf)", "step size", origin="dca -r")
    clip_value: float | None = option(
        5.0, "in (0, inf)", "largest absolute value of a gradient's entry; None: any", origin="dca --gradclip"
    )
    loss: Literal["log_space", "released"] = option(
        "log_space",
        meaning="the likelihood in log space, or with the ε = 1e-10 that the code adds in each logarithm",
        released="released",
        finding="C19",
    )
    mean_bias: Literal["gene_means", "zeros"] = option(
        "gene_means",
        meaning="where the bias of the mean head starts: ln of the normalised gene means, or 0",
        released="zeros",
    )
    validation_cells: Literal["random", "last"] = option(
        "random",
        meaning="validation cells: drawn at random, or the last ones of the file",
        released="last",
        finding="C15",
    )
    keep_weights: Literal["best", "last"] = option(
        "best",
        meaning="weights that early stopping leaves: those of the best epoch, or the last",
        released="last",
        finding="C16",
    )
    seed: int = option(
        0, "in [0, 4294967295]", "of weights, dropout, validation cells and the order of cells", flat=None
    )

    @property
    def heads(self) -> Heads:
        """The outputs of `ae_type`."""
        return AE_TYPES[self.ae_type]

    def check(self) -> None:
        """Refuse an even number of hidden layers."""
        if len(self.hidden) % 2 == 0:
            raise ParameterError(
                f"expected hidden to be an odd number of widths, got {list(self.hidden)}: the middle one is the "
                "bottleneck, as in [64, 32, 64]"
            )
