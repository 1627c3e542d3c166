"""Exit rules, their command-line names, and their replay on a record."""
