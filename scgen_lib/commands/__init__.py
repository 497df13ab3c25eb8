"""Commands on a user's own cells: ``scgen denoise``, ``scgen embed`` and ``scgen simulate``, each followed by a model.

Which models there are stands here; what a command does is loaded when it runs, with TensorFlow, which takes seconds.
"""

import click

#: Name → class of the model, and what it is.
MODELS = {
    "cvae": ("CVAE", "Convolutional conditional VAE (umiche, DeepConvCVAE)."),
    "db_aae": ("DBAAE", "Adversarial autoencoder (Ko and Sartorelli 2024)."),
    "dca": ("DCA", "Deep count autoencoder (Eraslan et al. 2019)."),
    "dr_a": ("DRA", "Variational autoencoder with two adversaries (Lin et al. 2020)."),
    "scgan": ("ScGAN", "scGAN and cscGAN, of cells of a chosen class (Marouf et al. 2020)."),
}


class Models(click.Group):
    """The models that have a verb, each a command that is made when it is asked for."""

    def __init__(self, verb: str, models: list[str], job: str):
        text = f"{job}\n\nTrains a model, or takes a saved one; `scgen {verb} MODEL --help` lists the settings of each."
        listed = [click.Command(model, short_help=MODELS[model][1]) for model in models]
        super().__init__(verb, listed, help=text, short_help=job, subcommand_metavar="MODEL [ARGS]...")

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list]:
        """Return the command itself in place of the one that is listed."""
        name, listed, rest = super().resolve_command(ctx, args)
        if listed is None:
            return name, listed, rest
        from scgen_lib.commands import options

        return name, options.command(self.name, name), rest


denoise = Models("denoise", ["cvae", "db_aae", "dca"], "Denoise the counts of your own cells.")
embed = Models("embed", ["cvae", "db_aae", "dca", "dr_a"], "Embed your own cells, a few numbers each.")
simulate = Models("simulate", ["cvae", "scgan"], "Simulate cells of the types of your own.")
