"""How the chapter on simulated cells answers its question."""

from scgen_book.answers import Answer
from scgen_book.answers.comparisons import NAMES
from scgen_book.answers.simulators import passing

MODELS = ("cvae_faithful", "scgan", "cscgan", "nb_per_type")


def answer() -> Answer:
    """Return it: from a forest that tells new cells from held-out ones."""
    return passing("simulation", {name: NAMES[name] for name in MODELS}, "nb_per_type", "these models")
