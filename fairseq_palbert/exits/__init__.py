"""Exit rules, their names on the command line, and their replay on a record."""
