"""Running a trained network: layer by layer with early exit, in plain torch."""
