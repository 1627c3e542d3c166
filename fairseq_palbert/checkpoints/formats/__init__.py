"""The file formats that models come in, one module each."""
