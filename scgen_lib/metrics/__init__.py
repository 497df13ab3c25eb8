"""Metrics: pure functions of (inputs, seed) that know nothing of models.

Import the module a chapter needs: `clustering` scores labels and embeddings, `denoising` compares matrices with their
truth or with held-out molecules, `realism` compares generated cells with held-out ones beside its controls,
`trajectory` compares orders of cells with known times.
"""
