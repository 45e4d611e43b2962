"""Rebuilds the vision models from their sources; nothing that serves imports it."""
