"""Imports of published vision checkpoints."""
