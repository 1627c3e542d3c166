"""The files that benchmarks take answers in."""
