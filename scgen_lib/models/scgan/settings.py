"""What can be chosen of scGAN and cscGAN, and what their released code has chosen.

The origin of an argument is its key in the ``parameters.json`` of the released code.
"""

from collections.abc import Sequence
from typing import Literal

from scgen_lib.errors import ParameterError
from scgen_lib.settings import Settings, declared, option


@declared
class ScGANSettings(Settings):
    """Arguments of `ScGAN`."""

    conditional: bool = option(True, meaning="cscGAN, whose cells are of a chosen class, or scGAN", origin="model.type")
    gen_layers: Sequence[int] = option(
        (256, 512, 1024), "in [1, inf)", "widths of the generator", origin="model.gen_layers"
    )
    critic_layers: Sequence[int] = option(
        (1024, 512, 256), "in [1, inf)", "widths of the critic", origin="model.critic_layers"
    )
    latent_dim: int = option(128, "in [1, inf)", "dimensions of z", origin="model.latent_dim")
    gen_norm: Literal["batchnorm", "layernorm", "none"] = option(
        "batchnorm",
        meaning="normalisation in the generator, with which the class of a cell enters it",
        origin="model.gen_cond_type",
    )
    critic_cond: Literal["per_class", "projection"] = option(
        "per_class",
        meaning="how the critic knows the class: weights and a bias for each, or a vector added to common weights",
        released="per_class",
        finding="C3",
        origin="model.critic_cond_type",
    )
    library_size: float = option(20000.0, "in (0, inf)", "total L of every cell, counts", origin="input_ds.scale")
    lsn: bool = option(True, meaning="scale generated cells to L as well", origin="model.output_LSN")
    gp_weight: float = option(10.0, "in [0, inf)", "weight λ of the gradient penalty", origin="model.lambd")
    critic_iters: int = option(5, "in [1, inf)", "updates of the critic in a step", origin="training.critic_iters")
    optimizer: Literal["amsgrad", "adam"] = option(
        "amsgrad", meaning="optimiser", origin="training.optimizer.algorithm"
    )
    lr_initial: float = option(
        1e-4, "in (0, inf)", "first step size of both optimisers", origin="training.learning_rate.alpha_0"
    )
    lr_final: float = option(1e-5, "in (0, inf)", "last step size", origin="training.learning_rate.alpha_final")
    lr_decay: bool = option(
        True,
        meaning="decay from one to the other",
        released=True,
        finding="C2",
        origin="training.learning_rate.decay",
    )
    beta_1: float = option(0.5, "in [0, 1)", "of the optimiser", origin="training.optimizer.beta1")
    beta_2: float = option(0.9, "in [0, 1)", "of the optimiser", origin="training.optimizer.beta2")

    # What the released code has no name for.
    critic_input_scale: float = option(
        1.0,
        "in (0, inf)",
        "factor c of what the critic sees: the penalty asks for slopes of 1 whatever the unit of expression is, and "
        "with L in the ten thousands it holds a critic back for long",
        released=1.0,
    )
    bn_momentum: float = option(
        0.999,
        "in [0, 1)",
        "what the moving statistics, which serve after training, keep in an update: 0.999^s of their start after s",
        released=0.999,
    )
    extra_critic_updates: int = option(
        0, "in [0, inf)", "updates of the critic beyond critic_iters", released=1, finding="C1"
    )
    first_step: Literal["as_others", "one_update"] = option(
        "as_others", meaning="updates of the critic in the first step", released="one_update", finding="C1"
    )
    generator_noise: Literal["fresh", "last_critic"] = option(
        "fresh",
        meaning="noise of the generator's update: of its own, or that of the critic's last",
        released="last_critic",
        finding="C1",
    )
    slope_epsilon: float = option(
        1e-12,
        "in [0, inf)",
        "under the root of the slope, which has no derivative at 0",
        released=0.0,
        finding="C5",
    )
    moving_statistics: Literal["by_batch", "twice_by_critic"] = option(
        "by_batch",
        meaning="updates of the moving statistics: by each generated batch, or two by each update of the critic only",
        released="twice_by_critic",
        finding="C15",
    )
    gen_norm_of: Literal["both", "cscgan"] = option(
        "both",
        meaning="whose gen_norm can be chosen: of both, but cscGAN needs one, or of cscGAN, and scGAN has batchnorm",
        released="cscgan",
    )
    seed: int = option(0, "in [0, 4294967295]", "of weights, noise, the order of cells, and simulated cells", flat=None)

    def check(self) -> None:
        """Refuse a net without layers, rising step sizes, and a normalisation that the model cannot have."""
        for name in ("gen_layers", "critic_layers"):
            if not getattr(self, name):
                raise ParameterError(f"expected one width or more for {name}, got none: give [256], say")
        if self.lr_final > self.lr_initial:
            raise ParameterError(
                f"expected lr_final at most lr_initial, {self.lr_initial}, got {self.lr_final}: lower it"
            )
        if self.gen_norm_of == "both" and self.conditional and self.gen_norm == "none":
            raise ParameterError(
                "expected gen_norm batchnorm or layernorm for a conditional model, got 'none', with which no class "
                "reaches the generator: choose one of them, or conditional=False"
            )
        if self.gen_norm_of == "cscgan" and not self.conditional and self.gen_norm != "batchnorm":
            raise ParameterError(
                f"expected gen_norm 'batchnorm' for scGAN, as in the released code, got {self.gen_norm!r}: leave it "
                "out, or choose gen_norm_of='both'"
            )
