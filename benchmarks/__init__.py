"""Measurements of the project and of its peers; see docs/benchmarks.md."""
