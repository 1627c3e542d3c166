"""Interfaces of other packages that may move without notice, one file a package."""
