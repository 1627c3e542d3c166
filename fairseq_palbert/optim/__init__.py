"""Learning rates by part of the model."""
