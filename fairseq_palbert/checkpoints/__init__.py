"""Read, write, convert and export models."""
