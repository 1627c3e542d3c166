"""Plain torch: encoders, heads and lambda modules, without fairseq."""
