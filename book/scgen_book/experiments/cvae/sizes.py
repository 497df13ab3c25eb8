"""Shapes and sizes, all that the software reports: weights at the published size, split of the labels, image."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from scgen_book.experiments.cvae import cases
from scgen_book.experiments.protocol import Experiment, Method, Metric, Task
from scgen_lib import data
from scgen_lib.data import registry
from scgen_lib.models.cvae import CVAE
from scgen_lib.models.cvae.cells import image_side, split
from scgen_lib.models.cvae.net import CVAENet

LABELS, NO_DATA, PUBLISHED = "pbmc68k_labels", "no data", "pbmc68k"
GENES, TYPES, BATCH = 20_387, 11, 32
SIZES = (41_147, 27_432)
#: A metric → the claim that it belongs to, and what it is.
CLAIMS = {
    "encoder": ("cvae.parameters.encoder", "weights of the encoder"),
    "decoder": ("cvae.parameters.decoder", "weights of the decoder"),
    "all": ("cvae.parameters.all", "weights of both"),
    "train": ("cvae.split.train", "training cells"),
    "test": ("cvae.split.test", "test cells"),
    "repeats": ("cvae.split.repeats", "splits of five that have the published sizes"),
    "steps": ("cvae.split.steps", "mini-batches of 32 an epoch"),
    "data.genes": ("cvae.data.genes", "genes with a count"),
    "image.side": ("cvae.image.side", "side of the image"),
    "image.padding": ("cvae.image.padding", "pixels without a gene"),
}


def published() -> CVAENet:
    """Return the two networks at the published size."""
    return CVAENet(GENES, CVAE.faithful().settings, n_labels=TYPES)


def at_hand(values: Mapping[str, Any]) -> bool:
    """Say whether the file of the labels is there, or may be downloaded, which is for the paper edition alone."""
    (file,) = registry.DATASETS[LABELS].sources
    stored = registry.local_file(file) or registry.stored_file(file, registry.cache_folder())
    return values["edition"] == "paper" or bool(stored)


def prepare(dataset: str, seed: int, settings: Mapping) -> pd.Series | tuple[int, int] | None:
    """Return the labels of the published cells, or the genes and the side of the image, or nothing."""
    if dataset == NO_DATA:
        return None
    if dataset == LABELS:
        return data.pbmc68k_labels()
    genes = cases.load(dataset, settings).n_vars
    return genes, image_side(genes, settings["image_size"])


def weights(case: None, seed: int, settings: Mapping) -> dict[str, float]:
    """Count the weights at the published size."""
    net = published()
    sizes = {"encoder": net.encoder.count_params(), "decoder": net.decoder.count_params()}
    return sizes | {"all": sum(sizes.values())}


def splits(case: pd.Series, seed: int, settings: Mapping) -> dict[str, float]:
    """Split the published cells, for which their labels are enough."""
    sizes = [tuple(map(len, split(case, split_index=k))) for k in range(5)]
    train, test = sizes[0]
    return {"train": train, "test": test, "repeats": sizes.count(SIZES), "steps": -(-train // BATCH)}


def image(case: tuple[int, int], seed: int, settings: Mapping) -> dict[str, float]:
    """Return genes and pixels of the published data."""
    genes, side = case
    return {"data.genes": genes, "image.side": side, "image.padding": side**2 - genes}


def score(case: Any, answer: dict[str, float], seed: int, settings: Mapping) -> dict[str, float]:
    """Return the sizes."""
    return answer


def keep(case: Any, answer: dict[str, float], seed: int, settings: Mapping) -> dict[str, np.ndarray]:
    """Return training and test cells of each published type, the most frequent first, with a last line of all."""
    if "train" not in answer:
        return {}
    parts = dict(zip(("train", "test"), split(case), strict=True))
    table = pd.DataFrame({part: case.iloc[rows].value_counts() for part, rows in parts.items()})
    table = table.sort_values("train", ascending=False)
    table.loc["all"] = table.sum()
    return {"types": np.asarray(table.index, str)} | {part: table[part].to_numpy() for part in parts}


def asked(values: Mapping[str, Any]) -> list[Task]:
    """Return the weights, the split where the labels are at hand, and the image where these are the published data."""
    seed, found = values["split_seed"], [(NO_DATA, "weights")]
    found += [(LABELS, "split")] if at_hand(values) else []
    if cases.main_of(values) == PUBLISHED and not (values["fast"] or values["model_path"]):
        found.append((PUBLISHED, "image"))
    return [(dataset, method, seed) for dataset, method in found]


EXPERIMENT = Experiment(
    name="cvae.sizes",
    methods={"weights": Method(weights), "split": Method(splits), "image": Method(image)},
    metrics={name: Metric(words, "higher", judged=False) for name, (_, words) in CLAIMS.items()},
    prepare=prepare,
    score=score,
    settings=(split, "image_size", "dataset", "label_key", "transpose", "model_path", "fast"),
    asked=asked,
    claims=lambda row: {name: CLAIMS[name][0] for name in row["scores"]},
    keep=keep,
)
