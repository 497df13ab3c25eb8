"""The comparison of simulators: its cases, methods and metrics."""
