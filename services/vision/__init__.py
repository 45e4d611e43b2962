"""The vision model family."""
