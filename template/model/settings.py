"""What can be chosen of MyMethod, and what its released code has chosen."""

from scgen_lib.settings import Settings, declared, option


@declared
class MyMethodSettings(Settings):
    """Arguments of `MyMethod`."""

    latent_dim: int = option(2, "in [1, 256]", "length of the code", origin="flag of the released code", flat="z_dim")
    learning_rate: float = option(1e-2, "in (0, 1]", "step size of Adam")
    tied: bool = option(
        False, meaning="decode with the weights of the encoder, transposed", released=True, finding="R1"
    )
    seed: int = option(0, "in [0, 4294967295]", "of weights and the order of cells", flat=None)
