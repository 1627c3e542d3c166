"""The GLUE tasks: one table, their metrics, their files."""
