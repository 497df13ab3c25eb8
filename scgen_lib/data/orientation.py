"""Whether a file of counts holds cells × genes, as it was read, or genes × cells."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from scgen_lib.data import checks

if TYPE_CHECKING:
    from anndata import AnnData


def warn_of_doubt(adata: AnnData, name: str, stacklevel: int = 2) -> None:
    """Warn of a file of that name that was plainly turned when it was read, see `doubt_orientation`."""
    if doubt := doubt_orientation(adata):
        warnings.warn(
            f"{name} was read as cells × genes, but looks like genes × cells: {doubt}; set transpose=True if it is.",
            stacklevel=stacklevel,
        )


def doubt_orientation(adata: AnnData) -> str | None:
    """Say why a file that was read as cells × genes is plainly genes × cells, in words; None where it may be right.

    Cells that are named as genes, genes that are named as barcodes, more genes than any annotation has, or, among few
    cells and many genes, cells that differ more in depth than genes in abundance, which no experiment gives.
    """
    for names, what, kind, pattern in (
        (adata.obs_names, "cells", "genes", _GENE),
        (adata.var_names, "genes", "barcodes", _BARCODE),
    ):
        told = np.asarray(names.astype(str).str.fullmatch(pattern), bool)
        if told.sum() > 2 and told.mean() > 0.01:
            return f"{told.sum()} of its {len(told)} {what!r} are named as {kind} (first: {names[told.argmax()]!r})"
    if adata.n_vars > 10 * adata.n_obs:
        spread = [
            np.log1p(checks.totals(checks.get_counts(adata, allow_empty=True, stored=True), axis)).std()
            for axis in (1, 0)
        ]
        if adata.n_vars > 100_000 or (adata.n_obs > 9 and spread[0] > 2 * spread[1]):
            return f"no experiment gives {adata.n_obs} 'cells' and {adata.n_vars} 'genes' of such totals"
    return None


# Ids of genes, families of symbols and single ones that nearly all data sets have; barcodes of droplets.
_GENE = (
    r"(?i:ENS[A-Z]{0,6}G\d{11}(\.\d+)?|FBgn\d{7}|WBGene\d{8}|MT-(ND|CO|CYB|ATP)\w*|RP[LS]A?\d+\w{0,3}|LINC\d{5}|"
    r"ZNF\d+|ZFP\d+|TMEM\d+[A-Z]?|SLC\d+A\d+|C\d+orf\d+|[0-9A-Z]{5,}RIK|HLA-[A-Z0-9]+|EEF1A1|EEF2|ACTB|ACTG1|GAPDH|"
    r"B2M|MALAT1|TMSB4X|TMSB10|FTL1?|FTH1|TPT1|UBC|HSP90A[AB]1|PTPRC|CD3[DEG]|CD8[AB]1?|CD14|CD19|CD34|CD74|CD79[AB]|"
    r"MS4A1|LYZ[12]?|NKG7|GNLY|PPBP|IL7R|FCGR3A|FCER1A|S100A\d+|CST3|EPCAM|VIM|COL1A[12]|GFAP|APOE|INS[12]?|GCG|SST)"
)
_BARCODE = r"[ACGT]{12,}([-_.]\w+)?"
