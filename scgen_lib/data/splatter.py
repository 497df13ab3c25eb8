"""Splat: single-cell counts simulated with their truth (Zappia, Phipson and Oshlack, Genome Biology 18:174, 2017).

A vectorised NumPy form of the published model. The streams of R's and NumPy's generators differ, so a seed of the R
package cannot be repeated: agreement is in distribution.
"""

import inspect
from collections.abc import Sequence

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.special import expit

from scgen_lib._version import __version__
from scgen_lib.data import checks
from scgen_lib.data.splatter_parameters import PRESETS, Values, check, values_of, whole
from scgen_lib.data.splatter_paths import path_factors, step_probabilities
from scgen_lib.errors import DataError, ParameterError

STAGES = ("groups", "library", "gene_means", "outliers", "batches", "de", "bcv", "counts", "dropout", "paths")
DTYPES = {"true_counts": np.int32, "base_cell_means": np.float32, "bcv": np.float32, "cell_means": np.float32}
DTYPES |= {"drop_prob": np.float32, "dropout": bool}
HEAVY = ("bcv", "cell_means", "drop_prob")
MAX_CHUNK = 20_000_000  # entries whose float64 intermediates are held at once


def lognormal_factors(
    rng: np.random.Generator, n: int, prob: float, down_prob: float, loc: float, scale: float
) -> np.ndarray:
    """Draw n multiplicative factors of outliers, differential expression and batches, (n,) float64.

    A factor is exp(D |Y|) with probability `prob` and exactly 1 otherwise; Y ~ N(`loc`, `scale`²), and D is -1 with
    probability `down_prob` and +1 otherwise, whatever the sign of `loc`. The number of draws depends on `n` alone.
    """
    selected = rng.random(n) < prob
    direction = np.where(rng.random(n) < down_prob, -1.0, 1.0)
    return np.where(selected, np.exp(direction * np.abs(rng.normal(loc, scale, n))), 1.0)


