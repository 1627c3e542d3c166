"""Everything that reads or writes a model."""
