"""Runs of notebooks and rows of comparisons: one by one, in batches, and on the GPUs of a machine."""
