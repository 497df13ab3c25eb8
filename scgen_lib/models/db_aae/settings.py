"""What can be chosen of DB-AAE, and what its released code has chosen."""

from collections.abc import Sequence
from typing import Literal

from scgen_lib.errors import ParameterError
from scgen_lib.settings import Settings, declared, option


@declared
class DBAAESettings(Settings):
    """Arguments of `DBAAE`."""

    min_cells: int = option(3, "in [1, inf)", "cells that a gene must be detected in", origin="filter_genes")
    target_sum: float = option(1e4, "in (0, inf)", "total of a cell after scaling", origin="counts_per_cell_after")
    n_hvg: int | None = option(
        None, "in [1, inf)", "highly variable genes, published 5,000; None: all", origin="highly_genes, n1"
    )
    hidden: Sequence[int] = option(
        (1024, 512),
        "in [1, 4096]",
        "widths of E's hidden layers, which G has in reverse; D's first has the last one",
        origin="n2, n3",
        flat=None,
    )
    latent_dim: int = option(512, "in [1, 4096]", "width of the code", origin="n4, latent_dim")
    disc_hidden: int = option(256, "in [1, 4096]", "width of D's second layer", origin="literal 256")
    leak: float = option(0.2, "in [0, 1)", "negative slope of the hidden units", origin="alpha")
    latent_mode: Literal["sum", "deterministic", "reparam"] = option(
        "deterministic",
        meaning="code of a cell: μ + ln σ², μ alone, or μ + σ ε",
        released="sum",
        finding="D2",
        origin="Add layer",
    )
    disc_output: Literal["relu", "logit"] = option(
        "logit",
        meaning="last layer of D: a ReLU that is taken for a probability, or one logit",
        released="relu",
        finding="D1",
        origin="activation",
    )
    decoder_output: Literal["relu", "softplus"] = option("relu", meaning="last activation of the decoder")
    start_at_means: bool = option(
        True,
        meaning="biases of the output start at the means of the genes, and not at 0",
        released=False,
        finding="D19",
    )
    w_rec: float = option(0.999, "in [0, inf)", "weight of the reconstruction loss", origin="loss_weights")
    w_adv: float = option(0.001, "in [0, inf)", "weight of the adversarial loss", origin="loss_weights")
    optimizer: Literal["RMSprop", "RMSprop-keras3"] = option(
        "RMSprop", meaning="RMSprop of Keras 2, ε beside the root, or of Keras 3, ε under it"
    )
    learning_rate: float = option(2e-4, "in (0, inf)", "step size of both optimisers")
    shuffle: bool = option(
        True,
        meaning="all cells in an order drawn anew each epoch, and not whole mini-batches in file order, the rest never",
        released=False,
        finding="D6",
    )
    cap_batch_size: bool = option(
        True,
        meaning="a batch size above the number of cells means all of them, and without shuffle is no error",
        released=False,
        finding="D5",
    )
    epochs_of_few: int = option(
        200, "in [1, inf)", "epochs of fewer than 1,000 cells where none are given", released=20, finding="D18"
    )
    validation_cells: Literal["random", "last"] = option(
        "random", meaning="cells held out: drawn at random, or the last ones of the file", released="last"
    )
    tune_trial: Literal["model", "random_encoder"] = option(
        "model",
        meaning="what a search scores: the model, trained, or a fresh D against an encoder that nothing trains",
        released="random_encoder",
        finding="D3",
    )
    tune_objective: Literal["d_accuracy", "d_equilibrium", "val_mse"] = option(
        "val_mse",
        meaning="what a search decides by: highest accuracy of D, the one nearest to 50 %, or least held-out error",
        released="d_accuracy",
        finding="D4",
        origin="objective",
    )
    tune_learning_rate: float | None = option(
        None, "in (0, inf)", "step size in the search, none: as in the training", released=2e-5, finding="D17"
    )
    seed: int = option(
        0, "in [0, 4294967295]", "of weights, draws of the prior, order of cells and those held out", flat=None
    )

    def check(self) -> None:
        """Refuse an encoder without hidden layers, and an error of a search that trains no model."""
        if not self.hidden:
            raise ParameterError("expected hidden to be one width or more, got none: published are [1024, 512]")
        if self.tune_trial == "random_encoder" and self.tune_objective == "val_mse":
            raise ParameterError(
                "expected tune_objective d_accuracy or d_equilibrium with tune_trial='random_encoder', got val_mse, "
                "which needs a trained model: choose one of the two, or tune_trial='model'"
            )
