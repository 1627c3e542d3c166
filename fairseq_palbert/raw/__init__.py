"""Raw data files, read row by row."""
