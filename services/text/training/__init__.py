"""Builds the text models from their published weights; nothing that serves imports it."""
