"""The comparison of denoisers: its cases, methods and metrics."""
