"""Exit rules, one file each; the file's name is the rule's name on the command line."""
