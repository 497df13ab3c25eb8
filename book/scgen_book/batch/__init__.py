"""Runs of notebooks and rows of experiments: one by one, in batches, and on the GPUs of a machine."""
