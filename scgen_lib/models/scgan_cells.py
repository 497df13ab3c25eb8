"""Cells on their way into scGAN: filters, clusters, split, library size; and the parameter file of the released code.

The networks are in `scgen_lib.models.scgan`.
"""

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.neighbors import kneighbors_graph
from sklearn.preprocessing import normalize

from scgen_lib import data
from scgen_lib.data import checks
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.preprocess import LogNormaliser, Matrix

SPLIT = ("train", "valid", "test")
#: Columns of ``obs`` that `process` writes.
OWN_SPLIT, OWN_TOTAL = "scgan_split", "scgan_total"


def process(
    dataset: str | os.PathLike | anndata.AnnData,
    *,
    label_key: str = "cell_type",
    resolution: float | None = None,
    min_genes: int = 10,
    min_cells: int = 3,
    min_class_size: int = 0,
    library_size: float = 20000.0,
    valid_cells: float = 0,
    test_cells: float = 0.3,
    stratify: bool = True,
    n_top_genes: int | None = None,
    split_seed: int = 0,
    released: bool = False,
) -> anndata.AnnData:
    """Filter, cluster, split and scale cells.

    Parameters
    ----------
    dataset
        What `scgen_lib.data.load` takes, or cells × genes with raw counts in ``layers["counts"]`` (else ``X``).
    label_key
        Column of ``obs`` with the classes, or the one to write clusters into.
    resolution
        Resolution of `cluster`; None: the classes are given.
    min_genes, min_cells
        Cells with fewer detected genes go, then genes detected in fewer cells.
    min_class_size
        Classes with fewer cells go after these filters.
    library_size
        Total of every cell in ``X``.
    valid_cells, test_cells
        Cells outside of training, a number of cells or a share below 1.
    stratify
        Whether every class has its share in every part.
    n_top_genes
        Number of genes to keep, those that vary most in the training cells (scanpy, flavour ``seurat``, which keeps
        what ties with the last of them too); None: all.
    split_seed
        Seed of the clusters and of the split.
    released
        Cluster before the filters, and round the parts of every class down, as the released code does.

    Returns
    -------
    AnnData
        Scaled expression in ``X`` (float32, no logarithm), raw counts in ``layers["counts"]``, CSR where the counts
        were; ``obs``: classes (categorical, in the order of their codes), "scgan_split" (train, valid or test) and
        "scgan_total", the raw library size over the genes that are left; ``uns["scgan"]``: "prior", the share of every
        class in the training cells, in the order of the codes, "cells" of every part, "library_size", and what was
        "dropped": numbers of "cells" and "genes", names of "classes".

    Raises
    ------
    DataError
        Counts or labels that cannot be used, nothing left by the filters, or a class without a training cell.
    ParameterError
        More cells asked for than there are, or classes in a column that is written here.
    """
    checks.check_label_key(label_key, OWN_SPLIT, OWN_TOTAL)
    cells = (dataset if isinstance(dataset, anndata.AnnData) else data.load(dataset)).copy()
    cells.var_names_make_unique()
    counts = checks.get_counts(cells, allow_empty=True)
    before = cells.shape
    if resolution is not None and released:
        cells.obs[label_key] = cluster(counts, resolution, seed=split_seed)
    kept = _detected(counts, 1) >= min_genes
    genes = _detected(counts[kept], 0) >= min_cells
    # A gene filter can leave a cell without counts, which no factor brings to a library size.
    kept[kept] = checks.totals(counts[kept][:, genes]) > 0
    if not kept.any() or not genes.any():
        raise DataError(
            f"expected cells with {min_genes} genes and genes in {min_cells} cells, got none among {before[0]} cells × "
            f"{before[1]} genes: lower min_genes and min_cells"
        )
    cells, counts = cells[kept, genes].copy(), counts[kept][:, genes]
    if resolution is not None and not released:
        cells.obs[label_key] = cluster(counts, resolution, seed=split_seed)
    labels = checks.check_labels(cells, label_key, min_classes=1)
    sizes = pd.Series(labels).value_counts(sort=False)
    small = list(sizes.index[sizes < min_class_size])
    large = ~np.isin(labels, small)
    if not large.any():
        raise DataError(f"expected a class with {min_class_size} cells, got {sizes.max()} at most: lower it")
    cells, counts = cells[large].copy(), counts[large]
    cells.obs[label_key] = labels[large].remove_unused_categories()
    groups = cells.obs[label_key] if stratify else np.zeros(cells.n_obs, int)
    part = stratified_split(groups, valid_cells, test_cells, seed=split_seed, released=released)
    if n_top_genes is not None:
        chosen = LogNormaliser(min_cells=1, n_hvg=n_top_genes).fit(counts[part == "train"]).genes
        cells, counts = cells[:, chosen].copy(), counts[:, chosen]
        full = checks.totals(counts) > 0
        cells, counts, part = cells[full].copy(), counts[full], part[full]
    train = cells.obs[label_key][part == "train"].value_counts(sort=False)
    if (train == 0).any():
        raise DataError(
            f"expected training cells of every class, got none of {train.index[train == 0][0]!r}: raise min_class_size"
        )
    cells.X, cells.layers["counts"] = scaled(counts, library_size), counts
    cells.raw = None
    cells.obs[OWN_SPLIT] = pd.Categorical(part, categories=list(SPLIT))
    cells.obs[OWN_TOTAL] = checks.totals(counts)
    cells.uns["scgan"] = {
        "prior": (train / train.sum()).to_numpy(),
        "cells": {name: int((part == name).sum()) for name in SPLIT},
        "library_size": float(library_size),
        "dropped": {
            "cells": before[0] - cells.n_obs,
            "genes": before[1] - cells.n_vars,
            "classes": [str(name) for name in small],
        },
    }
    return cells


