"""File formats of models, one module each."""
