"""Fits the recommenders of a tenant and writes them as one immutable bundle."""

from __future__ import annotations