def dropout_probability(means: np.ndarray, mid: np.ndarray | float, shape: np.ndarray | float) -> np.ndarray:
    """Compute the logistic dropout probability 1 / (1 + exp(-k (ln μ - x₀))) of cell means μ ≥ 0.

    Midpoint x₀ and slope k are broadcast against the means; where the slope is negative, a mean of 0 is always dropped.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return expit(np.where(np.equal(shape, 0), 0.0, shape * (np.log(means) - mid)))


def simulate(
    *,
    n_genes: int = 10000,
    batch_cells: Sequence[int] = (100,),
    mean_shape: float = 0.6,
    mean_rate: float = 0.3,
    lib_loc: float = 11.0,
    lib_scale: float = 0.2,
    lib_norm: bool = False,
    out_prob: float = 0.05,
    out_loc: float = 4.0,
    out_scale: float = 0.5,
    group_prob: Sequence[float] = (1.0,),
    de_prob: Values = 0.1,
    de_down_prob: Values = 0.5,
    de_loc: Values = 0.1,
    de_scale: Values = 0.4,
    bcv_common: float = 0.1,
    bcv_df: float = 60.0,
    dropout_type: str = "none",
    dropout_mid: Values = 0.0,
    dropout_shape: Values = -1.0,
    batch_loc: Values = 0.1,
    batch_scale: Values = 0.1,
    batch_remove: bool = False,
    path_from: Sequence[int] | None = None,
    path_n_steps: Values = 100,
    path_skew: Values = 0.5,
    path_nonlinear_prob: Values = 0.1,
    path_sigma_fac: Values = 0.8,
    seed: int = 0,
    light: bool = False,
) -> anndata.AnnData:
    """Simulate counts, dropout and their whole truth with the Splat model.

    Every stage of the model draws from a generator of its own, so changing the dropout alone leaves everything before
    it identical, and the dropped entries of two midpoints are nested.

    Parameters
    ----------
    n_genes, batch_cells
        Genes, and cells per batch.
    mean_shape, mean_rate
        Shape and rate of the gamma distribution of the gene means.
    lib_loc, lib_scale, lib_norm
        Mean and standard deviation of ln(library size); with `lib_norm` of the library size itself, in counts.
    out_prob, out_loc, out_scale
        Probability of an expression outlier and parameters of its log-normal factor, which multiplies the median mean.
    group_prob
        Probability of each of the K groups; cells are assigned with replacement.
    de_prob, de_down_prob, de_loc, de_scale
        Differential expression of each group, drawn without a reference group: one value, or one a group.
    bcv_common, bcv_df
        Common biological coefficient of variation and the degrees of freedom of its noise (inf: no noise).
    dropout_type, dropout_mid, dropout_shape
        Level at which midpoint (on the natural-log mean) and slope are given: "none", "experiment" (one value),
        "batch", "group" or "cell" (one midpoint for each, and one slope for each or for all).
    batch_loc, batch_scale, batch_remove
        Log-normal batch factors (one value, or one a batch), or none of them with `batch_remove`.
    path_from
        For each group the path it starts from: 0 is the origin, k the end of path k. None simulates groups.
    path_n_steps, path_skew, path_nonlinear_prob, path_sigma_fac
        Steps of a path, skew of the cells along it (0.5: uniform; below, they lie near its end), probability that a
        gene changes non-linearly and how far it strays: one value, or one a path.
    seed
        Seed of all draws.
    light
        Leave out the layers "bcv", "cell_means" and "drop_prob" to save memory.

    Returns
    -------
    AnnData of cells × genes
        `X` and `layers["counts"]`: observed counts (int32, CSR when more than half are zero); `layers`: "true_counts"
        (int32), "base_cell_means" and, unless `light`, "bcv" and "cell_means" (float32); with dropout "dropout" (bool,
        True where dropped) and, unless `light`, "drop_prob" (float32). `obs`: cell, batch, group, exp_lib_size, with
        several groups cell_type, with paths step. `var`: gene, base_gene_mean, outlier_factor, gene_mean and
        de_fac_group_k. `uns["splat"]`: all parameters. Empty genes and cells are kept.

    Raises
    ------
    ParameterError
        If a parameter lies outside its range or has the wrong length.

    Notes
    -----
    Zappia et al. 2017, Methods, "The Splat model"; dropout as in the package since 1.3.5.
    """
    parameters = {name: value for name, value in locals().items() if name not in ("seed", "light")}
    legal = check(parameters)
    cells, probs = legal["batch_cells"].astype(int), legal["group_prob"]
    n_cells, n_batches, k = int(cells.sum()), len(cells), len(probs)
    seeds = np.random.SeedSequence(whole("seed", seed, 0)).spawn(len(STAGES))
    rng = dict(zip(STAGES, map(np.random.default_rng, seeds), strict=True))

    group = rng["groups"].choice(k, size=n_cells, p=probs / probs.sum())
    batch = np.repeat(np.arange(n_batches), cells)
    drop = _dropout_per_cell(dropout_type, dropout_mid, dropout_shape, batch, group, (n_batches, k))
    library = _library(rng["library"], n_cells, lib_loc, lib_scale, lib_norm)
    base_means = rng["gene_means"].gamma(mean_shape, 1 / mean_rate, n_genes)
    outlier = lognormal_factors(rng["outliers"], n_genes, out_prob, 0, out_loc, out_scale)
    gene_means = np.where(outlier == 1, base_means, np.median(base_means) * outlier)
    batch_factors = np.ones((n_batches, n_genes))
    if n_batches > 1 and not batch_remove:
        places = zip(legal["batch_loc"], legal["batch_scale"], strict=True)
        batch_factors = np.array([lognormal_factors(rng["batches"], n_genes, 1, 0.5, *p) for p in places])
    group_factors = np.ones((k, n_genes))
    if k > 1 or path_from is not None:
        de = zip(*(legal[f"de_{part}"] for part in ("prob", "down_prob", "loc", "scale")), strict=True)
        group_factors = np.array([lognormal_factors(rng["de"], n_genes, *p) for p in de])
    step, curves = None, None
    if path_from is not None:
        n_steps, skew = legal["path_n_steps"].astype(int), legal["path_skew"]
        curves = path_factors(
            rng["paths"], group_factors, path_from, n_steps, legal["path_nonlinear_prob"], legal["path_sigma_fac"]
        )
        group_factors = np.array([curve[-1] for curve in curves])
        step = np.zeros(n_cells, int)
        for path in range(k):
            own = group == path
            step[own] = rng["paths"].choice(n_steps[path], own.sum(), p=step_probabilities(n_steps[path], skew[path]))

    noise = bcv_df / rng["bcv"].chisquare(bcv_df, n_genes) if np.isfinite(bcv_df) else np.ones(n_genes)
    kept = DTYPES if not light else {name: DTYPES[name] for name in DTYPES if name not in HEAVY}
    kept = kept if drop is not None else {name: kept[name] for name in kept if not name.startswith("drop")}
    layers = {name: np.empty((n_cells, n_genes), dtype) for name, dtype in kept.items()}
    rows_at_once = max(1, MAX_CHUNK // n_genes)
    for rows in (slice(start, start + rows_at_once) for start in range(0, n_cells, rows_at_once)):
        shares = gene_means * batch_factors[batch[rows]]
        if curves is None:
            shares *= group_factors[group[rows]]
        else:
            shares *= np.array([curves[path][at] for path, at in zip(group[rows], step[rows], strict=True)])
        base = library[rows, None] * shares / shares.sum(1, keepdims=True)
        made = _cell_values(rng, base, noise, bcv_common, drop and tuple(values[rows, None] for values in drop))
        for name, layer in layers.items():
            layer[rows] = made[name]

    observed = layers["true_counts"] * ~layers["dropout"] if drop is not None else layers["true_counts"].copy()
    if np.count_nonzero(observed) < 0.5 * observed.size:
        observed = sp.csr_matrix(observed)
    obs = pd.DataFrame(index=[f"Cell{i + 1}" for i in range(n_cells)])
    obs["cell"] = obs.index.to_numpy()
    obs["batch"] = _categories("Batch", batch, n_batches)
    obs["group"] = _categories("Group", group, k)
    if k > 1:
        obs["cell_type"] = obs["group"]
    obs["exp_lib_size"] = library
    if step is not None:
        obs["step"] = step + 1
    var = pd.DataFrame(index=[f"Gene{g + 1}" for g in range(n_genes)])
    var["gene"] = var.index.to_numpy()
    var = var.assign(base_gene_mean=base_means, outlier_factor=outlier, gene_mean=gene_means)
    var = var.assign(**{f"de_fac_group_{i + 1}": factors for i, factors in enumerate(group_factors)})
    plain = {name: np.asarray(value).tolist() for name, value in parameters.items() if value is not None}
    uns = {"splat": plain | {"seed": int(seed), "light": bool(light), "version": __version__}}
    return anndata.AnnData(observed, obs=obs, var=var, uns=uns, layers={"counts": observed.copy(), **layers})


def preset(name: str, seed: int = 0, **overrides) -> anndata.AnnData:
    """Simulate one of the named settings.

    Parameters
    ----------
    name
        A key of `PRESETS`.
    seed
        Seed of all draws.
    **overrides
        Arguments of `simulate` that replace those of the preset.

    Returns
    -------
    AnnData of cells × genes
        As `simulate`, with `uns["dataset"]`: name, title, source of the setting, simulated (True) and the overrides.

    Raises
    ------
    ParameterError
        If there is no such preset, no such argument, or a value lies outside its range.
    """
    if name not in PRESETS:
        raise ParameterError(f"expected a preset among {', '.join(PRESETS)}, got {name!r}: choose one")
    legal = inspect.signature(simulate).parameters
    if unknown := [key for key in overrides if key not in legal]:
        raise ParameterError(
            f"expected parameters of the simulation, got {unknown[0]!r}: choose from {', '.join(legal)}"
        )
    chosen = PRESETS[name]
    adata = simulate(**(chosen["parameters"] | overrides), seed=seed)
    adata.uns["dataset"] = {
        "name": name,
        "title": chosen["title"],
        "source": chosen["source"],
        "simulated": True,
        "overrides": {key: np.asarray(value).tolist() for key, value in overrides.items() if value is not None},
    }
    return adata


def estimate(counts: np.ndarray | sp.spmatrix) -> dict[str, float]:
    """Estimate the gamma and library parameters of `simulate` from counts, by moments.

    Parameters
    ----------
    counts
        Raw counts, cells × genes, dense or sparse. All-zero genes are left out.

    Returns
    -------
    dict
        mean_shape and mean_rate from the mean and variance of the gene means after scaling every cell to the median
        total; lib_loc and lib_scale, the mean and standard deviation (ddof 1) of ln(total).

    Raises
    ------
    DataError
        If counts are negative or not finite, a cell is empty, or fewer than two cells or expressed genes remain.
    """
    values = counts.data if sp.issparse(counts) else np.asarray(counts)
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError("expected finite counts of 0 or more, got others: give raw counts")
    totals = checks.totals(counts)
    if len(totals) < 2 or (totals == 0).any():
        raise DataError(
            f"expected two cells or more, none of them empty, got {(totals > 0).sum()} of {len(totals)} with counts: "
            "filter empty cells first"
        )
    weights = np.median(totals) / totals
    means = np.asarray(counts.T @ weights).ravel() / len(totals)
    means = means[means > 0]
    if len(means) < 2 or np.ptp(means) == 0:
        raise DataError("expected two genes or more of different means, got fewer: give more genes")
    variance = means.var(ddof=1)
    log_totals = np.log(totals)
    moments = {"mean_shape": means.mean() ** 2 / variance, "mean_rate": means.mean() / variance}
    moments |= {"lib_loc": log_totals.mean(), "lib_scale": log_totals.std(ddof=1)}
    return {name: float(value) for name, value in moments.items()}


def _library(rng: np.random.Generator, n: int, loc: float, scale: float, normal: bool) -> np.ndarray:
    if not normal:
        return rng.lognormal(loc, scale, n)
    sizes = rng.normal(loc, scale, n)
    if not (sizes > 0).any():
        raise ParameterError(
            f"expected positive library sizes, got none of lib_loc={loc} and lib_scale={scale}: raise lib_loc"
        )
    return np.where(sizes > 0, sizes, sizes[sizes > 0].min() / 2)


def _cell_values(
    rng: dict[str, np.random.Generator],
    base: np.ndarray,
    noise: np.ndarray,
    bcv_common: float,
    drop: tuple[np.ndarray, np.ndarray] | None,
) -> dict[str, np.ndarray]:
    """Draw cell means, true counts and dropout from the base cell means, cells × genes."""
    # m B², written so that a mean of 0 stays finite: B² = (bcv_common + m^(-1/2))² · noise
    scale = (1 + bcv_common * np.sqrt(base)) ** 2 * noise
    means = rng["counts"].gamma(base / scale, scale)
    counts = rng["counts"].poisson(means)
    if counts.max() > np.iinfo(np.int32).max:
        raise ParameterError(f"expected counts below 2³¹, got {counts.max()}: lower lib_loc or bcv_common")
    with np.errstate(divide="ignore"):
        bcv = np.minimum(np.sqrt(scale / base), np.finfo(np.float32).max)
    made = {"base_cell_means": base, "bcv": bcv, "cell_means": means, "true_counts": counts}
    if drop is not None:
        made["drop_prob"] = dropout_probability(means, *drop)
        made["dropout"] = rng["dropout"].random(means.shape) < made["drop_prob"]
    return made


def _dropout_per_cell(
    kind: str, mid: Values, shape: Values, batch: np.ndarray, group: np.ndarray, sizes: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
    if kind == "none":
        return None
    lengths = {"experiment": 1, "batch": sizes[0], "group": sizes[1], "cell": len(batch)}
    index = {"experiment": np.zeros_like(batch), "batch": batch, "group": group, "cell": np.arange(len(batch))}[kind]
    length = lengths[kind]
    if np.size(mid) != length:
        raise ParameterError(
            f"expected {length} values of dropout_mid with dropout_type={kind!r}, got {np.size(mid)}: give one for each"
        )
    given = (values_of(name, value, length) for name, value in (("dropout_mid", mid), ("dropout_shape", shape)))
    return tuple(values[index] for values in given)


def _categories(prefix: str, codes: np.ndarray, n: int) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, [f"{prefix}{i + 1}" for i in range(n)])
