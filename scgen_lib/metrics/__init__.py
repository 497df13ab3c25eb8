"""Metrics: pure functions of (inputs, seed) that know nothing of models.

Import the module a chapter needs: `clustering` scores labels and embeddings, `denoising` compares matrices with their
truth or with held-out molecules.
"""
