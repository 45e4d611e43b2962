"""The next-item Transformer: fitted by torch, kept as arrays, written as a history scorer."""