def scaled(counts: Matrix, library_size: float) -> Matrix:
    """Scale every cell to one total; no logarithm.

    Parameters
    ----------
    counts
        Counts, cells × genes (N, G); CSR stays sparse.
    library_size
        The total.

    Returns
    -------
    np.ndarray or csr_matrix
        (N, G), float32.

    Raises
    ------
    DataError
        A cell without any count.
    """
    empty = checks.totals(counts) == 0
    if empty.any():
        raise DataError(
            f"expected a count in every cell, got none in {int(empty.sum())} of {len(empty)}: remove these cells, or "
            "choose other genes"
        )
    return (normalize(counts.astype("float64"), norm="l1") * library_size).astype("float32")


def cluster(counts: Matrix, resolution: float = 0.15, *, seed: int = 0) -> pd.Categorical:
    """Louvain clusters of cells, as in the paper: 1,000 variable genes, 50 principal components, 15 neighbours.

    Parameters
    ----------
    counts
        Raw counts, cells × genes (N, G).
    resolution
        The higher, the more clusters.
    seed
        Of the components and of the order in which the nodes move.

    Returns
    -------
    pd.Categorical
        (N,), "0" for the largest cluster, "1" for the next and so on.

    Notes
    -----
    The preparation is `scanpy.pp.recipe_zheng17`; the graph joins a cell and each of its neighbours without a weight,
    as `scanpy.tl.louvain` does by default. The communities are found by networkx, in time that grows with the number of
    edges: seconds for thousands of cells, many minutes for the 68k PBMC.

    References
    ----------
    Blondel et al. 2008, https://doi.org/10.1088/1742-5468/2008/10/P10008
    """
    import networkx as nx
    import scanpy as sc

    if not 0 < resolution <= 5:
        raise ParameterError(f"expected a resolution above 0 and at most 5, got {resolution}: change it")
    cells = anndata.AnnData(sp.csr_matrix(counts, dtype="float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scanpy tells of its own plans
        detected = int((checks.totals(cells.X.T) > 0).sum())
        sc.pp.recipe_zheng17(cells, n_top_genes=min(1000, detected))
        sc.pp.pca(cells, n_comps=min(50, min(cells.shape) - 1), random_state=seed)
    # scanpy counts a cell among its 15 neighbours
    near = kneighbors_graph(cells.obsm["X_pca"], min(14, cells.n_obs - 1))
    graph = nx.from_scipy_sparse_array(near.maximum(near.T))
    found = nx.community.louvain_communities(graph, weight=None, resolution=resolution, seed=seed)
    found = sorted(found, key=lambda members: (-len(members), min(members)))
    codes = np.empty(cells.n_obs, int)
    for code, members in enumerate(found):
        codes[list(members)] = code
    return pd.Categorical.from_codes(codes, categories=[str(i) for i in range(len(found))])


def stratified_split(
    labels: Sequence, valid: float = 0, test: float = 0, *, seed: int = 0, released: bool = False
) -> np.ndarray:
    """Assign every cell to training, validation or test, each class by its share.

    Parameters
    ----------
    labels
        Class of every cell, (N,).
    valid, test
        Size of the two parts, a number of cells or a share below 1.
    seed
        Of the draw.
    released
        Round the part of every class down, so that a part can be smaller than asked for; else the parts have their
        sizes, and what rounding down leaves goes to the classes with the largest remainders.

    Returns
    -------
    np.ndarray
        "train", "valid" or "test", (N,).

    Raises
    ------
    ParameterError
        Parts that leave no cell for training.
    """
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    n = len(codes)
    wanted = {name: _number(size, n) for name, size in (("test", test), ("valid", valid))}
    if sum(wanted.values()) >= n:
        raise ParameterError(
            f"expected fewer than {n} cells outside of training, got {wanted['valid']} + {wanted['test']}: lower "
            "valid_cells or test_cells"
        )
    part, order = np.full(n, "train", "<U5"), np.random.default_rng([seed, n]).permutation(n)
    for name, size in wanted.items():
        free = order[part[order] == "train"]
        of = codes[free]
        # What is left has the right shares, so that no class is asked for more than it has.
        quota = np.bincount(codes if released else of) * size / (n if released else len(free))
        take = np.floor(quota).astype(int)
        if not released:
            most = np.argsort(take - quota, kind="stable")[: size - take.sum()]
            take[most] += 1
        for code in range(len(take)):
            part[free[of == code][: take[code]]] = name
    return part


def params_from_json(source: str | os.PathLike | Mapping, experiment: str | None = None) -> dict[str, object]:
    """Read the parameter file of the released code as arguments of this project.

    Parameters
    ----------
    source
        A ``parameters.json``, or what is in it.
    experiment
        Which of its experiments; None: the only one.

    Returns
    -------
    dict
        "experiment", its name; "dataset", the path of the raw data; and the arguments of `process`, `ScGAN` and
        `ScGAN.fit` under "process", "model" and "fit". The variant is ``faithful``.

    Raises
    ------
    ParameterError
        An unknown key, an illegal value, a missing file, or an experiment that is not named or not there.

    Warns
    -----
    UserWarning
        Keys without a meaning here, all of them by name.
    """
    if not isinstance(source, Mapping):
        try:
            source = json.loads(Path(source).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ParameterError(f"expected a JSON file of parameters in {source}, got {error}: check it") from error
    content = {key: value for key, value in source.items() if key != "experiments"}
    experiments = source.get("experiments", {})
    name = experiment or (next(iter(experiments)) if len(experiments) == 1 else None)
    if name not in experiments:
        raise ParameterError(
            f"expected the name of one of the experiments {', '.join(experiments) or '(there is none)'}, got "
            f"{experiment!r}: choose one"
        )
    # what `--process` writes back into the file
    content |= {key: value for key, value in experiments[name].items() if key != "preprocessed"}
    result: dict[str, object] = {"experiment": name, "dataset": None, "process": {"released": True}}
    result |= {"model": {"variant": "faithful"}, "fit": {}}
    ignored = []
    for key, value in _flat(content):
        if key not in _KEYS:
            raise ParameterError(f"expected the keys of a parameters.json, got {key!r}: remove or correct it")
        target = _KEYS[key]
        if target is None:
            ignored.append(key)
        elif key == "input_ds.scale":
            result["process"]["library_size"] = result["model"]["library_size"] = _last_number(value)
        elif key == "model.output_LSN":
            result["model"]["lsn"] = value is not None
        else:
            where, _, argument = target.partition(".")
            value = _VALUES.get(key, lambda v: v)(value)
            if argument:
                result[where][argument] = value
            else:
                result[where] = value
    lsn, scale = (_get(content, key) for key in ("model.output_LSN", "input_ds.scale"))
    if lsn is not None and scale is not None and float(lsn) != _last_number(scale):
        raise ParameterError(
            f"expected model.output_LSN to equal the scale of the data, {_last_number(scale):g}, got {lsn}: make them "
            "equal"
        )
    if ignored:
        warnings.warn(f"These parameters have no effect here: {', '.join(ignored)}.", stacklevel=2)
    return result


# Key of the released code → argument here, None where there is none.
_KEYS: dict[str, str | None] = {
    "exp_param.experiments_dir": None,
    "exp_param.GPU": None,
    "input_ds.raw_input": "dataset",
    "input_ds.clustering.res": "process.resolution",
    "input_ds.filtering.min_genes": "process.min_genes",
    "input_ds.filtering.min_cells": "process.min_cells",
    "input_ds.scale": "process.library_size",
    "input_ds.split.balanced_split": "process.stratify",
    "input_ds.split.split_seed": "process.split_seed",
    "input_ds.split.valid_cells": "process.valid_cells",
    "input_ds.split.test_cells": "process.test_cells",
    "training.max_steps": "fit.steps",
    "training.learning_rate.decay": None,
    "training.learning_rate.alpha_0": "model.lr_initial",
    "training.learning_rate.alpha_final": "model.lr_final",
    "training.optimizer.algorithm": "model.optimizer",
    "training.optimizer.beta1": "model.beta_1",
    "training.optimizer.beta2": "model.beta_2",
    "training.batch_size": "fit.batch_size",
    "training.critic_iters": "model.critic_iters",
    "training.checkpoint": "fit.checkpoint",
    "training.progress_freq": None,
    "training.validation_freq": None,
    "training.save_freq": "fit.checkpoint_every",
    "training.summary_freq": "fit.steps_per_epoch",
    "model.type": "model.conditional",
    "model.latent_dim": "model.latent_dim",
    "model.output_LSN": "model.lsn",
    "model.critic_layers": "model.critic_layers",
    "model.gen_layers": "model.gen_layers",
    "model.critic_cond_type": None,
    "model.gen_cond_type": "model.gen_norm",
    "model.lambd": "model.gp_weight",
}


def _conditional(kind: str) -> bool:
    if kind not in ("scGAN", "cscGAN"):
        raise ParameterError(f"expected model.type scGAN or cscGAN, got {kind!r}: choose one of the two")
    return kind == "cscGAN"


_VALUES = {
    "input_ds.split.split_seed": lambda v: 0 if v == "default" else v,
    # any other name means Adam in the released code
    "training.optimizer.algorithm": lambda v: "amsgrad" if v == "AMSGrad" else "adam",
    "model.type": _conditional,
    # any other name means no normalisation in the released code
    "model.gen_cond_type": lambda v: v if v in ("batchnorm", "layernorm") else "none",
}


def _flat(content: Mapping, prefix: str = "") -> list[tuple[str, object]]:
    pairs = []
    for key, value in content.items():
        pairs += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(f"{prefix}{key}", value)]
    return pairs


def _get(content: Mapping, key: str) -> object:
    return dict(_flat(content)).get(key)


def _last_number(scale: str) -> float:
    try:
        return float(str(scale).rpartition("_")[2])
    except ValueError:
        raise ParameterError(
            f"expected input_ds.scale to end in a number, as normalize_per_cell_LS_20000, got {scale!r}: correct it"
        ) from None


def _number(size: float, n: int) -> int:
    if not size >= 0 or (size >= 1 and size != int(size)):
        raise ParameterError(f"expected a number of cells or a share below 1, got {size}: change it")
    return round(size * n) if size < 1 else int(size)


def _detected(counts: Matrix, axis: int) -> np.ndarray:
    return np.asarray((counts > 0).sum(axis=axis)).ravel()
