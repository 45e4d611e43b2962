"""The classical model family."""
