"""What can be chosen of DR-A, and what its released code has chosen."""

from collections.abc import Sequence
from typing import Literal

from scgen_lib.errors import ParameterError
from scgen_lib.settings import Settings, declared, option


@declared
class DRASettings(Settings):
    """Arguments of `DRA`."""

    latent_dim: int = option(10, "in [1, inf)", "numbers in a code", origin="--z_dim", flat="z_dim")
    hidden: Sequence[int] = option(
        (512,),
        "in [1, inf)",
        "widths of the hidden layers of the encoder; the decoder has them in reverse",
        origin="--g_h_l1 to --g_h_l4",
        flat=None,
    )
    disc_hidden: Sequence[int] = option(
        (512,),
        "in [1, inf)",
        "widths of the hidden layers of both discriminators, the one next to the output first",
        origin="--d_h_l1 to --d_h_l4",
        flat=None,
    )
    batchnorm: bool = option(False, meaning="batch normalisation in place of dropout", origin="--bn", flat="bn")
    batchnorm_statistics: Literal["data", "initial"] = option(
        "data",
        meaning="what batch normalisation goes by: mean and variance of the data, or for ever the 0 and 1 it starts at",
        released="initial",
        finding="R7",
    )
    keep: float = option(0.9, "in (0, 1]", "share of hidden units that dropout keeps", origin="--keep")
    leak: float = option(0.2, "in [0, 1)", "slope of the leaky ReLU", origin="--leak")
    actv: Literal["sig", "lin", "tanh"] = option(
        "sig", meaning="scale of the input, and last activation of the second head", origin="--actv"
    )
    reconstruction: Literal["actv", "sigmoid"] = option(
        "actv",
        meaning="last activation of the second head: by actv, or a sigmoid whatever actv says",
        released="sigmoid",
        finding="R9",
    )
    trans: Literal["sparse", "dense"] = option(
        "sparse", meaning="the input: log2(1 + count) over its maximum; minimum and maximum by gene", origin="--trans"
    )
    scale_cells: Literal["training", "all"] = option(
        "training",
        meaning="cells that scale the input: those of the training, and larger values are clipped, or all",
        released="all",
        finding="R13",
    )
    sampler: Literal["normal", "uniform"] = option("normal", meaning="prior of the codes", origin="--sampler")
    likelihood_input: Literal["transformed", "counts"] = option(
        "counts",
        meaning="what the likelihood and the prior of the depth are of",
        released="transformed",
        finding="R5",
    )
    rate_epsilon: float = option(0.0, "in [0, inf)", "added to a rate before its logarithm", released=1e-8)
    library_bottleneck: bool = option(
        False,
        meaning="the depth is read from as many rectified units as a code has numbers, not from the last hidden layer",
        released=True,
        finding="R6",
    )
    kl_weight: float = option(
        0.0,
        "in [0, inf)",
        "weight of the divergence of a code's distribution from the prior",
        origin="hard-coded 0",
    )
    log_var_clip: float = option(10.0, "in (0, inf)", "largest absolute logarithm of a code's variance")
    guards: bool = option(
        True,
        meaning="bounds of ln v, ln l_v and l, which the released code lacks; False: its own formulas, with which a "
        "training may end at values that are not finite",
    )
    adversarial: Literal["bhattacharyya", "bhattacharyya_abs", "bce", "none"] = option(
        "bce",
        meaning="the game: by shares of logits, by shares of their absolute values, by the cross-entropy of logits; or "
        "none",
        released="bhattacharyya",
        finding="R2",
    )
    dual: Literal["matching", "inert", "none"] = option(
        "matching",
        meaning="the second discriminator: the model learns from it, it learns alone, or there is none",
        released="inert",
        finding="R1",
    )
    lam: float = option(
        1.0,
        "in [0, inf)",
        "weight of the adversaries, a factor of the encoder's steps in the game; the released code ignores it",
        released=1.0,
        finding="R8",
        origin="--lam",
    )
    g_iter: int = option(
        2,
        "in [1, inf)",
        "updates of the encoder per update of a discriminator; the released code ignores it",
        released=2,
        finding="R8",
        origin="--g_iter",
    )
    learning_rate: float = option(7e-4, "in (0, inf)", "step size of the autoencoder's Adam", origin="--learning_rate")
    beta_1: float = option(0.9, "in [0, 1)", "of Adam", origin="--beta1", flat="beta1")
    adv_learning_rate: float | None = option(
        1e-4, "in (0, inf)", "step size of the game's Adams, learning_rate where none", released=None
    )
    adv_beta_1: float | None = option(
        0.5, "in [0, 1)", "of the game's Adams, beta1 where none", released=None, flat="adv_beta1"
    )
    clip_norm: float | None = option(
        5.0, "in (0, inf)", "largest global norm of a gradient, any where none", released=None, flat="clipnorm"
    )
    latent: Literal["sample", "mean"] = option(
        "mean", meaning="the code of a cell: a sample of its posterior, or its mean", released="sample", finding="R10"
    )
    seed: int = option(0, "in [0, 4294967295]", "of weights, noise, dropout and mini-batches", flat=None)

    def check(self) -> None:
        """Refuse a net without a hidden layer, and a range that the second head does not reach."""
        for name in ("hidden", "disc_hidden"):
            if not getattr(self, name):
                raise ParameterError(f"expected one width or more for {name}, got none: give [512], say")
        if self.actv == "tanh" and self.reconstruction == "sigmoid":
            raise ParameterError(
                "expected actv 'sig' or 'lin' with reconstruction 'sigmoid', got 'tanh', with which the released code "
                "cannot load its data: choose the repaired model"
            )
