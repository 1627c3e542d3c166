"""The mathematics of PonderNet and PALBERT on plain tensors."""
