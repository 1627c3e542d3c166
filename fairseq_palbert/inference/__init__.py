"""Run a trained network with early exit, in plain torch."""
