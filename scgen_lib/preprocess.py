"""The papers' transforms of counts: size factor, logarithm, z-score, with statistics that are fitted once and kept."""

import dataclasses
import math
from typing import Literal

import anndata
import numpy as np
import scipy.sparse as sp
import tensorflow as tf
from scipy.special import gammaln

from scgen_lib.data import checks
from scgen_lib.data.stored import Stored, detected, per_cell
from scgen_lib.errors import DataError, ParameterError
from scgen_lib.variable_genes import highest_variance as highest_variance
from scgen_lib.variable_genes import seurat_dispersions

# On disk, what is fitted is fitted in passes over blocks of cells, and what is transformed is so when it is read.
Matrix = np.ndarray | sp.csr_matrix | Stored
SizeFactor = Literal["total_median", "kth", "batch_total", "none"]
ZScore = Literal["gene", "global", "batch", "none"]


def size_factors(counts: Matrix, method: SizeFactor, median: float | None = None) -> np.ndarray:
    """Size factor sᵢ of each cell of raw counts (N, G), by which they are divided: (N,) float32.

    ``total_median``: nᵢ / median(n), the total over its median (DCA), for new cells that of the training cells.
    ``kth``: the ⌊G/2⌋-th smallest count of the cell (student reproduction, reported version). ``batch_total``: as
    total_median; the net takes the median again in every mini-batch (student reproduction, public code). ``none``: 1. A
    factor of 0 is refused.
    """
    if method == "none":
        return np.ones(counts.shape[0], "float32")
    if method == "kth":
        k = max(counts.shape[1] // 2 - 1, 0)
        factor = per_cell(lambda x: np.partition(x.toarray() if sp.issparse(x) else x, k, axis=1)[:, k], counts)
    else:
        total = checks.totals(counts)
        factor = total / (np.median(total) if median is None else median)
    if not (factor > 0).all():
        raise DataError(
            f"expected a size factor above 0 for every cell, got 0 for {int((factor <= 0).sum())} of {len(factor)} "
            f"cells with size_factor={method!r}: "
            + ("half of their genes are zero, so use 'total_median'" if method == "kth" else "remove empty cells")
        )
    return factor.astype("float32")


def mean_log_factorial(counts: Matrix) -> np.ndarray:
    """Mean of lnΓ(x + 1) over the genes of each cell, (N,) float32: the part of a likelihood that only data enter."""
    return per_cell(_mean_log_factorial, counts)


def _mean_log_factorial(counts: np.ndarray | sp.csr_matrix) -> np.ndarray:
    dense = counts.data if sp.issparse(counts) else counts
    logs = gammaln(np.asarray(dense, "float64") + 1)
    if sp.issparse(counts):
        logs = sp.csr_matrix((logs, counts.indices, counts.indptr), counts.shape)
    return np.asarray(logs.mean(axis=1), "float32").ravel()


@dataclasses.dataclass
class Standardiser:
    """ln(1 + x/s) and z-score with the statistics of the training cells.

    Attributes
    ----------
    size_factor, zscore, log1p
        What is applied; ``zscore="gene"`` is one mean and sd per gene (DCA), ``"global"`` one of each for the whole
        matrix and ``"batch"`` one of each per mini-batch (student reproduction).
    median
        Median total count of the training cells.
    mean, sd
        Statistics of the transformed training cells, (G,) or (1,), float32; sd with ddof 1, and 1 where it is 0.

    References
    ----------
    Eraslan et al. 2019, Methods, "Data preprocessing"; `scanpy.pp.normalize_total`, `log1p` and `scale` do the same.
    """

    size_factor: SizeFactor = "total_median"
    zscore: ZScore = "gene"
    log1p: bool = True
    median: float | None = None
    mean: np.ndarray | None = None
    sd: np.ndarray | None = None

    def fit(self, counts: Matrix) -> "Standardiser":
        """Take the statistics from training counts, cells × genes (N, G); CSR stays sparse."""
        total = checks.totals(counts)
        self.median = float(np.median(total))
        if self.zscore in ("gene", "global"):
            mean, square = self._moments(counts)
            n = counts.shape[0]
            if self.zscore == "global":
                mean, square, n = mean.mean(keepdims=True), square.mean(keepdims=True), n * counts.shape[1]
            variance = np.maximum(square - mean**2, 0) * n / max(n - 1, 1)
            # A constant gene leaves a rounding error and not 0.
            constant = variance <= 1e-12 * np.maximum(square, 1e-300)
            self.mean = mean.astype("float32")
            self.sd = np.where(constant, 1.0, np.sqrt(variance)).astype("float32")
        return self

    def _moments(self, counts: Matrix) -> tuple[np.ndarray, np.ndarray]:
        factors = self.factors(counts)
        if isinstance(counts, Stored):
            return counts.map(lambda block: self._scaled(block, self.factors(block))).moments()
        scaled = self._scaled(counts, factors)
        square = scaled.multiply(scaled) if sp.issparse(scaled) else scaled**2
        return tuple(np.asarray(m.mean(axis=0), "float64").ravel() for m in (scaled, square))

    def _scaled(self, counts: np.ndarray | sp.csr_matrix, factors: np.ndarray) -> np.ndarray | sp.csr_matrix:
        scale = 1.0 / factors.astype("float64")
        scaled = sp.diags(scale) @ counts if sp.issparse(counts) else counts * scale[:, None]
        if self.log1p:
            scaled = scaled.log1p() if sp.issparse(scaled) else np.log1p(scaled)
        return scaled

    def factors(self, counts: Matrix) -> np.ndarray:
        """Size factors (N,) of cells, relative to the training cells."""
        return size_factors(counts, self.size_factor, self.median)

    def __call__(self, counts: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
        """Transform a mini-batch of counts (B, G) with size factors (B, 1) into the input of a net (B, G), float32."""
        if self.size_factor == "batch_total":
            factor = factor / _median(factor)
        x = counts / factor
        if self.log1p:
            x = tf.math.log1p(x)
        if self.zscore == "none":
            return x
        if self.zscore == "batch":
            n = tf.cast(tf.size(x), x.dtype)
            mean = tf.reduce_mean(x)
            return (x - mean) / tf.sqrt(tf.reduce_sum((x - mean) ** 2) / (n - 1.0))
        return (x - self.mean) / self.sd

    def get_config(self) -> dict:
        """Everything as JSON; floats keep their exact value."""
        config = dataclasses.asdict(self)
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in config.items()}

    @classmethod
    def from_config(cls, config: dict) -> "Standardiser":
        """Inverse of `get_config`."""
        arrays = {k: np.asarray(config[k], "float32") for k in ("mean", "sd") if config.get(k) is not None}
        return cls(**{**config, **arrays})


def _median(x: tf.Tensor) -> tf.Tensor:
    """Lower median, as PyTorch takes it."""
    flat = tf.sort(tf.reshape(x, [-1]))
    return flat[(tf.size(flat) - 1) // 2]


@dataclasses.dataclass
class LogNormaliser:
    """ln(1 + x · target / total) on the genes that pass the filters, with its inverse: what DB-AAE is trained on.

    The total of a cell is taken over all genes detected in `min_cells` training cells, and so before the highly
    variable ones are chosen; cells do not sum to the target afterwards. Nothing is centred or scaled.

    Attributes
    ----------
    min_cells
        Least number of training cells that a gene is detected in.
    target_sum
        Total of a cell after scaling.
    n_hvg
        Number of highly variable genes (scanpy, flavour ``seurat``); None keeps all.
    detected, genes
        Positions of the genes of the totals, and of those that are kept, in the order of the file.

    References
    ----------
    Ko and Sartorelli 2024, https://doi.org/10.1016/j.isci.2024.109027
    """

    min_cells: int = 3
    target_sum: float = 1e4
    n_hvg: int | None = None
    detected: list[int] | None = None
    genes: list[int] | None = None

    def fit(self, counts: Matrix) -> "LogNormaliser":
        """Choose the genes by training counts, cells × genes (N, G); CSR stays sparse."""
        cells = checks.totals(detected(counts), 0)
        self.detected = np.flatnonzero(cells >= self.min_cells).tolist()
        if not self.detected:
            raise DataError(
                f"expected genes with counts in {self.min_cells} cells or more, got none of {counts.shape[1]}: lower "
                "min_cells"
            )
        self.genes = self.detected
        if self.n_hvg is not None and not 1 <= self.n_hvg <= len(self.detected):
            raise ParameterError(
                f"expected n_hvg from 1 to the {len(self.detected)} genes detected in {self.min_cells} cells, got "
                f"{self.n_hvg}: choose fewer, or None for all"
            )
        if self.n_hvg is not None:
            chosen, spread = self._dispersions(counts)
            # scanpy keeps every gene that ties with the last one: the first in the file are enough
            first = np.sort(chosen[np.argsort(-spread[chosen], kind="stable")[: self.n_hvg]])
            self.genes = np.asarray(self.detected)[first].tolist()
        return self

    def _dispersions(self, counts: Matrix) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the genes to choose among, and normalised dispersions of all that are detected."""
        if isinstance(counts, Stored):
            mean, square = self._log(counts).map(np.expm1).moments()
            n = counts.shape[0]
            spread = seurat_dispersions(mean, np.maximum(square - mean**2, 0) * n / max(n - 1, 1))
            return np.arange(len(spread)), spread
        import scanpy as sc

        logs = anndata.AnnData(self._log(counts))
        sc.pp.highly_variable_genes(logs, flavor="seurat", n_top_genes=self.n_hvg)
        return np.flatnonzero(logs.var["highly_variable"]), logs.var["dispersions_norm"].to_numpy()

    def __call__(self, counts: Matrix) -> Matrix:
        """Counts (N, G) → logarithms (N, len(genes)), float32, natural, in [0, ln(1 + target)]; CSR stays sparse."""
        columns = np.searchsorted(self.detected, self.genes)
        logs = self._log(counts)
        return logs.map(lambda x: x[:, columns], len(columns)) if isinstance(logs, Stored) else logs[:, columns]

    def inverse(self, logs: np.ndarray, counts: Matrix) -> np.ndarray:
        """Logarithms (N, len(genes)) → counts at the depth of cells, float32.

        Every cell of expm1 is scaled to the total that `counts` (N, G) has in the kept genes: what is learned in
        logarithms falls short of means, and this takes the shortfall of the total out.
        """
        values = np.expm1(np.asarray(logs, "float64"))
        totals = values.sum(axis=1, keepdims=True)
        depth = checks.totals(counts[:, self.genes])[:, None]
        return (values * depth / np.where(totals > 0, totals, 1.0)).astype("float32")

    def _log_of_block(self, block: sp.csr_matrix) -> sp.csr_matrix:
        # scanpy's arithmetic, without its threads, which would meet those that read ahead
        x = block[:, self.detected].astype("float32")
        factor = checks.totals(x).astype("float32") / np.float32(self.target_sum)
        x.data = np.log1p(x.data / np.repeat(factor, np.diff(x.indptr)))
        return x

    def _log(self, counts: Matrix) -> Matrix:
        if isinstance(counts, Stored):
            self._refuse_empty(per_cell(lambda x: checks.totals(x[:, self.detected]), counts))
            return counts.map(self._log_of_block, len(self.detected))
        import scanpy as sc

        kept = anndata.AnnData(counts[:, self.detected].astype("float32"))
        self._refuse_empty(checks.totals(kept.X))
        sc.pp.normalize_total(kept, target_sum=self.target_sum)
        sc.pp.log1p(kept)
        return kept.X

    def _refuse_empty(self, totals: np.ndarray) -> None:
        empty = totals == 0
        if empty.any():
            raise DataError(
                f"expected counts in every cell, got none in {int(empty.sum())} of {len(empty)} cells in the genes "
                f"detected in {self.min_cells} cells: remove those cells"
            )

    def get_config(self) -> dict:
        """Everything as JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass
class UnitScaler:
    """Counts → [0, 1], what DR-A is trained on: ``sparse`` log2(c + 1) / s, or ``dense`` per-gene min–max.

    Attributes
    ----------
    method
        ``sparse``: one s, the largest logarithm of the cells that were fitted. ``dense``: (c − min) / (max − min) of
        each gene; the released code names a function for it that does not exist, so this is an own definition.
    unit
        False: s = 1.
    clip
        Bring values of other cells back into [0, 1]; without effect where `unit` is False.
    low, width
        What is subtracted and divided by, (1,) or (G,), float32.

    References
    ----------
    Lin et al. 2020, https://doi.org/10.1186/s12859-020-3401-5, and its code, github.com/eugenelin1/DRA.
    """

    method: Literal["sparse", "dense"] = "sparse"
    unit: bool = True
    clip: bool = False
    low: np.ndarray | None = None
    width: np.ndarray | None = None

    def fit(self, counts: Matrix) -> "UnitScaler":
        """Take minimum and maximum from counts, cells × genes (N, G); CSR stays sparse."""
        self.low = np.zeros(1, "float32")
        if self.method == "sparse":
            largest = np.log2(np.float64(counts.max()) + 1) if self.unit else 1.0
            self.width = np.array([largest or 1.0], "float32")
        else:
            if isinstance(counts, Stored):
                low, high = counts.extremes()
            else:
                high, low = (m.toarray() if sp.issparse(m) else m for m in (counts.max(axis=0), counts.min(axis=0)))
            self.low = np.asarray(low, "float32").ravel()
            width = np.asarray(high, "float32").ravel() - self.low
            self.width = np.where(width > 0, width, 1.0).astype("float32")
        return self

    def __call__(self, counts: Matrix) -> Matrix:
        """Counts (N, G) → (N, G), float32; CSR stays sparse with ``sparse``."""
        if isinstance(counts, Stored):
            return counts.map(self)
        if self.method == "dense":
            values = np.asarray(counts.toarray() if sp.issparse(counts) else counts, "float32")
            return self._clipped((values - self.low) / self.width)
        if not sp.issparse(counts):
            return self._clipped(np.log2(np.asarray(counts, "float32") + 1) / self.width)
        values = self._clipped(np.log2(counts.data.astype("float32") + 1) / self.width)
        return sp.csr_matrix((values, counts.indices, counts.indptr), counts.shape)

    def _clipped(self, values: np.ndarray) -> np.ndarray:
        return np.clip(values, 0, 1) if self.clip and (self.unit or self.method == "dense") else values

    def get_config(self) -> dict:
        """Everything as JSON; floats keep their exact value."""
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in dataclasses.asdict(self).items()}

    @classmethod
    def from_config(cls, config: dict) -> "UnitScaler":
        """Inverse of `get_config`."""
        return cls(**{**config, **{k: np.asarray(config[k], "float32") for k in ("low", "width")}})


def legacy_split(n: int, share: float = 0.8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions of training and test cells: one permutation of NumPy's legacy generator, cut at floor(share · n).

    The order is that of the permutation and matters: DR-A trains on consecutive cells of it.

    References
    ----------
    Code of Lin et al. 2020, github.com/eugenelin1/DRA.
    """
    order = np.random.RandomState(seed).permutation(n)
    cut = math.floor(share * n)
    return order[:cut], order[cut:]
