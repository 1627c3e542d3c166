"""GLUE tasks, their metrics and submission files."""
