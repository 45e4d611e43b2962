"""Bring your own text model: published checkpoints become versions of the model repository."""
