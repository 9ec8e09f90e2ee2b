"""Benchmarks against other libraries: ``python -m tests.bench``."""
