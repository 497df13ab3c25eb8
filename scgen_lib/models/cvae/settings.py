"""What can be chosen of the convolutional conditional VAE, and what its released code has chosen."""

from typing import Literal

from scgen_lib.errors import ParameterError
from scgen_lib.settings import Settings, declared, option


@declared
class CVAESettings(Settings):
    """Arguments of `CVAE`."""

    # the image
    image_size: int | None = option(
        None,
        "in [4, inf)",
        "side of the image, a multiple of 4; None: the smallest that holds the genes",
        origin="image_size, 144",
    )
    gene_order: Literal["file", "mean", "correlation"] = option(
        "file",
        meaning="order of the genes in the image: as they come, by falling mean, or clustered by correlation, for "
        "which memory grows with the square of their number, 2 GB at 20,000",
    )
    input_transform: Literal["max", "log1p_max"] = option(
        "log1p_max",
        meaning="pixels are count / M, or ln(1 + count) / ln(1 + M) and at most 1",
        released="max",
        origin="std_max_mark",
    )
    maximum_of: Literal["all", "train"] = option(
        "train", meaning="cells whose largest count is M", released="all", finding="V7"
    )
    # the layers
    filters: int = option(16, "in [2, 1024]", "filters of the first convolution, an even number", origin="filters")
    kernel_size: int = option(3, "in [1, 31]", "side of the kernels, an odd number", origin="kernel_size")
    strides: int = option(2, "one of 2", "strides", origin="strides")
    hidden: int = option(16, "in [1, 4096]", "units between the convolutions and z", origin="a constant of the code")
    latent_dim: int = option(2, "in [1, 256]", "dimensions of z", origin="latent_dim")
    # the loss
    decoder_likelihood: Literal["mse", "bce", "poisson", "nb", "multinomial"] = option(
        "nb",
        meaning="what the decoder is compared by: an error of pixels, or a likelihood of counts given their sum",
        released="mse",
        finding="V1",
    )
    pad_loss: bool = option(False, meaning="count the pixels without a gene, too, in mse and bce", released=True)
    clip_log_var: bool = option(True, meaning="bound ln σ² of the posterior to ±10", released=False)
    beta: float = option(1.0, "in [0, inf)", "weight of the KL divergence", origin="beta")
    kl_warmup: int = option(10, "in [0, inf)", "epochs over which that weight rises", released=0)
    # its training
    optimizer: Literal["rmsprop", "adam"] = option("adam", meaning="optimiser", released="rmsprop")
    learning_rate: float = option(1e-3, "in (0, 0.1]", "step size")
    validate_on: Literal["test", "train"] = option(
        "train",
        meaning="cells of the validation loss: all that are not for training, or a share of those that are",
        released="test",
        finding="V7",
    )
    # simulated cells
    z_loc: float = option(
        0.0, "in (-inf, inf)", "mean of z of simulated cells", released=1.0, finding="V4", origin="loc"
    )
    z_scale: float = option(1.0, "in [0, inf)", "standard deviation of z", released=2.0, finding="V4", origin="scale")
    z_source: Literal["normal", "posterior"] = option(
        "normal", meaning="draw z from that normal distribution, or from the posterior of training cells"
    )
    count_scale: float | None = option(
        None, "in (0, inf)", "factor from pixels to counts; None: the stored maximum", origin="260"
    )
    emission: Literal["floor", "round", "sample"] = option(
        "sample",
        meaning="counts from means: rounded down, rounded, or drawn from the likelihood (mse, bce: Poisson)",
        released="floor",
        finding="V2, V3",
    )
    seed: int = option(
        0,
        "in [0, 4294967295]",
        "of weights, noise, validation cells, the order of cells, and simulated cells",
        flat=None,
    )

    @property
    def of_counts(self) -> bool:
        """Whether the decoder describes counts, given their sum, and not pixels."""
        return self.decoder_likelihood in ("poisson", "nb", "multinomial")

    def check(self) -> None:
        """Refuse layers whose shapes do not fit together."""
        for name, fits, words in (
            ("filters", self.filters % 2 == 0, "an even number"),
            ("kernel_size", self.kernel_size % 2 == 1, "an odd number"),
        ):
            if not fits:
                raise ParameterError(f"expected {name} to be {words}, got {getattr(self, name)}: choose another")
