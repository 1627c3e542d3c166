"""Private interfaces of other packages, which may change without notice."""
