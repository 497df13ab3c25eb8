"""How the chapter on scGAN answers its question."""

import dataclasses

from scgen_book.answers import BETTER, WORSE, Answer, Seen
from scgen_book.answers.simulators import passing

#: Words of its methods.
MODELS = {"faithful": "cscGAN as released", "scGAN": "scGAN", "NB per class": "a negative binomial a gene and class"}


def answer() -> Answer:
    """Return it: from a forest that tells generated cells from real ones, and from a classifier of a rare class."""
    found = passing("scgan.realism", MODELS, "NB per class", "scGAN")
    return dataclasses.replace(found, takeaways=(_help(), *found.takeaways))


def _help() -> str | None:
    rows = Seen("scgan.augmentation")
    for data in rows.datasets():
        if outcome := rows.contest(data, "cells generated", "no help", "F1"):
            word = {BETTER: "do help", WORSE: "harm"}.get(outcome, "do not help")
            return f"Generated cells {word} a classifier of a rare class (F1 on held-out cells)."
    return None
