"""Commands for pictures and clips, and the pictures that they draw."""
