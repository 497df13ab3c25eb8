"""What the figures of the chapter on the CVAE draw of a set of cells, as small arrays."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from scgen_book.experiments.cvae.cases import Case
from scgen_book.experiments.cvae.trained import Trained
from scgen_lib.data import checks
from scgen_lib.metrics import conditional, realism
from scgen_lib.metrics.controls import Cells

GENES = 100  # in the maps of correlations


def of_cells(case: Case, cells: Cells) -> dict[str, np.ndarray]:
    """Return what is drawn of cells of the types that are scored.

    Returns
    -------
    dict
        library and zeros of each cell with its label (a number, by its name in labels); gene_mean, gene_variance and
        gene_zeros of the logarithms; correlations of the genes that vary most in the training cells (p, p); and, where
        there are two types, confusion, what a classifier tells of the cells of each type (rows wanted, columns told,
        with the names confusion_rows and confusion_columns).
    """
    logs = realism.log(cells.counts, allow_empty=True)
    table, curves = realism.cell_table(cells.counts), realism.gene_curves(logs)
    types = np.full(len(table), "all") if cells.labels is None else np.asarray(cells.labels).astype(str)
    codes, labels = pd.factorize(types, sort=True)
    train = realism.log(case.train.counts, allow_empty=True)
    genes = realism.top_genes(train, min(GENES, case.train.counts.shape[1]), by="variance")
    found = {"library": table["library"], "zeros": table["zeros"], "label": codes.astype("int16"), "labels": labels}
    found |= {f"gene_{name}": curves[name] for name in ("mean", "variance", "zeros")}
    found["correlations"] = realism.correlations(logs, genes).astype("float32")
    if cells.labels is not None:
        confusion = conditional.label_fidelity(
            case.space(train), case.train.labels, case.space(logs), cells.labels, classifier="logistic",
            seed=case.settings["seed"],
        )["confusion"]  # fmt: skip
        found |= {"confusion": confusion, "confusion_rows": confusion.index, "confusion_columns": confusion.columns}
    return {name: np.asarray(values) for name, values in found.items()}


def of_model(case: Case, answer: Trained) -> dict[str, np.ndarray]:
    """Return what is drawn of a trained variant itself.

    Returns
    -------
    dict
        history_reconstruction and history_kl by epoch; image_input, image_label_map and image_reconstruction of the
        first test cell (S, S); latent, the first two dimensions of z of the test cells, and latent_sd, the largest
        standard deviation of any; points, the simulated cells in principal components, and their types, at the end and
        after each epoch of epochs (points_5, types_5); and padding, the largest value in a pixel without a gene then.
    """
    first = case.cells[np.flatnonzero(~case.in_train)[:1]].copy()
    images = answer.model.images(first)
    latent = answer.model.embed(case.test_cells)
    found = {f"image_{name}": image[0].astype("float32") for name, image in images.items()}
    found |= {f"history_{name}": answer.model.history[name] for name in ("reconstruction", "kl")}
    found |= {"latent": latent[:, :2].astype("float32"), "latent_sd": latent.std(axis=0).max()}
    settings, sets = case.settings, dict(answer.snapshots)
    found["epochs"] = np.array(list(sets), int)
    padding = [cells.uns["cvae"].get("padding_maximum", np.nan) for cells in sets.values()]
    found["padding"] = np.array(padding, float)
    if not settings["model_path"]:
        sets[0] = answer.model.simulate(settings["embedding_dots"], seed=settings["seed"])
    for epoch, cells in sets.items():
        logs = realism.log(checks.get_counts(cells, allow_empty=True), allow_empty=True)
        end = f"_{epoch}" if epoch else ""
        found |= {f"points{end}": case.space_of_all(logs), f"types{end}": cells.obs["cell_type"].astype(str)}
    return {name: np.asarray(values) for name, values in found.items()}


def frame(kept: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the cells of `of_cells` as a table: library, zeros and label."""
    labels = np.asarray(kept["labels"], dtype=str)[kept["label"]]
    return pd.DataFrame({"library": kept["library"], "zeros": kept["zeros"], "label": labels})


def curves(kept: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the genes of `of_cells` as a table: mean, variance and zeros."""
    return pd.DataFrame({name: kept[f"gene_{name}"] for name in ("mean", "variance", "zeros")})


def confusion(kept: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Return the confusion of `of_cells` as a table."""
    return pd.DataFrame(kept["confusion"], kept["confusion_rows"], kept["confusion_columns"])
