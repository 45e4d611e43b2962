"""Bring your own model: what every family's importers share. Nothing here needs torch."""
