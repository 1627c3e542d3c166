"""Exit rules, one per file, named as on the command line."""
