"""Collectors and loaders of the data that the vision models are fitted on."""
