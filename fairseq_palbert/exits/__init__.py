"""Exit rules, how they are named, and how they are replayed from a record."""
