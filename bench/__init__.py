"""Benchmarks, each with a peer and a limit in the same run."""
