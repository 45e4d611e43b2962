"""The text model family."""
