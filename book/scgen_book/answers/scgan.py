"""How the chapter on scGAN answers its question."""

import dataclasses

from scgen_book.answers import BETTER, NO, PARTLY, WORSE, Answer, Seen, number
from scgen_book.answers.simulators import passing

#: Words of its methods.
MODELS = {"faithful": "cscGAN as released", "scGAN": "scGAN", "NB per class": "a negative binomial a gene and class"}
GENERATED, NOTHING = "cells generated", "no help"
#: What costs nothing, for a classifier of a rare class.
CHEAP = {"weights of classes": "class weights", "cells repeated": "repeated cells"}


def answer() -> Answer:
    """Return it: from a forest that tells generated cells from real ones, and from a classifier of a rare class."""
    found = passing("scgan.realism", MODELS, "NB per class", "scGAN")
    rows = Seen("scgan.augmentation")
    data = next((name for name in rows.datasets() if rows.contest(name, GENERATED, NOTHING, "F1")), None)
    if data is None:
        return found
    if found.word == NO and all(rows.contest(data, GENERATED, way, "F1") == BETTER for way in (NOTHING, *CHEAP)):
        sentence = (
            "Partly: a forest knows cells of scGAN from real ones, but a classifier learns a rare class better from "
            f"those that cscGAN adds to it than by {' or by '.join(CHEAP.values())}."
        )
        found = dataclasses.replace(found, word=PARTLY, sentence=sentence)
    return dataclasses.replace(found, takeaways=(_help(rows, data), *found.takeaways))


def _help(rows: Seen, data: str) -> str:
    word = {BETTER: "do help", WORSE: "harm"}.get(rows.contest(data, GENERATED, NOTHING, "F1"), "do not help")
    values = {words: rows.mean(data, way, "F1") for way, words in CHEAP.items() if rows.values(data, way, "F1")}
    said = f"Generated cells {word} a classifier of a rare class: F1 on held-out cells "
    said += number(rows.mean(data, GENERATED, "F1"))
    if not values:
        return f"{said}, {number(rows.mean(data, NOTHING, 'F1'))} without them."
    best = max(values, key=values.get)
    return f"{said}, with {best} {number(values[best])}."
