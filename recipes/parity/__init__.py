"""``recipes/parity.sh``: PonderNet and Adaptive Computation Time on parity."""
