"""The comparison of embeddings: its methods and metrics."""
