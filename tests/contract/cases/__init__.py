"""Requests that every model family must answer in the promised way, one module a family."""
