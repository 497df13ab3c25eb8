"""Metrics: pure functions of (inputs, seed) that know nothing of models.

Cells stand in rows; a matrix of cells × genes is dense or CSR. Import the module that a question needs: `clustering`
scores labels and embeddings; `denoising`, `molecular` and `designed` compare matrices with a known truth, with held-out
molecules and with what an experiment was designed to have, `smoothing` are the baselines; `realism` compares generated
cells with held-out ones, `conditional` with their labels, `mixing` as clouds, `controls` makes what frames such scores,
and `panel` does it all in one call; `trajectory` compares orders of cells with known times.

All of them refuse what they cannot score with a `DataError`: values that are not finite, negative counts, cells without
any count, missing labels, shapes or lengths that do not fit. An option that there is not is a `ParameterError`.
"""
